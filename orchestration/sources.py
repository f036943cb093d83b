"""The sources that the close lands: every one that `ingest/` knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.contract.vocabulary import Contract


DRAFT_SUFFIXES = {".making", ".part", ".tmp", ".filepart"}
"""How those who deliver files name one that is not whole yet."""


def contracts() -> dict[str, Contract]:
    """Return the contract of every source, by name: a new source shows in the graph without a change here."""
    from ingest import sources

    return sources.contracts()


def landing_files(home: Path, source: str) -> list[Path]:
    """Return the files that wait in `landing/<source>`, by name, but for those that are still being written."""
    return _files_in(home / "landing" / source)


def waiting_files(home: Path, source: str) -> dict[str | None, list[Path]]:
    """Return the files that wait for a source, by account: `landing/<source>/*`, `landing/<source>/<account>/*`.

    The account of a file that lies in no account's folder is None: the one that the settings name.
    """
    folder = home / "landing" / source
    accounts = sorted(folder.iterdir()) if folder.is_dir() else []
    found = {path.name: _files_in(path) for path in accounts if path.is_dir() and not path.name.startswith(".")}
    return {account: files for account, files in {None: _files_in(folder), **found}.items() if files}


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not _is_draft(path))


def _is_draft(path: Path) -> bool:
    return path.name.startswith(".") or path.suffix in DRAFT_SUFFIXES


def unknown_folders(home: Path, known: set[str]) -> list[str]:
    """Return folders of `landing/` that no source answers for: their files would be passed over in silence."""
    landing = home / "landing"
    if not landing.is_dir():
        return []
    return sorted(
        path.name
        for path in landing.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name not in known and any(path.iterdir())
    )
