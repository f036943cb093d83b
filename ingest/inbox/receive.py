"""Take a delivery: verified on its raw bytes, then stored once, in one transaction, before it is answered.

Knows nothing of HTTP. Nothing is looked up or fetched for an event here, so that the answer is quick. Invariants:
what is refused leaves nothing behind; what is stored was committed; one event of an account is stored once, however
often and by however many processes it is delivered.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from psycopg import Connection
from sqlalchemy import Engine

from ingest.inbox.accounts import Accounts, ProviderAccount
from ingest.inbox.payloads import Payloads, fingerprint
from ingest.inbox.port import Accepted, Delivery, Provider, Reply, Verifier
from ingest.inbox.providers import find_provider, provider_names
from ingest.inbox.store import transaction, whose
from ingest.inbox.trace import trace_id_of
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.errors import DeliveryRefused
from ledger_core.settings import Settings


class ReceivingRuntime(Protocol):
    """What is needed of `ledger_core.runtime.Runtime`."""

    settings: Settings
    engine: Engine
    wrapping: KeyWrapping
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of a delivery: how many events it held, how many were new, what the provider wants to hear."""

    events: int
    new: int
    reply: Reply


class Receiver:
    """Takes deliveries for one process. Safe for threads."""

    def __init__(self, runtime: ReceivingRuntime) -> None:
        self._runtime = runtime
        self.accounts = Accounts(runtime.settings.webhooks_folder)
        self.payloads = Payloads(runtime)
        self._verifiers: dict[str, Verifier] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The providers that there are."""
        return provider_names()

    def provider(self, name: str) -> Provider:
        """Return the provider called `name`. Raises `DeliveryRefused` for one that there is not."""
        if name not in provider_names():
            raise DeliveryRefused("no webhook is expected here.", reason="unknown_account")
        return find_provider(name)

    def receive(self, provider: Provider, account: str, headers: Mapping[str, str], body: bytes) -> Received:
        """Verify and store a delivery; `headers` have their names in lower case.

        Raises `DeliveryRefused`; `DependencyError` while the database or a keeper of keys is away.
        """
        found = self.accounts.find(provider.name, account)
        delivery = Delivery(headers=headers, body=body, at=self._runtime.clock())
        accepted = self.verifier(provider).verify(delivery, found)
        trace_id = trace_id_of(headers.get("traceparent"))
        with transaction(self._runtime.engine) as connection:
            new = self._store(connection, found, delivery, accepted, trace_id)
        return Received(events=len(accepted.events), new=new, reply=provider.reply)

    def verifier(self, provider: Provider) -> Verifier:
        """Return the one verifier of a provider in this process."""
        with self._lock:
            if provider.name not in self._verifiers:
                self._verifiers[provider.name] = provider.make_verifier()
            return self._verifiers[provider.name]

    def use_verifier(self, name: str, verifier: Verifier) -> None:
        """Let `verifier` judge the deliveries of a provider, in place of its own."""
        with self._lock:
            self._verifiers[name] = verifier

    def _store(
        self, connection: Connection[Any], account: ProviderAccount, delivery: Delivery, accepted: Accepted, trace: str
    ) -> int:
        sealing = self.payloads.key_of_today(connection, delivery.at)
        if accepted.delivery_id is not None:
            _take_delivery(connection, account, accepted.delivery_id, delivery)
        book = account.book or self._runtime.settings.book
        rows = [
            (
                account.provider, account.account, event.event_id, book, event.type, event.object_id, event.version,
                fingerprint(event.told), event.occurred_at, delivery.at, trace, sealing.key_id,
                sealing.seal(event.payload, whose=whose(account.provider, account.account, event.event_id)),
                delivery.at,
            )
            for event in accepted.events
        ]  # fmt: skip
        # Nearly every delivery is one event; a pipeline of one costs another round trip.
        return sum(connection.execute(_INSERT, row).rowcount for row in rows)


_INSERT = """
insert into ops.webhook_inbox (
    provider, account, event_id, book, type, object_id, object_version, told_sha256, occurred_at, received_at,
    trace_id, key_id, payload, next_attempt_at
)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict on constraint webhook_inbox_once do nothing
"""


def _take_delivery(connection: Connection[Any], account: ProviderAccount, delivery_id: str, delivery: Delivery) -> None:
    """Take a delivery's own id once. The same delivery may come again, another body under its id may not."""
    digest = hashlib.sha256(delivery.body).digest()
    given = (account.provider, account.account, delivery_id, digest, delivery.at)
    made = connection.execute(
        "insert into ops.webhook_deliveries (provider, account, delivery_id, body_sha256, received_at) "
        "values (%s, %s, %s, %s, %s) on conflict do nothing",
        given,
    )
    if made.rowcount:
        return
    row = connection.execute(
        "select body_sha256 from ops.webhook_deliveries where provider = %s and account = %s and delivery_id = %s",
        given[:3],
    ).fetchone()
    if row is None or bytes(row[0]) != digest:
        raise DeliveryRefused("its transmission id was used before, for another body.", reason="replayed")
