"""Adyen's settlement report, bytes in and rows out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ingest.contract.row_checks import Check
from ingest.contract.rows import Batch
from ingest.formats.csv.reader import CsvReader
from ingest.sources.adyen_settlement.batches import BatchSums
from ingest.sources.adyen_settlement.contract import CONTRACT, PAYOUTS
from ingest.sources.adyen_settlement.identity import identity_for

_SUMMED = ("merchant_account", "batch_number", "net_currency", "type", "net_debit_nc", "net_credit_nc")


class SettlementReader(CsvReader):
    """A settlement report being read: besides what every CSV keeps to, each row's identity and each batch's sum."""

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in the order of the file, and note the totals of its batches at the end."""
        sums = BatchSums(name=self._name, payout_types=frozenset(PAYOUTS))
        for batch in super().batches():
            places = [batch.columns.index(name) for name in _SUMMED]
            sums.add(tuple(str(row[place]) for place in places) for row in batch.rows)  # type: ignore[misc]
            yield batch
        self.control_totals += sums.totals()

    def _checks_of_rows(self) -> list[Check]:
        return [*super()._checks_of_rows(), identity_for(self._header.places)]


def parse(stream: BinaryIO, *, name: str) -> SettlementReader:
    """Return a reader of the report in `stream`. Raises `InvalidInput` for a file that is no settlement report."""
    return SettlementReader(stream, CONTRACT, name=name)
