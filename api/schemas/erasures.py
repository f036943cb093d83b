"""Erasures on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas.common import Base64, Hash, JsonObject, SignedNote, Timestamp, Wire
from api.schemas.entries import ENTRY_EXAMPLE

Reason = Literal[
    "no_longer_necessary", "consent_withdrawn", "objection", "unlawful", "legal_obligation", "child", "mistake"
]

_EXAMPLE: JsonObject = {
    "entries": [{"id": ENTRY_EXAMPLE["external_id"], "names": ["payer_name"]}],
    "reason": "consent_withdrawn",
}


class EntryErasure(Wire):
    """Private values of one entry; without `names` all of them."""

    id: str = Field(description="The entry's id, or its external_id.")
    names: list[str] | None = Field(default=None, min_length=1, max_length=64)


class ErasureDraft(Wire):
    """What to erase, and why. What is erased already stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    book: str | None = None
    entries: list[EntryErasure] = Field(default_factory=list, max_length=100)
    files: list[str] = Field(
        default_factory=list, max_length=100, description="Landed files by their id, or by the SHA-256 of their bytes."
    )
    reason: Reason


class ErasedEntry(Wire):
    """Whose private values are gone."""

    id: str
    seq: int
    names: list[str]


class ErasedFile(Wire):
    """The file whose stored bytes cannot be read any more."""

    file_id: str


class Erasure(Wire):
    """The record of an erasure."""

    id: str
    seq: int
    kind: Literal["erasure"]
    status: Literal["posted"]
    hash: Hash
    recorded_at: Timestamp
    book: str
    reason: Reason
    kept_until: str = Field(description="The day until which backups may still hold what was dropped.")
    values: list[ErasedEntry]
    files: list[ErasedFile]
    checkpoint: SignedNote
    inclusion: list[Base64]


class NothingErased(Wire):
    """All of it was erased before: nothing was written."""

    status: Literal["unchanged"]
    book: str
