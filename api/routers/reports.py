"""Balances, statements and the trial balance."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Request
from starlette.responses import Response

from api.auth.guard import JournalReader
from api.http.answers import json_answer
from api.http.cursors import MAX_NUMBER, bad_cursor, decode_cursor, encode_cursor, next_link
from api.http.parameters import (
    DEFAULT_PAGE,
    Cursor,
    EffectiveAt,
    EffectiveBefore,
    EffectiveFrom,
    KnownAt,
    Limit,
    moment,
)
from api.openapi import router_of
from api.schemas.accounts import SALES_EXAMPLE, Balance, Statement, TrialBalance
from api.state import Book, State
from ledger_core.journal.balances import Balance as GrossBalance
from ledger_core.journal.entries import format_timestamp
from ledger_core.reading import balances
from ledger_core.reading.heads import read_head

_POSITION = re.compile(r"(\d{4}-\d\d-\d\dT[0-9:.]{8,15}Z) (\d{1,19}) (\d{1,5})", re.ASCII)
router = router_of("accounts")

Code = Annotated[str, Path(description="The account's code.", examples=[SALES_EXAMPLE])]


@router.get("/finance/accounts/{code}/balance", response_model=Balance, summary="Read a balance")
def get_balance(
    _actor: JournalReader,
    state: State,
    book: Book,
    code: Code,
    effective_at: EffectiveAt = None,
    known_at: KnownAt = None,
) -> Response:
    """Return what was true of business time `effective_at` as the books knew it at `known_at`."""
    at, known = moment("effective_at", effective_at), moment("known_at", known_at)
    with state.reading() as connection:
        found = balances.balance(connection, book, code, effective_at=at, known_at=known)
    document: dict[str, Any] = {"book": book, **_sides(found), "normal_balance": found.normal_balance}
    if at is not None:
        document["effective_at"] = format_timestamp(at)
    if known is not None:
        document["known_at"] = format_timestamp(known)
    document["state"] = {"as_of_seq": found.as_of_seq, "signed_size": found.signed_size}
    return json_answer(document)


@router.get("/finance/accounts/{code}/statement", response_model=Statement, summary="Read a statement")
def get_statement(
    request: Request,
    _actor: JournalReader,
    state: State,
    book: Book,
    code: Code,
    effective_from: EffectiveFrom = None,
    effective_before: EffectiveBefore = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE,
) -> Response:
    """Return a page of the account's postings in the order of business time, with the balance after each."""
    filters = {
        "book": book,
        "code": code,
        "effective_from": effective_from,
        "effective_before": effective_before,
    }
    after = decode_cursor(cursor, filters=filters, kind=str)
    with state.reading() as connection:
        head = read_head(connection, book)
        found = balances.statement(
            connection,
            book,
            code,
            effective_from=moment("effective_from", effective_from),
            effective_before=moment("effective_before", effective_before),
            after=None if after is None else _position(str(after)),
            limit=limit,
        )
    following = None
    if found.following is not None:
        at, seq, line = found.following
        following = encode_cursor(f"{format_timestamp(at)} {seq} {line}", filters=filters)
    closing = found.lines[-1].balance_minor if found.lines else found.opening_minor
    document = {
        "book": book,
        "account": code,
        "currency": found.currency,
        "opening_balance": str(found.opening_minor),
        "closing_balance": str(closing),
        "lines": [_line(line) for line in found.lines],
        "next_cursor": following,
        "state": {"as_of_seq": head.size, "signed_size": head.signed_size},
    }
    return json_answer(document, headers={"link": next_link(request, following)} if following else {})


@router.get("/finance/trial-balance", response_model=TrialBalance, summary="Read the trial balance")
def get_trial_balance(
    _actor: JournalReader, state: State, book: Book, effective_at: EffectiveAt = None, known_at: KnownAt = None
) -> Response:
    """Return every account's gross sides, and their totals by currency, which are equal or the ledger is broken."""
    at, known = moment("effective_at", effective_at), moment("known_at", known_at)
    with state.reading() as connection:
        found = balances.trial_balance(connection, book, effective_at=at, known_at=known)
    document: dict[str, Any] = {"book": book}
    if at is not None:
        document["effective_at"] = format_timestamp(at)
    if known is not None:
        document["known_at"] = format_timestamp(known)
    document |= {
        "lines": [{**_sides(line), "normal_balance": line.normal_balance} for line in found.lines],
        "totals": [
            {"currency": currency, "debits": str(debits), "credits": str(credits)}
            for currency, (debits, credits) in found.totals.items()
        ],
        "balanced": found.balanced,
        "state": {"as_of_seq": found.as_of_seq, "signed_size": found.signed_size},
    }
    return json_answer(document)


def _sides(found: GrossBalance) -> dict[str, Any]:
    return {
        "account": found.account,
        "currency": found.currency,
        "debits": str(found.debits),
        "credits": str(found.credits),
        "balance": str(found.amount_minor),
    }


def _line(line: balances.StatementLine) -> dict[str, Any]:
    return {
        "seq": line.seq,
        "line": line.line,
        "entry_id": line.entry_id,
        "external_id": line.external_id,
        "effective_at": format_timestamp(line.effective_at),
        "description": line.description,
        "direction": line.direction,
        "amount": str(line.amount_minor),
        "balance": str(line.balance_minor),
        "status": "posted" if line.posted else "pending",
    }


def _position(text: str) -> tuple[datetime, int, int]:
    """Read what a cursor holds. Raises a 422 problem for one that was made up."""
    found = _POSITION.fullmatch(text)
    try:
        at = datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        at = None
    if found is None or at is None or int(found[2]) > MAX_NUMBER:
        raise bad_cursor("is not one that this API gave out")
    return at, int(found[2]), int(found[3])
