"""A parse of the dbt project costs five seconds: a process pays them once, whichever home asks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciliation.runs import dbt_runner
from reconciliation.runs.dbt_runner import Dbt

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where the project was parsed, by a parser that answers at once."""
    folders: list[Path] = []

    def parse(_self: Dbt, folder: Path, **_: Any) -> Any:
        folders.append(folder)
        return SimpleNamespace(writable_manifest=lambda: SimpleNamespace(to_dict=lambda: {"number": len(folders)}))

    monkeypatch.setattr(dbt_runner, "_warm", {})
    monkeypatch.setattr(Dbt, "_parse", parse)
    return folders


def test_two_homes_of_one_process_share_a_parse(parsed: list[Path], tmp_path: Path) -> None:
    found = [Dbt(home=tmp_path / name, database_url=NOWHERE).manifest() for name in ("one", "other")]
    assert found == [{"number": 1}] * 2
    assert parsed == [tmp_path / "one" / "dbt"]


def test_another_schema_and_changed_code_are_parsed_anew(
    parsed: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dbt(home=tmp_path, database_url=NOWHERE).manifest()
    assert Dbt(home=tmp_path, database_url=NOWHERE, schema="other").manifest() == {"number": 2}
    monkeypatch.setattr(dbt_runner, "code_version", lambda: "of another day")
    assert Dbt(home=tmp_path, database_url=NOWHERE).manifest() == {"number": 3}
    assert len(parsed) == 3
