"""Who a process is, so that a recycled pid is never taken for ours: the boot that it lives in and its start since then.

Not a time of day: the kernel counts a process's start from the boot, and whoever turns that into a date adds the clock
of the moment, so that a step of the clock would make a stranger of every process. Invariant: two processes of one
machine never have the same identity, and no clock changes one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import psutil

PROC = Path("/proc")
_START_FIELD = 19
"""`starttime` is field 22 of `/proc/<pid>/stat`; these are counted from field 3, which follows the name's bracket."""
_ENDED = frozenset({"Z", "X", "x"})
_CREATED_WITHIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process among all that ever had its pid: `boot` of the machine, `start` in units of the kernel since then."""

    boot: str
    start: int


def identity_of(pid: int) -> Identity | None:
    """Return the identity of the process `pid`; None when there is none, or only one that nobody has reaped."""
    if not (PROC / "self" / "stat").exists():
        return _by_creation(pid)
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name stands in brackets and may hold some itself: the last one closes it.
    fields = stat.rpartition(b")")[2].decode("ascii").split()
    if fields[0] in _ENDED:
        return None
    boot = (PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    return Identity(boot=boot, start=int(fields[_START_FIELD]))


def identity_by_clock(pid: int, created: float) -> Identity | None:
    """Return who `pid` is if it began at `created`, seconds since the epoch: what records of older releases say."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < _CREATED_WITHIN_SECONDS
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return identity_of(pid) if same else None


def _by_creation(pid: int) -> Identity | None:
    """Elsewhere than on Linux the kernel itself keeps the date, as it was at the start, and steps do not move it."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return Identity(boot="", start=int(process.create_time() * 1_000_000))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def ignores(pid: int, number: int) -> bool:
    """Say whether the process takes no notice of a signal; False where the kernel does not tell.

    What a shell starts behind its back ignores SIGINT, and hands that down to all that it starts.
    """
    try:
        status = (PROC / str(pid) / "status").read_text()
    except OSError:
        return False
    found = re.search(r"^SigIgn:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (number - 1) & 1)
