"""What the sample is made of: the facts that generation yields and that the renderers write.

No format lives here. Amounts are integers in minor units, instants whole seconds since 1970 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

REPORTS = ("weekly", "daily")

DIRT = {
    "late": "a file comes some days after it was due",
    "overlapping": "a report repeats the last days of the one before it",
    "waiting": "a report also lists what still waits for its payout, without naming one",
    "resent": "a report comes again under another name, a statement again under another id",
    "corrected": "a statement comes wrong first and right afterwards",
    "renamed": "names of files say nothing, not even the day",
    "unnumbered": "one bank numbers its statements over all accounts, the other not at all, under one id for ever",
    "texts": "payer and reference stand in odd places, cut, wrapped and respelt",
}
"""Each can be asked for alone. What it does to the files, in a sentence."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A way by which the company sells: an account at a provider. The only one that it has there has no name."""

    provider: str
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asked for; `per_day` is about how many journal entries the company posts a day."""

    days: int
    per_day: int
    seed: int
    clean: bool
    start: date
    providers: tuple[str, ...] = ("stripe",)
    """Through whom the company sells: of `sample.providers.PROVIDERS`."""
    accounts: int = 1
    """At each provider; the company's bank accounts are the same whichever of them pays."""
    statements: Mapping[str, str] = field(default_factory=lambda: {"delta": "camt053", "harbour": "camt053"})
    """In what format each bank states: of `sample.render.STATEMENTS`."""
    reports: str = "weekly"
    """How often the provider reports: one of `REPORTS`."""
    dirt: frozenset[str] = frozenset()
    """How untidily the files come: of `DIRT`. It changes no truth."""
    book: str = "main"
    """The legal entity's ledger; another one's bank accounts are others as well."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Every account at every provider."""
        names = ("",) if self.accounts == 1 else tuple(f"acct_{number}" for number in range(1, self.accounts + 1))
        return tuple(Channel(provider, name) for provider in self.providers for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A journal entry as it is posted; `postings` are (account, direction, amount_minor, currency)."""

    effective_at: int
    external_id: str
    description: str
    postings: tuple[tuple[str, str, int, str], ...]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PspItem:
    """A balance transaction inside a payout; `net_minor = gross_minor - fee_minor`."""

    txn_id: str
    category: str
    created: int
    currency: str
    gross_minor: int
    fee_minor: int
    payout_id: str
    made_on: date
    """When its payout left the provider."""
    arrives_on: date
    channel: Channel
    source_id: str = ""
    charge_id: str = ""
    payment_intent_id: str = ""
    charge_created: int | None = None
    order: str = ""
    reason: str = ""
    description: str = ""
    variant: int = 0
    """Picks what carries no meaning: letter case, card brand."""

    @property
    def net_minor(self) -> int:
        return self.gross_minor - self.fee_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """Money that left the provider at `created` and is expected at the bank on `arrives_on`."""

    payout_id: str
    txn_id: str
    currency: str
    net_minor: int
    created: int
    made_on: date
    arrives_on: date
    channel: Channel
    told: str
    """Its reference on a bank line."""
    variant: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BankTransaction:
    """One transaction inside a bank line; `end_to_end_id` is empty where the bank got none."""

    amount_minor: int
    servicer_reference: str
    counterparty: str
    narrative: str
    end_to_end_id: str = ""
    is_payout: bool = False
    """Whether the provider's payout arrived by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankLine:
    """One entry of a statement: a single transaction, or a batch booked as one sum."""

    indicator: str
    transactions: tuple[BankTransaction, ...]
    servicer_reference: str
    code: str
    """Sub-family of the ISO 20022 bank transaction code."""
    booked: bool = True
    """False for an entry that the bank only announces: it moves no balance and comes again when it is booked."""

    @property
    def amount_minor(self) -> int:
        return sum(part.amount_minor for part in self.transactions)

    @property
    def signed_minor(self) -> int:
        """What the line does to the balance."""
        if not self.booked:
            return 0
        return self.amount_minor if self.indicator == "CRDT" else -self.amount_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One business day of one bank account: `opening_minor` and the lines make the closing balance."""

    currency: str
    on: date
    sequence: int
    opening_minor: int
    lines: tuple[BankLine, ...]

    @property
    def closing_minor(self) -> int:
        return self.opening_minor + sum(line.signed_minor for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedBreak:
    """A difference that was put into the files on purpose, as `breaks list` will name it."""

    break_class: str
    leg: str
    key: str
    currency: str
    amount_minor: int

    def as_json(self) -> dict[str, str]:
        return {
            "class": self.break_class,
            "leg": self.leg,
            "key": self.key,
            "currency": self.currency,
            "amount_minor": str(self.amount_minor),
        }


Fact = Entry | PspItem | Payout | Statement | PlantedBreak


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSummary:
    """What was written; `counts` are the planted breaks by class."""

    folder: Path
    first_on: date
    as_of: date
    entries: int
    psp_items: int
    payouts: int
    statements: int
    bank_lines: int
    files: int
    bytes: int
    counts: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "first_on": self.first_on.isoformat(),
            "as_of": self.as_of.isoformat(),
            "entries": self.entries,
            "psp_items": self.psp_items,
            "payouts": self.payouts,
            "statements": self.statements,
            "bank_lines": self.bank_lines,
            "files": self.files,
            "bytes": self.bytes,
            "counts": dict(self.counts),
        }

    def __str__(self) -> str:
        planted = sum(self.counts.values())
        return (
            f"{self.entries} journal entries, {self.psp_items} provider items in {self.payouts} payouts, "
            f"{self.bank_lines} bank lines in {self.statements} statements, {planted} planted breaks, "
            f"{self.first_on} to {self.as_of}"
        )
