"""The console script as its user runs it: each command a process of its own, in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a command left: `status`, `out`, `err`."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """`counterfoil` in one home."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COUNTERFOIL_", "DATABASE_"))}
        # `test` turns the embedded server's fsync off and changes nothing else.
        return {**kept, "COUNTERFOIL_HOME": str(self.home), "COUNTERFOIL_ENV": "test", "PYTHONWARNINGS": "default"}

    def start(self, *arguments: str | Path, stdin: Any = None) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", *map(str, arguments)],
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=ROOT,
        )

    def __call__(self, *arguments: str | Path, status: int | None = 0, stdin: str | None = None) -> Finished:
        """Run a command to its end; `status` is what it must exit with, None for anything."""
        process = self.start(*arguments, stdin=subprocess.PIPE if stdin is not None else None)
        out, err = process.communicate(stdin, timeout=300)
        if status is not None:
            assert process.returncode == status, f"{arguments}: {process.returncode}\n{out[-3000:]}\n{err[-3000:]}"
        assert "Traceback" not in err, err
        return Finished(status=process.returncode, out=out, err=err)


@pytest.fixture
def counterfoil(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line in a fresh home; whatever it started is stopped at the end."""
    command = CommandLine(home=tmp_path / "home")
    yield command
    command("down", status=None)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """One home for tests that leave nothing behind."""
    command = CommandLine(home=tmp_path_factory.mktemp("shared") / "home")
    yield command
    command("down", status=None)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small company's month with planted breaks."""
    from sample import make_sample

    folder = tmp_path_factory.mktemp("sample")
    make_sample(folder, days=24, per_day=60, seed=11, clean=False)
    return folder
