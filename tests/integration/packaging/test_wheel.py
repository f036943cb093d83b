"""The wheel carries all that runs, and runs the demo where nothing else of ours is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from reconciliation.runs.code_version import code_version

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[3]
NOT_SHIPPED = {"tests", "docs", "bench", "deploy", "dbt"}


@pytest.fixture(scope="session")
def whole(installed: Callable[[str], Any]) -> Any:
    """The environment that everything runs in."""
    return installed("all")


@pytest.fixture
def demo_home(whole: Any) -> Iterator[Path]:
    """Where the demo makes its home; what it starts is stopped at the end."""
    yield whole.folder / ".counterfoil"
    whole.run("counterfoil", "down")


def test_the_wheel_holds_every_file_of_the_rooms_and_of_the_dbt_project(wheel: Path) -> None:
    rooms = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name not in NOT_SHIPPED]
    wanted = {
        path.relative_to(ROOT).as_posix()
        for room in rooms
        for path in room.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted |= {
        f"reconciliation/dbt_project/{path.relative_to(ROOT / 'dbt').as_posix()}"
        for path in (ROOT / "dbt").rglob("*")
        if path.is_file() and not {"target", "logs", ".user.yml"} & set(path.relative_to(ROOT / "dbt").parts)
    }
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == wanted
    assert {Path(name).suffix for name in held} >= {".sql", ".mako", ".j2", ".css", ".js", ".yml", ".csv"}


def test_a_run_has_one_code_version_in_the_checkout_and_in_the_wheel(whole: Any) -> None:
    script = "from reconciliation.runs.code_version import code_version, project_folder\nprint(project_folder())"
    folder, version = whole.python(f"{script}\nprint(code_version())").split()
    assert Path(folder).is_relative_to(whole.venv)
    assert version == code_version()


def test_the_demo_runs_from_an_empty_folder_on_the_wheel_alone(whole: Any, demo_home: Path) -> None:
    finished = whole.run("counterfoil", "demo", "--days", "14", "--per-day", "20", "--json", timeout_seconds=540)
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(finished.stdout)
    assert found["as_planted"]
    assert found["entries"] > 100
    assert sum(found["breaks"].values()) == sum(found["planted"].values()) > 0
    assert found["segments_verified"] > 0
    assert [path.name for path in whole.folder.iterdir()] == [demo_home.name]
    assert Path(found["report"]).is_relative_to(demo_home)
    processes = json.loads(whole.run("counterfoil", "status", "--json").stdout)["processes"]
    names = {process["name"] for process in processes if process["health"] == "up"}
    assert names == {"postgres", "signing-proxy", "api", "worker", "dagster-webserver", "dagster-daemon"}
    for process in processes:
        if process["name"] != "postgres":
            command = Path(f"/proc/{process['pid']}/cmdline")
            assert not command.exists() or str(whole.venv) in command.read_text(), process["name"]
