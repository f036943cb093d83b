"""A run's code version: it follows what decides, and neither where that lies nor what only looks on."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path

from reconciliation.runs.code_version import DECIDES, DECIDES_NOT, code_version, without_places

ENTRY = "reconciliation.runs.run"


def imported(module: str, seen: set[str]) -> set[str]:
    """Return `module`, what it imports of this room, inside functions too, what that imports, and their packages."""
    if module in seen or not is_module(module):
        return seen
    seen.add(module)
    if parent := module.rpartition(".")[0]:
        imported(parent, seen)
    for node in ast.walk(tree_of(module)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.partition(".")[0] == "reconciliation":
                imported(name, seen)
    return seen


def is_module(name: str) -> bool:
    parent = name.rpartition(".")[0]
    spec = find_spec(parent) if parent else None
    inside = not parent or (spec is not None and spec.submodule_search_locations is not None)
    return inside and find_spec(name) is not None


def tree_of(module: str) -> ast.Module:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text())


def says_nothing(module: str) -> bool:
    """Return whether there is nothing in it but a docstring, as in most `__init__.py`."""
    return all(isinstance(node, ast.Expr) for node in tree_of(module).body)


def test_every_module_that_decides_exists_and_has_one_name() -> None:
    assert {name for name in DECIDES.values() if not is_module(name)} == set()
    assert len(set(DECIDES.values())) == len(DECIDES)
    assert not set(DECIDES.values()) & DECIDES_NOT


def test_whatever_a_run_imports_of_this_room_is_said_to_decide_or_not_to() -> None:
    reached = {module for module in imported(ENTRY, set()) if not says_nothing(module)}
    assert reached - DECIDES_NOT == set(DECIDES.values())


def test_a_module_that_moves_keeps_the_version() -> None:
    before = (
        'from ledger_core.reading.readers import head, tail\nimport json\n\n\ndef f() -> int:\n    return head("a")\n'
    )
    after = before.replace("ledger_core.reading.readers", "ledger_core.reading.heads")
    assert without_places(before) == without_places(after)
    sorted_anew = after.replace("from ledger_core.reading.heads import head, tail\nimport json", "import json\n\n{}")
    sorted_anew = sorted_anew.format("from ledger_core.reading.heads import (\n    head,\n    tail,\n)")
    assert without_places(sorted_anew) == without_places(before)


def test_what_a_module_does_and_what_it_brings_in_change_the_version() -> None:
    before = 'from ledger_core.reading.readers import head\nimport json\n\nQUERY = "select 1"\n'
    for after in (
        before.replace("select 1", "select 2"),
        before.replace("import head", "import tail as head"),
        before.replace("import json", "import orjson as json"),
    ):
        assert without_places(after) != without_places(before), after


def test_the_code_version_is_stable_within_a_tree() -> None:
    assert code_version() == code_version()
    assert re.fullmatch(r"[0-9a-f]{16}", code_version())
