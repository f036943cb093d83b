"""What is asked of an erasure: which entries' private values, which files, and why. Its wire form, parsed strictly.

Not the books: whether there is such an entry, and what of it is erased already, is said under the lock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from ledger_core.errors import InvalidInput
from ledger_core.journal.text import check_text, escape_pointer, shown

REASONS: Mapping[str, str] = {
    "no_longer_necessary": "GDPR Article 17 (1) (a), or the end of its time of retention",
    "consent_withdrawn": "Article 17 (1) (b)",
    "objection": "Article 17 (1) (c)",
    "unlawful": "Article 17 (1) (d): it should not have been kept",
    "legal_obligation": "Article 17 (1) (e)",
    "child": "Article 17 (1) (f)",
    "mistake": "it was sent by mistake, or belongs elsewhere",
}
"""Why something may be erased: a code and never a text, in which personal data would find its way back."""

MAX_ERASED_ENTRIES = 100
MAX_ERASED_FILES = 100
MAX_REFERENCE_LENGTH = 255
MAX_NAMES = 64

_NAME = re.compile(r"[a-z0-9_]{1,64}")
_SHAPE = 'Write {"entries": [{"id": "..."}], "reason": "consent_withdrawn"}.'


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryErasure:
    """Private values of one entry, by its id or `external_id`; without `names` all that it has."""

    entry: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRequest:
    """What a caller asks to have erased, and why; `files` are ids or SHA-256 of landed files."""

    reason: str
    entries: tuple[EntryErasure, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureDraft(ErasureRequest):
    """An erasure before the log took it; `kept_until` is the day until which backups may hold what it drops."""

    kind: ClassVar[str] = "erasure"

    kept_until: date


def parse_erasure(obj: Any, *, kept_until: date) -> ErasureDraft:
    """Return the erasure that a parsed JSON object asks for. Raises `InvalidInput` with the pointer of the culprit."""
    if not isinstance(obj, Mapping):
        raise InvalidInput("an erasure must be an object.", pointer="", remedy=_SHAPE)
    _refuse_unknown(obj, {"entries", "files", "reason"}, "")
    draft = ErasureDraft(
        reason=check_reason(obj.get("reason")),
        kept_until=kept_until,
        entries=tuple(
            _entry(item, f"/entries/{index}")
            for index, item in enumerate(_list(obj.get("entries", []), "/entries", MAX_ERASED_ENTRIES))
        ),
        files=tuple(
            check_text(item, pointer=f"/files/{index}", what="a file", max_length=64, min_length=1)
            for index, item in enumerate(_list(obj.get("files", []), "/files", MAX_ERASED_FILES))
        ),
    )
    check_erasure(draft)
    return draft


def check_erasure(draft: ErasureRequest) -> None:
    """Hold drafts that code made, past `parse_erasure`, to the same rules. Raises `InvalidInput`."""
    check_reason(draft.reason)
    if not draft.entries and not draft.files:
        raise InvalidInput("an erasure names entries or files.", pointer="/entries", remedy=_SHAPE)
    for given, most, pointer in (
        (draft.entries, MAX_ERASED_ENTRIES, "/entries"),
        (draft.files, MAX_ERASED_FILES, "/files"),
    ):
        if len(given) > most:
            raise InvalidInput(
                f"an erasure names at most {most} of these, not {len(given)}.", pointer=pointer, remedy="Send several."
            )


def check_reason(value: object) -> str:
    """Return `value` when it is one of `REASONS`, else raise `InvalidInput`."""
    if not isinstance(value, str) or value not in REASONS:
        raise InvalidInput(
            "the reason of an erasure is one of its codes." if value is None else f"{shown(value)} is not a reason.",
            pointer="/reason",
            remedy=f"Use {', '.join(REASONS)}.",
        )
    return value


def erasure_as_json(draft: ErasureRequest) -> dict[str, Any]:
    """Return the wire form of `draft`, which is what the request's fingerprint is taken over."""
    return {
        "entries": [
            {"id": item.entry, "names": list(item.names)} if item.names else {"id": item.entry}
            for item in draft.entries
        ],
        "files": list(draft.files),
        "reason": draft.reason,
    }


def _entry(item: Any, pointer: str) -> EntryErasure:
    if not isinstance(item, Mapping):
        raise InvalidInput("an entry is named by an object.", pointer=pointer, remedy=_SHAPE)
    _refuse_unknown(item, {"id", "names"}, pointer)
    names = _list(item["names"], f"{pointer}/names", MAX_NAMES) if "names" in item else []
    if "names" in item and not names:
        # Whoever filters what he names and finds nothing means nothing, and all of it would be gone.
        raise InvalidInput(
            "an empty list names no value.",
            pointer=f"{pointer}/names",
            remedy="Leave `names` out to erase all that is private of the entry.",
        )
    for index, name in enumerate(names):
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise InvalidInput(f"{shown(name)} is not the name of a value.", pointer=f"{pointer}/names/{index}")
    return EntryErasure(
        entry=check_text(
            item.get("id"), pointer=f"{pointer}/id", what="an entry", max_length=MAX_REFERENCE_LENGTH, min_length=1
        ),
        names=tuple(names),
    )


def _list(value: Any, pointer: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput("an array is expected.", pointer=pointer, remedy=_SHAPE)
    if len(value) > most:
        raise InvalidInput(f"at most {most}, not {len(value)}.", pointer=pointer, remedy="Send several.")
    return value


def _refuse_unknown(value: Mapping[Any, Any], known: set[str], pointer: str) -> None:
    for key in value:
        if key not in known:
            raise InvalidInput(
                f"unknown key {shown(key)}.",
                pointer=f"{pointer}/{escape_pointer(str(key)[:80])}",
                remedy=f"Known here: {', '.join(sorted(known))}.",
            )
