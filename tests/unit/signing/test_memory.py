"""A key signs on only with the memory that it had when it was used last.

What the archive adds: `test_memory_archive.py`; how an operator goes on without it: `test_memory_recovery.py`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger_core.errors import ConfigurationError, DependencyError, SignerRefused
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import Checkpoint, parse_checkpoint, parse_note
from ledger_core.signing.last_use import LastUse, Use, read_last_use
from ledger_core.signing.state import SLOT_BYTES, WitnessState
from tests.unit.signing.homes import (
    FORK,
    LEAVES,
    ORIGIN,
    another_keys,
    another_keys_with_its_last_use,
    cut_short,
    delete,
    empty,
    first_copy_without_last_use,
    first_form_with_old_rows,
    first_form_without_rows,
    garbage,
    grow,
    last_use_deep,
    last_use_deleted,
    last_use_emptied,
    last_use_of_another_key,
    last_use_with_more_behind_it,
    new_and_empty,
    newer_slot_torn,
    of_a_later_version,
    of_zeros,
    older_copy,
    older_copy_as_of_a_first_start,
    rows_deleted,
    start,
    state,
    unbound,
    unbound_and_empty_without_last_use,
    used,
)


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
