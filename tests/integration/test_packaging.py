"""What importing costs, and the one folder name that collides with a library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("great_expectations", "scipy", "dbt", "pandas", "boto3")


@pytest.mark.parametrize("room", ["ledger_core.runtime", "api.app", "orchestration.definitions", "cli.main"])
def test_importing_a_room_leaves_heavy_libraries_alone(room: str) -> None:
    script = f"import sys, {room}; print([name for name in {HEAVY} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert finished.stdout.strip() == "[]", finished.stderr


def test_the_folder_dbt_is_no_package_and_the_library_wins() -> None:
    assert not list((ROOT / "dbt").rglob("*.py"))
    finished = subprocess.run(
        [sys.executable, "-c", "import dbt; print(dbt.__file__)"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert "site-packages" in finished.stdout
