"""A real API a module: uvicorn on loopback, a database of its own, a real signing proxy process."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from api.app import create_app
from api.auth.development import ALL_SCOPES, issue_development_token
from api.http.connections import Connection
from api.server import Server
from ingest.landing.erasable import LandedFiles
from ledger_core.actor import Actor
from ledger_core.base.engine import make_engine
from ledger_core.base.processes import ProcessGroup, free_port
from ledger_core.client import LedgerClient
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from tests.integration.api.halls import opened

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
    app: FastAPI

    def token(self, *scopes: str, subject: str = "tests") -> str:
        return issue_development_token(self.settings, subject, scopes or ALL_SCOPES, 3600)

    def http(self, *scopes: str) -> httpx2.Client:
        headers = {"authorization": f"Bearer {self.token(*scopes)}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def client(self, **options: object) -> LedgerClient:
        return LedgerClient(self.url, token=self.token(), **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A running API, asked by bytes, and what it handed out of two books."""

    port: int
    token: str
    entry_ids: dict[str, str]
    external_ids: dict[str, str]

    def ask(
        self, method: str, path: str, *headers: bytes | str, body: object = None, token: str | None = None
    ) -> Answer:
        """Send one request; with `token` an empty text it says nothing of who is calling."""
        lines = [f"{method} {path} HTTP/1.1".encode(), b"host: x", b"connection: close"]
        named = self.token if token is None else token
        lines += [f"authorization: Bearer {named}".encode()] if named else []
        lines += [line if isinstance(line, bytes) else line.encode() for line in headers]
        content = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            lines += [b"content-type: application/json", b"content-length: %d" % len(content)]
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(b"\r\n".join([*lines, b"", b""]) + content)
            while chunk := connection.recv(65536):
                received += chunk
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *others = head.decode("latin-1").split("\r\n")
        named_headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in others)}
        return Answer(status=int(first.split(" ")[1]), headers=named_headers, content=rest)

    @staticmethod
    def draft(book: str, external_id: str) -> dict:
        return {
            "book": book,
            "effective_at": "2026-11-22T08:00:00Z",
            "external_id": external_id,
            "description": f"word-of-{book}",
            "metadata": {"word": f"word-of-{book}"},
            "postings": [
                {"account": "assets:cash:usd", "direction": "debit", "amount": "100", "currency": "USD"},
                {"account": "revenue:sales:usd", "direction": "credit", "amount": "100", "currency": "USD"},
            ],
        }

    @staticmethod
    def refused(answer: Answer, *statuses: int, word_of: str | None = None) -> Answer:
        """Hold `answer` to one of `statuses`, a problem with a code, that repeats no word of the book `word_of`."""
        assert answer.status in statuses, (answer.status, answer.content[:300])
        assert answer.headers["content-type"].startswith("application/problem+json"), answer.headers
        assert answer.json["code"]
        if word_of is not None:
            assert f"word-of-{word_of}".encode() not in answer.content
        return answer


@pytest.fixture
def hall():
    """A server of nothing but connections."""
    with opened() as made:
        yield made


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
    with open_runtime(settings, files=LandedFiles()) as runtime:
        apply_accounts(runtime.ledger(), CHART, Ask(actor=Actor(subject="tests")))
        port = free_port()
        app = create_app(settings, runtime=runtime)
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.started
        yield Api(settings=settings, runtime=runtime, url=f"http://127.0.0.1:{port}", port=port, app=app)
        server.should_exit = True
        thread.join(60)
    group = ProcessGroup(home / "run")
    for record in reversed(group.records()):
        group.stop(record.name)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database if exists {name} with (force)"))
    admin.dispose()


@pytest.fixture(scope="module")
def wire(api):
    """Two books with the same accounts, each of whose entries says its book's name."""
    entry_ids, external_ids = {}, {}
    chart = [
        account_draft(code=code, type=kind, currency="USD")
        for code, kind in (("assets:cash:usd", "asset"), ("revenue:sales:usd", "revenue"))
    ]
    with api.http() as client:
        for book in ("main", "other"):
            apply_accounts(api.runtime.ledger(book), chart, Ask(actor=Actor(subject="tests")))
            for number in range(3):
                external_ids[book] = f"word-of-{book}-{number}"
                posted = client.post(
                    "/finance/journal-entries",
                    json=Wire.draft(book, external_ids[book]),
                    headers={"idempotency-key": f"{book}{number}"},
                )
                assert posted.status_code == 201, posted.text
                entry_ids[book] = posted.json()["id"]
    port = free_port()
    app = create_app(api.settings, runtime=api.runtime)
    server = Server(uvicorn.Config(app, host="127.0.0.1", port=port, http=Connection, ws="none", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield Wire(port=port, token=api.token(), entry_ids=entry_ids, external_ids=external_ids)
    server.should_exit = server.force_exit = True
    thread.join(30)


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
