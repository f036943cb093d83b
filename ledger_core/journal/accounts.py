"""The chart of accounts as a file, and the rules an account must keep.

Not the stored accounts: those are projections of records (see `ledger_core/book`). Invariant: applying a
chart twice changes nothing, because everything an account is stands in its draft.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import yaml

from ledger_core.errors import CounterfoilError, InvalidInput
from ledger_core.journal.money import is_currency
from ledger_core.journal.text import MAX_METADATA_KEYS, check_metadata, check_text, shown

ACCOUNT_TYPES: Final = ("asset", "liability", "equity", "revenue", "expense")
ACCOUNT_STATUSES: Final = ("open", "frozen", "closed")
NORMAL_BALANCES: Final = {
    "asset": "debit",
    "expense": "debit",
    "liability": "credit",
    "equity": "credit",
    "revenue": "credit",
}
MAX_CODE_LENGTH = 200
MAX_CHART_BYTES = 16 * 1024 * 1024
MAX_CHART_ACCOUNTS = 100_000

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(:[A-Za-z0-9][A-Za-z0-9._-]*)*")
_OVERDRAFT = re.compile(r"allowed|forbidden|[1-9][0-9]{0,17}")
_BOOK = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_YAML_REMEDY = "Check this line and the one before it: indent with spaces, close quotes and brackets."
_TEXT_TAGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:int"})
"""What may be taken as it is written: text, and digits, as codes and limits are."""
_ACCOUNT_KEYS = frozenset({"code", "type", "currency", "normal_balance", "overdraft", "metadata"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDraft:
    """An account as somebody wants it: opened if it is not there, else changed to what this says.

    `overdraft` is `allowed`, `forbidden`, or the limit in minor units as digits.
    """

    kind: ClassVar[str] = "account"

    code: str
    type: str
    currency: str
    normal_balance: str
    overdraft: str = "allowed"
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpening:
    """An account to be opened, or found just as `account` says; never one that stands otherwise."""

    kind: ClassVar[str] = "account"

    account: AccountDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """What is to become of an account that stands; None leaves a member as it is.

    `expected_seq` is the version that the caller read: with another one by now the change is refused.
    """

    kind: ClassVar[str] = "account"

    code: str
    status: str | None = None
    overdraft: str | None = None
    metadata: Mapping[str, str] | None = None
    expected_seq: int | None = None

    @property
    def members(self) -> dict[str, Any]:
        """Return the members that change, by name."""
        wanted = {
            "status": self.status,
            "overdraft": self.overdraft,
            "metadata": dict(self.metadata) if self.metadata is not None else None,
        }
        return {name: value for name, value in wanted.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart of accounts; `book` is what the file says, or None when it leaves that to the command.

    `lines` are those where the accounts start in the file, in the same order.
    """

    book: str | None
    accounts: tuple[AccountDraft, ...]
    lines: tuple[int, ...] = ()


def account_draft(
    *,
    code: object,
    type: object,
    currency: object,
    normal_balance: object = None,
    overdraft: object = "allowed",
    metadata: object = None,
    pointer: str = "",
) -> AccountDraft:
    """Check an account's members and return the draft.

    Raises `InvalidInput` with the pointer of the culprit.
    """
    if not isinstance(code, str) or len(code) > MAX_CODE_LENGTH or _CODE.fullmatch(code) is None:
        raise InvalidInput(
            f"{_show(code)} is not an account code.",
            pointer=f"{pointer}/code",
            remedy="Use letters, digits, '.', '_', '-' in parts joined by colons: assets:bank:main:usd.",
        )
    if type not in ACCOUNT_TYPES:
        raise InvalidInput(
            f"{_show(type)} is not an account type.",
            pointer=f"{pointer}/type",
            remedy=f"Use {_either(ACCOUNT_TYPES)}.",
        )
    if not isinstance(currency, str) or not is_currency(currency):
        raise InvalidInput(
            f"{_show(currency)} is not an ISO 4217 currency code.",
            pointer=f"{pointer}/currency",
            remedy="Use the three upper-case letters, such as USD.",
        )
    if normal_balance is None:
        normal_balance = NORMAL_BALANCES[str(type)]
    elif normal_balance not in ("debit", "credit"):
        raise InvalidInput(
            f"{_show(normal_balance)} is not a side.",
            pointer=f"{pointer}/normal_balance",
            remedy="Use debit or credit.",
        )
    return AccountDraft(
        code=code,
        type=str(type),
        currency=currency,
        normal_balance=str(normal_balance),
        overdraft=check_overdraft(overdraft, pointer=f"{pointer}/overdraft"),
        metadata=check_metadata({} if metadata is None else metadata, pointer=f"{pointer}/metadata"),
    )


def check_overdraft(value: object, *, pointer: str) -> str:
    """Return `value` when it is a rule: `allowed`, `forbidden`, or digits; else raise `InvalidInput`."""
    if not isinstance(value, str) or _OVERDRAFT.fullmatch(value) is None:
        raise InvalidInput(
            f"{_show(value)} is not an overdraft rule.",
            pointer=pointer,
            remedy="Use allowed, forbidden, or the limit in minor units as digits.",
        )
    return value


def check_book_name(value: object, *, pointer: str = "/book") -> str:
    """Return `value` when it can name a book; raise `InvalidInput` otherwise."""
    if not isinstance(value, str) or _BOOK.fullmatch(value) is None:
        raise InvalidInput(
            f"{_show(value)} is not the name of a book.",
            pointer=pointer,
            remedy="Use up to 63 lower-case letters, digits, '-' or '_'.",
        )
    return value


def parse_chart(text: str, *, file: str) -> Chart:
    """Read a chart of accounts from YAML.

    Raises `InvalidInput` with `file` and line of what is wrong with it.
    """
    if len(text) > MAX_CHART_BYTES:
        raise InvalidInput(
            f"a chart of accounts has at most {MAX_CHART_BYTES} characters.",
            file=file,
            line=1,
            remedy="Split the file.",
        )
    root = _compose(text, file)
    members = dict(_members(root, "", file))
    for key, (key_node, _) in members.items():
        if key not in ("book", "accounts"):
            raise _at(key_node, file, f"unknown key {key!r}.", f"/{key}", "A chart has `book` and `accounts`.")
    book = None
    if "book" in members:
        node = members["book"][1]
        try:
            book = check_book_name(_plain(node, "/book", file))
        except CounterfoilError as error:
            raise error.located(file=file, line=node.start_mark.line + 1) from None
    listed = members.get("accounts", (root, None))[1]
    if not isinstance(listed, yaml.SequenceNode) or not listed.value:
        raise _at(listed or root, file, "a chart needs a list of accounts.", "/accounts", "Add `accounts: [...]`.")
    if len(listed.value) > MAX_CHART_ACCOUNTS:
        raise _at(
            listed,
            file,
            f"a chart has at most {MAX_CHART_ACCOUNTS} accounts.",
            "/accounts",
            "Split the file.",
        )
    return Chart(
        book=book,
        accounts=tuple(_accounts(listed, file)),
        lines=tuple(node.start_mark.line + 1 for node in listed.value),
    )


def _compose(text: str, file: str) -> Any:
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = error.problem or error.context
        raise InvalidInput(f"not YAML: {problem}.", file=file, line=line, remedy=_YAML_REMEDY) from None
    except (yaml.YAMLError, RecursionError) as error:
        before = text.encode()[: getattr(error, "position", None) or 0]
        raise InvalidInput(
            f"not YAML: {str(error).splitlines()[0]}.", file=file, line=before.count(b"\n") + 1, remedy=_YAML_REMEDY
        ) from None
    if node is None:
        raise InvalidInput("the file is empty.", file=file, line=1, remedy="A chart has `book` and `accounts`.")
    return node


def _accounts(listed: Any, file: str) -> Iterator[AccountDraft]:
    first_lines: dict[str, int] = {}
    for index, node in enumerate(listed.value):
        pointer = f"/accounts/{index}"
        line = node.start_mark.line + 1
        members = dict(_members(node, pointer, file))
        for key, (key_node, _) in members.items():
            if key not in _ACCOUNT_KEYS:
                raise _at(
                    key_node,
                    file,
                    f"unknown key {key!r}.",
                    f"{pointer}/{key}",
                    f"Use {_either(sorted(_ACCOUNT_KEYS))}.",
                )
        for key in ("code", "type", "currency"):
            if key not in members:
                raise _at(node, file, f"an account needs `{key}`.", pointer, "Add it.")
        values: dict[str, object] = {
            key: _plain(value, f"{pointer}/{key}", file) for key, (_, value) in members.items() if key != "metadata"
        }
        if "metadata" in members:
            values["metadata"] = _metadata(members["metadata"][1], f"{pointer}/metadata", file)
        try:
            draft = account_draft(**values, pointer=pointer)
        except CounterfoilError as error:
            culprit = members.get(error.pointer.removeprefix(f"{pointer}/").split("/")[0] if error.pointer else "")
            raise error.located(file=file, line=(culprit[1].start_mark.line + 1) if culprit else line) from None
        if draft.code in first_lines:
            raise _at(
                node,
                file,
                f"account {draft.code} stands on line {first_lines[draft.code]} already.",
                pointer,
                "Keep one.",
            )
        first_lines[draft.code] = line
        yield draft


def _metadata(node: Any, pointer: str, file: str) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, (_, value) in _members(node, pointer, file):
        if not isinstance(value, yaml.ScalarNode) or value.tag != "tag:yaml.org,2002:str":
            raise _at(value, file, f"metadata {key!r} is not a string.", f"{pointer}/{key}", "Quote the value.")
        values[key] = value.value
    if len(values) > MAX_METADATA_KEYS:
        raise _at(node, file, f"metadata has at most {MAX_METADATA_KEYS} keys.", pointer, "Drop some.")
    return values


def _members(node: Any, pointer: str, file: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if not isinstance(node, yaml.MappingNode):
        raise _at(node, file, "a mapping of keys to values is needed here.", pointer, "Write `key: value` lines.")
    seen = set()
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _at(key_node, file, "a key must be plain text.", pointer, "Write `key: value` lines.")
        key = key_node.value
        try:
            check_text(key, pointer=pointer, what="a key", max_length=MAX_CODE_LENGTH)
        except CounterfoilError as error:
            raise error.located(file=file, line=key_node.start_mark.line + 1) from None
        if key in seen:
            raise _at(key_node, file, f"key {key!r} stands here twice.", f"{pointer}/{key}", "Keep one.")
        seen.add(key)
        yield key, (key_node, value_node)


def _plain(node: Any, pointer: str, file: str) -> object:
    """Return a scalar's own text, so that `overdraft: 5000` and `"5000"` mean the same.

    What YAML reads as nothing, as yes or no or as another value of its own was not meant as the text that it is.
    """
    if node.tag not in _TEXT_TAGS:
        kind, name = node.tag.rpartition(":")[2], pointer.rpartition("/")[2]
        said = "nothing" if kind == "null" else f"{kind} in YAML"
        raise _at(node, file, f"{name} is {said}.", pointer, f"Write the value of `{name}` as text, in quotes.")
    return node.value


def _at(node: Any, file: str, message: str, pointer: str, remedy: str) -> InvalidInput:
    return InvalidInput(message, file=file, line=node.start_mark.line + 1, pointer=pointer, remedy=remedy)


def _either(words: tuple[str, ...] | list[str]) -> str:
    return ", ".join(words[:-1]) + f" or {words[-1]}"


def _show(value: object) -> str:
    return shown(value) if isinstance(value, str) else repr(value)
