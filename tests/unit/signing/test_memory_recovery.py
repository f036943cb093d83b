"""How an operator gives a proxy its memory back, and what no recovery does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ledger_core.errors import ConfigurationError, SignerRefused
from ledger_core.log.dsse import KEYS_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.keys import TrustFile, resolve_keys
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.signing import anchors
from ledger_core.signing.backends import software
from ledger_core.signing.documents import next_document, rotated
from ledger_core.signing.folder import hold_folder
from ledger_core.signing.state import WitnessState
from ledger_core.signing.takeover import describe, read_registry, write_registry
from tests.unit.signing.homes import (
    FORK,
    ORIGIN,
    OTHER,
    anchor,
    another_keys,
    cut_short,
    delete,
    empty,
    first_form_with_old_rows,
    garbage,
    grow,
    last_use_emptied,
    older_copy,
    recover,
    rows_deleted,
    start,
    state,
    used,
)


@pytest.mark.parametrize(
    "attack",
    [empty, delete, older_copy, cut_short, garbage, another_keys, rows_deleted, first_form_with_old_rows],
    ids=lambda attack: attack.__name__,
)
def test_the_newest_checkpoint_gives_the_proxy_its_memory_back(
    tmp_path: Path, attack: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    note = tmp_path / "note"
    note.write_text(used(tmp_path))
    attack(tmp_path)
    assert recover(tmp_path, note) == 0
    assert f"{ORIGIN} goes on from size 20" in capsys.readouterr().out
    service = start(tmp_path)
    with pytest.raises(SignerRefused):
        grow(service, 20, 25, leaves=FORK)
    assert parse_checkpoint(parse_note(grow(service, 20, 21)).text).size == 21
    service.close()
    # And what was copied before is an older copy now.
    older_copy(tmp_path)
    with pytest.raises(ConfigurationError):
        start(tmp_path)


def test_recovery_takes_no_step_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = start(tmp_path)
    notes = {}
    for old, new in ((0, 10), (10, 20)):
        notes[new] = tmp_path / f"note-{new}"
        notes[new].write_text(grow(service, old, new))
    other = tmp_path / "note-other"
    other.write_text(grow(service, 0, 3, OTHER))
    grow(service, 20, 25)
    service.close()
    stranger = start(tmp_path / "elsewhere")
    foreign = tmp_path / "note-foreign"
    foreign.write_text(grow(stranger, 0, 30))
    stranger.close()
    state(tmp_path).unlink()
    (tmp_path / "archive").mkdir()
    for given, why in (
        ([], "no checkpoint is given"),
        ([foreign], "no checkpoint that a key of this home signed"),
        ([notes[10], notes[20]], "two checkpoints"),
        ([notes[20], tmp_path / "nothing"], "no checkpoint that a key of this home signed"),
        ([notes[20], other], "last used for ledger.example/test/main at size 25"),
        ([other], "last used for ledger.example/test/main at size 25"),
    ):
        assert recover(tmp_path, *given) == 2
        assert why in capsys.readouterr().err
    anchor(tmp_path, notes[20].read_text())
    assert recover(tmp_path, notes[10], other, more=("--lost-last-use",)) == 2
    assert "the archive holds a checkpoint" in capsys.readouterr().err
    assert not state(tmp_path).exists(), "a refusal changes nothing"
    assert recover(tmp_path, notes[20], other, more=("--lost-last-use",)) == 0
    again = start(tmp_path, archive=True)
    assert again.health()["signed_sizes"] == {ORIGIN: 20, OTHER: 3}
    again.close()


def test_recovery_does_not_choose_between_two_roots_that_the_key_signed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(tmp_path).close()
    shutil.copytree(tmp_path / "signer", tmp_path / "twin" / "signer")
    shutil.copy(tmp_path / "trust.json", tmp_path / "twin" / "trust.json")
    service, twin = start(tmp_path), start(tmp_path / "twin")
    ours = grow(service, 0, 20)
    theirs = tmp_path / "note-fork"
    theirs.write_text(grow(twin, 0, 20, leaves=FORK))
    service.close()
    twin.close()
    before = state(tmp_path).read_bytes()
    assert recover(tmp_path, theirs, more=("--lost-last-use",)) == 2, "the state knows another root"
    assert f"two roots of {ORIGIN} at size 20 are signed" in capsys.readouterr().err
    state(tmp_path).unlink()
    anchor(tmp_path, ours)
    assert recover(tmp_path, theirs, more=("--lost-last-use",)) == 2, "the archive does"
    assert f"two roots of {ORIGIN} at size 20 are signed" in capsys.readouterr().err
    state(tmp_path).write_bytes(before)
    start(tmp_path, archive=True).close()


def test_recovery_keeps_what_a_readable_state_still_knows(tmp_path: Path) -> None:
    service = start(tmp_path)
    note = tmp_path / "note"
    note.write_text(grow(service, 0, 10))
    grow(service, 0, 7, OTHER)
    service.close()
    (tmp_path / "archive").mkdir()
    (tmp_path / "signer" / "last-use").unlink()
    assert recover(tmp_path, note) == 0
    again = start(tmp_path)
    assert again.health()["signed_sizes"] == {ORIGIN: 10, OTHER: 7}
    again.close()
    assert [path for path in (tmp_path / "signer").iterdir() if path.name.startswith("aside-")]


def test_a_record_of_the_last_use_that_cannot_be_read_is_given_up_only_when_asked(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text(used(tmp_path))
    (tmp_path / "archive").mkdir()
    last_use_emptied(tmp_path)
    assert recover(tmp_path, note) == 2
    assert recover(tmp_path, note, more=("--lost-last-use",)) == 0
    start(tmp_path).close()


def test_recovery_waits_for_a_proxy_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = tmp_path / "note"
    note.write_text(used(tmp_path))
    with hold_folder(tmp_path / "signer"):
        assert recover(tmp_path, note) == 2
    assert "another signing proxy runs" in capsys.readouterr().err


def test_recovery_takes_the_states_own_word_where_it_is_newer_than_what_is_given(tmp_path: Path) -> None:
    used(tmp_path)
    (tmp_path / "archive").mkdir()
    assert recover(tmp_path, tmp_path / "note-10") == 0
    service = start(tmp_path)
    assert service.health()["signed_sizes"] == {ORIGIN: 20}
    service.close()


def test_recovery_leaves_out_no_log_that_is_archived(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = start(tmp_path)
    note, other = tmp_path / "note", tmp_path / "note-other"
    note.write_text(grow(service, 0, 10))
    other.write_text(grow(service, 0, 7, OTHER))
    anchor(tmp_path, other.read_text(), origin=OTHER)
    service.close()
    state(tmp_path).unlink()
    assert recover(tmp_path, note, more=("--lost-last-use",)) == 2
    assert f"the archive holds a checkpoint of {OTHER} at size 7" in capsys.readouterr().err
    assert recover(tmp_path, note, other) == 0
    assert capsys.readouterr().out.splitlines() == [f"{ORIGIN} goes on from size 10", f"{OTHER} goes on from size 7"]


def test_a_log_that_is_given_is_looked_for_under_its_name_whoever_fills_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    anchor(tmp_path, used(tmp_path))
    state(tmp_path).unlink()
    monkeypatch.setattr(anchors, "_logs", lambda _archive: iter(()))  # all that is looked at are somebody else's
    assert recover(tmp_path, tmp_path / "note-10", more=("--lost-last-use",)) == 2
    assert f"the archive holds a checkpoint of {ORIGIN} at size 20" in capsys.readouterr().err


def test_a_log_for_which_the_trust_file_does_not_speak_is_not_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = start(tmp_path)
    grow(service, 0, 10)
    other = tmp_path / "note-other"
    other.write_text(grow(service, 0, 7, OTHER))
    service.close()
    trust = tmp_path / "trust.json"
    trust.write_text(trust.read_text().replace("ledger.example/test/*", ORIGIN))
    assert recover(tmp_path, other) == 2
    assert "no checkpoint that a key of this home signed" in capsys.readouterr().err


def test_another_keys_last_use_does_not_hold_this_one_up(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text(used(tmp_path))
    other = start(tmp_path / "elsewhere")
    grow(other, 0, 30, leaves=FORK)
    other.close()
    shutil.copy(tmp_path / "elsewhere" / "signer" / "last-use", tmp_path / "signer" / "last-use")
    assert recover(tmp_path, note) == 0
    service = start(tmp_path)
    assert service.health()["signed_sizes"] == {ORIGIN: 20}
    service.close()


def last_use_behind(folder: Path) -> None:
    """As a loss of power may leave it."""
    shutil.copy(folder / "last-use.at-10", folder / "signer" / "last-use")


@pytest.mark.parametrize("attack", [delete, older_copy, empty, last_use_behind], ids=lambda attack: attack.__name__)
def test_every_copy_from_before_a_recovery_is_an_older_copy(tmp_path: Path, attack: Callable[[Path], None]) -> None:
    note = tmp_path / "note"
    note.write_text(used(tmp_path))
    shutil.copy(state(tmp_path), tmp_path / "state.sqlite.at-20")
    attack(tmp_path)
    (tmp_path / "archive").mkdir()
    assert recover(tmp_path, note) == 0
    shutil.copy(tmp_path / "state.sqlite.at-20", state(tmp_path))
    with pytest.raises(ConfigurationError, match="an older copy, number 2, and the key was used at number 3"):
        start(tmp_path)


def test_what_a_killed_recovery_and_the_first_form_left_behind_does_not_come_in(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text(used(tmp_path))
    (tmp_path / "archive").mkdir()
    signer = tmp_path / "signer"
    # Half made before, from another history; and journals, which would be played into whatever takes their file's name.
    other = start(tmp_path / "elsewhere")
    grow(other, 0, 30, OTHER, FORK)
    other.close()
    shutil.copy(state(tmp_path / "elsewhere"), signer / ".state.sqlite.recovered")
    journals = {f"state.sqlite-{name}" for name in ("journal", "wal", "shm")}
    for name in journals:
        (signer / name).write_bytes(b"x")
    assert recover(tmp_path, note) == 0
    service = start(tmp_path)
    assert service.health()["signed_sizes"] == {ORIGIN: 20}
    service.close()
    aside = [path.name.partition(".")[2] for path in signer.iterdir() if path.name.startswith("aside-")]
    assert sorted(aside) == sorted({"state.sqlite", *journals})
    assert not journals & {path.name for path in signer.iterdir()}


def rotate(folder: Path) -> None:
    """Let another key sign from here on, as the registry says; its proxy was not started yet."""
    signer = folder / "signer"
    ring = resolve_keys(TrustFile.load(folder / "trust.json"), read_registry(signer))
    held = WitnessState(state(folder), create=False)
    sizes = held.sizes()
    held.close()
    (signer / "key.pem").unlink()
    successor = describe(software.load_or_create(signer / "key.pem"))
    keys = rotated(ring.keys, successor, sizes, "ledger.example/test/*")
    payload = next_document(ring, keys, created_at="2026-03-01T00:00:00.000000Z")
    root = software.load(signer / "root.pem")
    signature = EnvelopeSignature(root.public_key.key_id, root.sign(pae(KEYS_TYPE, payload)))
    write_registry(signer, [*read_registry(signer), Envelope(KEYS_TYPE, payload, (signature,))])


def test_what_a_former_key_remembers_and_did_last_is_the_new_ones_to_remember(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = start(tmp_path)
    notes = {}
    for old, new in ((0, 10), (10, 20)):
        notes[new] = tmp_path / f"note-{new}"
        notes[new].write_text(grow(service, old, new))
    grow(service, 0, 7, OTHER)
    grow(service, 20, 25)
    service.close()
    rotate(tmp_path)
    (tmp_path / "archive").mkdir()
    kept = state(tmp_path).read_bytes()
    state(tmp_path).unlink()
    assert recover(tmp_path, notes[20]) == 2
    assert "the key was last used for ledger.example/test/main at size 25" in capsys.readouterr().err
    state(tmp_path).write_bytes(kept)
    assert recover(tmp_path, notes[10]) == 0
    service = start(tmp_path)
    assert service.health()["signed_sizes"] == {ORIGIN: 25, OTHER: 7}
    assert parse_checkpoint(parse_note(grow(service, 25, 26)).text).size == 26
    service.close()


def test_a_recovery_can_be_done_again_before_anything_was_signed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text(used(tmp_path))
    (tmp_path / "archive").mkdir()
    for _ in range(2):
        delete(tmp_path)
        assert recover(tmp_path, note) == 0
    start(tmp_path).close()


def test_a_recovery_leaves_nothing_open(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text(used(tmp_path))
    (tmp_path / "archive").mkdir()
    assert recover(tmp_path, note) == 0
    before = psutil.Process().num_fds()
    for _ in range(3):
        assert recover(tmp_path, note) == 0
    assert psutil.Process().num_fds() == before
