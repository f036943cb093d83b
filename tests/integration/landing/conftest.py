"""A database, an object store and small files to land in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ingest.landing.land import LandedFile, land
from ledger_core.base.engine import make_engine
from ledger_core.base.objects.file import FileStore
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.settings import Settings
from ledger_core.wrapping import open_wrapping

HEADER = "automatic_payout_id,balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,description"
TABLES = (
    "raw.files",
    "raw.control_totals",
    "raw.quarantine",
    "raw.stripe_report_payout_reconciliation",
    "raw.stripe_report_payouts",
    "raw.camt053_statements",
    "raw.camt053_lines",
    "raw.mt940_statements",
    "raw.mt940_lines",
    "raw.bai2_statements",
    "raw.bai2_lines",
    "ops.file_keys",
)
STATEMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S1</Id>
<ElctrncSeqNb>7</ElctrncSeqNb><Acct><Id><IBAN>DE02100500000054540402</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-10-01</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{closing}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-10-01</Dt></Dt></Bal>
<Ntry><Amt Ccy="EUR">25.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-10-01</Dt></BookgDt>
<NtryDtls><TxDtls><Refs><EndToEndId>po_1</EndToEndId></Refs>
<RmtInf><Ustrd>{narrative}</Ustrd></RmtInf></TxDtls></NtryDtls>
</Ntry></Stmt></BkToCstmrStmt></Document>
"""


@dataclass
class LandingOnly:
    """The part of the runtime that landing uses; no signing proxy is needed for it."""

    settings: Settings
    engine: Engine
    raw_store: FileStore
    header: str = HEADER

    @cached_property
    def wrapping(self) -> KeyWrapping:
        return open_wrapping(self.settings)

    @staticmethod
    def clock() -> datetime:
        return datetime(2026, 11, 1, 6, 0, tzinfo=UTC)

    @staticmethod
    def withheld(book: str) -> None:
        """Say that nothing is withheld: there is no ledger that could be behind."""

    def land(self, *paths: Path, source: str = "stripe_report", **more: object) -> list[LandedFile]:
        return land(self, source=source, paths=paths, **more)

    def report(
        self, path: Path, rows: int = 3, *, day: str = "2026-10-01", start: int = 0, description: str = "Order"
    ) -> Path:
        lines = [
            f"po_1,txn_{start + number},{day} 10:00:00,usd,25.00,0.95,24.05,charge,{description}"
            for number in range(rows)
        ]
        path.write_text("\n".join([HEADER, *lines, ""]))
        return path

    def statement(self, *, closing: str, narrative: str) -> str:
        return STATEMENT.format(closing=closing, narrative=narrative)

    def counts(self) -> dict[str, int]:
        with self.engine.connect() as connection:
            return {table: connection.execute(text(f"select count(*) from {table}")).scalar_one() for table in TABLES}

    def rows(self, statement: str) -> list[dict]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement)).mappings()]


@pytest.fixture
def landing(database_url: str, tmp_path: Path) -> Iterator[LandingOnly]:
    engine = make_engine(database_url, role="writer")
    yield LandingOnly(Settings(home_path=tmp_path / "home"), engine, FileStore(tmp_path / "raw"))
    engine.dispose()
