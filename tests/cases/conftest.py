"""Statements of made-up banks, many accounts in one build of the models: a build costs seconds whatever its size.

A scenario is a bank account of its own, landed under its own name; what came of it is read from the models that the
matching reads. Nothing here is a file of somebody else's: every statement is made by `Page`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from ingest.landing.land import land
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.objects.file import FileStore
from ledger_core.settings import Settings
from ledger_core.wrapping import open_wrapping
from reconciliation.runs.dbt_runner import Dbt

TEMPLATE = "counterfoil_template"
AS_OF = date(2026, 3, 20)


@dataclass(frozen=True, kw_only=True)
class Line:
    """An entry of a statement: a signed amount, who and what it names, and whether it takes another back."""

    minor: int
    text: str = "STRIPE payout"
    day: str | None = None
    reversal: bool = False
    end_to_end: str | None = None
    more: str = ""
    """Elements of the entry after its details."""
    detail: str = ""
    """Elements of its detail after the narrative."""
    status: str = "BOOK"

    def xml(self, day: str) -> str:
        side = "CRDT" if self.minor >= 0 else "DBIT"
        reversal = "<RvslInd>true</RvslInd>" if self.reversal else ""
        refs = f"<Refs><EndToEndId>{self.end_to_end}</EndToEndId></Refs>" if self.end_to_end else ""
        return (
            f'<Ntry><Amt Ccy="EUR">{_decimal(abs(self.minor))}</Amt><CdtDbtInd>{side}</CdtDbtInd>{reversal}'
            f"<Sts><Cd>{self.status}</Cd></Sts><BookgDt><Dt>{self.day or day}</Dt></BookgDt>"
            f"<NtryDtls><TxDtls>{refs}<RmtInf><Ustrd>{self.text}</Ustrd></RmtInf>{self.detail}</TxDtls></NtryDtls>"
            f"{self.more}</Ntry>"
        )


@dataclass(frozen=True, kw_only=True)
class Page:
    """A statement, or a page of one; its closing balance is what its lines make of the opening one."""

    day: str
    opening: int
    lines: Sequence[Line] = ()
    id: str = "S"
    number: int | None = None
    legal: int | None = None
    made: str | None = None
    sent: str | None = None
    page: int | None = None
    last: bool = True
    copy: str | None = None
    closing: int | None = None
    opening_code: str | None = "OPBD"
    closing_code: str | None = "CLBD"
    currency: str = "EUR"
    iban: str | None = None
    starts: str | None = None

    @property
    def ends(self) -> int:
        moved = sum(line.minor for line in self.lines if line.status == "BOOK")
        return self.opening + moved if self.closing is None else self.closing

    def then(self, day: str, lines: Sequence[Line] = (), **changes: Any) -> Page:
        """Return the next statement: its opening balance is this one's closing, its numbers are the next."""
        follows: dict[str, Any] = {
            "day": day,
            "opening": self.ends,
            "lines": lines,
            "made": None,
            "number": None if self.number is None else self.number + 1,
            "legal": None if self.legal is None else self.legal + 1,
        }
        return replace(self, **(follows | changes))

    def xml(self, iban: str) -> str:
        made = self.made or f"{self.day}T20:00:00Z"
        pages = f"<StmtPgntn><PgNb>{self.page}</PgNb><LastPgInd>{str(self.last).lower()}</LastPgInd></StmtPgntn>"
        period = f"<FrToDt><FrDt>{self.starts}</FrDt><ToDt>{self.day}</ToDt></FrToDt>" if self.starts else ""
        body = "".join(line.xml(self.day) for line in self.lines)
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>'
            f"<GrpHdr><MsgId>M</MsgId><CreDtTm>{self.sent or made}</CreDtTm></GrpHdr><Stmt><Id>{self.id}</Id>"
            f"{pages if self.page else ''}"
            f"{_element('ElctrncSeqNb', self.number)}{_element('LglSeqNb', self.legal)}"
            f"<CreDtTm>{made}</CreDtTm>{period}"
            f"{_element('CpyDplctInd', self.copy)}"
            f"<Acct><Id><IBAN>{self.iban or iban}</IBAN></Id><Ccy>{self.currency}</Ccy></Acct>"
            f"{self._balance(self.opening_code, self.opening)}"
            f"{self._balance(self.closing_code, self.ends)}{body}</Stmt>"
            "</BkToCstmrStmt></Document>"
        ).replace('Ccy="EUR"', f'Ccy="{self.currency}"')

    def _balance(self, code: str | None, minor: int) -> str:
        if code is None:
            return ""
        return (
            f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{_decimal(abs(minor))}</Amt>'
            f"<CdtDbtInd>{'DBIT' if minor < 0 else 'CRDT'}</CdtDbtInd><Dt><Dt>{self.day}</Dt></Dt></Bal>"
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a scenario."""

    counted: list[tuple[int, str]]
    """Amount and text of every line that counts and is not cancelled, in order."""
    cancelled: list[int]
    reasons: set[str]
    details: list[str]
    pages: list[tuple[str, int, bool, str | None]]
    """Id, page, whether it counts and why not, in order."""
    texts: set[tuple[str, str]] = field(default_factory=set)
    claimed: list[tuple[int, bool]] = field(default_factory=list)
    """Amount of every line that is a provider's, and whether it carries a reference."""


Scenarios = dict[str, Sequence[Page | str]]


@pytest.fixture(scope="session")
def outcomes(
    postgres: tuple[EmbeddedPostgres, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., dict[str, Outcome]]]:
    """Land scenarios, build the models of banks once, and say what came of each."""
    embedded, port = postgres
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    numbers = itertools.count(1)
    names: list[str] = []

    def run(scenarios: Scenarios, *, as_of: date = AS_OF, reverse: bool = False) -> dict[str, Outcome]:
        name = f"statements_{next(numbers)}"
        names.append(name)
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"create database {name} template {TEMPLATE}"))
        engine = make_engine(embedded.url(port, name), role="login")
        try:
            return _run(engine, tmp_path_factory.mktemp("bank"), scenarios, as_of=as_of, reverse=reverse)
        finally:
            engine.dispose()

    yield run
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in names:
            connection.execute(text(f"drop database if exists {name} with (force)"))
    admin.dispose()


def _run(engine: Engine, folder: Path, scenarios: Scenarios, *, as_of: date, reverse: bool) -> dict[str, Outcome]:
    settings = Settings(home_path=folder / "home", env="test", actor="test")
    runtime = SimpleNamespace(
        settings=settings,
        wrapping=open_wrapping(settings),
        engine=engine,
        raw_store=FileStore(folder / "raw"),
        clock=lambda: datetime(2026, 3, 21, tzinfo=UTC),
    )
    ibans = {name: f"DE{place:020d}" for place, name in enumerate(sorted(scenarios), start=1)}
    for name in sorted(scenarios, reverse=reverse):
        files = list(enumerate(scenarios[name], start=1))
        for place, page in reversed(files) if reverse else files:
            written = page.replace("IBAN_HERE", ibans[name]) if isinstance(page, str) else page.xml(ibans[name])
            path = folder / f"{name}-{place}.xml"
            path.write_text(written)
            source = {":20:": "mt940", "01,B": "bai2"}.get(written[:4], "camt053")
            [landed] = land(runtime, source=source, paths=[path], account=name)
            assert landed.status == "landed", landed.error
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into recon.pins (target_schema, run_id, book, as_of, signed_size, grace_business_days,"
                " provider_account) values ('analytics', repeat('0', 64), 'main', :as_of, 0, 5, 'default')"
            ),
            {"as_of": as_of},
        )
        connection.execute(
            text(
                "insert into recon.pin_files (target_schema, file_id, file_no)"
                " select 'analytics', file_id, row_number() over (order by file_id) from raw.files"
            )
        )
    dbt = Dbt(home=folder, database_url=engine.url.render_as_string(hide_password=False))
    dbt.build(select=("+int_bank_findings", "+int_bank_lines"), exclude=("resource_type:test",))
    with engine.connect() as connection:
        return {name: _outcome(connection, name, iban) for name, iban in ibans.items()}


def _outcome(connection: Any, name: str, iban: str) -> Outcome:
    def rows(query: str) -> list[Any]:
        return connection.execute(text(query), {"name": name, "iban": iban}).all()

    lines = rows(
        "select lines.amount_minor, lines.remittance, lines.bank_line_id in ("
        " select reversal_id from analytics.int_bank_reversals"
        " union select reversed_id from analytics.int_bank_reversals)"
        " from analytics.int_bank_lines_current as lines"
        " inner join analytics.int_bank_deliveries as pages using (file_no, statement_ordinal)"
        " where pages.bank_account = :name order by lines.booked_on, lines.amount_minor, lines.remittance"
    )
    reasons = rows("select kind, detail from analytics.int_bank_findings where account = :name order by kind, detail")
    pages = rows(
        "select statement_id, page, is_current, replaced_because from analytics.int_bank_deliveries"
        " where bank_account = :name order by stated_on, statement_id, page, is_current, made_at"
    )
    texts = rows(
        "select texts.kind, texts.value from analytics.int_bank_line_texts as texts"
        " inner join analytics.int_bank_lines_current as lines using (bank_line_id) where lines.account_iban = :iban"
    )
    claimed = rows(
        "select amount_minor, has_reference from analytics.int_bank_lines where account_iban = :iban"
        " and not is_cancelled order by bank_line_id"
    )
    return Outcome(
        counted=[(int(amount), said) for amount, said, cancelled in lines if not cancelled],
        cancelled=[int(amount) for amount, _, cancelled in lines if cancelled],
        reasons={kind for kind, _ in reasons},
        details=[detail for _, detail in reasons],
        pages=[tuple(page) for page in pages],
        texts={tuple(row) for row in texts},
        claimed=[(int(amount), has_reference) for amount, has_reference in claimed],
    )


def _decimal(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _element(name: str, value: object) -> str:
    return "" if value is None else f"<{name}>{value}</{name}>"
