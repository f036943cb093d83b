"""What is measured in a process of its own, so that its memory is its own too. It imports nothing that would count."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path


def figures_apart(module: str, *arguments: str) -> tuple[float, ...]:
    """Return the numbers that `module` prints in a process of its own, whose memory is its own too."""
    finished = subprocess.run([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return tuple(map(float, finished.stdout.split()))


def peak_megabytes(pid: int | None = None) -> float:
    """Return the peak memory of a process that runs, by default of this one.

    What `getrusage` says begins, on Linux, with that of whoever started it.
    """
    status = Path(f"/proc/{pid or os.getpid()}/status")
    found = re.search(r"VmHWM:\s+([0-9]+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1e3 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
