"""Which files there are, what stands in which, and the day each comes: the way from the provider and the banks to us.

Dirt changes this and nothing else, by a hash of a file's plain name, so a sample's facts are the same with it and
without. Invariant: by the sample's last day every file has come, and every fact stands in one of them as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b

from sample.business_days import add_business_days, day_of, is_business_day
from sample.model import Channel, Request

_REPEATED_BUSINESS_DAYS = 2
"""How many days of the report before it an overlapping report repeats."""
_LATE_SHARE, _LATE_DAYS = 3, 4
"""One in so many files is late, by one to so many days."""
_RESENT_SHARE, _RESENT_AFTER_DAYS = 4, 3
_CORRECTED_SHARE = 8


@dataclass(frozen=True, slots=True)
class Report:
    """A kind of report: its name, and the source that reads it."""

    name: str
    source: str
    is_daily: bool = False
    """Whether it comes every day whatever was asked for."""
    comes_after_days: int = 0
    """How long after its period."""
    is_exclusive: bool = False
    """Whether it lists nothing but what is of its own period, however untidily files come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A file that comes: `source` reads it, `account` is the one at the provider, empty where there is one only."""

    file: str
    source: str
    account: str
    on: date

    def as_json(self, *, until: date) -> dict[str, str]:
        return {
            "file": self.file,
            "source": self.source,
            "account": self.account,
            "on": min(self.on, until).isoformat(),
        }


class Deliveries:
    """Name the files of a request; what was named is remembered with the day it comes."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._dirt = request.dirt
        self._all: dict[str, Delivery] = {}
        self._reports: dict[tuple[Report, Channel, date], tuple[str, ...]] = {}

    def listing(self, report: Report, channel: Channel, on: date) -> Iterator[str]:
        """Yield the files of `report` that list what it selects on `on`, the one of that day's period first."""
        for period in self._periods(report, on):
            yield from self._named(report, channel, period)

    def waiting(self, report: Report, channel: Channel, created: int, on: date) -> Iterator[str]:
        """Yield the files that list what was created then before they list it on `on`."""
        created_on = day_of(created)
        if "waiting" in self._dirt and is_business_day(created_on):
            first = self._period(report, created_on)
            if first < self._period(report, on):
                yield from self._named(report, channel, first)

    def of_nothing(self, report: Report, channel: Channel, on: date) -> Iterator[str]:
        """Yield the files of a report in which nothing is listed."""
        yield from self._named(report, channel, self._period(report, on))

    def _named(self, report: Report, channel: Channel, last_on: date) -> tuple[str, ...]:
        """Return the names of the report for the period that ends on `last_on`: two where it comes again."""
        key = report, channel, last_on
        if key not in self._reports:
            self._reports[key] = tuple(self._report(*key))
        return self._reports[key]

    def of_statements(self, bank: str, on: date, *, source: str, suffix: str) -> Iterator[tuple[str, str]]:
        """Yield the files of a bank's statements of a day, and what each is: `right`, `wrong` or `again`."""
        plain = f"bank/{bank}_{on}"
        if "corrected" in self._dirt and self._falls(plain, "corrected", _CORRECTED_SHARE):
            yield self._name(f"{plain}_first", suffix, source=source, on=on), "wrong"
            yield self._name(plain, suffix, source=source, on=add_business_days(on, 1)), "right"
        else:
            yield self._name(plain, suffix, source=source, on=on), "right"
        if "resent" in self._dirt and self._falls(plain, "resent", _RESENT_SHARE):
            again_on = on + timedelta(days=_RESENT_AFTER_DAYS)
            yield self._name(f"{plain}_again", suffix, source=source, on=again_on), "again"

    def as_json(self, *, until: date) -> list[dict[str, str]]:
        """Return what comes when, in that order; nothing comes after the sample's last day."""
        ordered = sorted(self._all.values(), key=lambda each: (min(each.on, until), each.source, each.file))
        return [each.as_json(until=until) for each in ordered]

    def _report(self, report: Report, channel: Channel, last_on: date) -> Iterator[str]:
        year, week, _ = last_on.isocalendar()
        label = str(last_on) if self._is_daily(report) else f"{year}-W{week:02}"
        folder = f"{channel.provider}/{channel.account}/" if channel.account else f"{channel.provider}/"
        plain, told = f"{folder}{report.name}_{label}", {"source": report.source, "account": channel.account}
        comes_on = last_on + timedelta(days=report.comes_after_days)
        yield self._name(plain, ".csv", **told, on=comes_on)
        if "resent" in self._dirt and self._falls(plain, "resent", _RESENT_SHARE):
            again_on = comes_on + timedelta(days=_RESENT_AFTER_DAYS)
            yield self._name(f"{plain}_again", ".csv", **told, on=again_on)

    def _periods(self, report: Report, on: date) -> Iterator[date]:
        """Yield the last days of the periods whose reports list what is effective on `on`, its own first."""
        own = self._period(report, on)
        yield own
        if "overlapping" not in self._dirt or report.is_exclusive:
            return
        seen = own
        for days in range(1, _REPEATED_BUSINESS_DAYS + 1):
            later = self._period(report, add_business_days(on, days))
            if later != seen:
                seen = later
                yield later

    def _period(self, report: Report, on: date) -> date:
        return on if self._is_daily(report) else on + timedelta(days=6 - on.weekday())

    def _is_daily(self, report: Report) -> bool:
        return report.is_daily or self._request.reports == "daily"

    def _name(self, plain: str, suffix: str, *, source: str, on: date, account: str = "") -> str:
        name = plain + suffix
        if "renamed" in self._dirt:
            name = f"{plain.rpartition('/')[0]}/download_{self._draw(plain, 'renamed'):016x}{suffix}"
        if name not in self._all:
            late = "late" in self._dirt and self._falls(plain, "late", _LATE_SHARE)
            wait = 1 + self._draw(plain, "days") % _LATE_DAYS if late else 0
            self._all[name] = Delivery(file=name, source=source, account=account, on=on + timedelta(days=wait))
        return name

    def _falls(self, plain: str, why: str, one_in: int) -> bool:
        return self._draw(plain, why) % one_in == 0

    def _draw(self, plain: str, why: str) -> int:
        told = f"{self._request.seed} {why} {plain}".encode()
        return int.from_bytes(blake2b(told, digest_size=8).digest(), "big")
