"""What the archive, which is of other custody than the signer's folder, says of a memory that was put back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger_core.errors import ConfigurationError
from ledger_core.log.keys import TrustFile, resolve_keys
from ledger_core.log.merkle import Frontier
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing import anchors
from ledger_core.signing.anchors import newest_anchors, open_archive
from ledger_core.signing.takeover import read_registry
from tests.unit.signing.homes import (
    FORK,
    LEAVES,
    ORIGIN,
    OTHER,
    anchor,
    anchor_alone,
    edit,
    grow,
    older_copy,
    put_back,
    start,
    state,
    used,
)


def test_a_whole_folder_that_was_put_back_is_seen_by_the_archive(tmp_path: Path) -> None:
    note = used(tmp_path)
    put_back(tmp_path)
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


def test_an_archive_that_is_behind_the_memory_says_nothing_against_it(tmp_path: Path) -> None:
    used(tmp_path)
    anchor(tmp_path, (tmp_path / "note-10").read_text())
    service = start(tmp_path, archive=True)
    assert service.health()["signed_sizes"] == {ORIGIN: 20}
    service.close()


def test_a_checkpoint_anchored_after_the_last_segment_counts(tmp_path: Path) -> None:
    note = used(tmp_path)
    anchor(tmp_path, (tmp_path / "note-10").read_text())
    put_back(tmp_path)
    start(tmp_path, archive=True).close()
    anchor_alone(tmp_path, note, 20)
    with pytest.raises(ConfigurationError, match="anchored at size 20, remembered at 10"):
        start(tmp_path, archive=True)


def test_a_log_of_anchors_alone_is_anchored(tmp_path: Path) -> None:
    anchor_alone(tmp_path, used(tmp_path), 20)
    put_back(tmp_path)
    with pytest.raises(ConfigurationError, match="anchored at size 20, remembered at 10"):
        start(tmp_path, archive=True)


def the_segment_of_the_day_before(folder: Path) -> None:
    anchor(folder, (folder / "note-10").read_text(), day="2026/03/29")


def anchored_anew_behind_the_segment(folder: Path) -> None:
    anchor_alone(folder, (folder / "note-10").read_text(), 10)


def an_older_note_under_a_larger_name(folder: Path) -> None:
    anchor_alone(folder, (folder / "note-10").read_text(), 40)


def an_older_note_in_a_segments_place(folder: Path) -> None:
    written = anchor(folder, (folder / "note-10").read_text(), day="2026/04/01")
    written.parent.rename(written.parent.with_name("0000000009-20-99"))


def damaged_ones_behind_it(folder: Path) -> None:
    for size in (30, 31, 10**15):
        anchor_alone(folder, b"\xff" * 200_000, size)


def names_that_are_no_sizes(folder: Path) -> None:
    for name in ("20", "0000000000000020.tmp", "newest", "00000000000000030"):
        anchor_alone(folder, b"x", name)


def files_where_logs_and_segments_lie(folder: Path) -> None:
    for name in ("ledger.example/test/notes", f"{ORIGIN}/segments/2026/03/30/notes", "notes"):
        (folder / "archive" / name).write_text("x")


@pytest.mark.parametrize(
    "beside",
    [
        the_segment_of_the_day_before, anchored_anew_behind_the_segment, an_older_note_under_a_larger_name,
        an_older_note_in_a_segments_place,
        damaged_ones_behind_it, names_that_are_no_sizes, files_where_logs_and_segments_lie,
    ],
    ids=lambda beside: beside.__name__,
)  # fmt: skip
def test_the_newest_sound_checkpoint_counts_whatever_lies_beside_it(
    tmp_path: Path, beside: Callable[[Path], None]
) -> None:
    anchor(tmp_path, used(tmp_path))
    beside(tmp_path)
    service = start(tmp_path, archive=True)
    assert service.health()["confirmed"] == "archive"
    service.close()
    put_back(tmp_path)
    with pytest.raises(ConfigurationError, match="anchored at size 20, remembered at 10"):
        start(tmp_path, archive=True)


def test_the_largest_of_several_anchors_counts(tmp_path: Path) -> None:
    service = start(tmp_path)
    for old, new in ((0, 5), (5, 10), (10, 20)):
        anchor_alone(tmp_path, grow(service, old, new), new)
    service.close()
    edit(state(tmp_path), logs={ORIGIN: (10, Frontier().extend(LEAVES[:10]).root())}, generation=99)
    with pytest.raises(ConfigurationError, match="anchored at size 20, remembered at 10"):
        start(tmp_path, archive=True)


def test_a_checkpoint_of_another_log_says_nothing_of_the_one_in_whose_place_it_lies(tmp_path: Path) -> None:
    service = start(tmp_path)
    grow(service, 0, 10)
    note = grow(service, 0, 30, OTHER)
    service.close()
    anchor(tmp_path, note, origin=ORIGIN)
    anchor_alone(tmp_path, note, 30, origin=ORIGIN)
    service = start(tmp_path, archive=True)
    assert service.health()["confirmed"] == "unconfirmed"
    service.close()


def test_logs_of_others_in_the_archive_are_not_ours_to_remember(tmp_path: Path) -> None:
    service = start(tmp_path)
    for origin, size in ((ORIGIN, 10), (OTHER, 20)):
        anchor(tmp_path, grow(service, 0, size, origin), origin=origin)
    service.close()
    ring = resolve_keys(TrustFile.load(tmp_path / "trust.json"), read_registry(tmp_path / "signer"))
    both, one = {ORIGIN: 10, OTHER: 20}, {OTHER: 20}
    for allows, sizes in ((lambda _: True, both), (OTHER.__eq__, one), (lambda _: False, {})):
        found = newest_anchors(tmp_path / "archive", ring, allows)
        assert {origin: item.size for origin, item in found.items()} == sizes


def test_an_archive_is_named_from_the_root_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_archive("archive", SignerSettings(env="test")) == tmp_path / "archive"
    assert open_archive(None, SignerSettings(env="test")) is None
