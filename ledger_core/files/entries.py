"""Post a file of journal entries: JSON lines, one JSON object, or a JSON array of them.

Two passes: the first reads every line and refuses the whole file if one is malformed or names an account that the chart
does not have, so that nothing half-lands; the second posts in order. Run twice it posts once: an entry that stands
already with the same content counts as done. Memory is bounded by one batch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Engine

from ledger_core.actor import Actor
from ledger_core.errors import (
    AccountNotOpen,
    CounterfoilError,
    CurrencyMismatch,
    DuplicateExternalId,
    InvalidInput,
    Refused,
    UnknownAccount,
)
from ledger_core.journal.entries import EntryDraft, parse_entry, parse_json
from ledger_core.ports import Ask, Declined, LedgerPort
from ledger_core.reading.accounts import list_accounts
from ledger_core.settings import MAX_BATCH_RECORDS

MAX_LINE_BYTES = 1024 * 1024
"""Far above the 65,535 bytes a record may have, so that the message can say which rule was broken."""
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""A JSON array is read whole; more than this belongs into JSON lines."""
MAX_ERRORS_LISTED = 20

Progress = Callable[[int], None]


@dataclass(slots=True, kw_only=True)
class PostSummary:
    """What became of a file: `read` = `posted` + `identical` + `refused`, all counts of entries."""

    name: str
    read: int = 0
    posted: int = 0
    identical: int = 0
    refused: int = 0
    errors: list[CounterfoilError] = field(default_factory=list)
    """The first refusals, each naming file and line."""
    signed_size: int = 0


def post_file(
    ledger: LedgerPort,
    engine: Engine,
    source: Path | BinaryIO,
    *,
    actor: Actor,
    name: str | None = None,
    progress: Progress | None = None,
) -> PostSummary:
    """Post every entry of `source` and wait for the signatures.

    Raises `InvalidInput` (malformed) or `Refused` (an account that cannot take the posting) for the first culprit, with
    file and line, before anything is posted. What only the books can tell, such as funds, is counted in the summary.
    """
    label = name or (str(source) if isinstance(source, Path) else "standard input")
    stream = _seekable(source, label)
    try:
        total = _check(stream, label, engine, ledger.book)
        stream.seek(0)
        return _post(stream, label, ledger, actor, total, progress)
    finally:
        if isinstance(source, Path):
            stream.close()


def _seekable(source: Path | BinaryIO, label: str) -> BinaryIO:
    if isinstance(source, Path):
        try:
            return source.open("rb")
        except OSError as error:
            raise InvalidInput(
                f"cannot be read: {error.strerror}.", file=label, remedy="Name a readable file."
            ) from error
    # Standard input comes once and is read twice.
    import shutil
    import tempfile

    spool = tempfile.SpooledTemporaryFile(max_size=16 * 1024 * 1024)  # noqa: SIM115 - closed with the process
    shutil.copyfileobj(source, spool)
    spool.seek(0)
    return spool  # type: ignore[return-value]


def _check(stream: BinaryIO, label: str, engine: Engine, book: str) -> int:
    with engine.connect() as connection:
        chart = {account.code: (account.currency, account.status) for account in list_accounts(connection, book)}
    count = 0
    for line, entry in _entries(stream, label, book):
        for index, posting in enumerate(entry.postings):
            _check_account(chart.get(posting.account), posting.account, posting.currency, label, line, index)
        count += 1
    if count == 0:
        raise InvalidInput("holds no journal entry.", file=label, remedy="Give one JSON object a line.")
    return count


def _check_account(known: tuple[str, str] | None, code: str, currency: str, label: str, line: int, index: int) -> None:
    pointer = f"/postings/{index}/account"
    if known is None:
        raise UnknownAccount(
            f"there is no account {code}.", file=label, line=line, pointer=pointer,
            remedy="Add it to the chart and run `counterfoil accounts apply`.",
        )  # fmt: skip
    if known[0] != currency:
        raise CurrencyMismatch(
            f"account {code} is kept in {known[0]}, the posting is in {currency}.",
            file=label, line=line, pointer=f"/postings/{index}/currency",
            remedy=f"Post to an account kept in {currency}, or mend the currency in the file.",
        )  # fmt: skip
    if known[1] != "open":
        raise AccountNotOpen(
            f"account {code} is {known[1]}.", file=label, line=line, pointer=pointer,
            remedy="Post to an open account; a frozen one can be opened again, a closed one stays closed.",
        )  # fmt: skip


def _post(
    stream: BinaryIO, label: str, ledger: LedgerPort, actor: Actor, total: int, progress: Progress | None
) -> PostSummary:
    summary = PostSummary(name=label)
    batch: list[tuple[int, EntryDraft]] = []
    for line, entry in _entries(stream, label, ledger.book):
        batch.append((line, entry))
        if len(batch) == MAX_BATCH_RECORDS:
            _post_batch(batch, label, ledger, actor, summary)
            batch.clear()
            if progress:
                progress(summary.read)
    if batch:
        _post_batch(batch, label, ledger, actor, summary)
        if progress:
            progress(summary.read)
    assert summary.read == total, "the file changed between the two passes"
    return summary


def _post_batch(
    batch: list[tuple[int, EntryDraft]], label: str, ledger: LedgerPort, actor: Actor, summary: PostSummary
) -> None:
    answer = ledger.append([entry for _, entry in batch], Ask(actor=actor, route="file"))
    for (line, _), item in zip(batch, answer.items, strict=True):
        summary.read += 1
        if not isinstance(item, Declined):
            summary.posted += 1
        elif isinstance(item.error, DuplicateExternalId) and item.error.identical:
            summary.identical += 1
        else:
            summary.refused += 1
            if len(summary.errors) < MAX_ERRORS_LISTED:
                summary.errors.append(item.error.located(file=label, line=line))
    summary.signed_size = max(summary.signed_size, answer.size)


def _entries(stream: BinaryIO, label: str, book: str) -> Iterator[tuple[int, EntryDraft]]:
    """Yield (one-based line, entry); in an array the line is the element's number."""
    head = stream.read(64)
    stream.seek(0)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput("is UTF-16.", file=label, remedy="Save it as UTF-8.")
    if head.startswith(b"\xef\xbb\xbf"):
        stream.seek(3)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        yield from _array_entries(stream, label, book)
        return
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise InvalidInput(
                f"a line is longer than {MAX_LINE_BYTES} bytes.", file=label, line=number,
                remedy="Give one journal entry a line.",
            )  # fmt: skip
        if not raw.strip():
            continue
        if number == 1 and not raw.rstrip().endswith(b"}"):
            yield from _single_entry(stream, label, book)
            return
        yield number, _entry(raw, label, number, book)


def _single_entry(stream: BinaryIO, label: str, book: str) -> Iterator[tuple[int, EntryDraft]]:
    """Read a file whose first line is no whole object: one object over several lines, or no JSON at all."""
    stream.seek(0)
    document = stream.read(MAX_LINE_BYTES + 1)
    try:
        json.loads(document)
    except ValueError:
        first = document.splitlines()[0] + b"\n"
        yield 1, _entry(first, label, 1, book)
        return
    yield 1, _entry(document, label, 1, book)


def _array_entries(stream: BinaryIO, label: str, book: str) -> Iterator[tuple[int, EntryDraft]]:
    document = stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(document) > MAX_DOCUMENT_BYTES:
        raise InvalidInput(
            f"a JSON array may have {MAX_DOCUMENT_BYTES} bytes.", file=label, remedy="Use one object a line."
        )
    for index, item in enumerate(parse_json(document, file=label)):
        try:
            yield index + 1, parse_entry(item, pointer=f"/{index}", book=book)
        except (InvalidInput, Refused) as error:
            raise error.located(file=label) from None


def _entry(raw: bytes, label: str, number: int, book: str) -> EntryDraft:
    try:
        return parse_entry(parse_json(raw, file=label, line=number), book=book)
    except (InvalidInput, Refused) as error:
        raise error.located(file=label, line=number) from None
