"""Small files of both sources, made of what a test wants to say and defaults for the rest."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from ingest.sources.camt053.parse import parse as parse_statement
from ingest.sources.stripe_report.parse import parse as parse_report

HEADER = (
    "automatic_payout_id,balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,"
    "description,customer_email"
)


class Read:
    """What a parser made of a file, gathered."""

    def __init__(self, reader: Any) -> None:
        batches = list(reader.batches())
        self.reader = reader
        self.rows: list[dict[str, Any]] = []
        self.statements: list[dict[str, Any]] = []
        for batch in batches:
            named = [dict(zip(batch.columns, row, strict=True)) for row in batch.rows]
            (self.statements if batch.table == "raw.camt053_statements" else self.rows).extend(named)
        self.ordinals = [ordinal for batch in batches if "statements" not in batch.table for ordinal in batch.ordinals]

    @property
    def faults(self) -> list[tuple[int, str]]:
        return [(row.line, row.code) for row in self.reader.quarantined]


@pytest.fixture
def read_report() -> Callable[..., Read]:
    """Read a Stripe report from text or bytes."""

    def read(data: str | bytes, *, name: str = "report.csv") -> Read:
        return Read(parse_report(io.BytesIO(data.encode() if isinstance(data, str) else data), name=name))

    return read


@pytest.fixture
def report_row() -> Callable[..., str]:
    """Make one row under `HEADER`."""

    def row(number: int = 1, **values: str) -> str:
        defaults = {
            "automatic_payout_id": "po_1",
            "balance_transaction_id": f"txn_{number}",
            "created_utc": "2026-10-01 10:11:12",
            "currency": "usd",
            "gross": "25.00",
            "fee": "0.95",
            "net": "24.05",
            "reporting_category": "charge",
            "description": "Order",
            "customer_email": "a@example.com",
        }
        return ",".join({**defaults, **values}.values())

    return row


@pytest.fixture
def header() -> str:
    return HEADER


@pytest.fixture
def read_statement() -> Callable[..., Read]:
    """Read a camt.053 file from text or bytes."""

    def read(data: str | bytes, *, name: str = "bank.xml") -> Read:
        return Read(parse_statement(io.BytesIO(data.encode() if isinstance(data, str) else data), name=name))

    return read


@pytest.fixture
def entry() -> Callable[..., str]:
    """Make one `Ntry`."""

    def make(
        amount: str = "10.00",
        *,
        side: str = "CRDT",
        currency: str = "EUR",
        status: str = "BOOK",
        booked: str | None = "2026-10-01",
        details: str = "",
        more: str = "",
        nested_status: bool = False,
    ) -> str:
        state = f"<Cd>{status}</Cd>" if nested_status else status
        day = f"<BookgDt><Dt>{booked}</Dt></BookgDt>" if booked else ""
        inner = f"<NtryDtls>{details}</NtryDtls>" if details else ""
        return (
            f'<Ntry><NtryRef>E1</NtryRef><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
            f"<Sts>{state}</Sts>{day}<AcctSvcrRef>ASR1</AcctSvcrRef>{more}{inner}</Ntry>"
        )

    return make


@pytest.fixture
def statement() -> Callable[..., str]:
    """Make a whole file with one or more statements around the given entries."""

    def make(
        *bodies: str,
        opening: str = "100.00",
        closing: str = "110.00",
        version: str = "02",
        summary: str = "",
        pages: str = "",
        currency: str = "<Ccy>EUR</Ccy>",
    ) -> str:
        statements = "".join(
            f"<Stmt><Id>S{number}</Id><ElctrncSeqNb>{number}</ElctrncSeqNb><CreDtTm>2026-10-01T20:00:00Z</CreDtTm>"
            f"<Acct><Id><IBAN>DE02100500000054540402</IBAN></Id>{currency}</Acct>"
            f"{_balance('OPBD', opening)}{_balance('CLBD', closing)}{summary}{body}</Stmt>"
            for number, body in enumerate(bodies, start=1)
        )
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt>'
            f"<GrpHdr><MsgId>M1</MsgId>{pages}</GrpHdr>{statements}</BkToCstmrStmt></Document>"
        )

    return make


def _balance(code: str, amount: str) -> str:
    side, digits = ("DBIT", amount[1:]) if amount.startswith("-") else ("CRDT", amount)
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{digits}</Amt>'
        f"<CdtDbtInd>{side}</CdtDbtInd><Dt><Dt>2026-10-01</Dt></Dt></Bal>"
    )
