"""What landing a Stripe report costs, against a bare COPY of the same bytes, in the same run on the same machine; and
what a bank's statements cost in MT940 and BAI2.

    python -m bench.ingest [--quick]

The baseline is Postgres' own `COPY ... CSV` of the whole file into a table of as many text columns: no check, no hash,
no encryption, no rows put aside. Rounds are interleaved and medians printed, on an embedded Postgres with fsync on. A
report is of a month of its own; what it costs to find that one is a later version of another is measured apart.
Limits: at least 40,000 rows/s of a report and 20,000 entries/s of a bank from file to committed, and a peak of memory
that does not grow with the file.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from sqlalchemy import Engine, text

from bench.bank_files import write_bai2, write_mt940
from ingest.landing.land import land
from ingest.sources.stripe_report.contract import PAYOUT_RECONCILIATION
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.migrate import migrate
from ledger_core.base.objects.file import FileStore
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.settings import Settings
from ledger_core.wrapping import open_wrapping

REQUIRED_ROWS_PER_SECOND = 40_000
REQUIRED_ENTRIES_PER_SECOND = 20_000
BANKS = {"mt940": write_mt940, "bai2": write_bai2}
MAX_GROWTH_BYTES = 64 * 1024 * 1024
"""Of peak memory between a file and one five times its size; the lists of one block weigh about half of it."""
COLUMNS = [column.name for column in PAYOUT_RECONCILIATION.columns if not column.name.startswith("payout_")]
METADATA = ("payment_metadata[order_id]", "payment_metadata[channel]")


@dataclass(frozen=True, slots=True)
class BenchRuntime:
    """What landing needs, without a signing proxy."""

    settings: Settings
    engine: Engine
    raw_store: FileStore
    wrapping: KeyWrapping

    @staticmethod
    def clock() -> datetime:
        return datetime.now(UTC)


def main() -> int:
    """Run the benchmark; return 1 when a limit is missed (never with `--quick`)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of a tenth of the size, for a smoke test")
    options = parser.parse_args()
    rows, rounds = (20_000, 1) if options.quick else (200_000, 5)
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as engine:
        settings = Settings(home_path=Path(folder) / "home")
        runtime = BenchRuntime(settings, engine, FileStore(Path(folder) / "raw"), open_wrapping(settings))
        bare, landed, peaks = [], [], []
        for number in range(rounds):
            path = write_report(Path(folder) / f"report-{number}.csv", rows=rows, seed=number, month=1 + number)
            bare.append(rows / _timed(lambda path=path: _bare_copy(engine, path)))
            landed.append(rows / _timed(lambda path=path: _land(runtime, path, rows)))
        for factor in (1, 5):
            seed, month = 1000 + factor, 7 + factor
            path = write_report(Path(folder) / f"long-{factor}.csv", rows=rows * factor, seed=seed, month=month)
            with _peak_memory() as peak:
                _land(runtime, path, rows * factor)
            peaks.append(peak[0])
        again = rows / _timed(lambda: _land(runtime, _without_its_first_row(Path(folder) / "report-0.csv"), rows - 1))
        met = _report(rows, path.stat().st_size / (rows * 5), bare, landed, again, peaks)
        for source in BANKS:
            met = _bank(runtime, Path(folder), source, rows=rows // 2, rounds=rounds) and met
    return 0 if met or options.quick else 1


def write_report(path: Path, *, rows: int, seed: int, month: int) -> Path:
    """Write an itemised payout reconciliation of a month, of `rows` rows with every documented column of `.5`."""
    dice = random.Random(seed)
    names = [*COLUMNS, *METADATA]
    place = {name: number for number, name in enumerate(names)}
    with path.open("w") as sink:
        sink.write(",".join(names) + "\n")
        for number in range(rows):
            cents, fee = dice.randrange(100, 90_000), dice.randrange(30, 90)
            moment = f"2025-{month:02d}-{1 + number * 28 // rows:02d} {number // 60 % 24:02d}:{number % 60:02d}:07"
            suffix = f"{seed:04d}{number:020d}"
            values = [""] * len(names)
            for name, value in {
                "automatic_payout_id": f"po_{number // 500:024d}",
                "automatic_payout_effective_at_utc": f"2025-{month:02d}-{1 + number * 28 // rows:02d} 00:00:00",
                "balance_transaction_id": f"txn_{suffix}",
                "created_utc": moment,
                "created": moment,
                "available_on_utc": moment,
                "currency": dice.choice(("usd", "USD", "eur", "GBP")),
                "gross": f"{cents // 100}.{cents % 100:02d}",
                "fee": f"0.{fee}",
                "net": f"{(cents - fee) // 100}.{(cents - fee) % 100:02d}",
                "reporting_category": "charge",
                "source_id": f"ch_{suffix}",
                "description": f'"Order {number}, web shop"' if number % 7 == 0 else f"Order {number}",
                "customer_id": f"cus_{number % 9973:014d}",
                "customer_email": f"buyer{number % 9973}@example.com",
                "charge_id": f"ch_{suffix}",
                "payment_intent_id": f"pi_{suffix}",
                "payment_method_type": "card",
                "card_brand": "Visa",
                "card_funding": "credit",
                "card_country": "US",
                METADATA[0]: f"order-{number}",
                METADATA[1]: "web",
            }.items():
                values[place[name]] = value
            sink.write(",".join(values) + "\n")
    return path


def _bank(runtime: BenchRuntime, folder: Path, source: str, *, rows: int, rounds: int) -> bool:
    """Land statements of a bank, and one file five times as long; say what it cost and whether it kept its limits."""
    landed, peaks = [], []
    for number in range(rounds):
        path = BANKS[source](folder / f"{source}-{number}", rows=rows, seed=1 + number)
        landed.append(rows / _timed(lambda path=path: _land(runtime, path, rows, source=source)))
    for factor in (1, 5):
        path = BANKS[source](folder / f"{source}-long-{factor}", rows=rows * factor, seed=1_000 + factor)
        with _peak_memory() as peak:
            _land(runtime, path, rows * factor, source=source)
        peaks.append(peak[0])
    entries, growth = statistics.median(landed), peaks[1] - peaks[0]
    print(f"{source:<18}{entries:>10,.0f} entries/s of {path.stat().st_size / (rows * 5):.0f} bytes")
    print(f"memory above idle {peaks[0] / 2**20:>10,.0f} MiB, a file five times as long {peaks[1] / 2**20:,.0f} MiB")
    met = entries >= REQUIRED_ENTRIES_PER_SECOND and growth <= MAX_GROWTH_BYTES
    print("limits met" if met else f"MISSED: {REQUIRED_ENTRIES_PER_SECOND:,} entries/s, flat memory")
    return met


def _without_its_first_row(path: Path) -> Path:
    """Write the report at `path` again as a later version would have it."""
    with path.open() as source, path.with_name("again.csv").open("w") as sink:
        sink.write(next(source))
        next(source)
        sink.writelines(source)
    return path.with_name("again.csv")


def _land(runtime: BenchRuntime, path: Path, rows: int, *, source: str = "stripe_report") -> None:
    landed = land(runtime, source=source, paths=[path])[0]
    assert landed.accepted == rows, landed
    assert all(total.passed for total in landed.control_totals), landed


def _bare_copy(engine: Engine, path: Path) -> None:
    columns = ", ".join(f"c{number} text" for number in range(len(COLUMNS) + len(METADATA)))
    with engine.begin() as connection:
        connection.execute(text("drop table if exists bare"))
        connection.execute(text(f"create table bare ({columns})"))
        cursor = connection.connection.driver_connection.cursor()
        with path.open("rb") as source, cursor.copy("copy bare from stdin (format csv, header)") as copy:
            while block := source.read(1024 * 1024):
                copy.write(block)


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextmanager
def _peak_memory() -> Iterator[list[int]]:
    """Yield a list that holds the growth of this process' memory, in bytes, once the block is over."""
    process, done, peak = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


@contextmanager
def _server(folder: Path) -> Iterator[Engine]:
    embedded = EmbeddedPostgres(folder=folder / "postgres")
    process, port = embedded.start()
    engine = make_engine(embedded.url(port, "postgres"), role="login")
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()
        process.send_signal(2)
        process.wait(timeout=60)


def _report(
    rows: int, row_bytes: float, bare: list[float], landed: list[float], again: float, peaks: list[int]
) -> bool:
    bare_median, landed_median = statistics.median(bare), statistics.median(landed)
    growth = peaks[1] - peaks[0]
    print(f"report of {rows:,} rows of {len(COLUMNS) + len(METADATA)} columns, {row_bytes:.0f} bytes a row")
    print(f"bare COPY         {bare_median:>10,.0f} rows/s  (median of {len(bare)})")
    print(f"landing           {landed_median:>10,.0f} rows/s  ({landed_median / bare_median:.2f} of the bare COPY)")
    print(f"a later version   {again:>10,.0f} rows/s  ({again / landed_median:.2f} of a report of days of its own)")
    print(f"memory above idle {peaks[0] / 2**20:>10,.0f} MiB, a file five times as long {peaks[1] / 2**20:,.0f} MiB")
    missed = []
    if landed_median < REQUIRED_ROWS_PER_SECOND:
        missed.append(f"landing is below {REQUIRED_ROWS_PER_SECOND:,} rows/s")
    if growth > MAX_GROWTH_BYTES:
        missed.append(f"memory grew by {growth / 2**20:.0f} MiB with the file")
    print("limits met" if not missed else "MISSED: " + "; ".join(missed))
    return not missed


if __name__ == "__main__":
    sys.exit(main())
