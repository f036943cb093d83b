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
from sample.deliveries import ITEMS, PAYOUTS, Deliveries
from sample.model import BankLine, Entry, Payout, PlantedBreak, PspItem, Request, Statement
from sample.statements import Making, render_statements
from sample.stripe_reports import ITEM_COLUMNS, PAYOUT_COLUMNS, csv_line, item_line, payout_line

Chunk = tuple[str, bytes]


class Rendering:
    """Render one request; afterwards the attributes say what there was."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.as_of: date = request.start
        self.counts: Counter[str] = Counter()
        """Facts by kind: `entries`, `psp_items`, `payouts`, `statements`, `bank_lines`."""
        self.breaks: list[PlantedBreak] = []
        self._deliveries = Deliveries(request)
        self._begun: set[str] = set()
        self._listed: set[tuple[str, str]] = set()
        """Kinds of report and accounts at the provider in which anything was listed."""

    @property
    def breaks_by_class(self) -> Counter[str]:
        """Count the planted breaks of each class."""
        return Counter(planted.break_class for planted in self.breaks)

    def chunks(self) -> Iterator[Chunk]:
        """Yield (file name, bytes to append to it) for every file."""
        chart = render_chart(book=self.request.book, accounts=self.request.account_names)
        yield "accounts.yaml", chart.encode()
        day_statements: list[Statement] = []
        for fact in generate(self.request):
            if isinstance(fact, Entry):
                self.counts["entries"] += 1
                self._saw(day_of(fact.effective_at))
                yield "entries.jsonl", entry_line(fact)
            elif isinstance(fact, PspItem):
                self.counts["psp_items"] += 1
                self._listed.add((ITEMS, fact.account))
                for name, is_paid in self._deliveries.of_item(fact):
                    yield from self._append(name, ITEM_COLUMNS, item_line(fact, is_paid=is_paid))
            elif isinstance(fact, Payout):
                self.counts["payouts"] += 1
                self._listed.add((PAYOUTS, fact.account))
                self._saw(fact.arrives_on)
                for name in self._deliveries.of_payout(fact):
                    yield from self._append(name, PAYOUT_COLUMNS, payout_line(fact))
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
        yield from self._empty_reports()
        deliveries = self._deliveries.as_json(until=self.as_of)
        yield "deliveries.json", (json.dumps(deliveries, indent=1) + "\n").encode()
        yield "truth.json", self._truth()

    def _saw(self, day: date) -> None:
        self.as_of = max(self.as_of, day)

    def _append(self, name: str, header: tuple[str, ...], line: str) -> Iterator[Chunk]:
        if name not in self._begun:
            self._begun.add(name)
            yield name, csv_line(header).encode()
        yield name, line.encode()

    def _empty_reports(self) -> Iterator[Chunk]:
        """Write the header alone of a report in which nothing is listed, as the provider does."""
        for account in self.request.account_names:
            for kind, columns in ((ITEMS, ITEM_COLUMNS), (PAYOUTS, PAYOUT_COLUMNS)):
                if (kind, account) not in self._listed:
                    for name in self._deliveries.of_nothing(kind, account, self.as_of):
                        yield name, csv_line(columns).encode()

    def _bank_files(self, statements: list[Statement]) -> Iterator[Chunk]:
        for bank in BANKS:
            own = [statement for statement in statements if PROFILES[statement.currency].bank == bank]
            files = list(self._deliveries.of_statements(bank, own[0].on))
            was_wrong = any(version == "wrong" for _, version in files)
            for name, version in files:
                told = "corrected" if was_wrong and version == "right" else version
                making = Making(request=self.request, version=told)
                yield name, render_statements(bank, own, making).encode()

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
