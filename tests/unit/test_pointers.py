"""Files and modules that prose names are there: in docstrings, comments, messages and documents.

A pointer is a path to a `.py`, `.sql` or `.md` file (in backticks, or with a folder before it), or a dotted module in
backticks whose first part is a package of ours. A bare name has to be one of some file of the tree. Names of the
database's schemas are no modules, and what stands outside this tree is listed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITTEN = {".py", ".md", ".sql"}
SCHEMAS = {"ledger", "raw", "ops", "recon", "payments", "access", "analytics", "dagster"}
SETTINGS = "ledger_core/settings/"
"""A setting is named as it is reached, room first."""
PLANTED = "tests/unit/test_sql_faces.py"
"""Names files that it makes up, to see them refused."""
ELSEWHERE = {"protocol.md"}
"""Files of other people's trees: DSSE's specification."""

DATA = (".py", ".csv", ".json", ".jsonl", ".yaml", ".html", ".xlsx", ".log")
"""Names of files, in backticks like modules."""

_FILE = re.compile(r"(?<![\w./-])([\w-]+(?:/[\w.-]+)+\.(?:py|sql|md))(?![\w/-]|\.\w)")
_BARE = re.compile(r"`([\w-]+\.(?:py|sql|md))`")
_MODULE = re.compile(r"`([a-z_]\w*(?:\.[A-Za-z_]\w*)+)`")


def _tree() -> list[str]:
    """Return every file's path below the root, but for what tools make and what is hidden."""
    tops = [top for top in ROOT.iterdir() if not top.name.startswith(".") and top.name not in ("build", "dist")]
    files = [top for top in tops if top.is_file()]
    files += [path for top in tops if top.is_dir() for path in top.rglob("*") if path.is_file()]
    return [path.relative_to(ROOT).as_posix() for path in files]


TREE = _tree()
SOURCES = [path for path in TREE if path.endswith(".py")]
NAMES = {"/".join(parts[start:]) for path in TREE for parts in [path.split("/")] for start in range(len(parts))}
"""Every path of the tree, and each of them from any of its folders on."""
MODULES = {
    name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in NAMES if name.endswith(".py")
}
PACKAGES = {path.split("/")[-2] for path in TREE if path.endswith("/__init__.py")}


def lost_pointers(text: str) -> list[str]:
    """Return what `text` points at and the tree does not have."""
    named = {*_FILE.findall(text), *_BARE.findall(text)}
    files = sorted(name for name in named if name not in NAMES and name not in ELSEWHERE)
    return files + [name for name in _MODULE.findall(text) if _is_lost(name)]


def _is_lost(name: str) -> bool:
    first = name.split(".")[0]
    if first not in PACKAGES - sys.stdlib_module_names or first in SCHEMAS or name in MODULES or name.endswith(DATA):
        return False
    # What follows the module is something that it defines.
    module = name
    while "." in module:
        module, _, member = module.rpartition(".")
        holders = [
            path for path in SOURCES if f".{_module_of(path)}".endswith(f".{module}") or path.startswith(SETTINGS)
        ]
        defined = re.compile(rf"^\s*(?:(?:async )?def|class)\s+{member}\b|^\s*{member}\s*[:=]", re.MULTILINE)
        if any(defined.search((ROOT / path).read_text("utf-8")) for path in holders):
            return False
    return True


def _module_of(path: str) -> str:
    if not path.endswith(".py"):
        return ""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.mark.parametrize("room", sorted({path.split("/")[0] for path in TREE if Path(path).suffix in WRITTEN}))
def test_what_prose_points_at_is_there(room: str) -> None:
    written = [path for path in TREE if path.split("/")[0] == room and Path(path).suffix in WRITTEN]
    here = Path(__file__).relative_to(ROOT).as_posix()
    lost = {
        path: found
        for path in written
        if path not in (here, PLANTED) and (found := lost_pointers((ROOT / path).read_text("utf-8")))
    }
    assert not lost


@pytest.mark.parametrize(
    "text",
    ["see `no/such.py`", "docs/runbooks/nothing.md tells", "as in `nowhere.py`", "`ledger_core.log.nothing` judges"],
)
def test_a_pointer_to_nothing_is_seen(text: str) -> None:
    assert len(lost_pointers(text)) == 1


@pytest.mark.parametrize(
    "text",
    ["`tests/unit/test_pointers.py`", "`test_pointers.py`", "docs/rooms.md says", "`ledger_core.errors.Refused`"],
)
def test_a_pointer_to_what_is_there_passes(text: str) -> None:
    assert lost_pointers(text) == []
