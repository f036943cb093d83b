"""Which software this is: as built into the verifier in one file, else as installed, else a tree of sources."""

from __future__ import annotations

from importlib import import_module, metadata

NAME = "counterfoil"
BUILT = "ledger_core.log.built_version"
"""A module that only the verifier in one file holds: there, no installed package speaks for it."""


def software_version() -> str:
    """Return the version."""
    try:
        return str(import_module(BUILT).VERSION)
    except ModuleNotFoundError:
        pass
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "source"
