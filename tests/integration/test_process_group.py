"""Processes are ours only when pid and identity agree, whatever the clock says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ledger_core.base import process_identity, processes
from ledger_core.base.process_identity import ignores
from ledger_core.base.processes import ProcessGroup, ProcessRecord, Service, free_port, short_socket_folder
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
    ours = ProcessRecord.of("x", os.getpid(), "-")
    assert ours.alive
    assert not replace(ours, start=ours.start - 1).alive
    assert not replace(ours, boot="another boot").alive


def test_a_process_that_nobody_reaped_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    record = ProcessRecord.of("x", child.pid, "-")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not record.alive
    child.wait()


def test_where_the_kernel_keeps_dates_a_process_is_known_by_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_identity, "PROC", tmp_path)
    found = process_identity.identity_of(os.getpid())
    created = psutil.Process().create_time()
    assert found == process_identity.Identity(boot="", start=int(created * 1_000_000))
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_identity.identity_of(child.pid) is None, "nobody has reaped it"
    child.wait()
    assert process_identity.identity_of(child.pid) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="elsewhere the kernel keeps the date itself")
@pytest.mark.parametrize("step_seconds", [-86_400, -2, 2, 86_400])
def test_a_step_of_the_clock_makes_no_stranger_of_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_seconds: float
) -> None:
    group = ProcessGroup(tmp_path)
    first = group.ensure(sleeper(group))
    try:
        # Whoever reckons in dates adds the boot's, which the kernel moves along with the clock.
        boot_time, now = psutil.boot_time(), time.time
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot_time + step_seconds)
        monkeypatch.setattr(time, "time", lambda: now() + step_seconds)
        assert group.ensure(sleeper(group)) == first
    finally:
        monkeypatch.undo()
        assert group.stop("sleeper")


def test_a_record_of_an_older_release_is_read(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)
    now = group.ensure(sleeper(group))
    started = psutil.Process(now.pid).create_time()
    old = {"name": "sleeper", "pid": now.pid, "started": started, "address": "-"}
    (tmp_path / "sleeper.json").write_text(json.dumps(old))
    assert group.find("sleeper") == now
    (tmp_path / "sleeper.json").write_text(json.dumps({**old, "started": started - 5}))
    stranger = group.find("sleeper")
    assert stranger is not None
    assert not stranger.alive
    group._write(now)
    assert group.stop("sleeper")


def test_a_process_that_ends_while_it_is_asked_is_replaced_at_once(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)
    first = group.ensure(sleeper(group))
    ending = threading.Timer(0.3, lambda: os.kill(first.pid, 9))
    ending.start()
    began = time.monotonic()
    second = group.ensure(replace(sleeper(group), healthy=lambda _address: not first.alive))
    assert second.pid != first.pid
    assert time.monotonic() - began < processes.HEALTH_PATIENCE_SECONDS / 2
    assert group.stop("sleeper")


def test_a_stopped_process_is_ended_too(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)
    record = group.ensure(sleeper(group))
    os.kill(record.pid, 19)
    began = time.monotonic()
    assert group.stop("sleeper")
    assert time.monotonic() - began < processes.STOP_TIMEOUT_SECONDS / 2
    assert not record.alive


def test_a_process_that_a_shell_started_behind_its_back_is_ended_too(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)

    def start() -> tuple[subprocess.Popen[bytes], str]:
        return group.spawn("deaf", ["/bin/sh", "-c", "trap '' INT; exec sleep 60"], dict(os.environ)), "-"

    def healthy(_address: str) -> bool:
        standing = group.find("deaf")
        return standing is not None and ignores(standing.pid, signal.SIGINT)

    record = group.ensure(Service(name="deaf", start=start, healthy=healthy))
    began = time.monotonic()
    assert group.stop("deaf")
    assert time.monotonic() - began < processes.STOP_TIMEOUT_SECONDS / 2
    assert not record.alive


def test_what_is_started_hears_what_its_starter_ignores(tmp_path: Path) -> None:
    group, numbers = ProcessGroup(tmp_path), (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        record = group.ensure(sleeper(group))
        deadline = time.monotonic() + 30
        while any(ignores(record.pid, number) for number in numbers):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert group.stop("sleeper")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert not record.alive


def test_what_is_started_again_gets_the_port_that_it_had(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)
    port = free_port()
    group._write(ProcessRecord(name="x", pid=1, boot="gone", start=1, address=f"http://127.0.0.1:{port}"))
    assert group.last_port("x") == port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert group.last_port("x") != port
    assert group.last_port("unknown") > 0


def test_what_a_process_of_ours_writes_is_its_owners_alone(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path / "run")
    script = f"open({str(tmp_path / 'made')!r}, 'w').close(); print('x', flush=True); import time; time.sleep(60)"
    before = os.umask(0)
    try:
        process = group.spawn("writer", [sys.executable, "-c", script], dict(os.environ))
        while not (tmp_path / "made").exists():
            time.sleep(0.01)
    finally:
        os.umask(before)
    process.kill()
    process.wait()
    for path in (tmp_path / "made", tmp_path / "run", tmp_path / "run" / "writer.log"):
        assert path.stat().st_mode & 0o077 == 0, path


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
