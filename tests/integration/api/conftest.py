"""A real API a module: uvicorn on loopback, a database of its own, a real signing proxy process."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uvicorn
from sqlalchemy import text

from api.app import create_app
from api.auth.development import ALL_SCOPES, issue_development_token
from ledger_core.actor import Actor
from ledger_core.base.engine import make_engine
from ledger_core.base.processes import ProcessGroup, free_port
from ledger_core.client import LedgerClient
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings

CLEARING, FEES, SALES = "assets:psp:stripe:clearing:usd", "expenses:processing-fees:usd", "revenue:sales:usd"
CHART = (
    account_draft(code=CLEARING, type="asset", currency="USD", metadata={"source": "stripe"}),
    account_draft(code=FEES, type="expense", currency="USD"),
    account_draft(code=SALES, type="revenue", currency="USD"),
    account_draft(code="assets:bank:main:usd", type="asset", currency="USD", overdraft="forbidden"),
    account_draft(code="assets:bank:main:eur", type="asset", currency="EUR"),
)
_numbers = itertools.count(1)


@dataclass(slots=True, kw_only=True)
class Api:
    """A running API and ways to talk to it."""

    settings: Settings
    runtime: Runtime
    url: str
    port: int

    def token(self, *scopes: str, subject: str = "tests") -> str:
        return issue_development_token(self.settings, subject, scopes or ALL_SCOPES, 3600)

    def http(self, *scopes: str) -> httpx2.Client:
        headers = {"authorization": f"Bearer {self.token(*scopes)}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def client(self, **options: object) -> LedgerClient:
        return LedgerClient(self.url, token=self.token(), **options)


@pytest.fixture(scope="module")
def api(postgres, tmp_path_factory, request):
    embedded, postgres_port = postgres
    name = f"api_{uuid.uuid4().hex[:8]}"
    admin = make_engine(embedded.url(postgres_port, "postgres"), role="login", pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name} template counterfoil_template"))
    home: Path = tmp_path_factory.mktemp("api") / "home"
    # A module may ask for other settings.
    given = {"env": "test", "actor": "test", **getattr(request.module, "API_SETTINGS", {})}
    settings = Settings(home_path=home, database_url=embedded.url(postgres_port, name), **given)
    with open_runtime(settings) as runtime:
        apply_accounts(runtime.ledger(), CHART, Ask(actor=Actor(subject="tests")))
        port = free_port()
        config = uvicorn.Config(
            create_app(settings, runtime=runtime), host="127.0.0.1", port=port, log_level="warning", ws="none"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.started
        yield Api(settings=settings, runtime=runtime, url=f"http://127.0.0.1:{port}", port=port)
        server.should_exit = True
        thread.join(60)
    group = ProcessGroup(home / "run")
    for record in reversed(group.records()):
        group.stop(record.name)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database if exists {name} with (force)"))
    admin.dispose()


@pytest.fixture
def http(api):
    with api.http() as client:
        yield client


@pytest.fixture
def entry():
    """Make a new, valid entry; keyword arguments replace members."""

    def make(amount: int = 10_000, **members: object) -> dict:
        fee = amount // 32
        made = {
            "effective_at": "2026-11-22T08:00:00Z",
            "external_id": f"stripe:txn_{next(_numbers)}_{uuid.uuid4().hex[:6]}",
            "description": "charge ch_1",
            "postings": [
                {"account": CLEARING, "direction": "debit", "amount": str(amount - fee), "currency": "USD"},
                {"account": FEES, "direction": "debit", "amount": str(fee), "currency": "USD"},
                {"account": SALES, "direction": "credit", "amount": str(amount), "currency": "USD"},
            ],
            "metadata": {"reference": "txn_1", "order": "o-17"},
        }
        return {**made, **members}

    return make


@pytest.fixture
def key():
    """Make a new idempotency key as a header."""
    return lambda: {"idempotency-key": uuid.uuid4().hex}
