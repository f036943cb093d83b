"""`make docs`: made of the project alone where there is no home, and of the database where there is one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from ledger_core.errors import CannotRun
from ledger_core.settings import Settings
from reconciliation.runs.code_version import project_folder
from reconciliation.runs.dbt_docs import main, without_network
from reconciliation.runs.dbt_runner import Dbt

pytestmark = pytest.mark.integration


def catalog_of(page: str) -> dict[str, Any]:
    """Return the catalog that stands in the page."""
    start = page.index('{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/')
    catalog: dict[str, Any] = json.JSONDecoder().raw_decode(page[start:])[0]
    return catalog


def test_without_a_home_the_page_is_made_of_the_project_and_no_home_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COUNTERFOIL_HOME", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert main(["docs/index.html"]) == 0
    page = (tmp_path / "docs" / "index.html").read_text()
    assert "There is no home here" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["docs"]
    assert "One row per account of the book's chart" in page
    assert catalog_of(page)["nodes"] == {}
    assert str(project_folder()) not in page


def test_with_a_home_the_page_knows_the_columns_that_the_database_really_has(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.home.mkdir(parents=True)
    assert settings.database_url is not None
    Dbt(home=settings.home, database_url=settings.database_url).build(select=("resource_type:seed",))
    monkeypatch.setenv("COUNTERFOIL_HOME", str(settings.home))
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("COUNTERFOIL_ENV", settings.env)
    assert main([str(tmp_path / "index.html")]) == 0
    page = (tmp_path / "index.html").read_text()
    columns = catalog_of(page)["nodes"]["seed.counterfoil.currencies"]["columns"]
    assert {name: column["type"] for name, column in columns.items()} == {
        "code": "text", "exponent": "smallint", "scale": "integer",
    }  # fmt: skip
    assert engine.url.password is None or f'"{engine.url.password}"' not in page


def test_a_page_that_takes_no_policy_is_refused() -> None:
    with pytest.raises(CannotRun, match="no policy"):
        without_network("<html><head></head></html>")


def test_the_first_page_names_models_that_there_are() -> None:
    named = set(re.findall(r"`((?:fct|dim|int|stg)_\w+)`", (project_folder() / "models" / "overview.md").read_text()))
    assert named
    assert named <= {path.stem for path in (project_folder() / "models").rglob("*.sql")}
