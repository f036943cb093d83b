"""The log of calls: what is in it, that it goes on, and that whatever is done to it is found."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.signing.call_log import HEAD_FILE, LOG_FILE, CallLog, files_of
from ledger_core.signing.calls import main, verify_calls

ORIGIN = "ledger.example/test/main"


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(folder: Path, *, time: Time | None = None, max_bytes: int = 2_000) -> CallLog:
    return CallLog(
        folder, clock=lambda: datetime(2026, 11, 26, tzinfo=UTC), monotonic=time or Time(), max_bytes=max_bytes
    )


def signed(log: CallLog, size: int) -> None:
    log.write(client="unix", call="checkpoint", outcome="ok", origin=ORIGIN, size=size, root="AA==", signatures=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of 42 lines in several files."""
    log = opened(tmp_path)
    for size in range(1, 41):
        signed(log, size)
    log.close()
    return tmp_path


def test_calls_and_signatures_are_counted_over_files_and_starts(folder: Path) -> None:
    assert len(files_of(folder)) > 3
    log = opened(folder)
    signed(log, 40)
    log.write(client="unix", call="checkpoint", outcome="fork", origin=ORIGIN, size=40, signatures=1)
    log.write(client="", call="health", outcome="identity")
    log.close()
    report = verify_calls(folder)
    assert report.sound, report.findings
    assert report.lines == 42 + 5
    assert report.signatures == 42
    assert report.checkpoints == {ORIGIN: [40, 40]}
    assert report.calls[("checkpoint", "fork")] == 1
    assert (report.calls[("start", "ok")], report.calls[("stop", "ok")]) == (2, 2)
    assert report.head == log.head.hash


def test_a_proxy_that_was_killed_leaves_a_sound_log(folder: Path) -> None:
    log = opened(folder)
    signed(log, 41)
    report = verify_calls(folder)
    assert report.sound, report.findings
    again = opened(folder)
    signed(again, 42)
    assert verify_calls(folder).sound
    assert verify_calls(folder).checkpoints == {ORIGIN: [42, 42]}


def test_a_line_that_was_begun_is_cut_off_at_the_next_start_and_said(folder: Path) -> None:
    with (folder / LOG_FILE).open("ab") as file:
        file.write(b'{"at":"2026')
    assert verify_calls(folder).sound, "the proxy may be writing"
    opened(folder).close()
    report = verify_calls(folder)
    assert len(report.findings) == 1
    assert "part of the last lines were gone" in report.findings[0]


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def change(path: Path, work: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(work(lines_of(path))))


def swapped(lines: list[bytes]) -> list[bytes]:
    return [lines[1], lines[0], *lines[2:]]


ATTACKS: dict[str, Callable[[Path], object]] = {
    "a size in the middle": lambda folder: change(
        files_of(folder)[1], lambda lines: [lines[0].replace(b'"size":', b'"size":1'), *lines[1:]]
    ),
    "the last line": lambda folder: change(
        folder / LOG_FILE, lambda lines: [*lines[:-1], lines[-1].replace(b'"ok"', b'"no"')]
    ),
    "a line taken out": lambda folder: change(files_of(folder)[1], lambda lines: lines[:1] + lines[2:]),
    "two lines changed about": lambda folder: change(files_of(folder)[1], swapped),
    "a line said twice": lambda folder: change(files_of(folder)[1], lambda lines: [lines[0], *lines]),
    "the end cut": lambda folder: change(folder / LOG_FILE, lambda lines: lines[:-1]),
    "the last file cut to nothing": lambda folder: (folder / LOG_FILE).write_bytes(b""),
    "the last file deleted": lambda folder: (folder / LOG_FILE).unlink(),
    "a file in the middle deleted": lambda folder: files_of(folder)[1].unlink(),
    "the first file deleted": lambda folder: files_of(folder)[0].unlink(),
    "two files changed about": lambda folder: (
        files_of(folder)[0].rename(folder / "x"),
        files_of(folder)[0].rename(folder / "calls-000000000000.log"),
        (folder / "x").rename(folder / "calls-000000000099.log"),
    ),
    "a line of nonsense": lambda folder: change(files_of(folder)[1], lambda lines: [*lines, b"{}\n"]),
    "bytes of nonsense": lambda folder: change(files_of(folder)[1], lambda lines: [b"\xff\x00\n", *lines]),
    "the head deleted": lambda folder: (folder / HEAD_FILE).unlink(),
    "a line invented at the end": lambda folder: change(
        folder / LOG_FILE, lambda lines: [*lines, lines[-1].replace(b'"n":41', b'"n":42')]
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_whatever_is_done_to_the_log_is_found(folder: Path, attack: str) -> None:
    assert verify_calls(folder).sound
    ATTACKS[attack](folder)
    report = verify_calls(folder)
    assert report.findings, attack
    assert main(["--state", str(folder), "--json"]) == 1


def test_an_end_that_was_cut_while_the_proxy_was_down_is_said_for_ever(folder: Path) -> None:
    change(folder / LOG_FILE, lambda lines: lines[:-2])
    log = opened(folder)
    for size in range(41, 50):
        signed(log, size)
    log.close()
    report = verify_calls(folder)
    assert any("2 lines were gone when the proxy started" in finding for finding in report.findings)


def test_older_files_may_lie_elsewhere_where_that_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = files_of(folder)[0]
    count = len(lines_of(first))
    first.unlink()
    assert main(["--state", str(folder)]) == 1
    assert main(["--state", str(folder), "--first-line", str(count)]) == 0
    assert f"42 lines from {count}" in capsys.readouterr().out


def test_a_checkpoint_that_the_ledger_does_not_have_is_a_surplus(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "sizes"
    ledger.write_text("".join(f"{ORIGIN}|{size}\n" for size in range(1, 41)))
    assert main(["--state", str(folder), "--ledger", str(ledger)]) == 0
    ledger.write_text("".join(f"{ORIGIN} {size}\n" for size in range(1, 41) if size != 17))
    assert main(["--state", str(folder), "--ledger", str(ledger), "--json"]) == 1
    printed = capsys.readouterr().out
    assert f"{ORIGIN} at size 17, signed at 2026-11-26T00:00:00.000000Z for unix" in printed
    ledger.write_text("main\n")
    assert main(["--state", str(folder), "--ledger", str(ledger)]) == 2


def test_a_folder_without_a_log_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        verify_calls(tmp_path)
    assert main(["--state", str(tmp_path)]) == 2


def test_refusals_without_end_are_one_line_a_second_with_a_count(tmp_path: Path) -> None:
    time = Time()
    log = opened(tmp_path, time=time, max_bytes=10**6)
    for _ in range(1_000):
        log.write(client="a.b", call="checkpoint", outcome="rate_limited")
    time.now = 1.0
    log.write(client="a.b", call="checkpoint", outcome="rate_limited")
    for _ in range(9):
        log.write(client="a.b", call="checkpoint", outcome="rate_limited")
    log.close()
    report = verify_calls(tmp_path)
    assert report.sound, report.findings
    assert report.calls[("checkpoint", "rate_limited")] == 1_010
    assert report.lines == 2 + 4
    counts = [json.loads(line).get("count", 1) for line in lines_of(tmp_path / LOG_FILE)[1:-1]]
    assert counts == [1, 999, 1, 9]


def test_a_call_that_comes_after_the_end_is_not_answered_and_writes_nowhere(folder: Path, tmp_path: Path) -> None:
    log = opened(folder)
    log.close()
    other = tmp_path / "other"
    with other.open("wb"):  # it has a number that was the log's
        with pytest.raises(DependencyError):
            signed(log, 41)
        assert other.read_bytes() == b""
    assert verify_calls(folder).sound


def test_a_full_file_with_a_damaged_beginning_is_written_over_no_other(folder: Path) -> None:
    change(folder / LOG_FILE, lambda lines: [b'{"n":0}\n', *lines[1:]])
    before = [path.read_bytes() for path in files_of(folder)]
    log = opened(folder)
    for size in range(41, 60):
        signed(log, size)
    log.close()
    assert [path.read_bytes() for path in files_of(folder)][: len(before) - 1] == before[:-1]
    assert len(verify_calls(folder).findings) == 1


def test_what_cannot_be_written_is_not_answered(tmp_path: Path) -> None:
    log = opened(tmp_path)
    os.close(log._handle)
    log._handle = os.open(tmp_path / LOG_FILE, os.O_RDONLY)
    with pytest.raises(DependencyError, match="takes nothing"):
        signed(log, 1)
    assert verify_calls(tmp_path).sound
    assert verify_calls(tmp_path).lines == 1
