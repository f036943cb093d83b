"""A clean month, closed night by night as its files come: no night finds a break, none is called incomplete.

The short form runs in CI: of one company the last week of nights where its reports come daily, ten where they come
weekly. `COUNTERFOIL_CASES=2000` closes whole months of three companies each way.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from ingest.landing.land import land
from ledger_core.actor import Actor
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.runtime import Runtime
from reconciliation.breaks.queue import list_breaks
from reconciliation.runs.run import RunResult, reconcile
from sample import make_sample

pytestmark = pytest.mark.integration
ACTOR = Actor(subject="test")
LONG = int(os.environ.get("COUNTERFOIL_CASES", "200")) > 200
SEEDS = (1, 7, 4242) if LONG else (7,)
NIGHTS = {"daily": 40, "weekly": 40} if LONG else {"daily": 7, "weekly": 10}
ACCOUNTS = 2
DAYS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A file that comes on a day; `covers` are the days that the provider was asked for, where it is a report."""

    on: date
    source: str
    account: str
    path: Path
    covers: tuple[date, date] | None

    def is_report(self, record_type: str, account: str) -> bool:
        return self.account == account and self.path.name.startswith(f"{record_type}_")


class Company:
    """A company that closes its days in order, each after what has come by its evening."""

    def __init__(self, runtime: Runtime, folder: Path, *, seed: int, reports: str, is_asked: bool = False) -> None:
        made = make_sample(folder, days=DAYS, per_day=40, seed=seed, clean=True, accounts=ACCOUNTS, reports=reports)
        self.last_on = made.as_of
        self.first_on = made.first_on
        self._runtime, self._folder = runtime, folder
        self._posted_until = date.min
        self._come: set[Delivery] = set()
        self._entries: dict[date, list[str]] = defaultdict(list)
        for line in (folder / "entries.jsonl").read_text().splitlines(keepends=True):
            self._entries[date.fromisoformat(json.loads(line)["effective_at"][:10])].append(line)
        listed = json.loads((folder / "deliveries.json").read_text())
        self.deliveries = [
            Delivery(
                on=date.fromisoformat(each["on"]),
                source=each["source"],
                account=each["account"],
                path=folder / each["file"],
                covers=_days_in(each["file"]) if is_asked and each["source"] == "stripe_report" else None,
            )
            for each in listed
        ]
        apply_chart_file(runtime, folder / "accounts.yaml", book=None, actor=ACTOR)

    def close(self, on: date, *, withheld: Collection[Delivery] = ()) -> RunResult:
        """Post and land what has come by `on`, what is withheld aside, and reconcile it."""
        self._post(on)
        for each in self.deliveries:
            if each.on <= on and each not in self._come and each not in withheld:
                self._land(each, on)
        return reconcile(self._runtime, to=on)

    def breaks(self) -> list[str]:
        """Return every break that any night found, closed ones too."""
        with self._runtime.engine.connect() as connection:
            listed = list_breaks(connection, self._runtime.settings.book, status=None)
        return [f"{each.break_class} {each.account} {each.key} {each.status}" for each in listed]

    def _post(self, on: date) -> None:
        days = sorted(day for day in self._entries if self._posted_until < day <= on)
        self._posted_until = on
        if days:
            path = self._folder / f"entries-{on}.jsonl"
            path.write_text("".join(line for day in days for line in self._entries[day]))
            post_file(self._runtime.ledger(), self._runtime.engine, path, actor=ACTOR)

    def _land(self, each: Delivery, on: date) -> None:
        self._come.add(each)
        interval = each.covers and (each.covers[0], min(each.covers[1], on))
        (landed,) = land(
            self._runtime, source=each.source, account=each.account or None, paths=[each.path], interval=interval
        )
        assert landed.status == "landed", landed.error


def _days_in(name: str) -> tuple[date, date]:
    """Return the days that a report's name speaks of: a date, or an ISO week."""
    label = name.rpartition("_")[2].removesuffix(".csv")
    if "W" not in label:
        return date.fromisoformat(label), date.fromisoformat(label)
    year, week = map(int, label.split("-W"))
    return date.fromisocalendar(year, week, 1), date.fromisocalendar(year, week, 7)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=offset) for offset in range((last - first).days + 1))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("reports", ["daily", "weekly"])
@pytest.mark.parametrize("is_asked", [True, False] if LONG else [False], ids=lambda asked: "asked" if asked else "rows")
def test_a_clean_month_has_no_break_and_no_doubt_on_any_night(
    runtime: Runtime, tmp_path: Path, *, is_asked: bool, reports: str, seed: int
) -> None:
    company = Company(runtime, tmp_path / "company", seed=seed, reports=reports, is_asked=is_asked)
    begin = max(company.first_on, company.last_on - timedelta(days=NIGHTS[reports] - 1))
    if begin > company.first_on:
        company.close(begin - timedelta(days=1))
    said, touched = {}, []
    for on in _days(begin, company.last_on):
        result = company.close(on)
        touched.append(result.touched)
        said[on] = (result.verdict, result.counts["pending_by_reason"], result.reasons)
        assert company.breaks() == [], said
        assert result.verdict in {"reconciled", "reconciled_with_pending"}, said
    assert said[company.last_on][0] == "reconciled", said
    # A report holds charges of days that are closed, and the night that lands it says so.
    assert {each.last < company.last_on for each in touched if each is not None} == {True}


@pytest.mark.timeout(3600)
def test_a_feed_that_stops_is_one_reason_a_night_and_no_break(runtime: Runtime, tmp_path: Path) -> None:
    """Each account's other report comes on: what is missing is said of the one that stopped alone."""
    company = Company(runtime, tmp_path / "company", seed=SEEDS[0], reports="daily")
    accounts = sorted({each.account for each in company.deliveries if each.account})
    stopped = tuple(zip(accounts, ("payout_reconciliation", "payouts"), strict=True))
    withheld = []
    for account, record_type in stopped:
        own = [each for each in company.deliveries if each.is_report(record_type, account)]
        withheld += sorted(own, key=lambda each: each.on)[-6:-2]
    first_on, last_on = min(each.on for each in withheld), max(each.on for each in withheld)
    assert Counter(each.on for each in withheld)[first_on] == len(stopped)
    company.close(first_on - timedelta(days=1))
    late = {}
    for on in _days(first_on, last_on):
        result = company.close(on, withheld=withheld)
        late[on] = sorted((reason["kind"], reason["account"], reason["subject"]) for reason in result.reasons)
        assert company.breaks() == [], late
        assert result.verdict == ("incomplete" if late[on] else "reconciled_with_pending")
    # The first day's file is due on the day after it, at the hour by which providers publish.
    assert late.pop(first_on) == []
    assert late
    assert set(map(tuple, late.values())) == {tuple(("feed_late", *feed) for feed in stopped)}
    resumed = company.close(last_on + timedelta(days=1))
    assert resumed.reasons == ()
    assert company.breaks() == []
