"""A key signs on only with the memory that it had when it was used last; and how an operator goes on without it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger_core.errors import ConfigurationError, DependencyError, SignerRefused
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import Checkpoint, parse_checkpoint, parse_note
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing import anchors
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.last_use import LastUse, Use, read_last_use
from ledger_core.signing.recover import main
from ledger_core.signing.service import SigningService
from ledger_core.signing.state import SLOT_BYTES, WitnessState
from ledger_core.signing.witness import Request

ORIGIN, OTHER = "ledger.example/test/main", "ledger.example/test/other"
LEAVES = [leaf_hash(b"%d" % number) for number in range(40)]
FORK = [*LEAVES[:5], *(leaf_hash(b"forged %d" % number) for number in range(35))]


def start(folder: Path, *, archive: bool = False) -> SigningService:
    return open_service(
        folder / "signer",
        trust_path=folder / "trust.json",
        origin_prefix="ledger.example/test/",
        settings=SignerSettings(env="test"),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        archive=folder / "archive" if archive else None,
    )


def grow(service: SigningService, old: int, new: int, origin: str = ORIGIN, leaves: list[bytes] = LEAVES) -> str:
    frontier = Frontier().extend(leaves[:old])
    added = tuple(leaves[old:new])
    asked = Checkpoint(origin, new, frontier.extend(added).root())
    return service.sign_checkpoint(Request(old=frontier, leaves=added, checkpoint=asked))


def used(folder: Path) -> str:
    """Leave a proxy's home in which size 10 and then 20 were signed, and a copy of each file as of size 10."""
    service = start(folder)
    shutil.copy(state(folder), folder / "state.sqlite.at-0")
    grow(service, 0, 10)
    for name in ("state.sqlite", "last-use"):
        # As a backup would, while the proxy runs.
        shutil.copy(folder / "signer" / name, folder / f"{name}.at-10")
    note = grow(service, 10, 20)
    service.close()
    return note


def state(folder: Path) -> Path:
    return folder / "signer" / "state.sqlite"


def empty(folder: Path) -> None:
    state(folder).write_bytes(b"")


def delete(folder: Path) -> None:
    state(folder).unlink()


def older_copy(folder: Path) -> None:
    shutil.copy(folder / "state.sqlite.at-10", state(folder))


def edit(path: Path, **changes: Any) -> None:
    """Write both slots anew, as somebody would who knows the form."""
    found = WitnessState(path, create=False)
    content = replace(found._read(), **changes)
    for slot in (0, 1):
        found._write(content, slot)
    found.close()


def cut_short(folder: Path) -> None:
    os.truncate(state(folder), SLOT_BYTES + 100)


def of_zeros(folder: Path) -> None:
    state(folder).write_bytes(bytes(2 * SLOT_BYTES))


def newer_slot_torn(folder: Path) -> None:
    """What is left falls back to size 10."""
    data = bytearray(state(folder).read_bytes())
    newer = 0 if int(data[19:21]) > int(data[SLOT_BYTES + 19 : SLOT_BYTES + 21]) else SLOT_BYTES
    data[newer + 200] ^= 1
    state(folder).write_bytes(data)


def garbage(folder: Path) -> None:
    state(folder).write_bytes(b"not a database" * 1000)


def another_keys(folder: Path) -> None:
    other = start(folder / "elsewhere")
    grow(other, 0, 30, leaves=FORK)
    other.close()
    shutil.copy(state(folder / "elsewhere"), state(folder))


def another_keys_with_its_last_use(folder: Path) -> None:
    another_keys(folder)
    shutil.copy(folder / "elsewhere" / "signer" / "last-use", folder / "signer" / "last-use")


def new_and_empty(folder: Path) -> None:
    state(folder).unlink()
    fresh = start(folder / "fresh")
    fresh.close()
    shutil.copy(state(folder / "fresh"), state(folder))


def rows_deleted(folder: Path) -> None:
    edit(state(folder), logs={}, generation=0)


def unbound(folder: Path) -> None:
    edit(state(folder), owner=None)


def first_form_without_rows(folder: Path) -> None:
    """What a copy of a file with a write-ahead log held, taken while the proxy ran."""
    state(folder).unlink()
    with sqlite3.connect(state(folder)) as db:
        db.execute("create table checkpoints (origin text primary key, size integer, root blob) strict")


def first_form_with_old_rows(folder: Path) -> None:
    state(folder).unlink()
    with sqlite3.connect(state(folder)) as db:
        db.execute("create table checkpoints (origin text primary key, size integer, root blob) strict")
        db.execute("insert into checkpoints values (?, 10, ?)", (ORIGIN, Frontier().extend(LEAVES[:10]).root()))


def of_a_later_version(folder: Path) -> None:
    state(folder).write_bytes(state(folder).read_bytes().replace(b"witness-state/2", b"witness-state/3"))


def last_use_deleted(folder: Path) -> None:
    (folder / "signer" / "last-use").unlink()


def last_use_emptied(folder: Path) -> None:
    (folder / "signer" / "last-use").write_bytes(b"")


def last_use_of_another_key(folder: Path) -> None:
    start(folder / "elsewhere").close()
    shutil.copy(folder / "elsewhere" / "signer" / "last-use", folder / "signer" / "last-use")


def first_copy_without_last_use(folder: Path) -> None:
    shutil.copy(folder / "state.sqlite.at-0", state(folder))
    last_use_deleted(folder)


def older_copy_as_of_a_first_start(folder: Path) -> None:
    older_copy(folder)
    last_use_deleted(folder)
    (folder / "signer" / "keys.jsonl").unlink()


def unbound_and_empty_without_last_use(folder: Path) -> None:
    edit(state(folder), owner=None, logs={}, generation=0)
    last_use_deleted(folder)


def last_use_with_more_behind_it(folder: Path) -> None:
    path = folder / "signer" / "last-use"
    path.write_bytes(path.read_bytes() + b"x")


def last_use_deep(folder: Path) -> None:
    (folder / "signer" / "last-use").write_bytes(b"[" * 512)


@pytest.mark.parametrize(
    "attack",
    [
        empty, delete, older_copy, cut_short, of_zeros, newer_slot_torn, garbage, another_keys,
        another_keys_with_its_last_use, new_and_empty, rows_deleted, unbound, first_form_without_rows,
        first_form_with_old_rows, of_a_later_version, last_use_deleted,
        last_use_emptied, last_use_of_another_key,
        first_copy_without_last_use, older_copy_as_of_a_first_start, last_use_deep,
        unbound_and_empty_without_last_use, last_use_with_more_behind_it,
    ],
    ids=lambda attack: attack.__name__,
)  # fmt: skip
def test_a_memory_that_is_not_the_keys_last_is_refused(tmp_path: Path, attack: Callable[[Path], None]) -> None:
    used(tmp_path)
    attack(tmp_path)
    for _ in range(2):  # the first refusal leaves nothing behind that lets the second start in
        with pytest.raises(ConfigurationError) as caught:
            start(tmp_path)
        assert "docs/runbooks/signing-state.md" in str(caught.value)


@pytest.mark.parametrize("attack", [empty, first_form_without_rows, new_and_empty])
def test_an_empty_state_is_called_empty_or_another_keys(tmp_path: Path, attack: Callable[[Path], None]) -> None:
    used(tmp_path)
    attack(tmp_path)
    with pytest.raises(ConfigurationError, match=r"it is empty|it is that of key"):
        start(tmp_path)


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (delete, "there is a signing key and no record of what it signed"),
        (older_copy, "an older copy, number 1, and the key was used at number 2"),
        (unbound, "an older copy, without a number, and the key was used at number 2"),
        (last_use_deleted, "the record of the key's last use is gone"),
        (last_use_with_more_behind_it, "the record of the key's last use cannot be read"),
    ],
)
def test_a_refusal_says_what_the_runbook_looks_up(tmp_path: Path, attack: Callable[[Path], None], says: str) -> None:
    used(tmp_path)
    attack(tmp_path)
    with pytest.raises(ConfigurationError, match=says):
        start(tmp_path)


def test_a_proxy_that_was_started_again_goes_on_keeping_when_the_key_was_used(tmp_path: Path) -> None:
    used(tmp_path)
    shutil.copy(state(tmp_path), tmp_path / "state.sqlite.at-20")
    again = start(tmp_path)
    grow(again, 20, 30)
    again.close()
    shutil.copy(tmp_path / "state.sqlite.at-20", state(tmp_path))
    with pytest.raises(ConfigurationError, match="number 2, and the key was used at number 3"):
        start(tmp_path)


def test_the_record_of_the_last_use_is_one_sector_however_long_a_logs_name_is(tmp_path: Path) -> None:
    path = tmp_path / "last-use"
    use = LastUse.create(path, Use(key_id="a" * 64, generation=0))
    assert read_last_use(path) == Use(key_id="a" * 64, generation=0, origin=None, size=0)
    for origin in (ORIGIN, "a" * 350, ORIGIN):
        use.note(2**62, Checkpoint(origin, 2**53, bytes(32)))
        data = path.read_bytes()
        assert len(data) == 512
        assert data.endswith(b" \n")
        assert read_last_use(path) == Use(key_id="a" * 64, generation=2**62, origin=origin, size=2**53)
    use.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(use._handle)


def test_a_copy_taken_while_the_proxy_runs_holds_everything(tmp_path: Path) -> None:
    service = start(tmp_path)
    note = grow(service, 0, 10)
    shutil.copytree(tmp_path / "signer", tmp_path / "copy" / "signer", ignore=lambda *_: {"last-use"})
    shutil.copy(tmp_path / "signer" / "last-use", tmp_path / "copy" / "signer")
    service.close()
    restored = start(tmp_path / "copy")
    assert parse_note(restored.latest(ORIGIN) or "").text == parse_note(note).text
    with pytest.raises(SignerRefused):
        grow(restored, 10, 12, leaves=FORK)
    restored.close()


def test_the_state_is_one_file(tmp_path: Path) -> None:
    service = start(tmp_path)
    grow(service, 0, 10)
    assert [path.name for path in (tmp_path / "signer").glob("state.sqlite*")] == ["state.sqlite"]
    service.close()


def test_a_copy_taken_in_the_middle_of_an_advance_holds_what_was_signed_before(tmp_path: Path) -> None:
    """Whatever part of a slot is written, the other one stands."""
    used(tmp_path)
    before, after = (tmp_path / "state.sqlite.at-10").read_bytes(), state(tmp_path).read_bytes()
    ends = [place for place in range(len(after)) if before[place] != after[place]] if before != after else []
    assert len(before) == len(after) == 2 * SLOT_BYTES
    assert ends
    for cut in (ends[0] + 1, (ends[0] + ends[-1]) // 2, ends[-1]):
        torn = tmp_path / f"torn-{cut}"
        torn.write_bytes(after[:cut] + before[cut:])
        found = WitnessState(torn, create=False)
        assert found.sizes() == {ORIGIN: 10}
        found.close()


def test_the_first_form_of_the_state_is_taken_over_once_with_its_log(tmp_path: Path) -> None:
    used(tmp_path)
    (tmp_path / "signer" / "last-use").unlink()
    state(tmp_path).unlink()
    old = sqlite3.connect(state(tmp_path), isolation_level=None)
    old.execute("pragma journal_mode = wal")
    old.execute("create table checkpoints (origin text primary key, size integer, root blob) strict")
    old.execute("insert into checkpoints values (?, 20, ?)", (ORIGIN, Frontier().extend(LEAVES[:20]).root()))
    # As a killed process leaves it: the row stands in the write-ahead log.
    for name in ("state.sqlite", "state.sqlite-wal"):
        shutil.copy(tmp_path / "signer" / name, tmp_path / name)
    old.close()
    for name in ("state.sqlite", "state.sqlite-wal"):
        shutil.copy(tmp_path / name, tmp_path / "signer" / name)
    service = start(tmp_path)
    assert parse_checkpoint(parse_note(grow(service, 20, 21)).text).size == 21
    service.close()
    start(tmp_path).close()


def test_a_restart_after_a_kill_between_store_and_record_goes_on(tmp_path: Path) -> None:
    """The record of the last use may be behind the state, never ahead of it."""
    used(tmp_path)
    shutil.copy(tmp_path / "last-use.at-10", tmp_path / "signer" / "last-use")
    service = start(tmp_path)
    assert parse_checkpoint(parse_note(grow(service, 20, 21)).text).size == 21
    service.close()


def test_a_first_start_that_was_killed_before_anything_was_signed_is_continued(tmp_path: Path) -> None:
    start(tmp_path).close()
    for name in ("keys.jsonl", "root.pem", "last-use"):
        (tmp_path / "signer" / name).unlink()
    (tmp_path / "trust.json").unlink()
    start(tmp_path).close()
    other = tmp_path / "other" / "signer"
    other.mkdir(parents=True)
    (other / "state.sqlite").write_bytes(b"")
    start(tmp_path / "other").close()


def test_a_key_that_is_gone_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    used(tmp_path)
    (tmp_path / "signer" / "key.pem").unlink()
    with pytest.raises(ConfigurationError, match="key is gone"):
        start(tmp_path)
    assert not (tmp_path / "signer" / "key.pem").exists()


def test_another_key_does_not_go_on_with_this_ones_state(tmp_path: Path) -> None:
    used(tmp_path)
    start(tmp_path / "elsewhere").close()
    shutil.copy(tmp_path / "elsewhere" / "signer" / "key.pem", tmp_path / "signer" / "key.pem")
    with pytest.raises(ConfigurationError, match="is that of key"):
        start(tmp_path)


def test_a_disk_that_takes_no_more_is_an_error_with_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start(tmp_path)
    grow(service, 0, 10)
    handle = service._state._handle
    read_only = os.open(state(tmp_path), os.O_RDONLY)
    monkeypatch.setattr(service._state, "_handle", read_only)
    with pytest.raises(DependencyError, match="witness state does not answer"):
        grow(service, 10, 20)
    monkeypatch.setattr(service._state, "_handle", handle)
    last_use = service._state._last_use
    assert last_use is not None
    with monkeypatch.context() as full:
        full.setattr(last_use, "_handle", read_only)
        with pytest.raises(DependencyError, match="record of the key's last use takes nothing"):
            grow(service, 10, 20)
    os.close(read_only)
    assert parse_checkpoint(parse_note(grow(service, 10, 20)).text).size == 20
    service.close()


# The archive: what is of other custody than the signer's folder.


def anchor(folder: Path, note: str, *, first: int = 0, day: str = "2026/03/30", origin: str = ORIGIN) -> Path:
    size = parse_checkpoint(parse_note(note).text).size
    segment = folder / "archive" / origin / "segments" / day / f"{size:010d}-{first}-{size}"
    segment.mkdir(parents=True)
    (segment / "checkpoint").write_text(note)
    return segment / "checkpoint"


def test_a_whole_folder_that_was_put_back_is_seen_by_the_archive(tmp_path: Path) -> None:
    note = used(tmp_path)
    older_copy(tmp_path)
    shutil.copy(tmp_path / "last-use.at-10", tmp_path / "signer" / "last-use")
    start(tmp_path).close()
    anchor(tmp_path, note)
    with pytest.raises(ConfigurationError, match=r"anchored at size 20, remembered at 10.*signing-state"):
        start(tmp_path, archive=True)


def test_a_log_that_is_archived_and_not_remembered_is_refused(tmp_path: Path) -> None:
    service = start(tmp_path)
    grow(service, 0, 10)
    anchor(tmp_path, grow(service, 0, 5, OTHER), origin=OTHER)
    service.close()
    start(tmp_path, archive=True).close()
    edit(state(tmp_path), logs={ORIGIN: (10, Frontier().extend(LEAVES[:10]).root())}, generation=99)
    with pytest.raises(ConfigurationError, match="remembered not at all"):
        start(tmp_path, archive=True)


def test_two_roots_of_one_size_are_two_histories(tmp_path: Path) -> None:
    note = used(tmp_path)
    anchor(tmp_path, note)
    edit(state(tmp_path), logs={ORIGIN: (20, bytes(32))})
    with pytest.raises(ConfigurationError, match="two roots"):
        start(tmp_path, archive=True)


def test_what_nobody_vouches_for_does_not_stop_the_proxy(tmp_path: Path) -> None:
    anchor(tmp_path, used(tmp_path))
    stranger = start(tmp_path / "elsewhere")
    anchor(tmp_path, grow(stranger, 0, 30, leaves=FORK), day="2026/04/01")
    stranger.close()
    odd = tmp_path / "archive" / ORIGIN / "segments" / "2026" / "04" / "02"
    for number, data in enumerate((b"", b"\xff" * 200_000, b"x\n\n")):
        (odd / f"{number:010d}-0-{90 + number}").mkdir(parents=True)
        (odd / f"{number:010d}-0-{90 + number}" / "checkpoint").write_bytes(data)
    (odd / "0000000009-0-99").mkdir()
    os.mkfifo(odd / "0000000009-0-99" / "checkpoint")
    (odd / "0000000010-0-100").mkdir()
    service = start(tmp_path, archive=True)
    assert service.health()["confirmed"] == "archive"
    service.close()


def test_health_says_when_no_second_memory_is_asked(tmp_path: Path) -> None:
    service = start(tmp_path)
    grow(service, 0, 10)
    assert service.health()["confirmed"] == "unconfirmed"
    assert service.health()["signed_sizes"] == {ORIGIN: 10}
    service.close()


# How an operator goes on.


def recover(folder: Path, *notes: Path, more: tuple[str, ...] = ()) -> int:
    given = [part for note in notes for part in ("--checkpoint", str(note))]
    fixed = ["--state", str(folder / "signer"), "--trust", str(folder / "trust.json")]
    return main([*fixed, "--archive", str(folder / "archive"), *given, *more])


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


def planted(home: Path, count: int, *, anchored: int = 0, above: int = 90) -> None:
    """Lay folders called as segments are into the archive, and anchors, all of sizes beyond what was signed."""
    odd = home / "archive" / ORIGIN / "segments" / "2026" / "04" / "02"
    for number in range(count):
        (odd / f"{number:010d}-0-{above + number}").mkdir(parents=True)
        (odd / f"{number:010d}-0-{above + number}" / "checkpoint").write_bytes(b"x")
    checkpoints = home / "archive" / ORIGIN / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    for number in range(anchored):
        (checkpoints / f"{above + number:016d}").write_bytes(b"x")


def test_a_put_back_folder_is_seen_behind_any_number_of_notes_that_nobody_signed(tmp_path: Path) -> None:
    note = used(tmp_path)
    older_copy(tmp_path)
    shutil.copy(tmp_path / "last-use.at-10", tmp_path / "signer" / "last-use")
    (tmp_path / "archive" / ORIGIN / "checkpoints").mkdir(parents=True)
    (tmp_path / "archive" / ORIGIN / "checkpoints" / f"{20:016d}").write_text(note)
    planted(tmp_path, 300, anchored=700)
    with pytest.raises(ConfigurationError, match="anchored at size 20, remembered at 10"):
        start(tmp_path, archive=True)


def test_past_the_bound_what_was_written_first_is_read_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No start reads without end; what lay there before a thief came is read however much he lays beside it."""
    monkeypatch.setattr(anchors, "MAX_NOTES_TRIED", 10)
    note = used(tmp_path)
    ours = anchor(tmp_path, note)
    planted(tmp_path, 40)
    os.utime(ours, (1_000_000_000, 1_000_000_000))
    service = start(tmp_path, archive=True)
    assert service.health()["confirmed"] == "archive"
    service.close()
    assert "somebody else fills it" in caplog.text


def test_each_log_is_confirmed_for_itself(tmp_path: Path) -> None:
    service = start(tmp_path)
    anchor(tmp_path, grow(service, 0, 10))
    grow(service, 0, 5, OTHER)
    service.close()
    service = start(tmp_path, archive=True)
    health = service.health()
    assert (health["confirmed"], health["unconfirmed_origins"]) == ("unconfirmed", [OTHER])
    service.close()


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
    from ledger_core.signing.folder import hold_folder

    note = tmp_path / "note"
    note.write_text(used(tmp_path))
    with hold_folder(tmp_path / "signer"):
        assert recover(tmp_path, note) == 2
    assert "another signing proxy runs" in capsys.readouterr().err
