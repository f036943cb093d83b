"""Whatever Adyen brings a company and however the reports come: what it booked matches, and nothing is left over.

A company is drawn as a month of batches over merchant accounts and currencies. Its reports come whole, in parts, again
in another order and with more columns, or several accounts in one, in any order. The truth is what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random

import pytest

from ledger_core.runtime import Runtime
from tests.integration.adyen_company import DIGITS, Company
from tests.unit.ingest.adyen_report import Row, line, payment, payout

pytestmark = pytest.mark.integration
MERCHANTS = {"KontorEU": "EUR", "KontorUS": "EUR", "KontorJP": "JPY", "KontorKW": "KWD"}
RATES = {"USD": "0.9213", "INR": "0.011"}


@dataclass
class Drawn:
    """Batches of rows, and what a company books of each row: reference, gross, fee, other account."""

    chance: Random
    batches: list[list[Row]] = field(default_factory=list)
    booked: list[tuple[str, Decimal, Decimal, str, str]] = field(default_factory=list)
    paid: list[tuple[str, Decimal, str]] = field(default_factory=list)
    """Currency, amount and remittance of what arrived."""
    number: int = 0

    def batch(self, merchant: str, batch: str, day: int) -> None:
        currency, rows = MERCHANTS[merchant], []
        for _ in range(self.chance.randint(2, 9)):
            self.number += 1
            rows.append(self._row(merchant, batch, currency, day))
        if self.chance.random() < 0.5:
            rows.append(self._of_the_batch(merchant, batch, currency, day))
        net = sum((_net(row) for row in rows), Decimal(0))
        self.number += 1
        transfer = f"TX{self.number:010}XT"
        pay = {"creation_date": f"2026-10-{day + 2:02} 09:00:00", "net_currency": currency}
        rows.append(payout(f"{net:f}", batch=batch, merchant=merchant, transfer=transfer, **pay))
        name = self.chance.choice([f"{merchant}:{batch}:{currency}", transfer])
        self.booked.append((name, -net, Decimal(0), currency, "in_transit"))
        said = self.chance.choice(
            [f"{transfer} BATCH {batch}, {merchant.upper()}", f"ADYEN {transfer.lower()}", transfer]
        )
        self.paid.append((currency, net, said))
        self.batches.append(rows)

    def _row(self, merchant: str, batch: str, currency: str, day: int) -> Row:
        chance, digits = self.chance, DIGITS.get(currency, 2)
        paid_in = chance.choice([currency, currency, currency, "USD", "INR"]) if currency == "EUR" else currency
        kind = chance.choice(["Settled", "Settled", "Settled", "Refunded", "Chargeback", "RefundedReversed"])
        sign = -1 if kind in ("Refunded", "Chargeback") else 1
        gross = sign * Decimal(chance.randint(1, 90_000)).scaleb(-DIGITS.get(paid_in, 2))
        converted = gross * Decimal(RATES.get(paid_in, "1"))
        parts = [Decimal(chance.randint(0, 9_999)).scaleb(-4) for _ in range(3)]
        least = Decimal(1).scaleb(-digits)
        if chance.random() < 0.5:
            parts = [parts[0].quantize(least), Decimal(0), Decimal(0)]
        net = (converted - sum(parts, Decimal(0))).quantize(least, ROUND_HALF_UP)
        row = payment(
            self.number, str(gross), f"{net:f}", type=kind, gross_currency=paid_in, net_currency=currency,
            exchange_rate=RATES.get(paid_in, "1"), merchant_account=merchant, batch_number=batch, commission_nc="",
            markup_nc=str(parts[0]), scheme_fees_nc=str(parts[1]), interchange_nc=str(parts[2]),
            creation_date=f"2026-10-{day + chance.randint(0, 1):02} {chance.randint(0, 23):02}:30:00",
            timezone=chance.choice(["CEST", "PDT", "UTC", "Asia/Tokyo"]),
        )  # fmt: skip
        fee = gross - net if paid_in == currency else sum(parts, Decimal(0)).quantize(least, ROUND_HALF_UP)
        reference = row[chance.choice(["Psp Reference", "Modification Reference", "Merchant Reference"])]
        if net:
            self.booked.append((reference, net + fee, fee, currency, "sales"))
        return row

    def _of_the_batch(self, merchant: str, batch: str, currency: str, day: int) -> Row:
        net = -Decimal(self.chance.randint(1, 500)).scaleb(-DIGITS.get(currency, 2))
        kind = self.chance.choice(["Fee", "InvoiceDeduction", "MiscCosts"])
        at = f"2026-10-{day + 1:02} 08:00:00"
        row = line(
            kind,
            f"{net:f}",
            "Costs",
            merchant_account=merchant,
            batch_number=batch,
            net_currency=currency,
            creation_date=at,
        )
        self.booked.append((f"{merchant}:{batch}:{kind}::Costs", net, Decimal(0), currency, "fees"))
        return row

    def files(self) -> list[list[Row]]:
        """Return what comes: every row at least once."""
        chance, files = self.chance, []
        for rows in self.batches:
            turned = chance.sample(rows, len(rows))
            booked = [
                row | {"Booking Date": rows[-1]["Creation Date"], "Booking Date TimeZone": "UTC"} for row in turned
            ]
            cut = chance.randint(1, len(rows) - 1)
            files += chance.choice(
                [[rows], [rows, turned], [rows[:cut], rows[cut:]], [rows[:cut], turned], [booked, rows]]
            )
        if chance.random() < 0.5:
            files.append([row for rows in self.batches for row in rows])
        return chance.sample(files, len(files))


def _net(row: Row) -> Decimal:
    return Decimal(row["Net Credit (NC)"] or 0) - Decimal(row["Net Debit (NC)"] or 0)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_booked_matches_whatever_came(runtime: Runtime, tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "company"
    folder.mkdir()
    company, drawn = Company(runtime, folder), Drawn(Random(seed))
    for merchant in MERCHANTS:
        for number in range(2):
            drawn.batch(merchant, str(7 + number), day=1 + 3 * number)
    for place, rows in enumerate(drawn.files()):
        company.report(*rows, name=f"report-{place}.csv")
    for reference, gross, fee, currency, other in drawn.booked:
        company.books(reference, str(gross), str(fee), currency=currency, other=other)
    for currency in sorted(set(MERCHANTS.values())):
        company.statement(*((f"{net:f}", text) for of, net, text in drawn.paid if of == currency), currency=currency)
    result = company.reconcile()
    assert company.breaks() == set()
    assert (result.verdict, result.reasons) == ("reconciled", ())
    unmoved = [row for rows in drawn.batches for row in rows if not _net(row)]
    assert len(company.items()) == len(drawn.booked) + len(unmoved)
    for currency, net in company.rows(
        "select currency, sum(net_minor)::bigint from analytics.int_psp_items group by currency"
    ):
        assert net == 0, f"{currency}: every batch was paid out"
