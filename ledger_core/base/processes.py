"""Processes that outlive the command which started them: one record a process in `$COUNTERFOIL_HOME/run/`.

A record names pid *and* start time, so that a recycled pid is never taken for ours, and nothing that we did not start
is ever signalled. Starting is done under a file lock: two commands at once start one server.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ledger_core.errors import DependencyError

MAX_SOCKET_PATH_BYTES = 90
"""Linux allows 107, macOS 103; Postgres appends `/.s.PGSQL.<port>`."""

HEALTH_PATIENCE_SECONDS = 10.0
"""How long a process that is alive may keep quiet before it is replaced."""
STOP_TIMEOUT_SECONDS = 20.0
CHILDREN_TIMEOUT_SECONDS = 1.0
KILL_TIMEOUT_SECONDS = 5.0
START_TIMEOUT_SECONDS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """A process of ours: what `status` lists."""

    name: str
    pid: int
    started: float
    """The kernel's start time of the process, seconds since the epoch."""
    address: str

    @property
    def alive(self) -> bool:
        return _start_time(self.pid) is not None and abs((_start_time(self.pid) or 0) - self.started) < 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How to start one process and how to tell that it serves.

    `start` returns the process and its address; `healthy` answers for an address without raising.
    """

    name: str
    start: Callable[[], tuple[subprocess.Popen[bytes], str]]
    healthy: Callable[[str], bool]


class ProcessGroup:
    """The processes of one home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ensure(self, service: Service, *, progress: Callable[[str], None] | None = None) -> ProcessRecord:
        """Return the running process of `service`, starting it if it is not there.

        Raises `DependencyError` when it does not become healthy in time; what was started is then stopped again.
        """
        with self._locked(service.name):
            standing = self.find(service.name)
            if standing is not None:
                address = standing.address
                if standing.alive and _wait_for(lambda: service.healthy(address), HEALTH_PATIENCE_SECONDS):
                    return standing
                self._stop(standing)
            if progress:
                progress(f"starting {service.name}")
            process, address = service.start()
            started = _start_time(process.pid)
            record = ProcessRecord(name=service.name, pid=process.pid, started=started or 0.0, address=address)
            self._write(record)
            up = _wait_for(lambda: process.poll() is not None or service.healthy(address), START_TIMEOUT_SECONDS)
            if not up or process.poll() is not None:
                self._stop(record)
                process.wait()
                raise DependencyError(
                    f"{service.name} did not come up at {address}.",
                    remedy=f"Its log is {self.log_path(service.name)}.",
                )
            # It outlives us: told so, the handle's finaliser does not warn that nobody waited for the process.
            process.returncode = 0
            return record

    def find(self, name: str) -> ProcessRecord | None:
        """Return the record of `name`, alive or not."""
        try:
            return ProcessRecord(**json.loads((self.folder / f"{name}.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def records(self) -> list[ProcessRecord]:
        """Return every record, in the order of starting."""
        found = (self.find(path.stem) for path in self.folder.glob("*.json"))
        return sorted((record for record in found if record), key=lambda record: record.started)

    def stop(self, name: str) -> bool:
        """Stop `name` if it is ours and alive; say whether there was anything to stop."""
        with self._locked(name):
            record = self.find(name)
            return record is not None and self._stop(record)

    def log_path(self, name: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{name}.log"

    def spawn(self, name: str, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start `arguments` detached from this terminal, its output appended to the log of `name`."""
        with self.log_path(name).open("ab") as log:
            return subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def _stop(self, record: ProcessRecord) -> bool:
        path = self.folder / f"{record.name}.json"
        if not record.alive:
            path.unlink(missing_ok=True)
            return False
        try:
            process = psutil.Process(record.pid)
            family = process.children(recursive=True)
            # Postgres reads SIGINT as "fast": end sessions and shut down cleanly; the others as Ctrl-C.
            process.send_signal(signal.SIGINT)
            _await_end([process], STOP_TIMEOUT_SECONDS)
            # What it started and did not end has no work without it; Dagster's code servers wait 20 s for a heartbeat.
            for survivor in _await_end([process, *family], CHILDREN_TIMEOUT_SECONDS):
                survivor.kill()
            _await_end([process, *family], KILL_TIMEOUT_SECONDS)
        except psutil.NoSuchProcess:
            pass
        path.unlink(missing_ok=True)
        return True

    def _write(self, record: ProcessRecord) -> None:
        path = self.folder / f"{record.name}.json"
        making = path.with_suffix(".making")
        making.write_text(json.dumps(asdict(record)) + "\n")
        making.replace(path)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def short_socket_folder(folder: Path) -> Path:
    """Return a folder for the Unix sockets of `folder`: itself, or a private short one if its path is too long."""
    if len(str(folder)) <= MAX_SOCKET_PATH_BYTES - 25:
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"counterfoil-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid() or short.is_symlink():
        raise DependencyError(
            f"{short} belongs to somebody else.",
            retryable=False,
            remedy="Remove it, or set a shorter COUNTERFOIL_HOME.",
        )
    return short


def _start_time(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _await_end(processes: Sequence[psutil.Process], timeout_seconds: float) -> list[psutil.Process]:
    """Wait for `processes` to end and return those that did not; a zombie that nobody has reaped yet has ended."""
    left = list(processes)

    def ended() -> bool:
        left[:] = [process for process in left if _goes_on(process)]
        return not left

    _wait_for(ended, timeout_seconds)
    return left


def _goes_on(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wait_for(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    pause = 0.01
    while True:
        if condition():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
