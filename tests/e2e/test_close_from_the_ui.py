"""A close launched from Dagster's UI: web server, daemon, queue and a run process of its own."""

from __future__ import annotations

import json
import shutil
import time
from datetime import date
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from cli.services import daemon_service, webserver_service
from ledger_core.actor import Actor
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.runtime import open_runtime
from ledger_core.services import process_group
from ledger_core.settings import Settings
from orchestration.dagster_home import write_dagster_home
from sample import make_sample

pytestmark = pytest.mark.e2e

LAUNCH = """
mutation Launch($parameters: ExecutionParams!) {
  launchPipelineExecution(executionParams: $parameters) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
STATUS = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


@pytest.fixture
def delivered(settings: Settings, tmp_path: Path) -> date:
    """A home whose landing folders hold a sample, its postings made by day already; returns its last day."""
    folder = tmp_path / "sample"
    make_sample(folder, days=14, per_day=15, seed=3, clean=False)
    with open_runtime(settings) as runtime:
        apply_chart_file(runtime, folder / "accounts.yaml", book=None, actor=Actor(subject="test"))
        # The days of the graph begin with the first that any data carry.
        post_file(runtime.ledger(), runtime.engine, folder / "entries.jsonl", actor=Actor(subject="test"))
        landing = runtime.home / "landing"
        (landing / "entries").mkdir(parents=True, exist_ok=True)
        shutil.copy2(folder / "entries.jsonl", landing / "entries")
        shutil.copytree(folder / "stripe", landing / "stripe_report", dirs_exist_ok=True)
        shutil.copytree(folder / "bank", landing / "camt053", dirs_exist_ok=True)
        write_dagster_home(runtime.home, runtime.database_url)
    return date.fromisoformat(json.loads((folder / "truth.json").read_text())["as_of"])


@pytest.fixture
def web_address(settings: Settings, delivered: date, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the webserver; it and the daemon end, with all they started, with the home."""
    monkeypatch.setenv("COUNTERFOIL_ENV", "test")
    group = process_group(settings)
    group.ensure(daemon_service(settings))
    return group.ensure(webserver_service(settings)).address


def test_a_run_launched_from_the_ui_closes_the_day(web_address: str, delivered: date, settings: Settings) -> None:
    (repository,) = _ask(web_address, REPOSITORIES)["repositoriesOrError"]["nodes"]
    parameters = {
        "selector": {
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
            "jobName": "nightly_close",
        },
        "mode": "default",
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": str(delivered)}]},
    }
    launched = _ask(web_address, LAUNCH, parameters=parameters)["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]

    def status() -> str:
        return str(_ask(web_address, STATUS, id=run_id)["runOrError"]["status"])

    _wait(lambda: status() in {"SUCCESS", "FAILURE", "CANCELED"}, 400)
    assert status() == "SUCCESS"
    assert list((settings.home / "reports").glob(f"{delivered}-*.html"))


REPOSITORIES = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"


def _ask(address: str, query: str, **variables: Any) -> dict[str, Any]:
    request = Request(
        f"{address}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"content-type": "application/json"},
    )
    with urlopen(request, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)["data"]
    return answer


def _wait(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"nothing within {seconds:.0f} s"
        time.sleep(1)
