"""A company with a past, attacked over and over: populated once a session, cloned for each attack.

Real Postgres, real signing proxy process, real archive. An attack that touches the database alone shares the home and
its proxy; one that touches the archive or the proxy gets a copy of the home and a proxy of its own.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api.reversals import reverse
from ledger_core.actor import Actor
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.processes import ProcessGroup
from ledger_core.evidence.anchor import anchor_checkpoints
from ledger_core.evidence.check.checker import CheckReport, check_book
from ledger_core.evidence.export.segment import ExportResult, export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountChange, account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.bucket import Bucket, first_written
from ledger_core.log.findings import VerificationReport
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from tests.conftest import ArchiveBucket, S3Server, make_bucket

BOOK = "main"
TESTER = Actor(subject="tester")
EARLIER, COMPANY = "tamper_earlier", "tamper_company"
_numbers = itertools.count(1)


def entry(number: int, *, amount_minor: int | None = None) -> EntryDraft:
    """Return the company's entry number `number`: a charge with its fee, or a sale in yen."""
    amount = amount_minor or 10_000 + number
    yen = number % 7 == 0
    sides = (
        [("assets:bank:jpy", "debit", amount), ("revenue:sales:jpy", "credit", amount)]
        if yen
        else [
            ("assets:clearing:usd", "debit", amount - 30),
            ("expenses:fees:usd", "debit", 30),
            ("revenue:sales:usd", "credit", amount),
        ]
    )
    return EntryDraft(
        effective_at=datetime(2026, 3, 1 + number % 28, 8, tzinfo=UTC),
        external_id=f"shop:{number}",
        description=f"order {number}",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=minor, currency=code[-3:].upper())
            for code, side, minor in sides
        ),
        metadata={"order": f"o-{number}"},
    )


ACCOUNTS = [
    account_draft(code=code, type=kind, currency=code[-3:].upper(), metadata={"role": code.split(":")[1]})
    for code, kind in (
        ("assets:bank:jpy", "asset"),
        ("assets:clearing:usd", "asset"),
        ("expenses:fees:usd", "expense"),
        ("revenue:sales:jpy", "revenue"),
        ("revenue:sales:usd", "revenue"),
    )
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """The populated home and the server with its two template databases: as of yesterday, and as of today."""

    home: Path
    postgres: EmbeddedPostgres
    port: int

    def settings(self, database: str, home: Path | None = None) -> Settings:
        return Settings(
            home_path=home or self.home, database_url=self.postgres.url(self.port, database), env="test", actor="test"
        )

    def clone(self, template: str, name: str) -> None:
        admin = make_engine(self.postgres.url(self.port, "postgres"), role="login", pool_size=1)
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"create database {name} template {template}"))
        admin.dispose()

    def drop(self, name: str) -> None:
        admin = make_engine(self.postgres.url(self.port, "postgres"), role="login", pool_size=1)
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"drop database if exists {name} with (force)"))
        admin.dispose()


@pytest.fixture(scope="session")
def company(postgres: tuple[EmbeddedPostgres, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Two exported nights and a day after them; `tamper_earlier` is the database after the first night."""
    embedded, port = postgres
    made = Company(home=tmp_path_factory.mktemp("company") / "home", postgres=embedded, port=port)
    made.clone("counterfoil_template", COMPANY)
    with open_runtime(made.settings(COMPANY)) as runtime:
        ledger = runtime.ledger(BOOK)
        apply_accounts(ledger, ACCOUNTS, Ask(actor=TESTER, key="chart"))
        ledger.append([entry(number) for number in range(1, 261)], Ask(actor=TESTER, key="first"))
        export_segment(runtime, closed_on=date(2026, 3, 30), book=BOOK)
    made.clone(COMPANY, EARLIER)
    with open_runtime(made.settings(COMPANY)) as runtime:
        ledger = runtime.ledger(BOOK)
        first = ledger.append([entry(261)], Ask(actor=TESTER, key="single")).only
        reverse(ledger, runtime.engine, first.id, actor=TESTER, now=runtime.clock(), key="reversal")
        ledger.append([entry(number) for number in range(262, 291)], Ask(actor=TESTER))
        ledger.append(
            [AccountChange(code="assets:bank:jpy", metadata={"role": "bank", "iban": "known"})],
            Ask(actor=TESTER),
            atomic=True,
        )
        export_segment(runtime, closed_on=date(2026, 3, 31), book=BOOK)
        for number in range(291, 301):
            ledger.append([entry(number)], Ask(actor=TESTER, key=f"tail-{number}"))
    yield made
    group = ProcessGroup(made.home / "run")
    for record in reversed(group.records()):
        group.stop(record.name)


@dataclass(slots=True, kw_only=True)
class Attacked:
    """One clone of the company, and a superuser's way in that no trigger notices."""

    runtime: Runtime
    company: Company

    def sql(self, statement: str, **arguments: Any) -> int:
        """Run `statement` as superuser with triggers off; return how many rows it touched."""
        engine = make_engine(self.runtime.database_url, role="login", pool_size=1)
        with engine.begin() as connection:
            connection.execute(text("set session_replication_role = replica"))
            touched = connection.execute(text(statement), arguments).rowcount
        engine.dispose()
        return touched

    def sql_many(self, statement: str, arguments: list[dict[str, Any]]) -> None:
        """Run `statement` once for each of `arguments`, as `sql` does."""
        engine = make_engine(self.runtime.database_url, role="login", pool_size=1)
        with engine.begin() as connection:
            connection.execute(text("set session_replication_role = replica"))
            connection.execute(text(statement), arguments)
        engine.dispose()

    def rows(self, query: str, **arguments: Any) -> list[Any]:
        with self.runtime.engine.connect() as connection:
            return list(connection.execute(text(query), arguments).all())

    def check(self) -> CheckReport:
        return check_book(self.runtime, BOOK)


@contextmanager
def attacked_clone(company: Company, *, template: str = COMPANY, home: Path | None = None) -> Iterator[Attacked]:
    name = f"tamper_{next(_numbers)}"
    company.clone(template, name)
    try:
        with open_runtime(company.settings(name, home)) as runtime:
            yield Attacked(runtime=runtime, company=company)
    finally:
        company.drop(name)


@pytest.fixture
def attacked(company: Company) -> Iterator[Attacked]:
    """A fresh clone of the database on the company's own home: for attacks on the database alone."""
    with attacked_clone(company) as found:
        yield found


@pytest.fixture(scope="module")
def unharmed(company: Company) -> Iterator[Attacked]:
    """One clone a module: for attacks that are stopped before they change anything."""
    with attacked_clone(company) as found:
        yield found


@pytest.fixture
def own_home(company: Company, tmp_path: Path) -> Iterator[Path]:
    """A copy of the company's home, whose proxy is started on first use and stopped afterwards."""
    home = tmp_path / "home"
    shutil.copytree(company.home, home, ignore=shutil.ignore_patterns("run", "*.sock"))
    yield home
    group = ProcessGroup(home / "run")
    for record in reversed(group.records()):
        group.stop(record.name)


@pytest.fixture
def attacked_home(company: Company, own_home: Path) -> Iterator[Attacked]:
    """A fresh clone with archive and proxy of its own: for attacks beyond the database."""
    with attacked_clone(company, home=own_home) as found:
        yield found


@pytest.fixture(name="attacked_clone")
def attacked_clone_fixture(company: Company) -> Callable[..., Any]:
    """A context manager for further clones: of another state, or several on one home."""

    def clone(*, template: str = COMPANY, home: Path | None = None) -> Any:
        return attacked_clone(company, template=template, home=home)

    return clone


@pytest.fixture
def engine_of() -> Iterator[Callable[[Attacked], Any]]:
    """A superuser's engine with the triggers on."""
    engines = []

    def make(attacked: Attacked) -> Any:
        engines.append(make_engine(attacked.runtime.database_url, role="login", pool_size=1))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


# An archive in a bucket, for those who attack that.

BUCKET_DATABASE, EARLIER_BUCKET_DATABASE = "tamper_bucket", "earlier_tamper_bucket"
FIRST, SECOND, THIRD = date(2026, 3, 30), date(2026, 3, 31), date(2026, 4, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """Two nights in a bucket and a few anchored records after them, with the database that they came from."""

    settings: Settings
    bucket: ArchiveBucket
    earlier_signer: Path
    """The signing proxy's folder as it was after the second night."""

    def attacked(self) -> Archived:
        bucket = self.bucket.clone()
        return replace(self, bucket=bucket, settings=self.settings.model_copy(update={"archive": bucket.settings}))

    @contextmanager
    def opened(self) -> Iterator[Runtime]:
        with open_runtime(self.settings) as runtime:
            yield runtime

    def verify(self) -> VerificationReport:
        return verify_path(self.bucket.place, self.settings.home / "trust.json")

    def check(self) -> CheckReport:
        with self.opened() as runtime:
            return check_book(runtime, BOOK)

    def export(self, day: date = SECOND) -> ExportResult:
        with self.opened() as runtime:
            return export_segment(runtime, closed_on=day, book=BOOK)

    def key(self, ending: str, segment: int = 1) -> str:
        """Return the key of the file called so in a segment."""
        return next(key for key in self.bucket.all_keys() if key.endswith(ending) and f"/{segment:010d}-" in key)

    def put(self, key: str, data: bytes) -> None:
        self.bucket.client.put_object(Bucket=self.bucket.name, Key=key, Body=data)

    def hide(self, key: str) -> None:
        self.bucket.client.delete_object(Bucket=self.bucket.name, Key=key)

    def content(self, key: str) -> bytes:
        reader = Bucket(self.bucket.name, endpoint=self.bucket.server.endpoint)
        version = first_written(reader.versions_of(key))
        assert version is not None
        data: bytes = reader.open(version).read()
        return data


@pytest.fixture(scope="module")
def archived(
    postgres: tuple[EmbeddedPostgres, int],
    s3_server: S3Server,
    s3_client: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Archived]:
    embedded, port = postgres
    folder = tmp_path_factory.mktemp("bucket")
    company = Company(home=folder / "home", postgres=embedded, port=port)
    company.clone("counterfoil_template", BUCKET_DATABASE)
    bucket = make_bucket(s3_server, s3_client)
    settings = company.settings(BUCKET_DATABASE).model_copy(update={"archive": bucket.settings})
    with open_runtime(settings) as runtime:
        ledger = runtime.ledger(BOOK)
        apply_accounts(ledger, ACCOUNTS, Ask(actor=TESTER))
        ledger.append([entry(number) for number in range(1, 41)], Ask(actor=TESTER))
        export_segment(runtime, closed_on=FIRST, book=BOOK)
        ledger.append([entry(number) for number in range(41, 51)], Ask(actor=TESTER))
        export_segment(runtime, closed_on=SECOND, book=BOOK)
    company.clone(BUCKET_DATABASE, EARLIER_BUCKET_DATABASE)
    shutil.copytree(settings.home / "signer", folder / "signer", ignore=shutil.ignore_patterns("*.sock"))
    with open_runtime(settings) as runtime:
        runtime.ledger(BOOK).append([entry(number) for number in range(51, 54)], Ask(actor=TESTER))
        anchor_checkpoints(runtime, {})
    yield Archived(settings=settings, bucket=bucket, earlier_signer=folder / "signer")
    group = ProcessGroup(settings.home / "run")
    for record in reversed(group.records()):
        group.stop(record.name)
    company.drop(BUCKET_DATABASE)
    company.drop(EARLIER_BUCKET_DATABASE)
