"""What importing costs, the one folder name that collides with a library, what a wrong name is told on a terminal."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize(
    "program", ["signing.proxy", "signing.recover", "signing.calls", "ceremony.host", "ceremony.offline"]
)
def test_the_programs_of_the_proxys_host_import_no_pydantic_no_client_and_no_database(program: str) -> None:
    heavy = ("pydantic", "httpcore2", "httpx2", "sqlalchemy", "psycopg")
    found = f"[name for name in sys.modules if name.startswith({heavy})]"
    script = f"import sys, ledger_core.{program}; print({found})"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout.strip() == "[]"


def test_the_command_line_says_it_in_one_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "COUNTERFOIL_HOME": str(tmp_path), "COUNTERFOIL_API_PORT": "0"}
    finished = subprocess.run(
        [sys.executable, "-m", "cli.main", "status", "--json"],
        env=environment, capture_output=True, text=True, timeout=60, cwd=ROOT,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == (
        "counterfoil: COUNTERFOIL_API_PORT is now called COUNTERFOIL_API__PORT; the old name is still read.\n"
    )
