"""What a Postgres that was killed leaves behind: children that still hold its memory, lock files that name a ghost.

Postgres takes whatever has the recorded pid for its predecessor: also a zombie, which PID 1 of many a container never
reaps, and a stranger that was given the same number. Every process of a server works inside its data folder, so when
nobody is there a lock is nobody's. Not recovery, which is the next server's own, from its log. Invariant: a server that
runs keeps its locks and its children, and nothing outside the data folder is ever signalled.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

PATIENCE_SECONDS = 0.5
"""How long children may take to notice by themselves that their server is gone; most do within milliseconds."""
KILLED_WITHIN_SECONDS = 5.0
_PORT_LINE, _STATE_LINE = 3, 7
_CHILD_TITLE = "postgres:"


def standing_server(data_path: Path) -> tuple[int, int] | None:
    """Return pid and port of the server that serves `data_path`, None when there is none or it is not ready."""
    try:
        lines = (data_path / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) <= _STATE_LINE or lines[_STATE_LINE].strip() != "ready":
        return None
    pid, port = int(lines[0]), int(lines[_PORT_LINE])
    return (pid, port) if pid in {process.pid for process in _processes_inside(data_path)} else None


def clear_remains(data_path: Path, socket_folder: Path, port: int) -> None:
    """End the children of a server that is gone, and remove the locks that nobody holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (inhabitants := _processes_inside(data_path)) and _server(data_path, inhabitants) is None:
        if time.monotonic() < deadline:
            time.sleep(0.02)
            continue
        # A query that computes does not look up for minutes. It can write nothing that its server's log does not have.
        for orphan in inhabitants:
            with contextlib.suppress(psutil.Error):
                orphan.kill()
        psutil.wait_procs(inhabitants, timeout=KILLED_WITHIN_SECONDS)
        break
    if not _processes_inside(data_path):
        (data_path / "postmaster.pid").unlink(missing_ok=True)
        for name in (f".s.PGSQL.{port}.lock", f".s.PGSQL.{port}"):
            (socket_folder / name).unlink(missing_ok=True)


def _server(data_path: Path, inhabitants: Iterable[psutil.Process]) -> psutil.Process | None:
    """Return the process of `inhabitants` that the lock file names, or that is none's child: a server that runs."""
    try:
        named = (data_path / "postmaster.pid").read_text().split("\n", 1)[0].strip()
    except FileNotFoundError:
        named = ""
    return next((each for each in inhabitants if str(each.pid) == named or not _is_child(each)), None)


def _is_child(process: psutil.Process) -> bool:
    """Say whether a process of a server is one of its children, by the title that each of them gives itself."""
    with contextlib.suppress(psutil.Error):
        return bool(process.cmdline() and process.cmdline()[0].startswith(_CHILD_TITLE))
    return False


def _processes_inside(data_path: Path) -> list[psutil.Process]:
    """Return the living processes that work inside `data_path`, and servers of its owner that will not say where.

    A server runs as the owner of its folder or not at all, so those of other users are elsewhere. One that died, and
    that nobody asked after, works nowhere.
    """
    inside, folder = [], data_path.resolve()
    owner = folder.stat().st_uid if folder.exists() else None
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                here = Path(process.cwd()) == folder
            except psutil.AccessDenied:
                here = process.name() == "postgres" and process.uids().effective == owner
            if here:
                inside.append(process)
    return inside
