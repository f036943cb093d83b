"""The sums and counts by which a settlement report proves itself whole, section by section.

Source: PayPal's Settlement Report specification: SF and RF (sums and balances of a currency, for a section and for the
report), SC and RC (numbers of rows). Amounts are hundredths. Invariant: what is compared is what was stored, so that a
row put aside makes the sums of its section fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ingest.contract.rows import ControlTotal
from ingest.contract.totals import counted_total

REPORT = "report"
"""Of which section a report's own footer speaks."""
_SUMS, _BALANCES = 4, 6
"""How many sums a footer has, and how many balances at most, each a side and an amount."""


@dataclass(frozen=True, slots=True)
class Footer:
    """An SF or RF record: `fields` behind its type, and the section that it closes, or `REPORT`."""

    section: str
    line: int
    fields: Sequence[str]

    @property
    def currency(self) -> str:
        return self.fields[0].strip().upper() if self.fields else ""

    def sums(self) -> list[int] | None:
        """Return gross credits and debits and both sums of fees; None where they are no numbers."""
        written = [each.strip() for each in self.fields[1 : 1 + _SUMS]]
        if len(written) < _SUMS or not all(each.isdecimal() for each in written):
            return None
        return [int(each) for each in written]

    def balances(self) -> list[int]:
        """Return the balances there are, signed: opening and closing, available first."""
        rest, found = self.fields[1 + _SUMS :], []
        for side, amount in zip(rest[::2], rest[1::2], strict=False):
            if side.strip() not in ("CR", "DR") or not amount.strip().isdecimal():
                break
            found.append(int(amount) if side.strip() == "CR" else -int(amount))
        return found[:_BALANCES]


@dataclass(slots=True)
class Sums:
    """What the stored rows of a section come to, and how many rows it has, those put aside too."""

    stored: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Iterable[tuple[str, str, str, str, str, str]]) -> None:
        """Add rows of (section, currency, side, amount, side of the fee, fee)."""
        for section, currency, side, amount, fee_side, fee in rows:
            for key in ((section, currency), (REPORT, currency)):
                sums = self.stored.setdefault(key, Counter())
                sums[f"gross {side}"] += int(amount)
                if fee:
                    sums[f"fee {fee_side}"] += int(fee)

    def of(self, section: str, currency: str) -> tuple[int, int, int, int]:
        """Return gross credits and debits, and credits and debits of fees."""
        sums = self.stored.get((section, currency), Counter())
        return sums["gross CR"], sums["gross DR"], sums["fee CR"], sums["fee DR"]


def totals_of(footers: Sequence[Footer], counts: Iterable[tuple[str, int]], sums: Sums) -> Iterator[ControlTotal]:
    """Yield the totals that the footers state, and one that fails for each currency of a section without a footer.

    `counts` are the numbers that SC and RC state, by section or `REPORT`.
    """
    for footer in footers:
        yield from _totals_of(footer, sums)
    stated = {(footer.section, footer.currency) for footer in footers}
    has_report_footer = any(footer.section == REPORT for footer in footers)
    for section, currency in sorted(sums.stored):
        if (section, currency) not in stated and (section != REPORT or has_report_footer):
            yield ControlTotal(
                name="footer", subject=_subject(section, currency), expected=None, actual="", passed=False
            )
    for section, stated_rows in counts:
        actual = sum(sums.rows.values()) if section == REPORT else sums.rows[section]
        yield counted_total(name="count", subject=_subject(section), expected=stated_rows, actual=actual)


def _totals_of(footer: Footer, sums: Sums) -> Iterator[ControlTotal]:
    subject, stated = _subject(footer.section, footer.currency), footer.sums()
    found = sums.of(footer.section, footer.currency)
    if stated is None:
        yield _unread(subject)
        return
    for place, name in enumerate(("gross_credits", "gross_debits")):
        yield _total(name, subject, stated[place], found[place])
    # Which of the two sums of fees comes first is not the same in every report: both must be there.
    fees = found[2:] if tuple(stated[2:]) != (found[3], found[2]) else (found[3], found[2])
    for place, name in enumerate(("fee_credits", "fee_debits")):
        yield _total(name, subject, stated[2 + place], fees[place])
    yield from _balance_of(footer, subject, found[0] - found[1] + found[2] - found[3])


def _balance_of(footer: Footer, subject: str, moved: int) -> Iterator[ControlTotal]:
    """Yield the total `balance`: what was there and what moved is what is there, available or with the rest."""
    stated = footer.balances()
    if len(stated) < 2:
        return
    opening, closing = stated[0], stated[1]
    if opening + moved != closing and len(stated) >= 4 and opening + stated[2] + moved == closing + stated[3]:
        opening, closing = opening + stated[2], closing + stated[3]
    yield _total("balance", subject, closing, opening + moved)


def _total(name: str, subject: str, expected: int, actual: int) -> ControlTotal:
    return ControlTotal(
        name=name, subject=subject, expected=_shown(expected), actual=_shown(actual), passed=expected == actual
    )


def _unread(subject: str) -> ControlTotal:
    return ControlTotal(name="footer", subject=subject, expected=None, actual="", passed=False)


def _shown(hundredths: int) -> str:
    whole, part = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{whole}.{part:02}"


def _subject(section: str, currency: str = "") -> str:
    name = REPORT if section == REPORT else f"section {section}"
    return f"{name} {currency}".strip()
