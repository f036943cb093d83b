"""What the body of a record must hold, by kind (schema `cf/1`), and the accounting every journal entry must satisfy.

A kind that is not listed is not wrong, it is unknown: a verifier that cannot judge says so and never says "verified".
`SHAPES` are the kinds that every verifier knows; where a room of its own brings more, its shapes are handed in beside
them. The rules are those that bytes alone can show; whether an account existed or had funds is for the checker
of the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from ledger_core.errors import InvalidInput, UnbalancedEntry, UnknownSchema
from ledger_core.log.commitments import check_commitments, is_sha256
from ledger_core.log.record import Record, parse_time

JOURNAL_ENTRY = "journal_entry"
DEBIT = "debit"
CREDIT = "credit"
MAX_AMOUNT_MINOR = 2**63 - 1
MAX_POSTINGS = 500
MAX_ACCOUNT_BYTES = 1_024
"""Of an account's code, in UTF-8: what adds up by account holds every one of them."""

POSTING_MEMBERS = ("account", "amount", "currency", "direction")
ENTRY_TEXTS = ("description", "external_id", "fingerprint", "effective_at", "reverses", "corrects")
"""The members of an entry's body that are text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The members of a body; `open` bodies may hold more than those named.

    `check` looks at their values and raises `InvalidInput` with a pointer.
    """

    required: frozenset[str]
    optional: frozenset[str] = frozenset()
    open: bool = False
    check: Callable[[Mapping[str, Any]], None] | None = None


def shape(
    required: str,
    optional: str = "",
    *,
    open: bool = False,
    check: Callable[[Mapping[str, Any]], None] | None = None,
) -> Shape:
    """Return the shape whose members are named by words; every body has `actor` besides."""
    names = frozenset(required.split()) | {"actor"}
    return Shape(required=names, optional=frozenset(optional.split()), open=open, check=check)


@dataclass(frozen=True, slots=True)
class Line:
    """One posting, checked: `amount_minor` is positive, `is_debit` gives the side."""

    account: str
    currency: str
    amount_minor: int
    is_debit: bool


def check_body(record: Record, shapes: Mapping[str, Shape]) -> list[Line]:
    """Return the postings of `record` (none unless it is a journal entry) after checking its body.

    Raises `UnknownSchema` for an unknown kind, `UnbalancedEntry`, and `InvalidInput` with a pointer for the rest.
    """
    check_members(record.kind, record.body, shapes)
    return _check_entry(record.body) if record.kind == JOURNAL_ENTRY else []


def check_members(kind: str, body: Mapping[str, Any], shapes: Mapping[str, Shape]) -> None:
    """Check that `body` holds what a record of `kind` must hold: asked before appending and again when verifying.

    Raises `UnknownSchema` for an unknown kind or member, `InvalidInput` with a pointer for what is missing or of
    another type.
    """
    found = shapes.get(kind)
    if found is None:
        raise UnknownSchema(f"records of kind {kind!r:.70} are not known to this version.", pointer="/kind")
    missing = sorted(found.required - body.keys())
    if missing:
        raise InvalidInput(f"a {kind} record lacks {', '.join(missing)}.", pointer=f"/body/{missing[0]}")
    unknown = sorted(body.keys() - found.required - found.optional)
    if unknown and not found.open:
        raise UnknownSchema(
            f"a {kind} record has members that this version does not know: {', '.join(unknown)[:200]}.",
            pointer="/body",
        )
    _check_actor(body["actor"])
    if found.check is not None:
        found.check(body)


def _check_book(body: Mapping[str, Any]) -> None:
    _check_texts({name: body[name] for name in ("legal_entity", "name", "origin")}, "/body")


def _check_run(body: Mapping[str, Any]) -> None:
    if not isinstance(body["manifest"], Mapping):
        raise InvalidInput("the manifest is an object.", pointer="/body/manifest")


def _check_export(body: Mapping[str, Any]) -> None:
    _check_texts({name: body[name] for name in ("closed_on", "manifest_sha256", "uri")}, "/body")
    for name in ("segment", "first_seq", "next_seq"):
        if type(body[name]) is not int or body[name] < 0:
            raise InvalidInput("a whole number from 0 is expected.", pointer=f"/body/{name}")
    try:
        date.fromisoformat(body["closed_on"])
    except ValueError:
        raise InvalidInput("a date such as 2026-10-31 is expected.", pointer="/body/closed_on") from None
    if len(body["manifest_sha256"]) != 64 or not set(body["manifest_sha256"]) <= set("0123456789abcdef"):
        raise InvalidInput("64 lower-case hexadecimal digits are expected.", pointer="/body/manifest_sha256")


_KEY_TEXTS = "action key_id successor registry_sha256 root note good_root good_note statement"
_KEY_NUMBERS = "registry_version size good_size"


def _check_signing_key(body: Mapping[str, Any]) -> None:
    _check_texts({name: body[name] for name in _KEY_TEXTS.split() if name in body}, "/body")
    for name in _KEY_NUMBERS.split():
        if name in body and (type(body[name]) is not int or body[name] < 0):
            raise InvalidInput("a whole number from 0 is expected.", pointer=f"/body/{name}")


_CODE = re.compile(r"[a-z][a-z0-9_]{0,62}")


def _check_erasure(body: Mapping[str, Any]) -> None:
    _check_texts({name: body[name] for name in ("fingerprint", "kept_until", "reason")}, "/body")
    if not is_sha256(body["fingerprint"]):
        raise InvalidInput("64 lower-case hexadecimal digits are expected.", pointer="/body/fingerprint")
    if _CODE.fullmatch(body["reason"]) is None:
        raise InvalidInput("a reason is a code.", pointer="/body/reason")
    _check_date(body["kept_until"], "/body/kept_until")
    values, files = body["values"], body["files"]
    if type(values) is not list or type(files) is not list or not values + files:
        raise InvalidInput("an erasure lists the values and the files that are gone.", pointer="/body/values")
    for index, item in enumerate(values):
        _check_erased(item, {"id", "names", "seq"}, f"/body/values/{index}")
        if type(item["seq"]) is not int or item["seq"] < 0 or type(item["id"]) is not str:
            raise InvalidInput("an entry has an id and a seq.", pointer=f"/body/values/{index}/seq")
        _check_names(item["names"], f"/body/values/{index}/names")
    for index, item in enumerate(files):
        _check_erased(item, {"file_id"}, f"/body/files/{index}")
        _check_texts(item, f"/body/files/{index}")
    _check_rising([item["seq"] for item in values], "/body/values")
    _check_rising([item["file_id"] for item in files], "/body/files")


def _check_erased(item: Any, members: set[str], pointer: str) -> None:
    if type(item) is not dict or item.keys() != members:
        raise InvalidInput(f"{', '.join(sorted(members))} are expected.", pointer=pointer)


def _check_names(names: Any, pointer: str) -> None:
    if type(names) is not list or not names or not all(type(name) is str for name in names):
        raise InvalidInput("names of values are expected.", pointer=pointer)
    _check_rising(names, pointer)


def _check_rising(items: Sequence[Any], pointer: str) -> None:
    if any(one >= other for one, other in pairwise(items)):
        raise InvalidInput("each stands once, in order.", pointer=pointer)


def _check_date(text: str, pointer: str) -> None:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return
    except ValueError:
        pass
    raise InvalidInput("a date such as 2026-10-31 is expected.", pointer=pointer)


def _check_actor(actor: Any) -> None:
    if type(actor) is not dict or not {"role", "subject"} <= actor.keys():
        raise InvalidInput("an actor has a role and a subject.", pointer="/body/actor")
    _check_texts(actor, "/body/actor")


def _check_entry(body: dict[str, Any]) -> list[Line]:
    _check_texts({name: body[name] for name in ENTRY_TEXTS if name in body}, "/body")
    parse_time(body["effective_at"])
    _check_texts(body["metadata"], "/body/metadata")
    if "commitments" in body:
        check_commitments(body["commitments"])
    postings = body["postings"]
    if type(postings) is not list or not 2 <= len(postings) <= MAX_POSTINGS:
        raise InvalidInput(f"an entry has 2 to {MAX_POSTINGS} postings.", pointer="/body/postings")
    lines = [_line_of(item, f"/body/postings/{index}") for index, item in enumerate(postings)]
    net: dict[str, int] = {}
    for line in lines:
        net[line.currency] = net.get(line.currency, 0) + (line.amount_minor if line.is_debit else -line.amount_minor)
    for currency, rest in sorted(net.items()):
        if rest:
            raise UnbalancedEntry(
                f"debits and credits differ by {rest} minor units of {currency}.", pointer="/body/postings"
            )
    return lines


def _line_of(item: Any, pointer: str) -> Line:
    if type(item) is not dict or tuple(sorted(item)) != POSTING_MEMBERS:
        raise InvalidInput(f"a posting has {', '.join(POSTING_MEMBERS)}.", pointer=pointer)
    _check_texts(item, pointer)
    if len(item["account"].encode()) > MAX_ACCOUNT_BYTES:
        raise InvalidInput(f"an account has at most {MAX_ACCOUNT_BYTES:,} bytes.", pointer=f"{pointer}/account")
    amount = item["amount"]
    if not amount.isascii() or not amount.isdecimal() or amount[0] == "0" or len(amount) > 19:
        raise InvalidInput(f"{amount!r:.40} is not an amount.", pointer=f"{pointer}/amount")
    if int(amount) > MAX_AMOUNT_MINOR:
        raise InvalidInput(f"{amount} is more than an amount can be.", pointer=f"{pointer}/amount")
    if item["direction"] not in (DEBIT, CREDIT):
        raise InvalidInput("the direction is debit or credit.", pointer=f"{pointer}/direction")
    return Line(item["account"], item["currency"], int(amount), item["direction"] == DEBIT)


def _check_texts(members: Any, pointer: str) -> None:
    if type(members) is not dict:
        raise InvalidInput("an object is expected.", pointer=pointer)
    for name, value in members.items():
        if type(value) is not str:
            raise InvalidInput("text is expected.", pointer=f"{pointer}/{name}")


SHAPES: Mapping[str, Shape] = {
    "book": shape("legal_entity name origin", check=_check_book),
    "account": shape("account account_id action"),
    JOURNAL_ENTRY: shape(
        "description effective_at external_id fingerprint metadata postings", "commitments reverses corrects template"
    ),
    "reconciliation_run": shape("manifest", open=True, check=_check_run),
    "export": shape("closed_on segment first_seq next_seq manifest_sha256 uri", open=True, check=_check_export),
    "signing_key": shape("", f"{_KEY_TEXTS} {_KEY_NUMBERS}", open=True, check=_check_signing_key),
    "security_event": shape("", open=True),
    "erasure": shape("files fingerprint kept_until reason values", check=_check_erasure),
}
"""The kinds of the ledger itself, known to every verifier."""
