"""What a thief may leave behind: a next key, checkpoints in the archive, a change half made, a log that is broken."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from ledger_core.ceremony.drafts import Wish
from ledger_core.ceremony.run import make_draft
from ledger_core.ceremony.tell import lines_of
from ledger_core.errors import DependencyError, InvalidInput
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.runtime import Runtime
from ledger_core.signing.backends.software import load
from tests.integration.keys.conftest import note_by

pytestmark = pytest.mark.integration


def put_in_archive(company: Any, note: str) -> Path:
    path: Path = company.runtime.home / "archive" / company.origin / "anchors" / "forged"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(note)
    return path


def test_a_next_key_that_lay_beside_a_stolen_one_never_signs(company: Any) -> None:
    company.night()
    make_draft(company.runtime, Wish(action="rotate"))
    lay = load(company.signer / "next.pem").public_key.key_id
    make_draft(company.runtime, Wish(action="compromise"))
    drafted = load(company.signer / "next.pem").public_key.key_id
    done = company.compromise()
    assert len({lay, drafted, done.change.successor}) == 3
    old = done.change.successor
    company.rotate()
    make_draft(company.runtime, Wish(action="rotate"))
    make_draft(company.runtime, Wish(action="compromise", key=old))
    assert not (company.signer / "next.pem").exists(), "of a key that does not sign"
    make_draft(company.runtime, Wish(action="rotate"))
    company.compromise(key=old)
    assert not (company.signer / "next.pem").exists()
    company.require_sound()


def test_a_known_checkpoint_speaks_for_its_log_whatever_lies_in_the_archive(company: Any, tmp_path: Path) -> None:
    company.night()
    kept = tmp_path / "kept"
    kept.write_text(company.runtime.signer.latest(company.origin))
    good = parse_checkpoint(parse_note(kept.read_text()).text)
    company.post()
    company.post()
    forged = put_in_archive(company, note_by(company.signing_key(), company.origin, good.size + 1, bytes(32)))
    done = company.compromise(known=(kept,))
    assert done.change.logs[company.origin].good_size == good.size
    forged.unlink()
    company.require_sound()


def test_what_the_witness_never_signed_is_no_evidence_and_is_named(company: Any, tmp_path: Path) -> None:
    company.night()
    real = company.archived()
    thief, tip = company.signing_key(), company.post()
    given = tmp_path / "given"
    for size in (tip, tip + 100):
        given.write_text(note_by(thief, company.origin, size, bytes(32)))
        with pytest.raises(InvalidInput, match="never signed"):
            company.compromise(known=(given,))
        forged = put_in_archive(company, given.read_text())
        named: list[str] = []
        make_draft(company.runtime, Wish(action="compromise"), drop=named.append)
        assert len(named) == 1
        assert forged.as_uri() in named[0]
    assert company.version() == 1
    done = company.compromise()
    assert done.change.logs[company.origin].good_size == real.size
    assert any(forged.as_uri() in line for line in lines_of(done))
    forged.unlink()
    company.require_sound()


def test_a_database_of_nonsense_does_not_keep_a_stolen_key_alive_and_it_is_said(company: Any, engine: Engine) -> None:
    company.night()
    tip = company.post()
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table ledger.checkpoints drop constraint checkpoints_frontier_check")
        connection.exec_driver_sql("set local session_replication_role = replica")
        connection.exec_driver_sql("update ledger.checkpoints set frontier = %s where size < %s", (b"nonsense", tip))
    done = company.compromise()
    assert company.version() == 2
    assert any("the database does not answer" in line for line in lines_of(done)), lines_of(done)


def test_a_rotation_that_was_begun_does_not_pass_for_the_end_of_a_stolen_key(company: Any, killer: Any) -> None:
    company.night()
    first = company.key_id()
    killer.arm(18)
    with contextlib.suppress(killer.error):
        company.rotate()
    killer.arm(None)
    assert (company.signer / "change.json").exists()
    assert company.version() == 2
    done = company.compromise(key=first)
    assert (done.change.action, done.change.key_id, company.version()) == ("compromised", first, 3)
    seq = done.recorded[company.origin]
    assert [company.record(at)["action"] for at in (seq - 1, seq)] == ["rotated", "compromised"]
    assert not list(company.signer.glob("untold-*"))
    company.require_sound()


def test_a_log_that_cannot_take_its_record_holds_up_nothing_and_gets_it_later(
    company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.night()

    def broken(*_args: Any, **_more: Any) -> Any:
        raise DependencyError("the ledger does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(Runtime, "ledger", broken)
        done = company.compromise()
        assert done.untold == [company.origin]
        assert Path(done.statements[0]).exists(), "auditors are told all the same"
        assert any("the ledger does not answer" in line for line in lines_of(done))
        again = company.compromise()
        assert (again.was_begun, again.change, again.untold) == (True, done.change, [company.origin])
        assert company.rotate().untold == [company.origin], "the next change is made"
    assert company.version() == 3
    last = company.rotate()
    assert last.was_begun, "its record was lacking"
    last = company.rotate()
    seq = last.recorded[company.origin]
    assert [company.record(at)["registry_version"] for at in range(seq - 2, seq + 1)] == [2, 3, 4]
    assert not list(company.signer.glob("untold-*"))
    assert not (company.signer / "change.json").exists()
    company.require_sound()
