"""No two modules need each other: neither when they are imported, nor from within their functions.

Two answers, because they are two faults. A circle at module level breaks on the order of imports; one through a
function works, and still means that the two are one module in two files. Imports for the type checker count too.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

Graph = Mapping[str, set[str]]


def import_graph(root: Path, packages: Sequence[str], *, inside_functions: bool) -> Graph:
    """Return which modules each module under `packages` imports, functions' own imports left out or not."""
    files = {_name(root, file): file for package in packages for file in sorted((root / package).rglob("*.py"))}
    return {
        name: {target for target in _targets(file, set(files), inside_functions) if target != name}
        for name, file in files.items()
    }


def circle(graph: Graph) -> list[str]:
    """Return the modules of one circle in their order, the first one again at the end; none if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]
    return []


def _targets(file: Path, known: set[str], inside_functions: bool) -> Iterator[str]:
    for node in _imports(ast.parse(file.read_text()), inside_functions):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        else:
            for alias in node.names:
                # `from package import module` needs the module; what it says about the package is in its __init__.
                name = f"{node.module}.{alias.name}"
                if name in known:
                    yield name
                elif node.module in known:
                    yield node.module


def _imports(node: ast.AST, inside_functions: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif inside_functions or not isinstance(child, FUNCTIONS):
            yield from _imports(child, inside_functions)


def _name(root: Path, file: Path) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _packages() -> list[str]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages: list[str] = document["tool"]["importlinter"]["root_packages"]
    return packages


def test_no_modules_import_each_other_when_they_are_imported() -> None:
    assert circle(import_graph(ROOT, _packages(), inside_functions=False)) == []


def test_no_modules_import_each_other_from_within_functions() -> None:
    assert circle(import_graph(ROOT, _packages(), inside_functions=True)) == []


def test_the_graph_sees_the_house() -> None:
    graph = import_graph(ROOT, _packages(), inside_functions=True)
    assert set(_packages()) <= set(graph)
    assert sum(len(targets) for targets in graph.values()) > len(graph)
    assert "ledger_core.errors" in graph["ledger_core.settings.model"]


def test_a_planted_circle_is_found_where_it_stands(tmp_path: Path) -> None:
    package = tmp_path / "room"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "a.py").write_text("from room import b\n")
    (package / "b.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import room.c\n")
    (package / "c.py").write_text("def late():\n    from room.a import x\n")
    assert circle(import_graph(tmp_path, ["room"], inside_functions=False)) == []
    found = circle(import_graph(tmp_path, ["room"], inside_functions=True))
    assert found[0] == found[-1]
    assert set(found) == {"room.a", "room.b", "room.c"}

    (package / "c.py").write_text("from room.a import x\n")
    assert len(circle(import_graph(tmp_path, ["room"], inside_functions=False))) == 4
