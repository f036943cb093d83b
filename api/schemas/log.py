"""The log, its proofs and its records on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas.common import Base64, Hash, JsonObject, SignedNote, Timestamp, Wire


class SeqRange(Wire):
    """Records first <= seq < next."""

    first: int = Field(ge=0)
    next: int = Field(ge=1)


class Period(Wire):
    """From a time on and before another, with zones: of business time, or of the time at which the log took it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"effective_from": "2026-11-22T00:00:00Z", "effective_before": "2026-11-23T00:00:00Z"}]
        },
    )

    effective_from: str | None = Field(default=None, description="Together with `effective_before`: journal entries.")
    effective_before: str | None = None
    recorded_from: str | None = Field(
        default=None,
        description="Together with `recorded_before`: records of every kind, and the one on either side, which show "
        "that none is left out.",
    )
    recorded_before: str | None = None


class Selector(Wire):
    """What to verify; exactly one member."""

    entry_ids: list[str] | None = Field(
        default=None, min_length=1, max_length=1_000, description="Ids, or external_ids."
    )
    seq_range: SeqRange | None = Field(default=None, description="At most 1,000 records.")
    period: Period | None = Field(default=None, description="At most 1,000 records.")
    segment: int | None = Field(default=None, ge=0, description="Number of an exported segment.")


class VerifyRequest(Wire):
    """What to prove, and from which checkpoint on."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"selector": {"seq_range": {"first": 0, "next": 3}}, "deep": True}]},
    )

    book: str | None = None
    selector: Selector
    known_checkpoint: SignedNote | None = Field(
        default=None, description="A checkpoint that the caller kept: the answer proves that nothing below it changed."
    )
    include_bytes: bool = Field(default=True, description="Carry the canonical bytes of each record.")
    deep: bool = Field(default=False, description="Re-derive every stored row from the bytes and compare.")


class Envelope(Wire):
    """DSSE. The payload is base64 of a JSON document of the payload type."""

    payload_type: str = Field(alias="payloadType", examples=["application/vnd.counterfoil.proof.v1+json"])
    payload: Base64
    signatures: list[JsonObject]


class Verification(Wire):
    """The verdict, and the signed bundle that carries the evidence. A failed verification is a 200."""

    verdict: Literal["verified", "failed", "unsigned_pending", "unknown_schema", "unverifiable"]
    failures: list[JsonObject]
    envelope: Envelope


class Proof(Wire):
    """One entry's proof in both forms."""

    entry_id: str
    seq: int
    hash: Hash
    checkpoint: SignedNote
    inclusion: list[Base64]
    tlog_proof: str = Field(description="C2SP tlog-proof text; also by `Accept: text/plain`.")
    bundle: JsonObject = Field(description="The JSON bundle that `counterfoil verify` reads.")


class Checkpoint(Wire):
    """The newest signed checkpoint. Only the note counts; the other members repeat it for convenience."""

    book: str
    origin: str
    size: int
    root: Base64
    checkpoint: SignedNote


class Consistency(Wire):
    """Proof that the log at `from_size` is a prefix of the log at `to_size`."""

    book: str
    from_size: int
    to_size: int
    from_checkpoint: SignedNote | None = Field(description="Null when no checkpoint was signed at that size.")
    to_checkpoint: SignedNote | None
    proof: list[Base64]


class Keys(Wire):
    """The key registry: DSSE envelopes signed by the roots. Trust comes from pinned roots, never from this answer."""

    keys: list[JsonObject]


class RecordDraft(Wire):
    """A record of a kind that the caller's scope allows."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"kind": "security_event", "body": {"event": "example", "detail": "Nothing happened."}}]
        },
    )

    book: str | None = None
    kind: Literal["reconciliation_run", "export", "security_event", "signing_key"]
    body: JsonObject = Field(description="Without `actor`: that is who calls.")


class PostedRecord(Wire):
    """An acknowledged record."""

    id: str
    seq: int
    kind: str
    status: Literal["posted"]
    hash: Hash
    recorded_at: Timestamp
    book: str
    checkpoint: SignedNote
    inclusion: list[Base64]


Dependency = Literal["database", "book", "signatures", "sequencer", "signer"]


class Missing(Wire):
    """One reason why this process cannot do its work: what does not answer, is not there, stopped, or lags behind."""

    dependency: Dependency
    detail: str


class Ready(Wire):
    """Everything answers."""

    status: Literal["ready"]
    book: str
    size: int
    signed_size: int
    stopped_books: list[str]
    """Of all books of this process: those that take no writes before an operator looked at them."""
