"""What a command prints: one JSON document with `--json`, else short lines; progress on a terminal's error stream."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]
MIN_LAST_COLUMN = 24
"""A narrower one says nothing: then the terminal breaks the line."""
BookOption = Annotated[str | None, typer.Option("--book", help="The book; default from settings.")]


def print_json(document: Any) -> None:
    """Print `document` as JSON; dataclasses, dates and paths are understood."""
    sys.stdout.write(json.dumps(document, default=_plain, indent=2, ensure_ascii=False) + "\n")


def say(line: str = "") -> None:
    """Print a line for people."""
    sys.stdout.write(line + "\n")


def note(line: str) -> None:
    """Print a line that is not part of the answer."""
    sys.stderr.write(line + "\n")


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, cut_last: bool = False) -> None:
    """Print rows under their column names; nothing but spaces between, so that it can be piped.

    With `cut_last` the last column gives way on a terminal that would break the line; what is piped is whole.
    """
    cells = [[str(row.get(column, "") if row.get(column) is not None else "") for column in columns] for row in rows]
    widths = [max([len(name), *(len(line[i]) for line in cells)]) for i, name in enumerate(columns)]
    room = None
    if cut_last and sys.stdout.isatty():
        room = max(shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(columns) - 1), MIN_LAST_COLUMN)
    for line in [list(columns), *cells]:
        if room is not None and len(line[-1]) > room:
            line[-1] = line[-1][: room - 1] + "…"
        say("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


@contextmanager
def progress(title: str, *, quiet: bool, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show a bar on a terminal; the yielded function takes a count, a word on what goes on, or (name, done, total)."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_state: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, state="")

        def update(*words: Any) -> None:
            state = words[0] if len(words) == 1 else f"{words[0]} {words[1] / max(words[2], 1):.0%}"
            if isinstance(state, int):
                bar.update(task, completed=state, state=f"{state:,}")
            else:
                bar.update(task, state=str(state))

        yield update


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (Path, UUID, Decimal)):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
