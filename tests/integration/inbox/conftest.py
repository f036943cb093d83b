"""An inbox on a fresh database with a real signing proxy, and Stripe played by a real server on the loopback."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ingest.inbox.receive import Received, Receiver
from ingest.inbox.secrets import add_api_key, add_secret
from ingest.inbox.worker import Done, Worker
from ledger_core.actor import Actor
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.ports import Ask
from ledger_core.reading.entries import list_entries
from ledger_core.runtime import Runtime
from tests.integration.inbox.stripe_api import KEY, StripeApi, serve

SECRET = "whsec_of_the_tests_alone"
CHART = {
    "clearing": "assets:psp:stripe:clearing:{currency}",
    "in_transit": "assets:in-transit:stripe:{currency}",
    "fees": "expenses:processing-fees:{currency}",
    "revenue": "revenue:sales:{currency}",
    "refunds": "revenue:refunds:{currency}",
    "disputes": "assets:disputes:{currency}",
    "dispute_costs": "expenses:disputes:{currency}",
}
_numbers = itertools.count(1)


def open_chart(runtime: Runtime, book: str | None = None) -> None:
    """Open the accounts that `CHART` names, in dollars."""
    kinds = {"assets": "asset", "expenses": "expense", "revenue": "revenue"}
    drafts = [
        account_draft(code=code.format(currency="usd"), type=kinds[code.partition(":")[0]], currency="USD")
        for code in CHART.values()
    ]
    apply_accounts(runtime.ledger(book), drafts, Ask(actor=Actor(subject="tests")))


def set_up(folder: Path, *, api_url: str, account: str = "default", **more: Any) -> Path:
    """Set up an account at Stripe with a secret, a key and a chart."""
    add_secret(folder, "stripe", account, SECRET, name="first")
    add_api_key(folder, "stripe", account, KEY)
    place = folder / "stripe" / account
    (place / "account.yaml").write_text(json.dumps({"api_url": api_url, "chart": CHART, **more}))
    return place


def signed(body: bytes, at: float, *, secret: str = SECRET) -> dict[str, str]:
    """Return the headers that Stripe would send with `body`."""
    mac = hmac.new(secret.encode(), b"%d." % int(at) + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={int(at)},v1={mac}", "content-type": "application/json"}


def event(type: str, told: dict[str, Any], *, id: str | None = None, created: int = 1_767_312_001, **more: Any) -> dict:
    """Return an event as Stripe sends it: `told` is the object as it was then."""
    return {
        "id": id or f"evt_{next(_numbers)}", "object": "event", "api_version": "2025-09-30.clover", "created": created,
        "type": type, "data": {"object": told}, "livemode": False, "pending_webhooks": 1, **more,
    }  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Inbox:
    """A receiver and a worker over one runtime."""

    runtime: Runtime
    receiver: Receiver
    worker: Worker
    stripe: StripeApi
    sent: list[bytes] = field(default_factory=list)

    def deliver(self, told: dict[str, Any], *, account: str = "default", **headers: str) -> Received:
        body = json.dumps(told).encode()
        at = self.runtime.clock().timestamp()
        return self.receiver.receive(self.receiver.provider("stripe"), account, signed(body, at) | headers, body)

    def drain(self) -> list[str]:
        """Work until nothing is due; return what came of each turn."""
        return [done.outcome for done in iter(self.worker.turn, None) if isinstance(done, Done)]

    def make_due(self) -> None:
        self.execute("update ops.webhook_inbox set next_attempt_at = now() where status = 'pending'")

    def execute(self, statement: str, **given: Any) -> Any:
        with self.runtime.engine.begin() as connection:
            return connection.execute(text(statement), given)

    def rows(self, columns: str = "status") -> list[Any]:
        with self.runtime.engine.connect() as connection:
            found = connection.execute(text(f"select {columns} from ops.webhook_inbox order by inbox_id")).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in found]

    def entries(self, book: str | None = None) -> list[Any]:
        with self.runtime.engine.connect() as connection:
            return list_entries(connection, book or self.runtime.settings.book)

    def moves(self, book: str | None = None) -> list[list[tuple[str, str, int]]]:
        """Return the postings of each entry, in the order of the log."""
        return [
            [(each.direction, each.account, each.amount_minor) for each in entry.draft.postings]
            for entry in self.entries(book)
        ]


@pytest.fixture
def stripe_api() -> Iterator[StripeApi]:
    api = StripeApi()
    server = serve(api)
    yield api
    server.shutdown()
    server.server_close()


@pytest.fixture
def inbox(runtime: Runtime, stripe_api: StripeApi) -> Iterator[Inbox]:
    set_up(runtime.settings.webhooks_folder, api_url=stripe_api.url)
    open_chart(runtime)
    worker = Worker(runtime, runtime.engine, random=lambda: 1.0)
    yield Inbox(runtime=runtime, receiver=Receiver(runtime), worker=worker, stripe=stripe_api)
    worker.close()
