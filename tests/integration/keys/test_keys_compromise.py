"""A signing key is stolen: what the thief can still make, what stays, and how the ledger goes on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from ledger_core.ceremony.run import current_trust
from ledger_core.errors import IntegrityError, InvalidInput
from ledger_core.evidence.keyring import pinned_ring
from ledger_core.log.dsse import COMPROMISE_TYPE, parse_envelope
from ledger_core.log.note import (
    encode_base64,
    parse_checkpoint,
    parse_note,
)
from ledger_core.log.verifier import verify_path
from ledger_core.signing.backends.software import load
from tests.integration.keys.conftest import note_by

pytestmark = pytest.mark.integration


def verdict_of(company: Any, note: str) -> str:
    parsed = parse_note(note)
    ring = pinned_ring(company.runtime, company.origin)
    return ring.judge_checkpoint(parsed, parse_checkpoint(parsed.text)).verdict or "verified"


def statement_of(done: Any) -> dict[str, Any]:
    (path,) = done.statements
    return dict(json.loads(parse_envelope(Path(path).read_bytes()).payload))


def test_what_a_stolen_key_signed_counts_in_the_good_tree_alone_and_the_log_goes_on(company: Any) -> None:
    company.night()
    good = company.archived()
    thief = company.signing_key()
    tip = company.post()
    done = company.compromise()
    assert done.change.key_id == thief.public_key.key_id
    change = done.change.logs[company.origin]
    assert (change.good_size, change.good_root, change.size) == (good.size, encode_base64(good.root), tip)
    for size, root, wanted in (
        (good.size, good.root, "verified"),
        (good.size, bytes(32), "forked"),
        (1, bytes(32), "key_not_valid_at_size"),
        (tip, bytes(32), "key_not_valid_at_size"),
        (tip + 100, bytes(32), "key_not_valid_at_size"),
    ):
        assert verdict_of(company, note_by(thief, company.origin, size, root)) == wanted
    assert change.good_note is not None
    assert verdict_of(company, change.good_note) == "verified", "the new key's, over the tree that is beyond doubt"
    assert len(parse_note(change.note).signatures) == 1, "the stolen key vouches for no takeover"
    company.post()
    company.require_sound()


def test_the_statement_says_which_trees_and_on_what_evidence(company: Any) -> None:
    company.night()
    tip = company.post()
    done = company.compromise()
    envelope = parse_envelope(Path(done.statements[0]).read_bytes())
    ring = pinned_ring(company.runtime, company.origin)
    judgement = ring.judge_envelope(envelope, company.origin, tip)
    assert [item.key.key_id for item in judgement.signers] == [done.change.successor]
    assert envelope.payload_type == COMPROMISE_TYPE
    said = statement_of(done)
    assert said["reattested"] == {"from_size": said["good"]["size"], "to_size": tip}
    assert said["evidence"] == [path.as_uri() for path in (company.runtime.home / "archive").rglob("checkpoint")]
    body = company.record(done.recorded[company.origin])
    assert (body["action"], body["good_size"]) == ("compromised", said["good"]["size"])
    assert parse_envelope(body["statement"].encode()) == envelope


def test_without_the_pinned_version_an_archive_with_the_registry_of_before_brings_the_key_back(
    company: Any, tmp_path: Path
) -> None:
    company.night()
    before = (company.signer / "keys.jsonl").read_bytes()
    company.compromise()
    copied = tmp_path / "shown" / "counterfoil.localhost"
    copied.parent.mkdir()
    shutil.copytree(company.runtime.home / "archive" / "counterfoil.localhost", copied)
    assert {path.read_bytes() for path in copied.rglob("keys.jsonl")} == {before}
    pinned = tmp_path / "pinned.json"
    pinned.write_bytes(current_trust(company.runtime)[0])
    assert verify_path(copied.parent, company.first_trust).verdict == "verified", "this is what pinning is for"
    report = verify_path(copied.parent, pinned)
    assert report.verdict == "truncated", report.as_lines()


def test_evidence_is_what_lay_elsewhere_before_the_theft(company: Any, tmp_path: Path) -> None:
    company.night()
    first = company.checkpoint_path()
    early = datetime.now(UTC) - timedelta(days=1)
    os.utime(first, (early.timestamp(), early.timestamp()))
    company.post()
    company.night()
    stolen_at = early + timedelta(hours=1)
    done = company.compromise(before=stolen_at)
    size = parse_checkpoint(parse_note(first.read_text()).text).size
    assert statement_of(done)["good"]["size"] == size
    assert statement_of(done)["evidence"] == [first.as_uri()]
    company.post()
    company.require_sound()


def test_a_checkpoint_that_somebody_kept_is_evidence_beyond_the_archive(company: Any, tmp_path: Path) -> None:
    company.night()
    company.post()
    kept = tmp_path / "kept"
    kept.write_text(company.runtime.signer.latest(company.origin))
    size = company.post() - 1
    done = company.compromise(known=(kept,))
    assert statement_of(done)["good"]["size"] == size
    company.require_sound()


def test_where_nothing_lay_elsewhere_all_of_it_stands_on_the_new_key(company: Any) -> None:
    tip = company.post()
    done = company.compromise()
    said = statement_of(done)
    assert (said["good"], said["evidence"]) == (None, [])
    assert said["reattested"] == {"from_size": 0, "to_size": tip}
    company.post()
    company.require_sound()


def test_evidence_that_contradicts_itself_or_is_a_strangers_is_refused_and_nothing_changes(
    company: Any, tmp_path: Path
) -> None:
    company.night()
    thief, stranger = company.signing_key(), tmp_path / "stranger"
    archived = company.archived()
    forged, foreign, other = tmp_path / "forged", tmp_path / "foreign", tmp_path / "other"
    company.post()
    forged.write_text(note_by(thief, company.origin, archived.size, bytes(32)))
    stranger.write_bytes((company.signer / "root.pem").read_bytes())
    stranger.chmod(0o600)
    foreign.write_text(note_by(load(stranger), company.origin, 5, bytes(32)))
    other.write_text(note_by(thief, "counterfoil.localhost/test/other", 5, bytes(32)))
    kept = tmp_path / "kept"
    kept.write_bytes(company.checkpoint_path().read_bytes())
    for paths, error in (((kept, forged), IntegrityError), ((foreign,), InvalidInput), ((other,), InvalidInput)):
        with pytest.raises(error):
            company.compromise(known=paths)
    assert company.version() == 1
    company.post()


def test_a_database_that_does_not_lead_from_the_good_tree_to_the_tip_is_not_vouched_for(
    company: Any, engine: Engine
) -> None:
    company.night()
    company.post()
    tip = company.post()
    with engine.begin() as connection:
        connection.exec_driver_sql("set local session_replication_role = replica")
        connection.exec_driver_sql("update ledger.records set leaf_hash = %s where seq = %s", (bytes(32), tip - 1))
        connection.exec_driver_sql("delete from ledger.checkpoints where size = %s", (tip,))
    done = company.compromise()
    said = statement_of(done)
    assert (said["tip"], said["reattested"]) == (None, None)
    assert "another tree" in said["why_not_reattested"]


def test_a_key_that_signed_before_the_one_of_today_may_be_stolen_too(company: Any) -> None:
    company.night()
    company.post()
    old = company.rotate().change.key_id
    today = company.key_id()
    company.night()
    done = company.compromise(key=old[:12])
    assert (done.change.key_id, done.change.successor) == (old, None)
    assert company.key_id() == today
    assert company.keys()[old]["status"] == "compromised"
    company.require_sound()


def test_a_compromise_that_was_killed_is_finished_by_the_same_command(company: Any, killer: Any) -> None:
    company.night()
    for version, at in enumerate((5, 18), 2):
        killer.arm(at)
        with contextlib.suppress(killer.error):
            company.compromise()
        killer.arm(None)
        done = company.compromise()
        assert (company.version(), done.change.version) == (version, version), f"killed at step {at}"
        assert company.record(done.recorded[company.origin])["action"] == "compromised"
        assert len(done.statements) == 1
    company.require_sound()
