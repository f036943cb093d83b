"""The recipes for sources, followed to the letter in a copy of the tree: own files, a line each, and they match."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.processes import ProcessGroup

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests/fixtures/recipes"
ROOMS = (
    *("ledger_core", "ingest", "payments", "reconciliation", "expectations", "orchestration", "dbt"),
    *("sample", "api", "cli", "docs/formats", "pyproject.toml", "tests/conftest.py", "tests/unit"),
    "tests/integration/test_dbt_project.py",
)
HOUSE_RULES = ("tests/unit/ingest", "tests/unit/test_sql_faces.py", "tests/integration/test_dbt_project.py")
"""Tests of the house that look at every source there is."""
LIST = Path("dbt/macros/sources_of_kind.sql")
RECIPES = {
    "Add a payment provider": ("provider", "acme_settlement", "psp"),
    "Add a bank format": ("bank", "citybank_csv", "bank"),
}


def files_of(recipe: str) -> set[Path]:
    folder = FIXTURES / recipe
    return {
        path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }


def copy_tree(into: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *ROOMS],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)


def follow(recipe: str, source: str, kind: str, *, tree: Path) -> None:
    """Put the recipe's files into `tree` and the source's line into the list; no file of the tree is replaced."""
    for path in files_of(recipe):
        assert not (tree / path).exists(), f"{path} is a file that all share"
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(FIXTURES / recipe / path, tree / path)
    lines = (tree / LIST).read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if line.strip() == f"'{kind}': [")
    lines.insert(place + 1, f"            '{source}',")
    (tree / LIST).write_text("\n".join(lines) + "\n")


def changed_lines(tree: Path) -> dict[str, list[str]]:
    """Return the files of the checkout that differ in `tree`, each with the lines that it has more there."""
    changed: dict[str, list[str]] = {}
    for path in (path.relative_to(tree) for path in tree.rglob("*") if path.is_file()):
        if (ROOT / path).is_file() and (ROOT / path).read_bytes() != (tree / path).read_bytes():
            before, after = (folder.joinpath(path).read_text().splitlines() for folder in (ROOT, tree))
            added = [line.strip() for line in after if line not in before]
            assert [line for line in after if line.strip() not in added] == before
            changed[str(path)] = added
    return changed


def section(title: str) -> str:
    document = (ROOT / "docs/recipes.md").read_text()
    return document.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.fixture(scope="module")
def outcome(postgres: tuple[EmbeddedPostgres, int], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a program in the tree with both recipes followed prints, on a database of its own."""
    tree, folder = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("company")
    copy_tree(tree)
    for recipe in RECIPES.values():
        follow(*recipe, tree=tree)
    changed = changed_lines(tree)
    embedded, port = postgres
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("create database recipes_of_sources"))
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        run = subprocess.run(
            [sys.executable, FIXTURES / "scenario.py", folder, embedded.url(port, "recipes_of_sources")],
            cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        scripts = {
            source: subprocess.run(
                [sys.executable, "-m", "ingest.ddl", source],
                cwd=tree, env=environment, capture_output=True, text=True, check=True,
            ).stdout
            for _, source, _ in RECIPES.values()
        }  # fmt: skip
    finally:
        group = ProcessGroup(folder / "home" / "run")
        for record in reversed(group.records()):
            group.stop(record.name)
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("drop database recipes_of_sources with (force)"))
        admin.dispose()
    document: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return {**document, "changed": changed, "scripts": scripts, "copy": str(tree)}


def test_a_source_touches_one_line_that_it_shares(outcome: dict[str, Any]) -> None:
    assert outcome["tree"] == outcome["copy"], "the program ran on another tree"
    assert outcome["changed"] == {str(LIST): ["'acme_settlement',", "'citybank_csv',"]}
    assert {"acme_settlement", "citybank_csv"} < set(outcome["graph"])
    assert outcome["suites"] == {"acme_settlement": [6], "citybank_csv": [3]}


def test_what_holds_for_every_source_holds_for_the_new_ones(outcome: dict[str, Any]) -> None:
    environment = {**os.environ, "PYTHONPATH": outcome["copy"], "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *HOUSE_RULES]
    run = subprocess.run(
        [sys.executable, *arguments], cwd=outcome["copy"], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout


def test_both_files_land_as_their_contracts_say(outcome: dict[str, Any]) -> None:
    report, statement = outcome["landed"]
    assert (report["status"], report["accepted"]) == ("landed", 6)
    ((line, reason),) = report["quarantined"]
    assert line == 8
    assert "gross_credit: '30.00' is not whole minor units" in reason
    assert (statement["status"], statement["accepted"], statement["quarantined"]) == ("landed", 3, [])
    assert statement["totals"] == {"balance": True, "rows": True}
    assert outcome["days"] == [["acme0001", "2026-10-01"]], "half past midnight in Berlin is the day before"


def test_a_new_providers_items_match_by_id_and_its_payout_at_the_new_bank_by_its_claim(outcome: dict[str, Any]) -> None:
    pairs = {
        (leg, ledger or psp, psp if leg == "A" else bank)
        for leg, ledger, psp, bank, equal in outcome["matches"]
        if equal
    }
    assert {pair for pair in pairs if pair[0] == "A"} == {
        ("A", name, name) for name in ("acme0001", "acme0002", "acme0003", "acme0004", "acme0006")
    }
    assert [psp for leg, _, psp, _, equal in outcome["matches"] if leg == "B" and equal] == ["acmepo0001"]
    assert outcome["lines"] == [["acme", 12550], ["acme", 2890]]
    assert outcome["not_ours"] == [[-80000]]


def test_a_planted_difference_on_each_leg_gets_its_class(outcome: dict[str, Any]) -> None:
    assert outcome["breaks"] == [
        ["amount_mismatch", "A", "acme0005", -100],
        ["amount_mismatch", "B", "acmepo0002", 10],
    ]
    # The row with a decimal point is input that nobody has.
    assert (outcome["verdict"], [reason["kind"] for reason in outcome["reasons"]]) == ("incomplete", ["rows_put_aside"])


def test_a_second_bank_is_no_provider(outcome: dict[str, Any]) -> None:
    assert outcome["providers"] == [["acme"]]
    assert outcome["statements"] == [[41, 100000, 32550], [42, 32550, 35440]]


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_names_the_files_that_it_takes_in_order(title: str, outcome: dict[str, Any]) -> None:
    recipe, source, _ = RECIPES[title]
    steps = re.findall(r"^(\d+)\. (.*(?:\n   .*)*)", section(title), re.MULTILINE)
    assert all(int(after) == int(before) + 1 for (before, _), (after, _) in pairwise(steps))
    named = [name for _, step in steps for name in re.findall(r"`([\w/<>.]+/[\w<>.]+\.(?:py|sql|yml|md))`", step)]
    taken = {Path(name.replace("<source>", source)) for name in named if "<" in name}
    numbered = {Path(re.sub(r"/\d{4}_", "/NNNN_", str(path))) for path in files_of(recipe)}
    assert taken == numbered
    assert [name for name in named if "<" not in name] == [str(LIST)], "the one line that is shared"
    sql = next(path for path in files_of(recipe) if path.match("ingest/migrations/sql/*.sql"))
    assert (FIXTURES / recipe / sql).read_text() == outcome["scripts"][source]
