"""Small companies made of code, many to a book: each has an account at the provider, accounts and a bank account.

A run costs seconds whatever its size, so cases share one. What a case says is rendered as the real files (reports as
CSV, statements as camt.053) and landed by the real landing. Ids carry the case's number, so a break tells whose it is.
Amounts are minor units; `Case.cents` makes one that no other case has, for what is matched by amount and day.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import yaml

ITEM_COLUMNS = (
    "automatic_payout_id", "automatic_payout_effective_at_utc", "balance_transaction_id", "created_utc", "currency",
    "gross", "fee", "net", "reporting_category", "source_id", "description", "charge_id", "payment_intent_id",
    "order_id", "payment_method_type", "trace_id", "payout_reference_token",
)  # fmt: skip
PAYOUT_COLUMNS = (
    "payout_id", "effective_at_utc", "currency", "balance_transaction_id", "gross", "fee", "net", "reporting_category",
    "description", "payout_expected_arrival_date", "payout_status", "payout_type",
)  # fmt: skip
FIRST = date(2026, 3, 2)
"""A Monday; days of a case are counted from it."""


@dataclass(kw_only=True)
class Line:
    """One entry of a bank statement: texts by element, or details of their own."""

    amount: int
    day: int
    party: str | None = "Stripe Payments Europe"
    end_to_end: str | None = None
    servicer: str | None = None
    remittance: tuple[str, ...] = ()
    info: str | None = None
    details: tuple[tuple[str, ...], ...] = ()
    """Remittances of details that carry no amount."""


@dataclass(kw_only=True)
class Case:
    """One company: what the provider, the bank and the books say of it."""

    number: int
    currency: str = "EUR"
    items: list[dict[str, str]] = field(default_factory=list)
    payouts: list[dict[str, str]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    later: list[dict[str, Any]] = field(default_factory=list)
    corrections: dict[str, str] = field(default_factory=dict)
    """External ids of adjustments, and of what they correct."""
    unsaid: frozenset[str] = frozenset()
    """What statements leave out: `number`, `opening`, `closing`."""

    @property
    def account(self) -> str:
        return f"acct_c{self.number:04}"

    @property
    def iban(self) -> str:
        return f"DE{10 + self.number % 80:02}10050000{self.number:010}"

    def id(self, kind: str, name: object) -> str:
        """Return an id of the provider's shape, of this case alone: `txn_c0007alpha`."""
        return f"{kind}_c{self.number:04}{name}"

    def cents(self, amount: int) -> int:
        """Return an amount near `amount` that no other case has."""
        return amount * 1000 + self.number

    def item(
        self,
        name: object,
        gross: int,
        *,
        fee: int = 0,
        day: int = 0,
        category: str = "charge",
        payout: object = None,
        booked: bool = True,
        **columns: str,
    ) -> str:
        """Add an item of the provider's, and the entry that books it; return its balance transaction."""
        transaction = self.id("txn", name)
        self.items.append(
            {
                "automatic_payout_id": self.id("po", payout) if payout is not None else "",
                "balance_transaction_id": transaction,
                "created_utc": f"{FIRST + timedelta(days=day)} 10:00:00",
                "currency": self.currency.lower(),
                "gross": _major(gross, self.currency),
                "fee": _major(fee, self.currency),
                "net": _major(gross - fee, self.currency),
                "reporting_category": category,
                "source_id": self.id("ch", name),
                "charge_id": self.id("ch", name) if category == "charge" else "",
                "payment_intent_id": self.id("pi", name) if category == "charge" else "",
                "payment_method_type": "card",
            }
            | columns
        )
        if booked:
            self.entry(f"stripe:{transaction}", net=gross - fee, fee=fee, day=day, reference=transaction)
        return transaction

    def payout(
        self,
        name: object,
        net: int,
        *,
        day: int = 1,
        arrives: int | None = None,
        status: str = "paid",
        fee: int = 0,
        booked: bool = True,
        reference: str | None = None,
        category: str = "payout",
    ) -> str:
        """Add a payout of the provider's, and the entry that books it; return its id."""
        payout, transaction = self.id("po", name), self.id("txn", f"po{name}")
        self.payouts.append(
            {
                "payout_id": payout,
                "effective_at_utc": f"{FIRST + timedelta(days=day)} 09:00:00",
                "currency": self.currency.lower(),
                "balance_transaction_id": transaction,
                "gross": _major(net - fee, self.currency),
                "fee": _major(-fee, self.currency) if fee else "0.00",
                "net": _major(net, self.currency),
                "reporting_category": category,
                "description": "STRIPE PAYOUT",
                "payout_expected_arrival_date": f"{_on(day if arrives is None else arrives)} 00:00:00",
                "payout_status": status,
                "payout_type": "bank_account",
            }
        )
        if booked:
            self.entry(f"stripe:{transaction}", net=-net, day=day, other="transit", reference=reference or transaction)
        return payout

    def line(self, amount: int, *texts: str, day: int = 1, **parts: Any) -> None:
        """Add a line of the bank account; `texts` are its remittance, one element each."""
        self.lines.append(Line(amount=amount, day=day, remittance=texts, **parts))

    def entry(
        self,
        external_id: str,
        *,
        net: int,
        fee: int = 0,
        day: int = 0,
        reference: str | None = None,
        other: str = "sales",
        corrects: str | None = None,
    ) -> None:
        """Book `net` on the clearing account, `fee` on fees, the rest on `other`."""
        postings = [self._posting("clearing", net), self._posting("fees", fee), self._posting(other, -(net + fee))]
        self._add(external_id, postings, day=day, reference=reference, corrects=corrects)

    def receipt(self, name: object, amount: int, *, reference: str | None, day: int = 3) -> None:
        """Book what the bank received out of transit."""
        postings = [self._posting("bank", amount), self._posting("transit", -amount)]
        self._add(f"bank:{self.id('bk', name)}", postings, day=day, reference=reference)

    def _add(
        self,
        external_id: str,
        postings: list[dict[str, str] | None],
        *,
        day: int,
        reference: str | None,
        corrects: str | None = None,
    ) -> None:
        if not any(postings):
            return  # What moves nothing is not booked.
        draft = {
            "effective_at": f"{FIRST + timedelta(days=day)}T10:00:00Z",
            "external_id": external_id,
            "description": "",
            "postings": [posting for posting in postings if posting],
            "metadata": {"reference": reference} if reference else {},
        }
        if corrects:
            self.corrections[external_id] = corrects
        (self.later if corrects else self.entries).append(draft)

    def _posting(self, role: str, amount: int) -> dict[str, str] | None:
        if amount == 0:
            return None
        side = "debit" if amount > 0 else "credit"
        return {"account": self.code(role), "direction": side, "amount": str(abs(amount)), "currency": self.currency}

    def code(self, role: str) -> str:
        """Return the code of one of the company's accounts."""
        kind = {"sales": "revenue", "fees": "expenses", "other": "expenses"}.get(role, "assets")
        return f"{kind}:{role}:{self.account}:{self.currency.lower()}"

    def chart(self) -> list[dict[str, Any]]:
        """Return the company's accounts."""
        roles = {
            "clearing": ("asset", {"source": "stripe", "role": "clearing", "account": self.account}),
            "transit": ("asset", {"source": "stripe", "role": "in_transit", "account": self.account}),
            "bank": ("asset", {"role": "bank"}),
            "fees": ("expense", {"source": "stripe", "role": "fees", "account": self.account}),
            "other": ("expense", {}),
            "sales": ("revenue", {}),
        }
        return [
            {
                "code": self.code(role),
                "type": kind,
                "currency": self.currency,
                "overdraft": "allowed",
                "metadata": metadata,
            }
            for role, (kind, metadata) in roles.items()
        ]

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write the company's files; return the folders of the provider and of the bank."""
        provider, bank = folder / self.account / "stripe", folder / self.account / "bank"
        provider.mkdir(parents=True)
        bank.mkdir()
        if self.items:
            _write_csv(provider / f"{self.account}_items.csv", ITEM_COLUMNS, self.items)
        if self.payouts:
            _write_csv(provider / f"{self.account}_payouts.csv", PAYOUT_COLUMNS, self.payouts)
        if self.lines:
            (bank / f"{self.account}.xml").write_text(_statements(self))
        return provider, bank


def write_book(folder: Path, cases: list[Case]) -> None:
    """Write the chart and the entries of all cases."""
    chart = {"book": "main", "accounts": [account for case in cases for account in case.chart()]}
    (folder / "accounts.yaml").write_text(yaml.safe_dump(chart, sort_keys=False))
    entries = [entry for case in cases for entry in case.entries]
    (folder / "entries.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    path.write_text(report(columns, rows), newline="")


def report(columns: tuple[str, ...], rows: list[dict[str, str]]) -> str:
    """Return a report of the provider's as it is written."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _major(minor: int, currency: str) -> str:
    decimals = {"JPY": 0, "KWD": 3}.get(currency, 2)
    scale = 10**decimals
    sign = "-" if minor < 0 else ""
    whole = f"{sign}{abs(minor) // scale}"
    return f"{whole}.{abs(minor) % scale:0{decimals}}" if decimals else whole


def _on(day: int) -> date:
    return FIRST + timedelta(days=day)


def _statements(case: Case) -> str:
    """Return all statements of a case in one document."""
    return statement_document(case, statements(case))


def statements(case: Case, *, made: str = "20:00:00") -> list[str]:
    """Return one statement a day that has lines, numbered, each opening where the one before closed."""
    days: dict[int, list[Line]] = defaultdict(list)
    for line in case.lines:
        days[line.day].append(line)
    balance, parts = 1_000_000_000, []
    for number, day in enumerate(sorted(days), start=1):
        on, opening = FIRST + timedelta(days=day), balance
        balance += sum(line.amount for line in days[day])
        entries = "".join(
            _entry(case, line, f"BK{case.number}-{number}-{place}") for place, line in enumerate(days[day])
        )
        parts.append(
            f"<Stmt><Id>{case.account}-{number}</Id>{_number(case, number)}"
            f"<CreDtTm>{on}T{made}Z</CreDtTm>"
            f"<Acct><Id><IBAN>{case.iban}</IBAN></Id><Ccy>{case.currency}</Ccy></Acct>"
            f"{'' if 'opening' in case.unsaid else _balance('OPBD', opening, on, case.currency)}"
            f"{'' if 'closing' in case.unsaid else _balance('CLBD', balance, on, case.currency)}"
            f"{entries}</Stmt>"
        )
    return parts


def statement_document(case: Case, parts: list[str]) -> str:
    """Return a bank's document of some statements, sent after the last line of the case."""
    last = FIRST + timedelta(days=max(line.day for line in case.lines))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'
        f"<BkToCstmrStmt><GrpHdr><MsgId>M{case.number}</MsgId><CreDtTm>{last}T23:00:00Z</CreDtTm></GrpHdr>"
        f"{''.join(parts)}</BkToCstmrStmt></Document>\n"
    )


def _number(case: Case, number: int) -> str:
    return "" if "number" in case.unsaid else f"<ElctrncSeqNb>{number}</ElctrncSeqNb>"


def _balance(code: str, minor: int, on: date, currency: str) -> str:
    side = "CRDT" if minor >= 0 else "DBIT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{_major(abs(minor), currency)}</Amt>'
        f"<CdtDbtInd>{side}</CdtDbtInd><Dt><Dt>{on}</Dt></Dt></Bal>"
    )


def _entry(case: Case, line: Line, servicer: str) -> str:
    on, side = FIRST + timedelta(days=line.day), "CRDT" if line.amount >= 0 else "DBIT"
    details = [_detail(line, texts) for texts in line.details] or [_detail(line, line.remittance)]
    info = f"<AddtlNtryInf>{escape(line.info)}</AddtlNtryInf>" if line.info else ""
    return (
        f'<Ntry><Amt Ccy="{case.currency}">{_major(abs(line.amount), case.currency)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
        f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{on}</Dt></BookgDt><ValDt><Dt>{on}</Dt></ValDt>"
        f"<AcctSvcrRef>{line.servicer or servicer}</AcctSvcrRef>"
        f"<NtryDtls>{''.join(details)}</NtryDtls>{info}</Ntry>"
    )


def _detail(line: Line, texts: tuple[str, ...]) -> str:
    role = "Dbtr" if line.amount >= 0 else "Cdtr"
    reference = f"<Refs><EndToEndId>{escape(line.end_to_end)}</EndToEndId></Refs>" if line.end_to_end else ""
    party = f"<RltdPties><{role}><Pty><Nm>{escape(line.party)}</Nm></Pty></{role}></RltdPties>" if line.party else ""
    pieces = "".join(f"<Ustrd>{escape(text)}</Ustrd>" for text in texts)
    remittance = f"<RmtInf>{pieces}</RmtInf>" if pieces else ""
    return f"<TxDtls>{reference}{party}{remittance}</TxDtls>"
