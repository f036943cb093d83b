"""Production and staging: every command refuses by name before anything is made, started or left running."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

COMMANDS = (
    ("up",), ("status",), ("token",), ("demo",), ("check",), ("breaks", "list"), ("close", "2026-11-22"),
    ("export", "2026-11-22"), ("reconcile",), ("post", "-"), ("proof", "x"),
)  # fmt: skip


@pytest.mark.parametrize("env", ["staging", "production"])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_refuses_by_name_and_leaves_nothing(
    counterfoil, tmp_path: Path, words: tuple[str, ...], env: str
) -> None:
    environment = counterfoil.environment | {"COUNTERFOIL_ENV": env, "PGPASSWORD": "hunter2"}
    finished = subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert finished.returncode == 2, finished.stderr
    for named in (env, "software key", "embedded database", "PGPASSWORD", "TCP listener"):
        assert named in finished.stderr
    assert "hunter2" not in finished.stderr + finished.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_runs_may_be_taken_down_there(counterfoil) -> None:
    environment = counterfoil.environment | {"COUNTERFOIL_ENV": "production"}
    finished = subprocess.run(
        [sys.executable, "-m", "cli.main", "down"], env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
