"""Files that appear whole or not at all, and survive the loss of power."""

from __future__ import annotations

import os
from pathlib import Path


def write_once(path: Path, data: bytes, *, mode: int) -> None:
    """Write `data` to `path` with `mode`, durably; an existing file is replaced in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
