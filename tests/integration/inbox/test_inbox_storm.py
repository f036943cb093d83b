"""Deliveries again and again, in disorder, by many at once, while workers are killed and Postgres starts again.

`COUNTERFOIL_WEBHOOK_EVENTS=100` (`make long`) makes it 1,000 deliveries of 100 events; CI has a few of each.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.processes import free_port
from ledger_core.reading.entries import list_entries
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings
from tests.conftest import stop_all
from tests.integration.inbox.conftest import CHART, event, open_chart, set_up, signed
from tests.integration.inbox.stripe_api import StripeApi

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

EVENTS = int(os.environ.get("COUNTERFOIL_WEBHOOK_EVENTS", "20"))
TIMES, THREADS, WORKERS = 10, 8, 2
DISTURBANCES = max(1, EVENTS // 25)
PAUSE_SECONDS = 0.04
"""Of each thread between two deliveries: so that workers are at it when they are killed."""
ROOT = Path(__file__).parents[3]


@dataclass(slots=True, kw_only=True)
class Installation:
    """An API, workers and a Postgres of its own, each a process that may be ended at any time."""

    settings: Settings
    embedded: EmbeddedPostgres
    postgres: subprocess.Popen[bytes]
    postgres_port: int
    api_port: int = field(default_factory=free_port)
    metrics_ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(WORKERS)])
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COUNTERFOIL_", "DATABASE_"))}
        return {
            **kept, "COUNTERFOIL_HOME": str(self.settings.home), "COUNTERFOIL_ENV": "test",
            "DATABASE_URL": str(self.settings.database_url), "COUNTERFOIL_WEBHOOKS__LEASE_SECONDS": "2",
        }  # fmt: skip

    def start(self, name: str, *arguments: str, **environment: str) -> None:
        with (self.settings.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=self.environment | environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    def start_worker(self, number: int) -> None:
        port = str(self.metrics_ports[number])
        self.start(f"worker{number}", "orchestration.worker", COUNTERFOIL_WEBHOOKS__METRICS_PORT=port)

    def await_up(self) -> None:
        """Wait until the API is ready and every worker answers for its metrics."""
        ports = [(self.api_port, "/readyz"), *((port, "/metrics") for port in self.metrics_ports)]
        deadline = time.monotonic() + 120
        for port, path in ports:
            while time.monotonic() < deadline:
                with suppress(httpx2.HTTPError):
                    if httpx2.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code == 200:
                        break
                time.sleep(0.05)

    def kill_worker(self, number: int) -> None:
        process = self.processes[f"worker{number}"]
        process.kill()
        process.wait()
        self.start_worker(number)

    def restart_postgres(self) -> None:
        self.postgres.send_signal(signal.SIGINT)
        self.postgres.wait(timeout=60)
        self.postgres, _ = self.embedded.start(port=self.postgres_port)

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(timeout=60)
        stop_all(self.settings.home)
        self.postgres.send_signal(signal.SIGINT)
        self.postgres.wait(timeout=60)


@pytest.fixture
def installation(tmp_path: Path, stripe_api: StripeApi) -> Iterator[Installation]:
    embedded = EmbeddedPostgres(folder=tmp_path / "pg", durable=False)
    process, port = embedded.start()
    settings = Settings(home_path=tmp_path / "home", database_url=embedded.url(port, "postgres"), env="test")
    made = Installation(settings=settings, embedded=embedded, postgres=process, postgres_port=port)
    try:
        set_up(settings.webhooks_folder, api_url=stripe_api.url)
        with open_runtime(settings) as runtime:
            open_chart(runtime)
        made.start("api", "api.server", "--port", str(made.api_port))
        for number in range(WORKERS):
            made.start_worker(number)
        made.await_up()
        yield made
    finally:
        made.stop()


def facts(api: StripeApi) -> list[list[dict[str, Any]]]:
    """Make `EVENTS` facts at Stripe; return of each the event objects that tell of it, two for some."""
    told: list[list[dict[str, Any]]] = []
    for number in range(EVENTS):
        amount, kind = 1_000 + 7 * number, number % 10
        if kind < 6:
            charge = api.charge(f"ch_{number}", amount, 30 + number)
            of = [event("charge.succeeded", charge)]
            if kind < 2:
                of.append(event("charge.updated" if kind else "charge.succeeded", charge))
        elif kind < 8:
            of = [event("refund.created", api.refund(f"re_{number}", amount))]
        elif kind < 9:
            of = [event("payout.paid", api.payout(f"po_{number}", amount))]
        else:
            id = api.transaction(f"txn_d{number}", -amount, 1_500, source=f"dp_{number}", reporting_category="dispute")
            of = [event("charge.dispute.funds_withdrawn", api.dispute(f"dp_{number}", id))]
        told.append(of)
    return told


def expected(api: StripeApi) -> Counter[str]:
    """Return what each account must hold, debits positive: from Stripe's own objects."""
    code = {role: pattern.format(currency="usd") for role, pattern in CHART.items()}
    held: Counter[str] = Counter()
    for each in api.transactions.values():
        held[code["clearing"]] += each["net"]
        role = {"charge": "revenue", "refund": "refunds", "payout": "in_transit", "dispute": "disputes"}
        held[code[role[each["reporting_category"]]]] -= each["amount"]
        held[code["dispute_costs" if each["reporting_category"] == "dispute" else "fees"]] += each["fee"]
    return Counter({name: amount for name, amount in held.items() if amount})


def deliver(client: httpx2.Client, url: str, told: dict[str, Any]) -> int:
    """Deliver as a provider does: again until it hears a 200; return how often that took."""
    body = json.dumps(told).encode()
    for attempt in range(1, 400):
        try:
            answer = client.post(url, content=body, headers=signed(body, time.time()))
        except httpx2.HTTPError:
            time.sleep(0.1)
            continue
        if answer.status_code == 200:
            time.sleep(PAUSE_SECONDS)
            return attempt
        assert answer.status_code == 503, answer.text
        time.sleep(0.1)
    raise AssertionError(f"{told['id']} was never taken")


def disturb(installation: Installation, taken: list[int], deliveries: int) -> list[int]:
    """Kill a worker and start Postgres again, spread over the deliveries; return after how many each time was."""
    happened = []
    for number in range(DISTURBANCES):
        while len(taken) < deliveries * (number + 1) // (DISTURBANCES + 2):
            time.sleep(0.01)
        installation.kill_worker(number % WORKERS)
        installation.restart_postgres()
        happened.append(len(taken))
    return happened


def test_a_thousand_deliveries_are_as_many_entries_as_there_are_facts(
    installation: Installation, stripe_api: StripeApi
) -> None:
    told = facts(stripe_api)
    deliveries = [of[number % len(of)] for of in told for number in range(TIMES)]
    random.Random(7).shuffle(deliveries)
    url = f"http://127.0.0.1:{installation.api_port}/finance/webhooks/stripe"
    taken: list[int] = []
    with httpx2.Client(timeout=30, trust_env=False) as client, ThreadPoolExecutor(THREADS + 1) as pool:
        disturbing = pool.submit(disturb, installation, taken, len(deliveries))
        list(pool.map(lambda each: taken.append(deliver(client, url, each)), deliveries))
        happened = disturbing.result()
    assert len(taken) == EVENTS * TIMES
    assert all(count < len(deliveries) for count in happened), happened
    settings = installation.settings
    engine = make_engine(str(settings.database_url), pool_size=1)
    _await_settled(engine)
    with engine.connect() as connection:
        entries = list_entries(connection, settings.book, limit=1_000)
        statuses = Counter(connection.execute(text("select status from ops.webhook_inbox")).scalars())
        stored = connection.execute(text("select count(*) from ops.webhook_inbox")).scalar_one()
    engine.dispose()
    assert len(entries) == EVENTS
    assert stored == sum(len(of) for of in told)
    assert set(statuses) <= {"posted", "duplicate"}, statuses
    held: Counter[str] = Counter()
    for entry in entries:
        for posting in entry.draft.postings:
            held[posting.account] += posting.amount_minor * (1 if posting.direction == "debit" else -1)
    assert Counter({name: amount for name, amount in held.items() if amount}) == expected(stripe_api)
    references = [entry.draft.metadata["reference"] for entry in entries]
    assert sorted(references) == sorted(of[0]["data"]["object"]["id"] for of in told)


def _await_settled(engine: Any) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            with engine.connect() as connection:
                left = connection.execute(text("select count(*) from ops.webhook_inbox where status = 'pending'"))
                if not left.scalar_one():
                    return
        except OperationalError:
            pass
        time.sleep(0.2)
    raise AssertionError("events are pending still")
