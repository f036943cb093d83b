"""Which sources there are: every package of this folder with a `land` module.

A new package is found by this module, the command line, the landing folders and the asset graph. What else makes a
source stands in `docs/recipes.md`: its migration, its suite, its staging models and one line in dbt's list.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from ingest.contract.rows import Source
from ingest.contract.vocabulary import Contract
from ledger_core.errors import InvalidInput


def source_names() -> list[str]:
    """Return the names of the sources, in order."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/land.py"))


def contracts() -> dict[str, Contract]:
    """Return the contract of every source, by name, without its parser."""
    return {name: importlib.import_module(f"ingest.sources.{name}.contract").CONTRACT for name in source_names()}


def find_source(name: str) -> Source:
    """Return the source called `name`. Raises `InvalidInput` listing those there are."""
    names = source_names()
    if name not in names:
        raise InvalidInput(f"there is no source {name!r}.", remedy=f"Use one of: {', '.join(names)}.")
    source: Source = importlib.import_module(f"ingest.sources.{name}.land").SOURCE
    return source
