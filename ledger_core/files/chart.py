"""Apply a chart of accounts file to the book that it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ledger_core.actor import Actor
from ledger_core.errors import InvalidInput, Refused
from ledger_core.journal.accounts import AccountDraft, Chart, parse_chart
from ledger_core.ports import Ask, Declined, LedgerPort, Unchanged
from ledger_core.settings import MAX_BATCH_RECORDS

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

MAX_CHART_BYTES = 16 * 1024 * 1024
"""About 100,000 accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedAccounts:
    """How many accounts a chart created, changed and found as they should be."""

    created: int
    changed: int
    unchanged: int


def apply_accounts(ledger: LedgerPort, accounts: Sequence[AccountDraft], ask: Ask) -> AppliedAccounts:
    """Bring `accounts` to what the drafts say, creating the missing ones; applying twice changes nothing.

    Up to 1,000 are all-or-nothing. Raises `Refused` for the first that cannot become so.
    """
    created = changed = unchanged = 0
    for number, start in enumerate(range(0, len(accounts), MAX_BATCH_RECORDS)):
        part = ask if number == 0 else replace(ask, route=f"{ask.route or 'accounts'}#{number}")
        for item in ledger.append(accounts[start : start + MAX_BATCH_RECORDS], part, atomic=True).items:
            if isinstance(item, Unchanged):
                unchanged += 1
            elif not isinstance(item, Declined) and item.action == "created":
                created += 1
            else:
                changed += 1
    return AppliedAccounts(created=created, changed=changed, unchanged=unchanged)


def apply_chart_file(runtime: Runtime, path: Path, *, book: str | None, actor: Actor) -> AppliedAccounts:
    """Bring the accounts of a book to what the YAML at `path` says; twice changes nothing.

    The file names its book; `book`, when given, must be the same. Raises `InvalidInput` with file and line before
    anything is written.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_CHART_BYTES else None
    except OSError as error:
        raise InvalidInput(
            f"cannot be read: {error.strerror}.", file=str(path), remedy="Name a readable file, a chart in YAML."
        ) from error
    if data is None:
        raise InvalidInput(
            f"is larger than {MAX_CHART_BYTES} bytes.",
            file=str(path),
            remedy="Is this the chart of accounts?",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidInput("is not UTF-8.", file=str(path), line=line, remedy="Save it as UTF-8.") from error
    chart = parse_chart(text, file=str(path))
    if book is not None and chart.book is not None and chart.book != book:
        raise InvalidInput(
            f"is the chart of book {chart.book}, not of {book}.",
            file=str(path),
            pointer="/book",
            remedy=f"Apply it with `--book {chart.book}`, or give the chart of {book}.",
        )
    try:
        return apply_accounts(runtime.ledger(chart.book or book), chart.accounts, Ask(actor=actor))
    except Refused as error:
        raise _placed(error, chart, path) from None


def _placed(error: Refused, chart: Chart, path: Path) -> Refused:
    """Return `error` with file, line and pointer of the account that its message names."""
    for index, (account, line) in enumerate(zip(chart.accounts, chart.lines, strict=True)):
        if f"account {account.code} " in error.message:
            member = (error.pointer or "").rpartition("/")[2]
            error.pointer = f"/accounts/{index}/{member}" if member.isalpha() else f"/accounts/{index}"
            error.line = line
            break
    error.file = str(path)
    return error
