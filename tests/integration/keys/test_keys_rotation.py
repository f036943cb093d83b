"""Keys that change under a real ledger: a real proxy process, a real database, a real archive."""

from __future__ import annotations

import contextlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.ceremony import offline
from ledger_core.ceremony.drafts import RootChange, Wish
from ledger_core.ceremony.run import current_trust, install_files, listing, make_draft
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError, Refused
from ledger_core.evidence.export.plan import Plan
from ledger_core.evidence.export.segment import only_exporter
from ledger_core.evidence.keyring import pinned_ring
from ledger_core.log.note import parse_checkpoint, parse_note, verify_note
from ledger_core.log.verifier import verify_path

pytestmark = pytest.mark.integration

ME = Actor(subject="keeper")
ROTATE = Wish(action="rotate")


def test_an_auditor_from_before_two_rotations_verifies_everything(company: Any) -> None:
    company.night()
    first = company.key_id()
    done = company.rotate()
    second = company.key_id()
    assert (done.change.action, done.change.key_id, done.change.successor) == ("rotated", first, second)
    size = done.change.logs[company.origin].size
    ranges = {key: item["valid"] for key, item in company.keys().items()}
    assert [item["to_size"] for item in ranges[first]] == [size], "to S, and for no log that is opened later"
    assert ranges[second][0] == {"from_size": size, "origin": company.origin, "to_size": None}
    company.post()
    company.night()
    company.rotate()
    company.require_sound()
    assert len({first, second, company.key_id()}) == 3
    ring = pinned_ring(company.runtime, company.origin)
    assert [item.status for item in ring.keys] == ["retired", "retired", "active"]


def test_the_checkpoint_where_two_keys_meet_carries_both_lines_and_stands_in_the_log(company: Any) -> None:
    done = company.rotate()
    body = company.record(done.recorded[company.origin])
    note = parse_note(body["note"])
    checkpoint = parse_checkpoint(note.text)
    ring = pinned_ring(company.runtime, company.origin)
    signers = verify_note(note, company.origin, [item.key for item in ring.keys])
    assert signers == [done.change.key_id, done.change.successor]
    assert len(ring.judge_checkpoint(note, checkpoint).signers) == 2
    assert (body["action"], body["registry_version"], body["size"]) == ("rotated", 2, checkpoint.size)
    assert (company.signer / "key.pem").exists()
    assert not list(company.signer.glob("next.pem")), "the old private key is gone, the next one is the key"


def test_the_proxy_answers_with_both_lines_as_long_as_nothing_more_is_signed(
    company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger_core.ceremony.run.through", lambda *_args, **_more: None)
    company.rotate()
    note = company.runtime.signer.latest(company.origin)
    assert note is not None
    assert len(parse_note(note).signatures) == 2


def test_a_rotation_that_was_killed_is_finished_by_the_same_command(company: Any, killer: Any) -> None:
    """Before the registry is written and after it: one version more, one record, a sound log."""
    version, before = 1, company.key_id()
    for at in (5, 18):
        killer.arm(at)
        with contextlib.suppress(killer.error):
            company.rotate()
        killer.arm(None)
        done = company.rotate()
        version += 1
        assert (company.version(), done.change.version) == (version, version), f"killed at step {at}"
        assert company.key_id() != before, "and another key signs"
        before = company.key_id()
        assert company.record(done.recorded[company.origin])["registry_version"] == version
    company.require_sound()


def test_an_export_that_was_interrupted_is_finished_before_a_key_ends(company: Any) -> None:
    company.night()
    company.post()
    half = company.runtime.home / "archive" / company.origin / "segments" / "2026" / "01" / "05" / "0000000002-2-4"
    half.mkdir(parents=True)
    (half / "checkpoint").write_text("half")
    begun = Plan(origin=company.origin, segment=2, closed_on=date(2026, 1, 5), first_seq=2, next_seq=4)
    begun.write(company.runtime.home, "main")
    with pytest.raises(Refused, match="interrupted"):
        company.rotate()
    with only_exporter(company.runtime.engine, "main"), pytest.raises(DependencyError, match="is exporting"):
        company.rotate()
    assert company.version() == 1
    company.post()


def test_half_a_segment_that_no_export_of_ours_began_keeps_no_key_alive(company: Any) -> None:
    """Whoever can write to the archive must not be able to."""
    company.night()
    company.post()
    half = company.runtime.home / "archive" / company.origin / "segments" / "2026" / "01" / "05" / "0000000002-2-4"
    half.mkdir(parents=True)
    (half / "checkpoint").write_text("half")
    company.rotate()
    assert company.version() == 2
    (half / "checkpoint").unlink()
    half.rmdir()
    company.require_sound()


# Roots that are kept elsewhere.


@pytest.fixture
def holders(tmp_path: Path) -> list[Path]:
    """Three roots in the hands of three people."""
    made = [tmp_path / "holders" / name for name in ("anna.pem", "bo.pem", "cy.pem")]
    made[0].parent.mkdir()
    for path in made:
        offline.make_root(path)
    return made


def signed(draft: bytes, folder: Path, *roots: Path) -> list[Path]:
    """Have each of `roots` sign the draft, as its holder would; return the signatures."""
    (folder / "draft").write_bytes(draft)
    out = [folder / f"{root.stem}.sig" for root in roots]
    for root, path in zip(roots, out, strict=True):
        assert offline.main(["sign", "--key", str(root), "--draft", str(folder / "draft"), "--out", str(path)]) == 0
    return out


@pytest.fixture
def elsewhere(company: Any, holders: list[Path], tmp_path: Path) -> Any:
    """The company after its roots went to three holders, of whom two must agree."""
    wish = Wish(
        action="roots",
        roots=RootChange(
            add=[path.with_name(f"{path.name}.pub") for path in holders],
            remove=[listing(company.runtime)["roots"]["keys"][0]],
            threshold=2,
        ),
    )
    files = signed(make_draft(company.runtime, wish), tmp_path, company.signer / "root.pem", *holders[:2])
    with pytest.raises(IntegrityError, match="lacks the signatures"):
        install_files(company.runtime, files[1:], actor=ME)
    with pytest.raises(IntegrityError, match="lacks the signatures"):
        install_files(company.runtime, files[:2], actor=ME)
    done = install_files(company.runtime, files, actor=ME)
    assert done.change.action == "roots"
    assert not (company.signer / "root.pem").exists(), "it is no root any more, and a key in a file"
    return company


def test_two_of_three_roots_rotate_a_key_and_one_does_not(elsewhere: Any, holders: list[Path], tmp_path: Path) -> None:
    company = elsewhere
    with pytest.raises(ConfigurationError, match="roots are not kept here"):
        company.rotate()
    draft = make_draft(company.runtime, ROTATE)
    (one,) = signed(draft, tmp_path, holders[0])
    again = tmp_path / "again.sig"
    offline.sign_file(str(holders[0]), tmp_path / "draft", again)
    for files in ([one], [one, again], [one, one]):
        with pytest.raises(IntegrityError, match="lacks the signatures"):
            install_files(company.runtime, files, actor=ME)
    before = company.key_id()
    install_files(company.runtime, signed(draft, tmp_path, *holders[1:]), actor=ME)
    assert company.key_id() != before
    assert company.version() == 3
    company.post()
    company.require_sound()
    pem = [path.read_bytes() for path in holders]
    for path in company.runtime.home.rglob("*"):
        if path.is_file() and "postgres" not in path.parts:
            assert not any(key in path.read_bytes() for key in pem), f"a root's private key in {path}"


def test_a_draft_that_the_log_outgrew_or_another_change_overtook_has_expired_and_a_window_lets_it_grow(
    elsewhere: Any, holders: list[Path], tmp_path: Path
) -> None:
    company = elsewhere
    late = make_draft(company.runtime, Wish(action="roots", roots=RootChange(threshold=3)))
    files = signed(make_draft(company.runtime, ROTATE), tmp_path, *holders[:2])
    company.post()
    with pytest.raises(Refused, match="has expired"):
        install_files(company.runtime, files, actor=ME)
    assert company.version() == 2
    files = signed(make_draft(company.runtime, Wish(action="rotate", window=100)), tmp_path, *holders[:2])
    company.post()
    company.night()
    assert install_files(company.runtime, files, actor=ME).change.version == 3
    with pytest.raises(Refused, match="without a gap"):
        install_files(company.runtime, signed(late, tmp_path, *holders), actor=ME)
    company.require_sound()


def test_the_trust_file_of_the_day_pins_its_registry_and_an_old_folder_does_not_start(
    company: Any, tmp_path: Path
) -> None:
    old = (company.signer / "keys.jsonl").read_bytes()
    company.rotate()
    pinned = json.loads(current_trust(company.runtime)[0])
    assert pinned["registry_version"] == 2
    assert json.loads(company.runtime.trust_path.read_bytes()) == pinned
    company.night()
    archive = company.runtime.home / "archive"
    today = tmp_path / "today.json"
    today.write_bytes(current_trust(company.runtime)[0])
    assert verify_path(archive, today).verdict == "verified"
    for path in archive.rglob("keys.jsonl"):
        path.chmod(0o600)
        path.write_bytes(old)
    assert "truncated" in {item.verdict for item in verify_path(archive, today).failures}
    (company.signer / "keys.jsonl").write_bytes(old)
    from ledger_core.services import SIGNING_PROXY, process_group, signing_service

    group = process_group(company.runtime.settings)
    group.stop(SIGNING_PROXY)
    with pytest.raises(DependencyError, match="signing-proxy"):
        group.ensure(signing_service(company.runtime.settings))
