"""The banks' side: which line each payout arrives as, what else is booked, and the chain of statements.

Invariant: opening balance and lines make the closing balance, which opens the next statement; the company books every
line on its booking day, so its bank account and the statement agree at the end of every business day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from sample import postings
from sample.business_days import add_business_days, is_business_day, midnight, on_or_after
from sample.currencies import BANKS, CURRENCIES, CurrencyProfile
from sample.dice import Dice, Mint
from sample.model import BankLine, BankTransaction, Channel, Entry, Fact, Payout, PlantedBreak, Statement
from sample.payouts import Amounts
from sample.providers import PROVIDERS, Provider

_CUSTOMERS = ("Northwind Traders & Sons Ltd", "Meyer GmbH", "Al Salam Trading Co", "Kobayashi Shoten", "Café Lumière")
_STAFF = ("A. Haddad", "B. Okafor", "C. Sato", "D. Winkler", "E. Lindqvist")

_LATE_SHARE = 0.15
"""How many payouts the bank books a business day after they were expected."""
_ANNOUNCED_SHARE = 0.5
"""How many of those the bank announces, as a pending entry, on the day they were expected."""
_BOOKED_SECONDS = 17 * 3600


class Banks:
    """One account in each currency; `book` makes a day's statements."""

    def __init__(
        self,
        *,
        dice: Dice,
        mint: Mint,
        amounts: Amounts,
        start: date,
        stray_credits: frozenset[tuple[date, str]],
        stray_from: Provider,
        statements: Mapping[str, str],
    ) -> None:
        self._dice = dice
        self._mint = mint
        self._amounts = amounts
        self._stray_credits = stray_credits
        self._stray_from = stray_from
        self._statements = statements
        self._due: dict[tuple[date, str], list[Payout]] = defaultdict(list)
        self._announced: dict[tuple[date, str], list[Payout]] = defaultdict(list)
        self._balances = {profile.code: profile.opening for profile in CURRENCIES}
        self._sequence = _business_days_before(start)

    @property
    def expecting(self) -> bool:
        """Tell whether any payout is still on its way."""
        return bool(self._due)

    def opening_entries(self, start: date) -> Iterator[Entry]:
        """Book what the accounts held before the first day."""
        for profile in CURRENCIES:
            yield postings.transfer(
                at=midnight(start),
                name=postings.Naming(external_id=f"opening:{profile.code.lower()}", reference=None),
                currency=profile.code,
                amount_minor=profile.opening,
                debit="bank",
                credit="opening",
                text="opening balance",
            )

    def expect(self, payout: Payout) -> None:
        """Let a payout arrive, most often on the day it is expected."""
        late = self._dice.chance(_LATE_SHARE)
        booked_on = add_business_days(payout.arrives_on, 1) if late else payout.arrives_on
        if late and self._dice.chance(_ANNOUNCED_SHARE):
            self._announced[payout.arrives_on, payout.currency].append(payout)
        self._due[booked_on, payout.currency].append(payout)

    def book(self, day: date) -> Iterator[Fact]:
        """Make the statements of a business day, with the company's entries for their lines."""
        self._sequence += 1
        for profile in CURRENCIES:
            day_book = _DayBook(profile, day, self._dice, self._mint, stated_as=self._statements[profile.bank])
            due = self._due.pop((day, profile.code), [])
            for channel in dict.fromkeys(payout.channel for payout in due):
                day_book.add_payouts([payout for payout in due if payout.channel == channel])
            day_book.announce(self._announced.pop((day, profile.code), []))
            if (day, profile.code) in self._stray_credits:
                day_book.add_stray_credit(self._stray_from, self._amounts.claim(profile))
            day_book.add_own_business()
            statement = Statement(
                currency=profile.code,
                on=day,
                sequence=self._sequence,
                opening_minor=self._balances[profile.code],
                lines=tuple(self._dice.shuffled(day_book.lines)),
            )
            self._balances[profile.code] = statement.closing_minor
            yield from day_book.facts
            yield statement


class _DayBook:
    """Collect one account's lines of one day and the entries that book them."""

    def __init__(self, profile: CurrencyProfile, day: date, dice: Dice, mint: Mint, *, stated_as: str) -> None:
        self.lines: list[BankLine] = []
        self.facts: list[Fact] = []
        self._profile = profile
        self._day = day
        self._dice = dice
        self._mint = mint
        self._stated_as = stated_as
        self._count = 0

    def add_payouts(self, payouts: list[Payout]) -> None:
        """Book the payouts that arrived from one account: several as one batch, one with its reference or not."""
        parts = [self._payout_part(payout, in_batch=len(payouts) > 1) for payout in payouts]
        if len(parts) > 1:
            self._add("CRDT", *parts, code="ACCT")
        elif parts:
            self._add("CRDT", *parts)
        for payout, part in zip(payouts, parts, strict=True):
            text = f"payout {payout.payout_id} arrived"
            self._book(part, "bank", "in_transit", text, payout.payout_id, channel=payout.channel)

    def announce(self, payouts: list[Payout]) -> None:
        """State that payouts are on their way: entries that are not booked, so the company books nothing either."""
        for payout in payouts:
            self._add("CRDT", self._payout_part(payout, in_batch=True), booked=False)

    def _payout_part(self, payout: Payout, *, in_batch: bool) -> BankTransaction:
        provider = PROVIDERS[payout.channel.provider]
        draw = 0.0 if in_batch else self._dice.unit()
        if draw < 0.65:
            reference, narrative = payout.told, provider.narrative(payout, names_it=False)
        elif draw < 0.88:
            reference, narrative = "", provider.narrative(payout, names_it=True)
        else:
            reference, narrative = "", f"{provider.word} TRANSFER"
        return BankTransaction(
            amount_minor=payout.net_minor,
            servicer_reference=self._reference(),
            counterparty=provider.payers[payout.currency],
            narrative=narrative,
            end_to_end_id=reference,
            is_payout=True,
        )

    def add_stray_credit(self, provider: Provider, amount_minor: int) -> None:
        """Book a credit in a provider's name that belongs to no payout: a planted break."""
        own = f"ADJ-{self._mint.token()[:10]}" if self._dice.chance(0.6) else ""
        part = BankTransaction(
            amount_minor=amount_minor,
            servicer_reference=self._reference(),
            counterparty=provider.payers[self._profile.code],
            narrative=f"{provider.word} BALANCE ADJUSTMENT",
            end_to_end_id=own,
        )
        self._add("CRDT", part)
        self._book(part, "bank", "suspense", "receipt that nobody can place yet", part.servicer_reference)
        self.facts.append(
            PlantedBreak(
                break_class="unexpected_bank_credit",
                leg="B",
                # BAI2 has no reference from end to end: its customer reference is whoever's.
                key=(own if self._stated_as != "bai2" else "") or part.servicer_reference,
                currency=self._profile.code,
                amount_minor=-amount_minor,
            )
        )

    def add_own_business(self) -> None:
        """Book what has nothing to do with the provider: rent, salaries, charges, customers who pay by transfer."""
        profile, dice = self._profile, self._dice
        if self._day == on_or_after(self._day.replace(day=1)):
            self._add_own("DBIT", profile.rent, "Harbour Estates", "Rent", "rent", f"RENT-{self._day:%Y-%m}")
        if on_or_after(self._day + timedelta(days=1)).month != self._day.month:
            self._add_salaries()
        if self._day.weekday() == 0:
            self._add_own("DBIT", profile.low, BANKS[profile.bank].name, "Account charges", "bank_charges", "")
        if dice.chance(0.3):
            amount = dice.between(profile.low, 3 * profile.high)
            invoice = f"INV-{dice.between(10_000, 99_999)}"
            self._add_own("CRDT", amount, dice.pick(_CUSTOMERS), f"Invoice {invoice}", "sales", invoice)

    def _add_own(
        self, indicator: str, amount_minor: int, counterparty: str, narrative: str, kind: str, reference: str
    ) -> None:
        part = BankTransaction(
            amount_minor=amount_minor,
            servicer_reference=self._reference(),
            counterparty=counterparty,
            narrative=narrative,
            end_to_end_id=reference,
        )
        self._add(indicator, part)
        debit, credit = ("bank", kind) if indicator == "CRDT" else (kind, "bank")
        self._book(part, debit, credit, narrative.lower(), part.servicer_reference)

    def _add_salaries(self) -> None:
        parts = [
            BankTransaction(
                amount_minor=self._profile.salary + self._dice.below(self._profile.salary // 4),
                servicer_reference=self._reference(),
                counterparty=name,
                narrative=f"Salary {self._day:%Y-%m}",
                end_to_end_id=f"SAL-{self._day:%Y-%m}-{number}",
            )
            for number, name in enumerate(_STAFF, start=1)
        ]
        self._add("DBIT", *parts, code="SALA")
        for part in parts:
            self._book(part, "salaries", "bank", part.narrative.lower(), part.servicer_reference)

    def _add(self, indicator: str, *parts: BankTransaction, code: str = "ESCT", booked: bool = True) -> None:
        reference = parts[0].servicer_reference if len(parts) == 1 else self._reference()
        self.lines.append(
            BankLine(indicator=indicator, transactions=parts, servicer_reference=reference, code=code, booked=booked)
        )

    def _book(
        self,
        part: BankTransaction,
        debit: str,
        credit: str,
        text: str,
        reference: str,
        *,
        channel: Channel | None = None,
    ) -> None:
        self.facts.append(
            postings.transfer(
                at=midnight(self._day) + _BOOKED_SECONDS,
                name=postings.Naming(external_id=f"bank:{part.servicer_reference}", reference=reference),
                currency=self._profile.code,
                amount_minor=part.amount_minor,
                debit=debit,
                credit=credit,
                text=text,
                channel=channel,
            )
        )

    def _reference(self) -> str:
        """Number a transaction as the bank does; tag 61 of MT 940 has 16 letters for it."""
        self._count += 1
        bank = BANKS[self._profile.bank]
        day = f"{self._day:%Y%m%d}"[2 if self._stated_as == "mt940" else 0 :]
        return f"{bank.bic[:4]}{day}{self._profile.code}{self._count:03}"


def _business_days_before(start: date) -> int:
    """Count the statements that the banks numbered earlier in the year."""
    first = start.replace(month=1, day=1)
    return sum(is_business_day(first + timedelta(days=offset)) for offset in range((start - first).days))
