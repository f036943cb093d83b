"""Two rules of the house that no import contract shows: who reads the environment, and that private modules stay so."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = tuple(f"ledger_core/settings/{name}.py" for name in ("model", "signer", "child", "strict"))
TELLS_CHILDREN = "ledger_core/settings/child.py"
"""It reads what children may hear, and lends a secret to a library for the length of a call."""
SETS_FOR_DAGSTER = "orchestration/close.py"
"""Writes the environment and does not read it: Dagster takes its home from there alone."""


def environment_uses(tree: ast.AST) -> Iterator[str]:
    """Yield `read` or `write` for each use of the environment in `tree`."""
    written = {id(node) for node in _written(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from ("read" for alias in node.names if alias.name in {"environ", "environb", "getenv", "getenvb"})
        elif _is_of_os(node, "getenv", "getenvb"):
            yield "read"
        elif _is_of_os(node, "environ", "environb"):
            yield "write" if id(node) in written else "read"


def private_imports(tree: ast.AST) -> Iterator[str]:
    """Yield the modules with a leading underscore that `tree` imports or imports from."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if any(part.startswith("_") and not part.startswith("__") for part in name.split(".")):
                yield name


def _is_of_os(node: ast.AST, *names: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in names
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    )


def _written(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield each `os.environ` that is only set: `os.environ.update(...)` and `os.environ[name] = ...`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
            yield node.func.value
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield node.value


@cache
def _sources() -> tuple[tuple[str, ast.Module], ...]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = document["tool"]["importlinter"]["root_packages"]
    files = [file for package in packages for file in sorted((ROOT / package).rglob("*.py"))]
    return tuple((file.relative_to(ROOT).as_posix(), ast.parse(file.read_text())) for file in files)


def test_only_the_settings_read_the_environment() -> None:
    uses = {(path, use) for path, tree in _sources() for use in environment_uses(tree)}
    assert uses == {*((path, "read") for path in SETTINGS), (SETS_FOR_DAGSTER, "write"), (TELLS_CHILDREN, "write")}


def test_nothing_is_imported_from_a_private_module() -> None:
    assert [(path, name) for path, tree in _sources() for name in private_imports(tree)] == []


@pytest.mark.parametrize(
    "planted",
    [
        "import os\nhome = os.environ['HOME']",
        "import os\nhome = os.environ.get('HOME')",
        "import os\nhome = os.getenv('HOME')",
        "from os import environ",
        "from os import getenv as get",
        "import os\nhere = dict(os.environ)",
    ],
)
def test_a_planted_read_of_the_environment_is_found(planted: str) -> None:
    assert list(environment_uses(ast.parse(planted))) == ["read"]


@pytest.mark.parametrize("planted", ["from dagster._core import x", "import httpx2._models", "from room._y import z"])
def test_a_planted_import_of_a_private_module_is_found(planted: str) -> None:
    assert len(list(private_imports(ast.parse(planted)))) == 1


def test_names_between_two_underscores_are_pythons_own() -> None:
    assert list(private_imports(ast.parse("from __future__ import annotations\nfrom room.__main__ import main"))) == []
