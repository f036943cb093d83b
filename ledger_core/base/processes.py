"""Processes that outlive the command which started them: one record a process in `$COUNTERFOIL_HOME/run/`.

A record names pid *and* identity (`process_identity.py`), so that a recycled pid is never taken for ours, and nothing
that we did not start is ever signalled. Starting is done under a file lock: two commands at once start one server.
What is started again is offered the address that it had, so that whoever knows that address finds it there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from ledger_core.base.files import PRIVATE_UMASK, private_folder
from ledger_core.base.process_identity import Identity, identity_by_clock, identity_of, ignores
from ledger_core.errors import DependencyError

MAX_SOCKET_PATH_BYTES = 90
"""Linux allows 107, macOS 103; Postgres appends `/.s.PGSQL.<port>`."""

HEALTH_PATIENCE_SECONDS = 10.0
"""How long a process that is alive may keep quiet before it is replaced."""
STOP_TIMEOUT_SECONDS = 20.0
_HEAR = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""
CHILDREN_TIMEOUT_SECONDS = 1.0
KILL_TIMEOUT_SECONDS = 5.0
HEARS_WITHIN_SECONDS = 2.0
START_TIMEOUT_SECONDS = 180.0
LOOK_AGAIN_SECONDS = 0.05
"""A look costs half a millisecond. At a quarter of a second a start and a stop of the proxy, which take a third of one,
were noticed 0.2 s late each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """A process of ours: what `status` lists."""

    name: str
    pid: int
    boot: str
    start: int
    """With `boot` the process's identity; also the order in which the group was started."""
    address: str

    @property
    def alive(self) -> bool:
        return identity_of(self.pid) == Identity(boot=self.boot, start=self.start)

    @classmethod
    def of(cls, name: str, pid: int, address: str) -> ProcessRecord:
        """Return the record of the process that has `pid` now; one that is gone has a record that is not alive."""
        found = identity_of(pid) or Identity(boot="", start=0)
        return cls(name=name, pid=pid, boot=found.boot, start=found.start, address=address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How to start one process and how to tell that it serves.

    `start` returns the process and its address; `healthy` answers for an address without raising. `standing` finds a
    process that serves and that no record names, because the command that started it was killed before it wrote one.
    """

    name: str
    start: Callable[[], tuple[subprocess.Popen[bytes], str]]
    healthy: Callable[[str], bool]
    standing: Callable[[], tuple[int, str] | None] = lambda: None


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
            if standing is None or not standing.alive:
                found = service.standing()
                standing = standing if found is None else ProcessRecord.of(service.name, *found)
            if standing is not None:
                if _serves(standing, service.healthy):
                    self._write(standing)
                    return standing
                # Its record stays until the next one takes its place: the address in it is used again.
                self._end(standing)
            if progress:
                progress(f"starting {service.name}")
            process, address = service.start()
            record = ProcessRecord.of(service.name, process.pid, address)
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
            return _record_of(json.loads((self.folder / f"{name}.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def last_port(self, name: str) -> int:
        """Return the port at which `name` served last, if nobody listens there now; else a free one."""
        record = self.find(name)
        port = record.address.rpartition(":")[2] if record is not None else ""
        return int(port) if port.isdigit() and _is_free(int(port)) else free_port()

    def records(self) -> list[ProcessRecord]:
        """Return every record, in the order of starting."""
        found = (self.find(path.stem) for path in self.folder.glob("*.json"))
        return sorted((record for record in found if record), key=lambda record: record.start)

    def stop(self, name: str) -> bool:
        """Stop `name` if it is ours and alive; say whether there was anything to stop."""
        with self._locked(name):
            record = self.find(name)
            return record is not None and self._stop(record)

    def log_path(self, name: str) -> Path:
        private_folder(self.folder)
        return self.folder / f"{name}.log"

    def spawn(self, name: str, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start `arguments` detached from this terminal, its output appended to the log of `name`."""
        with open_log(self.log_path(name)) as log:
            return subprocess.Popen(
                _hearing(arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                umask=PRIVATE_UMASK,
                start_new_session=True,
            )

    def _stop(self, record: ProcessRecord) -> bool:
        was_alive = self._end(record)
        (self.folder / f"{record.name}.json").unlink(missing_ok=True)
        return was_alive

    @staticmethod
    def _end(record: ProcessRecord) -> bool:
        if not record.alive:
            return False
        try:
            process = psutil.Process(record.pid)
            family = process.children(recursive=True)
            process.send_signal(signal.SIGCONT)  # one that was stopped hears nothing before
            # Postgres reads SIGINT as "fast": end sessions and shut down cleanly; the others as Ctrl-C.
            process.send_signal(_heard_by(record.pid))
            _await_end([process], STOP_TIMEOUT_SECONDS)
            # What it started and did not end has no work without it; Dagster's code servers wait 20 s for a heartbeat.
            for survivor in _await_end([process, *family], CHILDREN_TIMEOUT_SECONDS):
                survivor.kill()
            _await_end([process, *family], KILL_TIMEOUT_SECONDS)
        except psutil.NoSuchProcess:
            pass
        return True

    def _write(self, record: ProcessRecord) -> None:
        path = self.folder / f"{record.name}.json"
        making = path.with_suffix(".making")
        making.touch(mode=0o600)
        making.write_text(json.dumps(asdict(record)) + "\n")
        making.replace(path)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        private_folder(self.folder)
        lock = self.folder / f"{name}.lock"
        lock.touch(mode=0o600)
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _heard_by(pid: int) -> signal.Signals:
    """Return the gentlest signal that the process hears; one that has just begun may need a moment to hear any."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    _wait_for(lambda: not all(ignores(pid, number) for number in numbers), HEARS_WITHIN_SECONDS)
    return next((number for number in numbers if not ignores(pid, number)), signal.SIGKILL)


def _hearing(arguments: list[str]) -> list[str]:
    """Return how `arguments` are run so that they hear SIGINT and SIGTERM, also where this process ignores them.

    A shell has what it starts behind its back ignore SIGINT, Dagster then lets SIGTERM do the same, and a process
    hands both down: its services could be ended by SIGKILL alone.
    """
    if signal.SIG_IGN not in (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)):
        return arguments
    return [sys.executable, "-I", "-S", "-c", _HEAR, *arguments]


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


def open_log(path: Path) -> IO[bytes]:
    """Open `path` to append to it; one that is new is for its owner alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def _record_of(document: dict[str, Any]) -> ProcessRecord:
    if "started" not in document:
        return ProcessRecord(**document)
    # Written by an older release, whose processes may still run: known by the clock that they were started under.
    identity = identity_by_clock(document["pid"], document.pop("started")) or Identity(boot="", start=0)
    return ProcessRecord(**document, boot=identity.boot, start=identity.start)


def _serves(record: ProcessRecord, healthy: Callable[[str], bool]) -> bool:
    """Say whether `record`'s process serves, waiting for one that lives and keeps quiet but not for one that ends."""
    _wait_for(lambda: not record.alive or healthy(record.address), HEALTH_PATIENCE_SECONDS)
    return record.alive and healthy(record.address)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: what a connection of a server that is gone left behind does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


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
        pause = min(pause * 1.5, LOOK_AGAIN_SECONDS)
