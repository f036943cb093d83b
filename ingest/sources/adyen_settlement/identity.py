"""Whether a row's amounts hold together: gross in the currency of settlement, less the fees, is the net.

Adyen converts, takes fees off that may be parts of a minor unit, and rounds the net once: so the identity holds within
one minor unit of the net's currency. A row outside of that is not what Adyen computed, and cannot be vouched for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from ingest.contract.amounts import digits_of
from ingest.contract.row_checks import Columns
from ingest.contract.rows import Fault
from ingest.sources.adyen_settlement.contract import FEE_TOTALS, FEES

ELSEWHERE = frozenset({"BPPaidOut"})
"""Types whose gross moves another balance than this one: their net is the fees alone."""
_USED = (
    "type", "psp_reference", "gross_currency", "gross_debit_gc", "gross_credit_gc", "exchange_rate", "net_currency",
    "net_debit_nc", "net_credit_nc",
)  # fmt: skip
_DIGITS = 60
"""Of a product of an amount and a rate: 15 + 12 and 9 + 18 digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetOfFees:
    """On a row of a payment with a gross, gross x rate - fees is the net within one minor unit."""

    places: tuple[int, ...]
    parts: tuple[int, ...]
    totals: tuple[int, ...]
    """Where the parts of the fee stand, and where the sums of them do."""
    markup: int | None
    """Where the markup of a conversion at the point of sale stands, which is no part of the fee on all accounts."""

    def passes(self, columns: Columns) -> bool:
        with localcontext(prec=_DIGITS):
            return all(self._explain(row) is None for row in zip(*columns, strict=True))

    def explain(self, row: Sequence[str]) -> Fault | None:
        with localcontext(prec=_DIGITS):
            return self._explain(row)

    def _explain(self, row: Sequence[str]) -> Fault | None:
        type_, reference, paid_in, debit, credit, rate, settled_in, net_debit, net_credit = (
            row[place] for place in self.places
        )
        if not reference or not (debit or credit):
            return None
        if not paid_in:
            return Fault(code="identity", reason="Gross Currency is empty, and there is a gross.")
        if not rate and paid_in != settled_in:
            return Fault(code="identity", reason=f"Exchange Rate is empty, and {paid_in} was settled in {settled_in}.")
        gross = (_of(credit) - _of(debit)) * (Decimal(rate) if rate else 1)
        net = _of(net_credit) - _of(net_debit)
        least = Decimal(1).scaleb(-digits_of(settled_in))
        moved = Decimal(0) if type_ in ELSEWHERE else gross
        stated = self._fees(row)
        if any(abs(moved - fees - net) <= least for fees in stated):
            return None
        return Fault(code="identity", reason=_sentence(moved, stated[0], net, least, settled_in))

    def _fees(self, row: Sequence[str]) -> list[Decimal]:
        """Return what the row may mean by its fees: the sum of the parts, or a sum of Adyen's own."""
        parts = sum((_of(row[place]) for place in self.parts), Decimal(0))
        sums = [parts, *(_of(row[place]) for place in self.totals if row[place])]
        extra = _of(row[self.markup]) if self.markup is not None else Decimal(0)
        return sums if extra == 0 else [*sums, *(each + extra for each in sums), *(each - extra for each in sums)]


def identity_for(places: Mapping[str, int]) -> NetOfFees:
    """Return the check for a file whose header has the columns at `places`."""
    return NetOfFees(
        places=tuple(places[name] for name in _USED),
        parts=tuple(places[name] for name in FEES if name in places),
        totals=tuple(places[name] for name in FEE_TOTALS if name in places),
        markup=places.get("dcc_markup_nc"),
    )


def _of(written: str) -> Decimal:
    return Decimal(written) if written else Decimal(0)


def _sentence(gross: Decimal, fees: Decimal, net: Decimal, least: Decimal, currency: str) -> str:
    off = f"{gross - fees - net:f}"
    return (
        f"Gross x Exchange Rate - fees = Net does not hold: {gross:f} - {fees:f} is not {net:f} {currency}, "
        f"but off by {off}; {least:f} is allowed for rounding."
    )
