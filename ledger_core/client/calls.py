"""What the HTTP client sends, and what it makes of problems: pure functions that both clients share.

A call knows its route, its body and how its answer reads; it knows nothing of sockets. `safe_to_repeat` says whether
the same request may be sent again when nobody knows what became of the first: reads may, and whatever carries a key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from ledger_core import errors
from ledger_core.client import results
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, entry_as_request, format_timestamp
from ledger_core.journal.erasures import ErasureRequest, erasure_as_json

T = TypeVar("T")

JSON_HEADERS = {"content-type": "application/json"}
_ENTRIES = "/finance/journal-entries"
_ACCOUNTS = "/finance/accounts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back of a call that went well: the parsed body, the headers in lower case."""

    body: Any
    headers: Mapping[str, str]

    @property
    def replayed(self) -> bool:
        return self.headers.get("idempotent-replayed") == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request, and how its answer reads."""

    method: str
    path: str
    read: Callable[[Reply], T]
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def safe_to_repeat(self) -> bool:
        return self.method == "GET" or "idempotency-key" in self.headers or self.path == "/finance/verify"


def post_entry(entry: EntryDraft, *, book: str | None, key: str) -> Call[results.PostedEntry]:
    """Post one entry."""
    return _post(_ENTRIES, _named(entry_as_request(entry), book), key, _read_posted)


def dry_run(entry: EntryDraft, *, book: str | None) -> Call[None]:
    """Ask whether the entry would be posted; the answer no is an error."""
    return Call(
        method="POST",
        path=_ENTRIES,
        params={"dry_run": "true"},
        content=_json(_named(entry_as_request(entry), book)),
        headers=JSON_HEADERS,
        read=lambda _reply: None,
    )


def post_batch(entries: Iterable[EntryDraft], *, book: str | None, key: str, atomic: bool) -> Call[results.BatchAnswer]:
    """Post many entries."""
    body = _named({"entries": [entry_as_request(entry) for entry in entries]}, book)
    return _post(f"{_ENTRIES}/batch", body, key, _read_batch, {"atomic": "true"} if atomic else {})


def reverse(
    entry_id: str,
    *,
    book: str | None,
    key: str,
    effective_at: datetime | None,
    external_id: str | None,
    description: str | None,
) -> Call[results.PostedEntry]:
    """Reverse an entry."""
    given = {
        "effective_at": format_timestamp(effective_at) if effective_at else None,
        "external_id": external_id,
        "description": description,
    }
    body = {name: value for name, value in given.items() if value is not None}
    return _post(f"{_ENTRIES}/{_part(entry_id)}/reversal", _named(body, book), key, _read_posted)


def get_entry(entry_id: str, *, book: str | None) -> Call[results.Entry]:
    """Read one entry by its id."""
    return _get(f"{_ENTRIES}/{_part(entry_id)}", lambda reply: results.entry(reply.body), book=book)


def list_entries(*, book: str | None, cursor: str | None, **filters: object) -> Call[results.Page[results.Entry]]:
    """Read one page of entries."""

    def read(reply: Reply) -> results.Page[results.Entry]:
        return results.page_of([results.entry(item) for item in reply.body["entries"]], reply.body)

    return _get(_ENTRIES, read, book=book, cursor=cursor, **filters)


def get_proof(entry_id: str, *, book: str | None) -> Call[dict[str, Any]]:
    """Read one entry's proof."""
    return _get(f"{_ENTRIES}/{_part(entry_id)}/proof", _read_raw, book=book)


def create_account(draft: AccountDraft, *, book: str | None, key: str) -> Call[results.Account]:
    """Open an account."""
    body = {
        "code": draft.code,
        "type": draft.type,
        "currency": draft.currency,
        "normal_balance": draft.normal_balance,
        "overdraft": draft.overdraft,
        "metadata": dict(draft.metadata),
    }
    return _post(_ACCOUNTS, _named(body, book), key, _read_account)


def change_account(
    code: str, *, book: str | None, if_match: str | None, change: Mapping[str, Any]
) -> Call[results.Account]:
    """Change an account's status, overdraft or metadata."""
    headers = JSON_HEADERS if if_match is None else {**JSON_HEADERS, "if-match": if_match}
    body = _json(_named({name: value for name, value in change.items() if value is not None}, book))
    return Call(method="PATCH", path=f"{_ACCOUNTS}/{_part(code)}", content=body, headers=headers, read=_read_account)


def get_account(code: str, *, book: str | None) -> Call[results.Account]:
    """Read one account."""
    return _get(f"{_ACCOUNTS}/{_part(code)}", _read_account, book=book)


def list_accounts(*, book: str | None, cursor: str | None, limit: int | None) -> Call[results.Page[results.Account]]:
    """Read one page of accounts."""

    def read(reply: Reply) -> results.Page[results.Account]:
        return results.page_of([results.account(item) for item in reply.body["accounts"]], reply.body)

    return _get(_ACCOUNTS, read, book=book, cursor=cursor, limit=limit)


def get_balance(
    code: str, *, book: str | None, effective_at: datetime | None, known_at: datetime | None
) -> Call[results.AccountBalance]:
    """Read an account's balance."""
    path = f"{_ACCOUNTS}/{_part(code)}/balance"
    return _get(
        path, lambda reply: results.balance(reply.body), book=book, effective_at=effective_at, known_at=known_at
    )


def get_statement(
    code: str, *, book: str | None, cursor: str | None, **filters: object
) -> Call[results.Page[results.StatementLine]]:
    """Read one page of an account's statement."""

    def read(reply: Reply) -> results.Page[results.StatementLine]:
        return results.page_of([results.statement_line(item) for item in reply.body["lines"]], reply.body)

    return _get(f"{_ACCOUNTS}/{_part(code)}/statement", read, book=book, cursor=cursor, **filters)


def get_trial_balance(*, book: str | None, effective_at: datetime | None) -> Call[dict[str, Any]]:
    """Read the trial balance."""
    return _get("/finance/trial-balance", _read_raw, book=book, effective_at=effective_at)


def verify(
    selector: Mapping[str, Any], *, book: str | None, known_checkpoint: str | None, deep: bool
) -> Call[dict[str, Any]]:
    """Ask for a signed bundle of proofs."""
    body: dict[str, Any] = {"selector": dict(selector), "deep": deep}
    if known_checkpoint is not None:
        body["known_checkpoint"] = known_checkpoint
    return Call(
        method="POST",
        path="/finance/verify",
        content=_json(_named(body, book)),
        headers=JSON_HEADERS,
        read=_read_raw,
    )


def latest_checkpoint(*, book: str | None) -> Call[results.Checkpoint]:
    """Read the newest signed checkpoint."""
    return _get("/finance/checkpoints/latest", lambda reply: results.checkpoint(reply.body), book=book)


def consistency(from_size: int, to_size: int, *, book: str | None) -> Call[dict[str, Any]]:
    """Read the proof that one size of the log is a prefix of another."""
    return _get(f"/finance/checkpoints/{from_size}/consistency/{to_size}", _read_raw, book=book)


def keys() -> Call[list[dict[str, Any]]]:
    """Read the key registry."""
    return _get("/finance/keys", lambda reply: list(reply.body["keys"]))


def append_record(kind: str, body: Mapping[str, Any], *, book: str | None, key: str) -> Call[results.PostedRecord]:
    """Append a record of another kind than a journal entry."""

    def read(reply: Reply) -> results.PostedRecord:
        return results.posted_record(reply.body, replayed=reply.replayed)

    return _post("/finance/records", _named({"kind": kind, "body": dict(body)}, book), key, read)


def erase(request: ErasureRequest, *, book: str | None, key: str) -> Call[results.Erased]:
    """Erase private values of entries, and files."""

    def read(reply: Reply) -> results.Erased:
        return results.erased(reply.body, replayed=reply.replayed)

    return _post("/finance/erasures", _named(erasure_as_json(request), book), key, read)


def error_of(
    status: int, problem: Mapping[str, Any], *, retry_after_seconds: float | None = None
) -> errors.CounterfoilError:
    """Return the typed error that a problem says; an unknown `code` falls back to what its status means."""
    code = str(problem.get("code", ""))
    kind = _ERRORS_BY_CODE.get(code) or _ERRORS_BY_STATUS.get(status)
    if kind is None:
        kind = errors.DependencyError if status >= 500 else errors.InvalidInput
    places = problem.get("errors") or [{}]
    given: dict[str, Any] = {
        "remedy": problem.get("remedy"),
        "pointer": places[0].get("pointer"),
        "request_id": problem.get("request_id"),
        "problem": dict(problem),
    }
    if issubclass(kind, errors.DuplicateExternalId):
        given |= {"entry_id": problem.get("entry_id", ""), "identical": bool(problem.get("identical"))}
    if retry_after_seconds is not None and issubclass(
        kind, (errors.InFlight, errors.TooManyRequests, errors.DependencyError)
    ):
        given["retry_after_seconds"] = retry_after_seconds
    detail = str(problem.get("detail") or f"the ledger answered {status}.")
    return kind(detail, **given)


def _descendants(kind: type[errors.CounterfoilError]) -> Iterable[type[errors.CounterfoilError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _descendants(child)


_ERRORS_BY_CODE = {
    kind.code: kind for kind in _descendants(errors.CounterfoilError) if kind is not errors.CounterfoilError
}
_ERRORS_BY_STATUS: dict[int, type[errors.CounterfoilError]] = {
    401: errors.Unauthenticated,
    403: errors.NotAllowed,
    404: errors.NotFound,
    409: errors.Conflict,
    412: errors.PreconditionFailed,
    422: errors.Refused,
    429: errors.TooManyRequests,
    500: errors.IntegrityError,
}


def _read_posted(reply: Reply) -> results.PostedEntry:
    return results.posted_entry(reply.body, replayed=reply.replayed)


def _read_account(reply: Reply) -> results.Account:
    return results.account(reply.body, etag=reply.headers.get("etag"))


def _read_raw(reply: Reply) -> dict[str, Any]:
    return dict(reply.body)


def _read_batch(reply: Reply) -> results.BatchAnswer:
    items = []
    for item in reply.body["results"]:
        problem = item.get("problem")
        items.append(
            results.BatchItem(
                index=item["index"],
                entry=None if item.get("entry") is None else results.entry(item["entry"]),
                checkpoint_size=item.get("checkpoint_size"),
                inclusion=tuple(item.get("inclusion") or ()),
                error=None if problem is None else error_of(item["status"], problem),
            )
        )
    return results.BatchAnswer(
        posted=reply.body["posted"],
        refused=reply.body["refused"],
        checkpoints={int(size): note for size, note in reply.body["checkpoints"].items()},
        items=tuple(items),
        replayed=reply.replayed,
    )


def _post(
    path: str, body: Mapping[str, Any], key: str, read: Callable[[Reply], T], params: Mapping[str, str] | None = None
) -> Call[T]:
    headers = {**JSON_HEADERS, "idempotency-key": key}
    return Call(method="POST", path=path, content=_json(body), headers=headers, params=params or {}, read=read)


def _get(path: str, read: Callable[[Reply], T], **params: object) -> Call[T]:
    given = {name: _text(value) for name, value in params.items() if value is not None}
    return Call(method="GET", path=path, params=given, read=read)


def _text(value: object) -> str:
    return format_timestamp(value) if isinstance(value, datetime) else str(value)


def _named(body: dict[str, Any], book: str | None) -> dict[str, Any]:
    return body if book is None else {"book": book, **body}


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _part(text: str) -> str:
    return quote(text, safe=":")
