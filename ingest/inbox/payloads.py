"""What an event said, on its way into the inbox and out of it: card numbers masked, then encrypted.

Under a key of the day and the process, wrapped and kept as the keys of landed files are (landing/file_keys.py), so that
what changes or rewraps those does it for these too. A key of its own for each event would ask the keeper at each
delivery (docs/decisions/0035-the-inbox-of-webhooks.md). Invariants: nothing that was said reaches a disk in plain; what
is stored opens for its own event alone.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import Connection

from ingest.landing.file_keys import context_of, insert_key
from ledger_core.base.encryption import KEY_BYTES
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.base.wrapping.port import KeyName, Wrapped
from ledger_core.errors import Erased, IntegrityError
from ledger_core.journal.cards import find_cards, has_long_digits, mask_cards

NONCE_BYTES = 12
MAX_KEYS_KEPT = 64
"""Opened keys in memory, of a process: a month of days, and those of others."""
_REFERENCE = re.compile(r"(^|_)(id|ids|key|number|token|fingerprint)$|[Rr]eference$|^(id|object|type)$")
"""Names of members that hold ids: one long number in ten passes for a card, and an id must stay what it is."""


class PayloadRuntime(Protocol):
    """What is needed of `ledger_core.runtime.Runtime`."""

    wrapping: KeyWrapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """A key that encrypts what events said, by the id that it is found under again."""

    key_id: uuid.UUID
    key: bytes = field(repr=False)

    def seal(self, payload: Mapping[str, Any], *, whose: str) -> bytes:
        """Return `payload` encrypted, for the event that `whose` names."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        plain = orjson.dumps(masked(payload), default=_fraction)
        return nonce + AESGCM(self.key).encrypt(nonce, plain, whose.encode())


class Payloads:
    """Encrypts for one process and decrypts for any. Safe for threads."""

    def __init__(self, runtime: PayloadRuntime) -> None:
        self._wrapping = runtime.wrapping
        self._lock = threading.Lock()
        self._today: tuple[date, Sealing] | None = None
        self._opened: dict[uuid.UUID, bytes] = {}

    def key_of_today(self, connection: Connection[Any], at: datetime) -> Sealing:
        """Return the key that encrypts now; the first delivery of a day makes it, in a commit of its own.

        Raises `DependencyError` while the keeper is away.
        """
        with self._lock:
            if self._today is None or self._today[0] != at.date():
                key, key_id = secrets.token_bytes(KEY_BYTES), uuid.uuid4()
                wrapped = self._wrapping.wrap(key, context_of(key_id))
                with connection.cursor() as cursor:
                    insert_key(cursor, wrapped, file_id=key_id, at=at)
                    cursor.execute("insert into ops.webhook_keys (key_id, created_at) values (%s, %s)", (key_id, at))
                # Others encrypt under it before this delivery is stored.
                connection.commit()
                self._today = (at.date(), Sealing(key_id=key_id, key=key))
            return self._today[1]

    def open(self, connection: Connection[Any], key_id: uuid.UUID, sealed: bytes | None, *, whose: str) -> Any:
        """Return what was said. Raises `Erased` once it is kept no longer, `IntegrityError` for what was changed."""
        if sealed is None:
            raise Erased(f"what event {whose} said is not kept any more.")
        key = self._key(connection, key_id, whose)
        try:
            return orjson.loads(AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], whose.encode()))
        except (InvalidTag, ValueError) as error:
            raise IntegrityError(
                f"what event {whose} said is not what was stored.", remedy="Restore the row, or have it sent again."
            ) from error

    def _key(self, connection: Connection[Any], key_id: uuid.UUID, whose: str) -> bytes:
        with self._lock:
            found = self._opened.get(key_id)
        if found is not None:
            return found
        row = connection.execute(
            "select backend, wrapping_key, key_version, wrapped from ops.file_keys where file_id = %s", (key_id,)
        ).fetchone()
        if row is None:
            raise Erased(f"what event {whose} said is not kept any more: its key was dropped.")
        by = KeyName(backend=row[0], key=row[1], version=row[2])
        key = self._wrapping.unwrap(Wrapped(by=by, data=bytes(row[3])), context_of(key_id))
        with self._lock:
            if len(self._opened) >= MAX_KEYS_KEPT:
                self._opened.clear()
            self._opened[key_id] = key
        return key


def fingerprint(told: Mapping[str, Any]) -> bytes:
    """Return by what something said is known again: not of a card number, which a bare hash would give away."""
    return hashlib.sha256(orjson.dumps(masked(told), default=_fraction, option=orjson.OPT_SORT_KEYS)).digest()


def masked(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `payload` with every card number in its free text masked; ids and references stay."""
    text = orjson.dumps(payload, default=_fraction)
    if not has_long_digits(text):
        return payload
    found = _masked(payload, "")
    assert isinstance(found, Mapping)
    return found


def _masked(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _masked(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [_masked(member, name) for member in value]
    if not isinstance(value, str) or _REFERENCE.search(name):
        return value
    return mask_cards(value, find_cards(value)) if has_long_digits(value) else value


def _fraction(value: object) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))  # as it came, and never a float
    raise TypeError(f"{type(value).__name__} is no JSON")
