"""Which trust file `verify` believes: the one named, else the home's; never one that came with what is verified.

A home that `COUNTERFOIL_HOME` names is the caller's choice, unless it lies under the verified path. One that was only
found, above the working directory, may have been unpacked there together with the archive: it is believed of what lies
within it (the archive of its own ledger) and of what lies elsewhere altogether, not of what lies beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.errors import COULD_NOT_RUN
from cli.output import note
from ledger_core.errors import ConfigurationError
from ledger_core.settings import load_settings

if TYPE_CHECKING:
    from ledger_core.log.object_tree import Place

TRUST_FILE = "trust.json"


def pinned_trust(place: Place, given: Path | None) -> Path | None:
    """Return the trust file for verifying `place`; None pins nothing, and a word on the error stream says why."""
    # What lies in a bucket brings no file along.
    path = place if isinstance(place, Path) else None
    if given is not None:
        if not given.is_file():
            note(f"counterfoil: there is no trust file {given}.")
            raise typer.Exit(COULD_NOT_RUN)
        if path is not None and _is_within(given, path):
            note(f"counterfoil: {given} lies under {path}: it says only what whoever made that wanted believed.")
        return given
    try:
        settings = load_settings()
        home = settings.home
    except ConfigurationError:
        return None
    candidate = home / TRUST_FILE
    if not candidate.is_file():
        return None
    if path is None:
        return candidate
    is_apart = settings.home_path is not None or _is_within(path, home) or not _is_within(path, home.parent)
    if is_apart and not _is_within(candidate, path):
        return candidate
    note(
        f"counterfoil: {candidate} may have come with {path} and is not believed; "
        "name the trust file that you received from the operator with --trust."
    )
    return None


def _is_within(path: Path, folder: Path) -> bool:
    # Not `Path.resolve`: it raises where links go round in a circle.
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
