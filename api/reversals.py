"""A reversal: read the entry, post its mirror image, and say plainly when somebody had done so before."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from sqlalchemy import Engine

from ledger_core.actor import Actor
from ledger_core.errors import AlreadyReversed, DuplicateExternalId, NotFound
from ledger_core.journal.entries import entry_as_json, reversal_of
from ledger_core.log.canonical import canonical_bytes
from ledger_core.ports import Answer, Ask, Declined, LedgerPort
from ledger_core.reading.entries import get_entry


def reverse(
    ledger: LedgerPort,
    engine: Engine,
    entry_id: str,
    *,
    actor: Actor,
    now: datetime,
    key: str | None = None,
    effective_at: datetime | None = None,
    external_id: str | None = None,
    description: str | None = None,
) -> Answer:
    """Post the entry that undoes `entry_id`, effective `now` unless told otherwise.

    Raises `NotFound`; a second reversal is a `Declined` with `AlreadyReversed`.
    """
    with engine.connect() as connection:
        entry = get_entry(connection, ledger.book, entry_id)
    if entry is None:
        raise NotFound(f"there is no entry {entry_id} in book {ledger.book}.")
    draft = reversal_of(
        entry,
        effective_at=effective_at or now,
        external_id=external_id,
        description=description,
    )
    asked = {"entry_id": entry_id, "external_id": external_id, "description": description}
    asked["effective_at"] = None if effective_at is None else entry_as_json(draft)["effective_at"]
    fingerprint = sha256(canonical_bytes(asked)).digest()
    answer = ledger.append([draft], Ask(actor=actor, route="reversals", key=key, fingerprint=fingerprint))
    item = answer.items[0]
    if external_id is None and isinstance(item, Declined) and isinstance(item.error, DuplicateExternalId):
        error = AlreadyReversed(f"entry {entry.id} is reversed already, by {item.error.entry_id}.")
        return Answer(items=(Declined(error=error),), replayed=False, checkpoint=None, size=answer.size)
    return answer
