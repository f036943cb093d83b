"""One suite a source, and one for the ledger; `all_suites` finds them by their modules."""

from __future__ import annotations

import importlib
import pkgutil

from expectations.model import Suite


def all_suites() -> tuple[Suite, ...]:
    """Return every suite of this package, by name: a module `<source>.py` with a function `suite()`."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").suite() for name in names)
