"""Turn the stream of facts into named chunks of bytes: every file of the sample, without touching a disk.

Invariant: chunks of one name, joined in order, are that file; the same request gives the same chunks; memory does not
grow with the number of entries (the truth, a few thousandths of them, is kept).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date

import orjson

from sample.business_days import day_of, iso
from sample.chart import render_chart
from sample.company import generate
from sample.currencies import BANKS, PROFILES
from sample.deliveries import Deliveries
from sample.model import BankLine, Entry, Payout, PlantedBreak, PspItem, Request, Statement
from sample.providers import PROVIDERS
from sample.reports.adyen import AdyenReports
from sample.reports.paypal import PayPalReports
from sample.reports.port import Chunk, Reports
from sample.reports.stripe import StripeReports
from sample.statements import bai2, camt053, mt940
from sample.statements.making import Making

STATEMENTS = {module.SOURCE: module for module in (camt053, mt940, bai2)}
REPORTS: dict[str, type[Reports]] = {"stripe": StripeReports, "adyen": AdyenReports, "paypal": PayPalReports}


class Rendering:
    """Render one request; afterwards the attributes say what there was."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.as_of: date = request.start
        self.counts: Counter[str] = Counter()
        """Facts by kind: `entries`, `psp_items`, `payouts`, `statements`, `bank_lines`."""
        self.breaks: list[PlantedBreak] = []
        self._deliveries = Deliveries(request)
        self._reports = {name: REPORTS[name](request, self._deliveries) for name in request.providers}

    @property
    def breaks_by_class(self) -> Counter[str]:
        """Count the planted breaks of each class."""
        return Counter(planted.break_class for planted in self.breaks)

    def chunks(self) -> Iterator[Chunk]:
        """Yield (file name, bytes to append to it) for every file."""
        chart = render_chart(book=self.request.book, channels=self.request.channels)
        yield "accounts.yaml", chart.encode()
        day_statements: list[Statement] = []
        for fact in generate(self.request):
            if isinstance(fact, Entry):
                self.counts["entries"] += 1
                self._saw(day_of(fact.effective_at))
                yield "entries.jsonl", entry_line(fact)
            elif isinstance(fact, PspItem):
                self.counts["psp_items"] += 1
                yield from self._reports[fact.channel.provider].take_item(fact)
            elif isinstance(fact, Payout):
                self.counts["payouts"] += 1
                # What a report says of days to come is no day of the sample's.
                by_arrival = PROVIDERS[fact.channel.provider].lists_by_arrival
                self._saw(fact.arrives_on if by_arrival else fact.made_on)
                yield from self._reports[fact.channel.provider].take_payout(fact)
            elif isinstance(fact, Statement):
                self.counts["statements"] += 1
                self.counts["bank_lines"] += sum(map(_transactions, fact.lines))
                self._saw(fact.on)
                day_statements.append(fact)
                if len(day_statements) == len(PROFILES):
                    yield from self._bank_files(day_statements)
                    day_statements = []
            else:
                self.breaks.append(fact)
        for reports in self._reports.values():
            yield from reports.close(self.as_of)
        deliveries = self._deliveries.as_json(until=self.as_of)
        yield "deliveries.json", (json.dumps(deliveries, indent=1) + "\n").encode()
        yield "truth.json", self._truth()

    def _saw(self, day: date) -> None:
        self.as_of = max(self.as_of, day)

    def _bank_files(self, statements: list[Statement]) -> Iterator[Chunk]:
        for bank in BANKS:
            own = [statement for statement in statements if PROFILES[statement.currency].bank == bank]
            format_ = STATEMENTS[self.request.statements[bank]]
            files = list(self._deliveries.of_statements(bank, own[0].on, source=format_.SOURCE, suffix=format_.SUFFIX))
            was_wrong = any(version == "wrong" for _, version in files)
            for name, version in files:
                told = "corrected" if was_wrong and version == "right" else version
                making = Making(request=self.request, version=told)
                yield name, format_.render(bank, own, making).encode()

    def _truth(self) -> bytes:
        breaks = sorted(
            (planted.as_json() for planted in self.breaks), key=lambda row: (row["leg"], row["class"], row["key"])
        )
        counts = dict(sorted(self.breaks_by_class.items()))
        truth = {"as_of": self.as_of.isoformat(), "breaks": breaks, "counts": counts}
        return (json.dumps(truth, indent=1) + "\n").encode()


def entry_line(entry: Entry) -> bytes:
    """Write an entry as `POST /finance/journal-entries` takes it, on one line."""
    wire = {
        "effective_at": iso(entry.effective_at),
        "external_id": entry.external_id,
        "description": entry.description,
        "postings": [
            {"account": account, "direction": direction, "amount": str(amount), "currency": currency}
            for account, direction, amount, currency in entry.postings
        ],
        "metadata": entry.metadata,
    }
    return orjson.dumps(wire, option=orjson.OPT_APPEND_NEWLINE)


def _transactions(line: BankLine) -> int:
    return len(line.transactions)
