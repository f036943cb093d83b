"""Accounts: open, change, read; balances and statements."""

from __future__ import annotations

import re
from typing import Annotated, Any

import orjson
from fastapi import Header, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.auth.guard import JournalReader, JournalWriter
from api.commands import read_command
from api.http.answers import json_answer
from api.http.cursors import decode_cursor, encode_cursor, next_link
from api.http.parameters import DEFAULT_PAGE, Cursor, Limit
from api.openapi import body, command, router_of
from api.posting import replay_headers
from api.schemas.accounts import ACCOUNT_EXAMPLE, SALES_EXAMPLE, Account, AccountChange, AccountDraft, AccountPage
from api.state import ApiState, Book, State, state_of
from ledger_core.errors import InvalidInput, NotFound, PreconditionFailed, UnknownAccount
from ledger_core.journal.accounts import ACCOUNT_STATUSES, AccountOpening, account_draft, check_overdraft
from ledger_core.journal.accounts import AccountChange as AccountUpdate
from ledger_core.journal.text import check_metadata
from ledger_core.ports import Answer, Ask, Posted
from ledger_core.reading import accounts
from ledger_core.reading.heads import read_head

router = router_of("accounts")

Code = Annotated[str, Path(description="The account's code.", examples=[SALES_EXAMPLE])]
Changed = Annotated[str, Path(description="The account's code.", examples=[ACCOUNT_EXAMPLE])]
_MEMBERS = frozenset({"code", "type", "currency", "normal_balance", "overdraft", "metadata"})
_CHANGES = frozenset({"status", "overdraft", "metadata"})
_ETAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ETAGS = re.compile(rf"{_ETAG}(?:[ \t]*,[ \t]*{_ETAG})*")
"""RFC 9110, 8.8.3 and 13.1.1: entity tags with commas between them, and nothing else."""


@router.post(
    "/finance/accounts",
    status_code=201,
    response_model=Account,
    openapi_extra=command(AccountDraft),
    summary="Open an account",
)
async def open_account(request: Request, actor: JournalWriter) -> Response:
    """Open an account; 200 when one stands already that says the same, 409 when it says something else."""
    state = state_of(request)
    asked = await read_command(request, actor)
    _refuse_unknown(asked.body, _MEMBERS)
    for name in ("code", "type", "currency"):
        if name not in asked.body:
            raise InvalidInput(f"an account needs `{name}`.", pointer=f"/{name}")
    draft = account_draft(**asked.body)
    ledger = await state.ledger(asked.book)
    opening = AccountOpening(account=draft)
    answer = await run_in_threadpool(ledger.append, [opening], Ask(actor=actor, key=asked.key), atomic=True)
    if isinstance(answer.items[0], Posted):
        return _changed(answer, answer.items[0].seq, status=201)
    return await run_in_threadpool(_current, state, asked.book, draft.code, replay_headers(answer))


@router.patch(
    "/finance/accounts/{code}",
    response_model=Account,
    openapi_extra=body(AccountChange),
    summary="Change an account",
)
async def change_account(
    request: Request,
    actor: JournalWriter,
    code: Changed,
    if_match: Annotated[str | None, Header(description="The ETag that was read; 412 when it is no longer so.")] = None,
) -> Response:
    """Freeze, close, re-open, or give another overdraft or metadata. With `If-Match` only the version that was read."""
    state = state_of(request)
    asked = await read_command(request, actor, needs_key=False)
    change = _change(asked.body)
    ledger = await state.ledger(asked.book)
    before = await run_in_threadpool(_read, state, asked.book, code)
    expected = _expected_seq(if_match, before.changed_seq)
    try:
        wanted = AccountUpdate(code=code, expected_seq=expected, **change)
        answer = await run_in_threadpool(ledger.append, [wanted], Ask(actor=actor), atomic=True)
    except UnknownAccount as error:
        raise NotFound(error.message) from error
    if isinstance(answer.items[0], Posted):
        return _changed(answer, before.opened_seq, status=200)
    return await run_in_threadpool(_current, state, asked.book, code, {})


@router.get("/finance/accounts", response_model=AccountPage, summary="List accounts")
def list_accounts(
    request: Request,
    _actor: JournalReader,
    state: State,
    book: Book,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE,
) -> Response:
    """Return a page of accounts in the order of their codes."""
    filters = {"book": book}
    after = decode_cursor(cursor, filters=filters, kind=str)
    with state.reading() as connection:
        head = read_head(connection, book)
        found = accounts.list_accounts(
            connection, book, after_code=None if after is None else str(after), limit=limit + 1
        )
    page, more = found[:limit], len(found) > limit
    following = encode_cursor(page[-1].code, filters=filters) if more else None
    document = {
        "accounts": [account_document(account) for account in page],
        "next_cursor": following,
        "state": {"as_of_seq": head.size, "signed_size": head.signed_size},
    }
    return json_answer(document, headers={"link": next_link(request, following)} if following else {})


@router.get("/finance/accounts/{code}", response_model=Account, summary="Read an account")
def get_account(_actor: JournalReader, state: State, book: Book, code: Code) -> Response:
    """Return one account; its ETag goes into `If-Match`."""
    return _current(state, book, code, {})


def account_document(account: accounts.Account) -> dict[str, Any]:
    """Return an account's members."""
    return {
        "code": account.code,
        "type": account.type,
        "currency": account.currency,
        "normal_balance": account.normal_balance,
        "overdraft": account.overdraft,
        "status": account.status,
        "metadata": dict(sorted(account.metadata.items())),
        "opened_seq": account.opened_seq,
        "changed_seq": account.changed_seq,
    }


def _read(state: ApiState, book: str, code: str) -> accounts.Account:
    with state.reading() as connection:
        read_head(connection, book)
        found = accounts.get_account(connection, book, code)
    if found is None:
        raise NotFound(f"there is no account {code[:200]} in book {book}.")
    return found


def _current(state: ApiState, book: str, code: str, headers: dict[str, str]) -> Response:
    document = account_document(_read(state, book, code))
    return json_answer(document, headers={"etag": f'"{document["changed_seq"]}"', **headers})


def _changed(answer: Answer, opened_seq: int, *, status: int) -> Response:
    """Return the account as the answer's record says it, which a repetition says again."""
    record = answer.items[0]
    assert isinstance(record, Posted)
    wire = orjson.loads(record.canonical)["body"]["account"]
    names = ("code", "type", "currency", "normal_balance", "overdraft", "status", "metadata")
    document = {name: wire[name] for name in names}
    document |= {"opened_seq": opened_seq, "changed_seq": record.seq}
    headers = {"etag": f'"{record.seq}"', **replay_headers(answer)}
    if status == 201:
        headers["location"] = f"/finance/accounts/{document['code']}"
    return json_answer(document, status=status, headers=headers)


def _change(given: dict[str, Any]) -> dict[str, Any]:
    _refuse_unknown(given, _CHANGES)
    change = {name: value for name, value in given.items() if value is not None}
    if not change:
        raise InvalidInput("nothing to change.", pointer="", remedy="Give status, overdraft or metadata.")
    if "status" in change and change["status"] not in ACCOUNT_STATUSES:
        raise InvalidInput(
            f"{str(change['status'])[:40]!r} is not a status.",
            pointer="/status",
            remedy=f"Use one of {', '.join(ACCOUNT_STATUSES)}.",
        )
    if "overdraft" in change:
        check_overdraft(change["overdraft"], pointer="/overdraft")
    if "metadata" in change:
        check_metadata(change["metadata"], pointer="/metadata")
    return change


def _refuse_unknown(given: dict[str, Any], known: frozenset[str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidInput(
                f"unknown member {name[:80]!r}.",
                pointer=f"/{name[:80]}",
                remedy=f"Known here: {', '.join(sorted(known))}.",
            )


def _expected_seq(if_match: str | None, current: int) -> int | None:
    """Return the version that the change must find, None for any."""
    if if_match is None or if_match.strip(" \t") == "*":
        return None
    # A weak tag (W/) never matches here: it says that two versions are as good as equal.
    if _ETAGS.fullmatch(if_match.strip(" \t")) and f'"{current}"' in re.findall(_ETAG, if_match):
        return current
    raise PreconditionFailed(
        "the account is not in the version that If-Match names.",
        remedy="Read it again and decide anew.",
        current=f'"{current}"',
    )
