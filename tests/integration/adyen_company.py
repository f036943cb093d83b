"""A company that is paid through Adyen: its chart, its entries, its settlement reports and its banks."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from ingest.landing.land import LandedFile, land
from ledger_core.actor import Actor
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.runtime import Runtime
from reconciliation.breaks.queue import list_breaks
from reconciliation.runs.run import RunResult, reconcile
from tests.unit.ingest.adyen_report import Row, report

ACTOR = Actor(subject="test")
AS_OF = date(2026, 10, 12)
DIGITS = {"JPY": 0, "KWD": 3}
CURRENCIES = ("EUR", "JPY", "KWD")
ROLES = {"clearing": "asset", "in_transit": "asset", "fees": "expense"}
STATEMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S1</Id>
<ElctrncSeqNb>1</ElctrncSeqNb><Acct><Id><IBAN>DE02100500000054540402</IBAN></Id><Ccy>{currency}</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">1000000</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-10-01</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{closing}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-10-11</Dt></Dt></Bal>{lines}</Stmt></BkToCstmrStmt></Document>
"""
LINE = """<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-10-09</Dt></BookgDt><NtryDtls><TxDtls><RltdPties><Dbtr><Pty><Nm>{party}</Nm></Pty></Dbtr></RltdPties>
<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"""


class Company:
    """Books, reports and statements of one company, landed and reconciled."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime, self.folder = runtime, folder
        accounts = [
            f"  - {{code: '{role}-{currency}', type: {type_}, currency: {currency}, overdraft: allowed, "
            f"metadata: {{source: adyen, role: {role}}}}}"
            for currency in CURRENCIES
            for role, type_ in ROLES.items()
        ]
        accounts += [
            f"  - {{code: 'sales-{currency}', type: revenue, currency: {currency}, overdraft: allowed}}"
            for currency in CURRENCIES
        ]
        (folder / "chart.yaml").write_text("\n".join(["book: main", "accounts:", *accounts, ""]))
        apply_chart_file(runtime, folder / "chart.yaml", book="main", actor=ACTOR)
        self.entries: list[dict[str, Any]] = []

    def books(self, reference: str, gross: str, fee: str = "0", *, currency: str = "EUR", other: str = "sales") -> None:
        """Book `gross`, of which the provider kept `fee`, under `reference`; below zero it left the balance."""
        net = Decimal(gross) - Decimal(fee)
        sides = {f"clearing-{currency}": net, f"fees-{currency}": Decimal(fee), f"{other}-{currency}": -Decimal(gross)}
        self.entries.append(
            {
                "effective_at": "2026-10-06T08:00:00Z",
                "external_id": f"adyen:{len(self.entries)}",
                "description": reference,
                "metadata": {"reference": reference},
                "postings": [
                    {
                        "account": account,
                        "direction": "debit" if amount > 0 else "credit",
                        "amount": str(abs(amount).scaleb(DIGITS.get(currency, 2)).to_integral_exact()),
                        "currency": currency,
                    }
                    for account, amount in sides.items()
                    if amount
                ],
            }
        )

    def report(
        self, *rows: Row, name: str = "settlement_detail_report_batch_7.csv", account: str | None = None
    ) -> LandedFile:
        (self.folder / name).write_text(report(rows))
        [landed] = land(
            self.runtime, source="adyen_settlement", paths=[self.folder / name], account=account, book="main"
        )
        assert landed.error is None, landed.error
        return landed

    def statement(self, *lines: tuple[str, str], currency: str = "EUR", party: str = "ADYEN N.V.") -> None:
        """Land a statement of amounts and what stands beside each; `-` before an amount is a debit."""
        written = [
            LINE.format(
                currency=currency,
                amount=amount.lstrip("-"),
                side="DBIT" if amount.startswith("-") else "CRDT",
                text=text,
                party=party,
            )
            for amount, text in lines
        ]
        closing = sum((Decimal(amount) for amount, _ in lines), Decimal(1_000_000))
        path = self.folder / f"bank-{currency}.xml"
        path.write_text(STATEMENT.format(currency=currency, closing=closing, lines="".join(written)))
        [landed] = land(self.runtime, source="camt053", paths=[path], book="main")
        assert landed.error is None, landed.error

    def reconcile(self, to: date = AS_OF) -> RunResult:
        (self.folder / "entries.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in self.entries))
        if self.entries:
            post_file(self.runtime.ledger("main"), self.runtime.engine, self.folder / "entries.jsonl", actor=ACTOR)
        return reconcile(self.runtime, to=to)

    def breaks(self) -> set[tuple[str, str, str, int | None]]:
        with self.runtime.engine.connect() as connection:
            found = list_breaks(connection, "main")
        return {(each.break_class, each.leg, each.key, each.amount_minor) for each in found}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.runtime.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement.replace("%", "%%"))]

    def items(self) -> dict[str, tuple[Any, ...]]:
        return {
            key: amounts
            for key, *amounts in self.rows(
                "select psp_transaction_id, currency, gross_minor::bigint, fee_minor::bigint, net_minor::bigint, event"
                " from analytics.int_psp_items"
            )
        }  # type: ignore[misc]
