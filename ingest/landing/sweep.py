"""Sweeps: what a provider's API lists is asked for by the time of its creation and lands as documents.

A window goes from where the list was swept to, less an overlap of days, until now. It is asked for in slices, each of
which is fetched whole, lands as a file and moves the checkpoint; a sweep that is killed goes on with the slice that it
had not landed. Landed again, the same answer is the same file: nothing is lost and nothing doubled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from ingest.landing.land import LandedFile, LandingRuntime, land
from ingest.sources.stripe_api.documents import Listed, document
from ingest.sources.stripe_api.fetch import StripeLists, TooMany, open_lists
from ledger_core.errors import DependencyError, InvalidInput

SOURCE = "stripe_api"
FIRST_DAYS = 31
"""How far back the first sweep of a list goes when nobody says from when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """One list of a provider's: how it is asked for, and how long what was created may go on changing."""

    name: str
    url: str
    overlap_days: int
    slice_days: int
    expand: tuple[str, ...] = ()


LISTS = (
    Swept(
        name="balance_transactions",
        url="/v1/balance_transactions",
        overlap_days=3,
        slice_days=1,
        # The charge, refund or dispute behind it: for its charge, its payment and the company's reference.
        expand=("data.source",),
    ),
    Swept(name="payouts", url="/v1/payouts", overlap_days=14, slice_days=31, expand=("data.balance_transaction",)),
    Swept(name="disputes", url="/v1/disputes", overlap_days=90, slice_days=31),
)
ITEMS, PAYOUTS = LISTS[0], LISTS[1]


@dataclass(slots=True, kw_only=True)
class SweptList:
    """What a sweep of one list came to."""

    list: str
    since: datetime
    until: datetime
    objects: int = 0
    seen_first: int = 0
    """Items that no report and no sweep had brought before."""
    files: list[LandedFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


Progress = Callable[[str, int, int], None]


def sweep(
    runtime: LandingRuntime,
    *,
    account: str | None = None,
    days: tuple[date | None, date | None] = (None, None),
    book: str = "main",
    lists: StripeLists | None = None,
    progress: Progress | None = None,
) -> list[SweptList]:
    """Sweep every list of `account` and land what came.

    `days` are the first and the last day to ask for, both included, instead of where the checkpoint stands. Raises
    `InvalidInput` for days that end before they begin or have not come, `ConfigurationError` when there is no key or
    Stripe refuses it, `DependencyError` when Stripe does not answer.
    """
    account = runtime.settings.ingest.provider_account if account is None else account
    now = runtime.clock().astimezone(UTC).replace(microsecond=0)
    _check(days, now)
    sweeping = _Sweep(
        runtime=runtime,
        account=account,
        book=book,
        now=now,
        lists=open_lists(runtime.settings, account) if lists is None else lists,
        progress=progress or (lambda *_: None),
    )
    return [done for each in LISTS for done in sweeping.run(each, days)]


def _check(days: tuple[date | None, date | None], now: datetime) -> None:
    first_on, last_on = days
    if max((day for day in days if day), default=date.min) > now.date():
        raise InvalidInput("a day of the sweep has not come (`--from`, `--to`).", remedy="Name days up to today.")
    if first_on is None and last_on is not None:
        raise InvalidInput("`--to` says where a sweep ends and nothing where it begins.", remedy="Name `--from` too.")
    if first_on and last_on and first_on > last_on:
        raise InvalidInput("the sweep ends before it begins (`--from`, `--to`).", remedy="Name its first day first.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sweep:
    """One call of `sweep`."""

    runtime: LandingRuntime
    account: str
    book: str
    now: datetime
    lists: StripeLists
    progress: Progress

    def run(self, swept: Swept, days: tuple[date | None, date | None]) -> Iterator[SweptList]:
        """Sweep one list: first what is left of a sweep that was stopped, then up to now."""
        if days[0] is not None:
            until = self.now if days[1] is None else min(self.now, _midnight(days[1]) + timedelta(days=1))
            yield self._window(swept, _midnight(days[0]), until, checkpointed=False)
            return
        if (left := self._left(swept)) is not None:
            yield self._window(swept, *left, checkpointed=True)
        since = _midnight((self._swept_until(swept) or self.now - timedelta(days=FIRST_DAYS)).date())
        if self._swept_until(swept) is not None:
            since -= timedelta(days=swept.overlap_days)
        yield self._window(swept, since, self.now, checkpointed=True)

    def _window(self, swept: Swept, since: datetime, until: datetime, *, checkpointed: bool) -> SweptList:
        done = SweptList(list=swept.name, since=since, until=until)
        days = max(1, -(-(until - since) // timedelta(days=1)))
        for begin, end in _slices(since, until, swept.slice_days):
            if checkpointed:
                self._begin(swept, begin, until)
            before = (done.objects, done.seen_first)
            payouts = [each for part in self._fetched(swept, begin, end) for each in self._landed(swept, *part, done)]
            if swept is PAYOUTS:
                self._members(payouts, begin, end, done)
            if checkpointed:
                self._count(swept, done.objects - before[0], done.seen_first - before[1])
            self.progress(swept.name, (end - since) // timedelta(days=1), days)
        if checkpointed:
            self._end(swept, until)
        return done

    def _fetched(
        self, swept: Swept, begin: datetime, end: datetime
    ) -> Iterator[tuple[datetime, datetime, list[Listed]]]:
        """Yield the objects of a slice, in halves of it while they are too many to hold."""
        asked: dict[str, Any] = {"created": _created(begin, end)}
        if swept.expand:
            asked["expand"] = list(swept.expand)
        try:
            yield begin, end, self.lists.everything(swept.url, asked)
        except TooMany:
            middle = (begin + (end - begin) / 2).replace(microsecond=0)
            if middle <= begin:
                raise DependencyError(
                    f"{swept.url} has more objects of one second than are held at once ({begin.isoformat()}).",
                    retryable=False,
                    remedy="Report this with the list's name and the second.",
                ) from None
            yield from self._fetched(swept, begin, middle)
            yield from self._fetched(swept, middle, end)

    def _landed(
        self, swept: Swept, begin: datetime, end: datetime, objects: list[Listed], done: SweptList
    ) -> list[Listed]:
        asked = {"url": swept.url, "created": _created(begin, end)}
        self._land(swept, begin, end, [(asked, objects)], done)
        return objects

    def _members(self, payouts: Iterable[Listed], begin: datetime, end: datetime, done: SweptList) -> None:
        """Land the transactions of each payout of which Stripe says that they are complete."""
        parts = []
        for payout in sorted(payouts, key=lambda each: (each.created, each.id)):
            is_final = payout.value.get("reconciliation_status") == "completed"
            if not is_final or payout.value.get("automatic") is not True:
                continue
            asked = {"payout": payout.id}
            try:
                items = self.lists.everything(ITEMS.url, {**asked, "expand": list(ITEMS.expand)})
            except TooMany:
                done.warnings.append(f"payout {payout.id} has too many items to list: its itemised report names them.")
                continue
            parts.append(({"url": ITEMS.url, "created": _created(begin, end), **asked}, items))
        if parts:
            self._land(ITEMS, begin, end, parts, done, of="payouts")

    def _land(
        self,
        swept: Swept,
        begin: datetime,
        end: datetime,
        parts: list[tuple[Mapping[str, Any], list[Listed]]],
        done: SweptList,
        *,
        of: str = "",
    ) -> None:
        aside = self.runtime.settings.home / "incoming"
        aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = "-".join(filter(None, (swept.name, of, f"{begin:%Y%m%dT%H%M%SZ}", f"{end:%Y%m%dT%H%M%SZ}")))
        # In the clear for as long as it lands: the folder is nobody else's.
        with tempfile.TemporaryDirectory(dir=aside) as folder:
            path = Path(folder) / f"{name}.jsonl"
            path.write_bytes(document(parts))
            (file,) = land(self.runtime, source=SOURCE, paths=[path], account=self.account, book=self.book)
        if file.error is not None:
            raise InvalidInput(
                f"what {swept.url} answered cannot be landed: {file.error}",
                remedy="Nothing of it was kept and the checkpoint stands before it; report it with this message.",
            )
        done.files.append(file)
        if not of:
            done.objects += sum(len(objects) for _, objects in parts)
            if swept is ITEMS and file.status == "landed":
                done.seen_first += self._seen_first(file)

    def _seen_first(self, file: LandedFile) -> int:
        """Return how many items of `file` no other file of the account has brought, whichever source."""
        with self.runtime.engine.connect() as connection:
            return int(connection.execute(text(_SEEN_FIRST), {"file_id": file.file_id}).scalar_one())

    def _key(self, swept: Swept) -> dict[str, Any]:
        return {"book": self.book, "source": SOURCE, "account": self.account, "list": swept.name}

    def _left(self, swept: Swept) -> tuple[datetime, datetime] | None:
        found = self._checkpoint(swept)
        return (found.slice_from, found.window_until) if found and found.slice_from else None

    def _swept_until(self, swept: Swept) -> datetime | None:
        found = self._checkpoint(swept)
        return found.swept_until.astimezone(UTC) if found and found.swept_until else None

    def _checkpoint(self, swept: Swept) -> Any:
        with self.runtime.engine.connect() as connection:
            return connection.execute(text(_CHECKPOINT), self._key(swept)).one_or_none()

    def _begin(self, swept: Swept, begin: datetime, until: datetime) -> None:
        self._write(_BEGIN, swept, slice_from=begin, window_until=until)

    def _count(self, swept: Swept, objects: int, seen_first: int) -> None:
        self._write(_COUNT, swept, objects=objects, seen_first=seen_first)

    def _end(self, swept: Swept, until: datetime) -> None:
        self._write(_END, swept, until=until)

    def _write(self, statement: str, swept: Swept, **values: Any) -> None:
        with self.runtime.engine.begin() as connection:
            connection.execute(text(statement), {**self._key(swept), "at": self.runtime.clock(), **values})


def _slices(since: datetime, until: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
    begin = since.astimezone(UTC)
    while begin < until:
        end = min(until, begin + timedelta(days=days))
        yield begin, end
        begin = end


def _created(begin: datetime, end: datetime) -> dict[str, int]:
    return {"gte": int(begin.timestamp()), "lt": int(end.timestamp())}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


_OF_THIS = "book = :book and source = :source and account = :account and list = :list"
_CHECKPOINT = f"select swept_until, slice_from, window_until from ops.sweeps where {_OF_THIS}"  # noqa: S608 - a constant
_BEGIN = """
    insert into ops.sweeps (book, source, account, list, slice_from, window_until, updated_at)
    values (:book, :source, :account, :list, :slice_from, :window_until, :at)
    on conflict (book, source, account, list) do update
    set slice_from = excluded.slice_from, window_until = excluded.window_until, updated_at = excluded.updated_at
"""
_COUNT = f"""
    update ops.sweeps
    set objects = objects + :objects, seen_first = seen_first + :seen_first, updated_at = :at
    where {_OF_THIS}
"""  # noqa: S608 - a constant
_END = f"""
    update ops.sweeps
    set swept_until = greatest(swept_until, :until), slice_from = null, window_until = null, updated_at = :at
    where {_OF_THIS}
"""  # noqa: S608 - a constant
_SEEN_FIRST = """
    with own as (select * from raw.files where file_id = :file_id),
    others as (
        select other.file_id
        from raw.files as other
        inner join own
            on other.book = own.book and other.provider = own.provider and other.account = own.account
            and other.file_id <> own.file_id
    )
    select count(distinct item.id)
    from raw.stripe_api_balance_transactions as item
    where item.file_id = :file_id
        and not exists (
            select 1 from raw.stripe_api_balance_transactions as earlier
            inner join others using (file_id)
            where earlier.id = item.id
        )
        and not exists (
            select 1 from raw.stripe_report_payout_reconciliation as earlier
            inner join others using (file_id)
            where earlier.balance_transaction_id = item.id
        )
        and not exists (
            select 1 from raw.stripe_report_payouts as earlier
            inner join others using (file_id)
            where earlier.balance_transaction_id = item.id
        )
"""
