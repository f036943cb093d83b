"""The faces of the rooms, from the other side: whatever one room imports of another is in the other's face.

The import contracts name what is private, so a module that is added would be public until somebody thinks of it. Here
the face is named, and everything else is private from the day it is written.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("ledger_core", "ingest", "sample", "payments", "reconciliation", "expectations", "orchestration", "api", "cli")
FACES = {
    "ledger_core": (
        "errors", "settings", "actor", "ports", "kinds", "runtime", "services", "wrapping",
        "base", "journal", "log", "files", "client",
        "reading.heads", "reading.entries", "reading.accounts", "reading.balances", "reading.tiles", "reading.private",
        "evidence.check.checker", "evidence.export.segment", "evidence.proofs.prove", "evidence.keyring",
        "evidence.replay.replay",
        "ceremony.run", "ceremony.drafts", "ceremony.offline", "ceremony.tell",
        "evidence.anchor", "evidence.attest", "evidence.parquet", "relay.run", "relay.tail",
    ),
    "ingest": (
        "contract", "sources", "landing.land", "landing.file_keys", "landing.erasable", "landing.checking",
        "landing.aside", "landing.retrying", "landing.sweep",
        "inbox.port", "inbox.receive", "inbox.accounts", "inbox.secrets", "inbox.letters", "inbox.run",
    ),
    "sample": ("",),
    "reconciliation": (
        "runs.run", "runs.standing", "runs.feed_states", "runs.dbt_runner", "runs.code_version",
        "breaks.queue", "report",
    ),
    "expectations": ("model", "page", "runner", "suites", "words"),
    "orchestration": ("close", "dagster_home", "processes"),
    "api": ("auth.development",),
}  # fmt: skip
WHOLE = {"ledger_core.base", "ledger_core.journal", "ledger_core.log", "ledger_core.files", "ledger_core.client",
         "ledger_core.settings", "ingest.contract", "expectations.suites"}  # fmt: skip
"""Faces that are packages with all that is in them; of another face's package only what it exports itself."""


@cache
def modules() -> frozenset[str]:
    files = [path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    return frozenset(".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files)


def imports(path: Path) -> Iterator[str]:
    """Yield every module that `path` imports, inside functions too; a name counts as its module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else node.module


def in_face(module: str) -> bool:
    room, _, inside = module.partition(".")
    for face in FACES.get(room, ()):
        whole = f"{room}.{face}".rstrip(".")
        if inside == face or (whole in WHOLE and module.startswith(f"{whole}.")):
            return True
    return False


def past_faces(room: str) -> list[tuple[str, str]]:
    """Return (file, module) for each import of `room` that goes past another room's face."""
    return [
        (path.relative_to(ROOT).as_posix(), module)
        for path in sorted((ROOT / room).rglob("*.py"))
        for module in imports(path)
        if module.partition(".")[0] in ROOMS and module.partition(".")[0] != room and not in_face(module)
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_nothing_past_the_face_of_another(room: str) -> None:
    assert past_faces(room) == []


def test_every_face_is_a_module_that_is_there() -> None:
    named = {f"{room}.{face}".rstrip(".") for room, faces in FACES.items() for face in faces}
    assert (named | WHOLE) - modules() == set()


@pytest.mark.parametrize(
    "private",
    [
        "ledger_core.book.ledger", "ledger_core.book.kinds", "ledger_core.signing.client",
        "ledger_core.reading.records", "ledger_core.evidence.check.model", "ledger_core.ceremony.install",
        "ingest.formats.xml", "ingest.landing.raw_tables", "ingest.sources.camt053.contract", "ingest.inbox.worker",
        "reconciliation.breaks.merge", "reconciliation.report.view", "sample.company", "api.state", "payments",
    ],
)  # fmt: skip
def test_what_is_private_is_in_no_face(private: str) -> None:
    assert private in modules()
    assert not in_face(private)
