"""SQL has faces too: which tables of another room's schema a room may name, read from its SQL and judged here.

Reads Python's string literals and dbt's files; a table whose name is put together at run time counts as one past the
face, because nobody can tell. Migrations are exempt, for they make the schemas; tests and benches are not looked at.
`analytics` belongs to dbt and is made to be read: it has no face.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import pytest
import yaml

from ingest.sources import contracts

ROOT = Path(__file__).parents[2]
SUITES = PurePosixPath("expectations/suites")

OWNERS = {
    "ledger": "ledger_core",
    "migrations": "ledger_core",
    "raw": "ingest",
    "ops": "ingest",
    "recon": "reconciliation",
    "payments": "payments",
    "access": "api",
    "dagster": "orchestration",
}
FACES = {
    "ledger": {
        "heads",
        "posted_entries",
        "posted_postings",
        "posted_account_versions",
        "posted_balances",
        "erased_files",
    },
    "raw": {
        "current_files",
        "sources",
        "canonical_events",
        "bank_claims",
        "control_totals",
        "quarantine",
        "file_replacements",
        "payout_signs",
        "refused_files",
    },
    "recon": {"runs", "breaks"},
}
PINS = {"recon.pins", "recon.pin_files", "recon.pin_feeds"}
"""What the run reads, for dbt and the suites."""

_SCHEMA = "|".join(OWNERS)
_NAMED = re.compile(
    r"""(?P<write>\b(?:insert\s+into|update|delete\s+from|truncate(?:\s+table)?|merge\s+into|copy)\s+)?"""
    rf"""(?<![\w./:-])"?(?P<schema>{_SCHEMA})"?\.(?:"?(?P<table>[a-z_]\w*)|[{{%])""",
    re.IGNORECASE,
)
_DBT_SOURCE = re.compile(r"""source\(\s*['"](?P<schema>\w+)['"]\s*,\s*['"](?P<table>\w+)['"]\s*\)""")
_DBT_PLAIN = re.compile(rf"""\b(?:from|join)\s+"?(?P<schema>{_SCHEMA})"?\s*\.\s*"?(?P<table>\w+)?""", re.IGNORECASE)
_DBT_RELATION = re.compile(rf"""schema\s*=\s*['"](?P<schema>{_SCHEMA})['"]""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A table that SQL names; `table` is None when only the run knows which one."""

    schema: str
    table: str | None
    writes: bool = False


def uses_in_python(source: str) -> Iterator[Use]:
    """Yield the tables that the string literals of `source` name; docstrings are prose."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in prose:
            continue
        for found in _NAMED.finditer(_text_of(node)):
            yield Use(schema=found["schema"].lower(), table=found["table"], writes=found["write"] is not None)
        if isinstance(node, ast.keyword) and node.arg == "schema" and isinstance(node.value, ast.Constant):
            yield from [Use(schema=name, table=None) for name in OWNERS if name == node.value.value]


def uses_in_dbt(source: str) -> Iterator[Use]:
    """Yield the tables that a model, a test or a macro of dbt reads; a schema before a column is an alias."""
    code = re.sub(r"--[^\n]*|\{#.*?#\}|/\*.*?\*/", "", source, flags=re.DOTALL)
    for pattern in (_DBT_SOURCE, _DBT_PLAIN, _DBT_RELATION):
        for found in pattern.finditer(code):
            yield Use(schema=found["schema"].lower(), table=found.groupdict().get("table"))


def uses_in_yaml(source: str) -> Iterator[Use]:
    """Yield the tables that a file of dbt declares as sources."""
    for group in (yaml.safe_load(source) or {}).get("sources", []):
        for table in group.get("tables", []):
            yield Use(schema=group.get("schema", group["name"]), table=table.get("identifier", table["name"]))


def past_the_face(path: PurePosixPath, use: Use) -> bool:
    """Tell whether the file at `path` of the tree uses what its room may not."""
    room = path.parts[0]
    if use.schema not in OWNERS or OWNERS[use.schema] == room:
        return False
    if use.table is None or use.writes:
        return True
    name = f"{use.schema}.{use.table}"
    return use.table not in FACES.get(use.schema, ()) and name not in _more_for(path)


def violations(root: Path) -> list[str]:
    """Return the lines that say which file of the tree goes past a face."""
    return sorted(
        {f"{path}: {use.schema}.{use.table or '?'}" for path, use in uses_of(root) if past_the_face(path, use)}
    )


@cache
def uses_of(root: Path) -> tuple[tuple[PurePosixPath, Use], ...]:
    """Return every use of a table in the rooms under `root`, with the file that it stands in."""
    return tuple(_uses_of(root))


def _uses_of(root: Path) -> Iterator[tuple[PurePosixPath, Use]]:
    readers = {".sql": uses_in_dbt, ".yml": uses_in_yaml, ".py": uses_in_python}
    for room in (*_packages(), "dbt"):
        for file in sorted((root / room).rglob("*")):
            path = PurePosixPath(file.relative_to(root).as_posix())
            if file.suffix in readers and "migrations" not in path.parts and "target" not in path.parts:
                yield from ((path, use) for use in readers[file.suffix](file.read_text()))


def _more_for(path: PurePosixPath) -> set[str]:
    """Return what `path` may read besides the faces: its source's raw tables, and what the run has pinned."""
    tables = _raw_tables()
    if path.parent == SUITES:
        return PINS | tables.get(path.stem, set())
    if path.parts[0] != "dbt":
        return set()
    if path.suffix == ".yml":
        return PINS.union(*tables.values())
    # A folder of staging is a source's, or its provider's: `stripe` for `stripe_report`.
    folder = path.parent.name
    return PINS.union(*(own for name, own in tables.items() if name == folder or name.startswith(f"{folder}_")))


@cache
def _raw_tables() -> dict[str, set[str]]:
    return {name: {record.table for record in contract.record_types} for name, contract in contracts().items()}


def _packages() -> list[str]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages: list[str] = document["tool"]["importlinter"]["root_packages"]
    return packages


def _text_of(node: ast.AST) -> str:
    """Return the text of a literal with braces where a value goes in; nothing for what is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) or "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text_of(node.left), _text_of(node.right)
        return (left or "{}") + (right or "{}") if left or right else ""
    return ""


def test_no_room_goes_past_the_face_of_anothers_schema() -> None:
    assert violations(ROOT) == []


def test_the_reading_finds_what_is_known_to_be_read() -> None:
    seen = {(path.parts[0], f"{use.schema}.{use.table}") for path, use in uses_of(ROOT)}
    assert {
        ("ledger_core", "ledger.log_head"),
        ("reconciliation", "raw.current_files"),
        ("reconciliation", "ledger.heads"),
        ("expectations", "ledger.posted_balances"),
        ("orchestration", "recon.runs"),
        ("cli", "ledger.posted_entries"),
        ("dbt", "raw.current_files"),
        ("dbt", "ledger.posted_postings"),
        ("dbt", "recon.pins"),
    } <= seen


PLANTED = {
    "another room's table": ("api/x.py", 'QUERY = "select leaf_hash from ledger.records"'),
    "in capitals": ("api/x.py", 'QUERY = "SELECT 1 FROM Ledger.Records"'),
    "quoted": ("cli/x.py", 'QUERY = \'select 1 from "raw"."files"\''),
    "in a string over several lines": ("cli/x.py", 'QUERY = """\nselect 1\nfrom raw.files\n"""'),
    "in an f-string": ("orchestration/x.py", 'QUERY = f"select 1 from recon.run_files where {condition}"'),
    "a table of the run's choosing": ("orchestration/x.py", 'QUERY = f"select 1 from recon.{table}"'),
    "a table added by a plus": ("orchestration/x.py", 'QUERY = "select 1 from recon." + table'),
    "a table filled in later": ("orchestration/x.py", 'QUERY = "select 1 from ledger.{table}"'),
    "a schema handed over": ("reconciliation/x.py", 'TABLE = Table("records", META, schema="ledger")'),
    "a schema without a face": ("reconciliation/x.py", 'QUERY = "select 1 from ops.rejected_files"'),
    "a face that is written": ("orchestration/x.py", 'QUERY = "update recon.breaks set assignee = null"'),
    "another source's rows": ("expectations/suites/camt053.py", 'QUERY = "select 1 from raw.stripe_report_payouts"'),
    "rows of a source in no suite": ("expectations/x.py", 'QUERY = "select 1 from raw.camt053_lines"'),
    "the pins outside of the run": ("orchestration/x.py", 'QUERY = "select 1 from recon.pins"'),
    "the ledger reading above itself": ("ledger_core/x.py", 'QUERY = "select 1 from recon.run_files"'),
    "dbt: a table of the ledger": ("dbt/models/marts/x.sql", "select 1 from {{ source('ledger', 'records') }}"),
    "dbt: by its plain name": ("dbt/models/marts/x.sql", "select 1\nfrom raw.files as files"),
    "dbt: as a relation": ("dbt/macros/x.sql", "{{ api.Relation.create(schema='ledger', identifier='records') }}"),
    "dbt: another source's rows": ("dbt/models/marts/x.sql", "select 1 from {{ source('raw', 'camt053_lines') }}"),
    "dbt: declared": ("dbt/models/_x.yml", "sources: [{name: raw, tables: [{name: files}]}]"),
    "dbt: declared by another name": (
        "dbt/models/_x.yml",
        "sources: [{name: raw, tables: [{name: current_files, identifier: files}]}]",
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_table_past_a_face_is_found(tmp_path: Path, planted: str) -> None:
    name, text = PLANTED[planted]
    _plant(tmp_path, name, text)
    [line] = violations(tmp_path)
    assert line.startswith(f"{name}: ")


ALLOWED = {
    "its own table": ("ledger_core/x.py", 'QUERY = "select 1 from ledger.records"'),
    "a face": ("api/x.py", 'QUERY = "select size from ledger.heads"'),
    "prose": ("api/x.py", '"""Reads `ledger.records` no more."""\nREMEDY = "Ask the ledger. It knows."'),
    "a migration": ("ingest/migrations/versions/x.py", 'QUERY = "select 1 from ledger.records"'),
    "what dbt makes": ("reconciliation/x.py", 'QUERY = "select 1 from analytics.fct_matches"'),
    "the suite's own source": ("expectations/suites/camt053.py", 'QUERY = "select 1 from raw.camt053_lines"'),
    "dbt: the staging of a source": (
        "dbt/models/staging/camt053/x.sql",
        "select 1 from {{ source('raw', 'camt053_lines') }}",
    ),
    "dbt: the run's pins": ("dbt/macros/x.sql", "select 1 from {{ source('recon', 'pins') }}"),
    "dbt: an alias": ("dbt/models/marts/x.sql", "select ledger.records from {{ ref('y') }} as ledger -- raw.files"),
}


@pytest.mark.parametrize("allowed", ALLOWED)
def test_what_a_room_may_read_is_let_pass(tmp_path: Path, allowed: str) -> None:
    _plant(tmp_path, *ALLOWED[allowed])
    assert violations(tmp_path) == []


def _plant(root: Path, name: str, text: str) -> None:
    file = root / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
