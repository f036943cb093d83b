"""Processes are ours only when pid and start time agree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger_core.base import processes
from ledger_core.base.processes import ProcessGroup, ProcessRecord, Service, short_socket_folder
from ledger_core.errors import DependencyError


def sleeper(group: ProcessGroup, name: str = "sleeper") -> Service:
    def start() -> tuple[subprocess.Popen[bytes], str]:
        arguments = [sys.executable, "-c", "import time; time.sleep(60)"]
        return group.spawn(name, arguments, dict(os.environ)), "-"

    return Service(name=name, start=start, healthy=lambda _address: True)


def test_a_process_is_started_once_and_found_again(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)
    first = group.ensure(sleeper(group))
    try:
        assert group.ensure(sleeper(group)) == first
        assert first.alive
    finally:
        assert group.stop("sleeper")
    assert not first.alive
    assert group.records() == []


def test_a_recycled_pid_is_not_taken_for_ours() -> None:
    assert not ProcessRecord(name="x", pid=os.getpid(), started=1.0, address="-").alive


def test_a_process_that_never_serves_is_stopped_and_its_log_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "START_TIMEOUT_SECONDS", 0.2)
    group = ProcessGroup(tmp_path)
    service = Service(name="mute", start=sleeper(group, "mute").start, healthy=lambda _address: False)
    with pytest.raises(DependencyError, match=r"mute\.log"):
        group.ensure(service)
    assert group.records() == []


def test_a_socket_gets_a_short_folder_when_the_home_lies_deep(tmp_path: Path) -> None:
    assert short_socket_folder(Path("/tmp/x")) == Path("/tmp/x")
    deep = tmp_path / ("d" * 120)
    assert len(str(short_socket_folder(deep))) < processes.MAX_SOCKET_PATH_BYTES
