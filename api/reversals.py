"""A reversal: read the entry, post its mirror image, and say plainly when somebody had done so before."""

from __future__ import annotations

from dataclasses import replace
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
    ask = Ask(actor=actor, route="reversals", key=key, fingerprint=fingerprint)
    answer = ledger.append([draft], ask)
    if external_id is not None or not _name_is_taken(answer):
        return answer
    with engine.connect() as connection:
        found = get_entry(connection, ledger.book, entry.id)
    if found is None or found.reversed_by is None:
        # An earlier release let anybody choose the name. It reverses nothing: only a link does.
        return ledger.append([replace(draft, external_id=f"{draft.external_id}:2")], ask)
    error = AlreadyReversed(f"entry {entry.id} is reversed already, by {found.reversed_by}.")
    return Answer(items=(Declined(error=error),), replayed=False, checkpoint=None, size=answer.size)


def _name_is_taken(answer: Answer) -> bool:
    item = answer.items[0]
    return isinstance(item, Declined) and isinstance(item.error, DuplicateExternalId)
