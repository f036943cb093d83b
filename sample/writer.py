"""Write a sample to a folder: the thin shell over `render.py`.

Invariant: the folder holds a whole sample or what it held before; a killed run leaves only its own `.partial`
neighbour, which the next run replaces. An earlier sample in the folder is replaced whole, anything else is left
alone.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from ledger_core.errors import InvalidInput
from ledger_core.journal.accounts import check_book_name
from ledger_core.journal.text import shown
from sample.currencies import BANKS
from sample.model import DIRT, REPORTS, Request, SampleSummary
from sample.providers import PROVIDERS
from sample.render import STATEMENTS, Rendering
from sample.reports.port import Chunk
from sample.statements import camt053

DEFAULT_START = date(2026, 10, 1)
"""Fixed, so that a sample does not depend on the day it was made; a Thursday."""

MAX_DAYS = 3660
MAX_PER_DAY = 1_000_000
MAX_ACCOUNTS = 20
FIRST_YEAR, LAST_YEAR = 1971, 2180

_FLUSH_BYTES = 1 << 18
_OWN_NAMES = re.compile(
    r"accounts\.yaml|entries\.jsonl|(truth|deliveries)\.json|(stripe|adyen|paypal)/([\w.-]+/)?[\w.-]+\.csv"
    r"|bank/[\w.-]+\.(xml|sta|bai)"
)


def make_sample(
    folder: Path,
    *,
    days: int,
    per_day: int,
    seed: int,
    clean: bool = False,
    start: date | None = None,
    providers: Sequence[str] = ("stripe",),
    accounts: int = 1,
    statements: Mapping[str, str] | None = None,
    reports: str = REPORTS[0],
    dirt: Iterable[str] = (),
    book: str = "main",
) -> SampleSummary:
    """Write the files of a sample company into `folder`, made if missing; equal arguments give equal bytes.

    `per_day` is about how many journal entries the company posts a day; `clean` plants no break and goes on after the
    last of `days` until everything has settled. `providers` (of `PROVIDERS`) and `accounts` at each share the trade,
    each with books and reports of its own (its folder is `<provider>/<account>/`); `statements` says in what format
    (of `STATEMENTS`) a bank of `BANKS` states where it is not camt.053; `reports` is one of `REPORTS`, `dirt` of
    `DIRT`; `book` is the legal entity's ledger.
    Raises `InvalidInput` for arguments out of range and for a folder that holds something else.
    """
    request = Request(
        days=_in_range("days", days, MAX_DAYS),
        per_day=_in_range("per-day", per_day, MAX_PER_DAY),
        seed=seed,
        clean=clean,
        start=_checked_start(start or DEFAULT_START),
        providers=tuple(dict.fromkeys(_one_of("provider", each, PROVIDERS) for each in providers)),
        accounts=_in_range("accounts", accounts, MAX_ACCOUNTS),
        statements=_checked_statements(statements or {}),
        reports=_one_of("reports", reports, REPORTS),
        dirt=frozenset(_one_of("dirt", kind, DIRT) for kind in dirt),
        book=check_book_name(book, pointer="--book"),
    )
    target = folder.expanduser().resolve()
    _refuse_foreign(target)
    partial = target.with_name(f".{target.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    rendering = Rendering(request)
    names, size = _write(partial, rendering.chunks())
    _replace(target, partial)
    return SampleSummary(
        folder=folder,
        first_on=request.start,
        as_of=rendering.as_of,
        files=len(names),
        bytes=size,
        counts=dict(sorted(rendering.breaks_by_class.items())),
        **{name: rendering.counts[name] for name in ("entries", "psp_items", "payouts", "statements", "bank_lines")},
    )


def _in_range(name: str, value: int, limit: int) -> int:
    if not 1 <= value <= limit:
        raise InvalidInput(f"{value} is out of range.", pointer=f"--{name}", remedy=f"Use 1 to {limit}.")
    return value


def _one_of(name: str, value: str, known: Collection[str]) -> str:
    if value not in known:
        raise InvalidInput(f"{shown(value)} is unknown.", pointer=f"--{name}", remedy=f"Use of: {', '.join(known)}.")
    return value


def _checked_statements(asked: Mapping[str, str]) -> dict[str, str]:
    formats = dict.fromkeys(BANKS, camt053.SOURCE)
    for bank, wanted in asked.items():
        formats[_one_of("bank", bank, BANKS)] = _one_of("bank", wanted, STATEMENTS)
    return formats


def _checked_start(start: date) -> date:
    if not FIRST_YEAR <= start.year <= LAST_YEAR:
        raise InvalidInput(f"a sample cannot start on {start}.", remedy=f"Use a year from {FIRST_YEAR} to {LAST_YEAR}.")
    return start


def _refuse_foreign(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise InvalidInput("a file, not a folder.", file=str(target), remedy="Name another folder.")
    for path in target.rglob("*") if target.exists() else ():
        name = path.relative_to(target).as_posix()
        if not path.is_dir() and _OWN_NAMES.fullmatch(name) is None:
            raise InvalidInput(
                f"the folder holds {name}, which is no part of a sample.",
                file=str(target),
                remedy="Name an empty folder or that of an earlier sample.",
            )


def _write(folder: Path, chunks: Iterable[Chunk]) -> tuple[set[str], int]:
    """Append the chunks to their files, gathered to a few writes; return the files' names and the bytes written."""
    waiting: dict[str, list[bytes]] = defaultdict(list)
    waiting_bytes: dict[str, int] = defaultdict(int)
    names: set[str] = set()
    size = 0

    def flush(name: str) -> None:
        path = folder / name
        if name not in names:
            names.add(name)
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(b"".join(waiting.pop(name)))
        del waiting_bytes[name]

    for name, data in chunks:
        size += len(data)
        waiting[name].append(data)
        waiting_bytes[name] += len(data)
        if waiting_bytes[name] >= _FLUSH_BYTES:
            flush(name)
    for name in list(waiting):
        flush(name)
    return names, size


def _replace(target: Path, partial: Path) -> None:
    if target.exists():
        for path in target.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in partial.iterdir():
            path.rename(target / path.name)
        partial.rmdir()
    else:
        partial.rename(target)
