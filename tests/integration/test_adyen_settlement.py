"""A company that is paid through Adyen: from its settlement reports to items that match, batch by batch and at the bank."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.landing.land import LandedFile, land
from ledger_core.actor import Actor
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.runtime import Runtime
from reconciliation.breaks.queue import list_breaks
from reconciliation.runs.run import RunResult, reconcile
from tests.adyen_report import Row, line, payment, payout, report

pytestmark = pytest.mark.integration
ACTOR = Actor(subject="test")
AS_OF = date(2026, 10, 12)
DIGITS = {"JPY": 0, "KWD": 3}
CURRENCIES = ("EUR", "JPY", "KWD")
ROLES = {"clearing": "asset", "in_transit": "asset", "fees": "expense"}
STATEMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S1</Id>
<ElctrncSeqNb>1</ElctrncSeqNb><Acct><Id><IBAN>DE02100500000054540402</IBAN></Id><Ccy>{currency}</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">0</Amt><CdtDbtInd>CRDT</CdtDbtInd>
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
        closing = sum((Decimal(amount) for amount, _ in lines), Decimal(0))
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


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    folder = tmp_path / "company"
    folder.mkdir()
    return Company(runtime, folder)


def test_a_month_of_adyen_matches_to_the_minor_unit(company: Company) -> None:
    """Every kind of row of the documentation at once, booked as its company would: nothing is left over."""
    company.report(
        payment(1, "10.00", "9.76"),
        # Parts of a cent, in the parts of the fee.
        payment(2, "10.00", "9.85", commission_nc="", markup_nc="0.13", scheme_fees_nc="0.0081", interchange_nc="0.0123"),
        # Converted: 20.00 USD at 0.92 are 18.40 EUR.
        payment(3, "20.00", "17.90", gross_currency="USD", exchange_rate="0.92", commission_nc="0.50"),
        # A fee above the payment: 10 rupees.
        payment(4, "10.00", "-0.03", gross_currency="INR", exchange_rate="0.011", commission_nc="0.14"),
        payment(1, "-3.00", "-2.89", type="Refunded", modification_reference="9900000000000101"),
        payment(2, "-10.00", "-15.00", type="Chargeback", modification_reference="9900000000000102"),
        payment(2, "10.00", "10.00", type="ChargebackReversed", modification_reference="9900000000000103"),
        # Two instalments that say the same are two payments.
        payment(5, "4.00", "3.90", type="SettledInstallment"),
        payment(5, "4.00", "3.90", type="SettledInstallment"),
        line("Fee", "-1.80", "Transaction Fees October 2026"),
        line("ReserveAdjustment", "-5.00", "Reserve 2026-10"),
        payout("30.59"),
        payment(6, "1000", "964", gross_currency="JPY", net_currency="JPY", merchant_account="KontorAsia"),
        payout("964", merchant="KontorAsia", transfer="TX1000000008XT", net_currency="JPY"),
        payment(7, "10.000", "9.753", gross_currency="KWD", net_currency="KWD", merchant_account="KontorAsia"),
        payout("9.753", merchant="KontorAsia", transfer="TX1000000009XT", net_currency="KWD"),
    )  # fmt: skip
    company.books("9900000000000001", "10.00", "0.24")
    company.books("order-2", "10.00", "0.15")
    company.books("8800000000000003", "18.40", "0.50")
    company.books("9900000000000004", "0.11", "0.14")
    company.books("9900000000000101", "-3.00", "-0.11")
    company.books("9900000000000102", "-10.00", "5.00")
    company.books("9900000000000103", "10.00")
    company.books("9900000000000005", "4.00", "0.10")
    company.books("9900000000000005", "4.00", "0.10")
    company.books("KontorEU:7:Fee::Transaction Fees October 2026", "-1.80", other="fees")
    company.books("Reserve 2026-10", "-5.00")
    company.books("KontorEU:7:EUR", "-30.59", other="in_transit")
    company.books("9900000000000006", "1000", "36", currency="JPY")
    company.books("TX1000000008XT", "-964", currency="JPY", other="in_transit")
    company.books("9900000000000007", "10.000", "0.247", currency="KWD")
    company.books("KontorAsia:7:KWD", "-9.753", currency="KWD", other="in_transit")
    company.statement(("30.59", "TX1000000007XT BATCH 7, KONTOREU"))
    company.statement(("964", "ADYEN tx1000000008xt"), currency="JPY")
    company.statement(("9.753", "Batch 7, KontorAsia TX1000000009XT"), currency="KWD", party="Deutsche Bank AG")
    result = company.reconcile()
    assert company.breaks() == set()
    assert (result.verdict, result.reasons) == ("reconciled", ())
    assert company.items()["KontorEU:7:Settled:8800000000000003:9900000000000003"] == ["EUR", 1840, 50, 1790, "charge"]
    matched = company.rows("select count(*) from analytics.fct_matches where leg = 'B' and is_equal")
    assert matched == [(3,)]
