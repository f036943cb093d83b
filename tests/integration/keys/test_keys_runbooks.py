"""The runbooks of changes of keys, run: every command that stands in them, in order, as its reader would give it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from ledger_core.base.processes import ProcessGroup
from ledger_core.ceremony.run import listing
from ledger_core.evidence.export.segment import export_segment
from ledger_core.log.verifier import verify_path
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings, load_settings

pytestmark = pytest.mark.integration

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"


def commands(page: str) -> list[str]:
    """Return the commands of the fenced blocks, continued lines joined."""
    text = (RUNBOOKS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.fixture
def operator(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, dict[str, str]], list[str]]]:
    """A home with a past, and whoever reads the page in a shell of its own: run it, return what was printed."""
    home = tmp_path / "home"
    for name, value in (("COUNTERFOIL_HOME", str(home)), ("DATABASE_URL", database_url), ("COUNTERFOIL_ENV", "test")):
        monkeypatch.setenv(name, value)
    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.chdir(desk)
    settings: Settings = load_settings()
    with open_runtime(settings) as runtime:
        runtime.ledger()
        export_segment(runtime, closed_on=datetime.now(UTC).date() - timedelta(days=2), book="main")
        shutil.copy(next((home / "archive").rglob("checkpoint")), desk / "kept-checkpoint")
        monkeypatch.setenv("ROOT", listing(runtime)["roots"]["keys"][0])
        monkeypatch.setenv("KEY", listing(runtime)["keys"][0]["key_id"][:8])
        monkeypatch.setenv("STOLEN_AT", f"{datetime.now(UTC) + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}")

    def run(page: str, expected: dict[str, str]) -> list[str]:
        printed = []
        for line in commands(page):
            words = [expand(word) for word in shlex.split(line)]
            assert words[0] == "counterfoil", line
            result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
            assert result.exit_code == 0, (line, result.output)
            printed.append(result.output)
        for word, text in expected.items():
            assert any(word in item and text in item for item in printed), (word, printed)
        return printed

    yield run
    group = ProcessGroup(home / "run")
    for record in reversed(group.records()):
        group.stop(record.name)


def expand(word: str) -> str:
    found = os.path.expandvars(word)
    assert "$" not in found, f"{word} names a variable that the page does not explain"
    return found


def state() -> dict[str, Any]:
    with open_runtime(load_settings()) as runtime:
        return listing(runtime)


def test_the_page_of_a_rotation_does_what_it_says(operator: Callable[..., list[str]]) -> None:
    operator("key-rotation.md", {"has ended": "pin registry version 2", "the roots have changed": "version 3"})
    found = state()
    assert (found["version"], found["roots"]["threshold"], len(found["roots"]["keys"])) == (4, 2, 3)
    assert [item["status"] for item in found["keys"]] == ["retired", "retired", "active"]
    assert verify_path(Path("..") / "home" / "archive", Path("auditors-trust.json")).verdict == "verified", (
        "the archive holds no segment of after the change; the registry beside the trust file does"
    )


def test_the_page_of_a_revocation_does_what_it_says(operator: Callable[..., list[str]]) -> None:
    assert CliRunner().invoke(app, ["keys", "rotate"]).exit_code == 0
    operator("key-revocation.md", {"is revoked": "signs from here on"})
    found = state()
    assert (found["version"], [item["status"] for item in found["keys"]]) == (4, ["revoked", "revoked", "active"])
    assert verify_path(Path("..") / "home" / "archive", Path("auditors-trust.json")).verdict == "verified"


def test_the_page_of_a_stolen_key_does_what_it_says(operator: Callable[..., list[str]]) -> None:
    operator("key-compromise.md", {"is compromised": "beyond doubt up to size 1"})
    found = state()
    assert [item["status"] for item in found["keys"]] == ["compromised", "active"]
    assert [part["to_size"] for part in found["keys"][0]["valid"]] == [1]
    assert list((Path("..") / "home" / "keys").glob("compromise-2-main.dsse.json"))
