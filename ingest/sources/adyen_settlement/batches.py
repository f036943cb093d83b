"""The sum by which a settlement batch proves itself whole: what its lines move is what its payout takes.

A batch is whole in a file that holds its payout and anything else of it. One whose payout is in another file, or that
ended in a transfer to the next batch, has no total here: across files the sum is SQL's to make.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ingest.contract.amounts import digits_of, minor_from_text
from ingest.contract.rows import ControlTotal
from ingest.contract.totals import summed_total
from ingest.contract.vocabulary import Scale
from ledger_core.errors import InvalidInput

MAX_BATCHES = 10_000
"""In one file; a year of daily batches of twenty accounts is 7,300."""


@dataclass(slots=True)
class _Sums:
    items: int = 0
    items_minor: int = 0
    payouts: int = 0
    paid_minor: int = 0


@dataclass(slots=True)
class BatchSums:
    """What the lines of each batch and currency of a file add up to."""

    name: str
    payout_types: frozenset[str]
    _sums: dict[tuple[str, str, str], _Sums] = field(default_factory=dict)

    def add(self, rows: Iterable[tuple[str, str, str, str, str, str]]) -> None:
        """Add rows of (merchant account, batch, currency, type, net debit, net credit). Raises `InvalidInput` for a
        file of more batches than there can be."""
        for merchant, batch, currency, type_, debit, credit in rows:
            key = (merchant, batch, currency)
            sums = self._sums.get(key)
            if sums is None:
                sums = self._sums[key] = _Sums()
                self._refuse_too_many()
            digits = digits_of(currency)
            minor = _minor(credit, digits) - _minor(debit, digits)
            if type_ in self.payout_types:
                sums.payouts += 1
                sums.paid_minor -= minor
            else:
                sums.items += 1
                sums.items_minor += minor

    def totals(self) -> Iterator[ControlTotal]:
        """Yield the total `batch` of every batch that is whole in the file, in order; its subject is the payout's
        id."""
        for key, sums in sorted(self._sums.items()):
            if sums.items and sums.payouts:
                yield summed_total(
                    name="batch",
                    subject=":".join(key),
                    currency=key[2],
                    expected_minor=sums.paid_minor,
                    actual_minor=sums.items_minor,
                )

    def _refuse_too_many(self) -> None:
        if len(self._sums) > MAX_BATCHES:
            raise InvalidInput(
                f"the report speaks of more than {MAX_BATCHES} batches (MAX_BATCHES).",
                file=self.name,
                remedy="Have Adyen make reports of fewer days, or look whether Batch Number holds something else.",
            )


def _minor(amount: str, digits: int) -> int:
    return minor_from_text(amount, scale=Scale.MAJOR_DECIMAL, digits=digits) if amount else 0
