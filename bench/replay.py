"""How fast a book is rebuilt from its archive, against plain COPY of the same rows into the same tables.

    python -m bench.replay [--quick] [--records N]

The archive is of what was posted (200,000 entries by default). The baseline copies the same rows, taken from the
original beforehand, into a migrated, empty database in one transaction: nothing is read, verified, parsed or hashed.
Both run in the same rounds, and write to tables with their indexes and triggers.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from contextlib import closing
from datetime import date
from pathlib import Path

import psycopg
from sqlalchemy import text

from bench.apart import figures_apart, peak_megabytes
from bench.harness import (
    Case,
    Target,
    interleaved,
    parser_of,
    print_rates,
    print_targets,
    throwaway_runtime,
)
from bench.log_book import BOOK, post
from ledger_core.base.engine import make_engine
from ledger_core.base.migrate import migrate
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.replay.replay import replay
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings

COPIED = ("records", "tiles", "accounts", "account_versions", "balances", "entries", "postings")
_numbers = itertools.count(1)


def main() -> int:
    """Run the benchmark; return 1 when a target is missed (never with `--quick`)."""
    parser = parser_of(__doc__, records=200_000)
    parser.add_argument("--replay", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay:
        return _replay(*options.replay)
    records, rounds = (5_000, 1) if options.quick else (options.records, options.rounds)
    with throwaway_runtime() as runtime:
        reached = _run(runtime, records, rounds)
    return 0 if reached or options.quick else 1


def _run(runtime: Runtime, records: int, rounds: int) -> bool:
    post(runtime, records)
    export_segment(runtime, closed_on=date(2026, 1, 31), book=BOOK)
    rows = {table: _copied_out(runtime.database_url, table) for table in COPIED}
    print(f"{records:,} entries in the archive; their rows are {sum(map(len, rows.values())) / 1e6:,.0f} MB")
    peaks: list[float] = []
    plain, ours = "baseline: plain COPY of the rows", "replayed, verified before"
    rates = interleaved(
        [
            Case(name=plain, run=lambda: records / _copy_in(runtime, rows)),
            Case(name=ours, run=lambda: records / _replay_apart(runtime, peaks)),
        ],
        rounds,
    )
    medians = print_rates(rates, "records/s")
    print(f"{'ratio to the baseline':<44} {medians[ours] / medians[plain]:>10.2f}")
    print(f"{'peak memory of a replay':<44} {max(peaks):>10,.0f} MB")
    return print_targets(
        [
            Target(name="records replayed a second", value=medians[ours], at_least=10_000),
            Target(name="300 MB over the peak memory of a replay", value=300 / max(peaks), at_least=1.0),
        ]
    )


def _copied_out(url: str, table: str) -> bytes:
    with psycopg.connect(_plain(url)) as connection:
        query = f"copy (select * from ledger.{table} order by 1, 2) to stdout (format binary)"
        with connection.cursor().copy(query) as copy:
            return b"".join(bytes(part) for part in copy)


def _copy_in(runtime: Runtime, rows: dict[str, bytes]) -> float:
    """Copy the rows into a fresh database; return the seconds."""
    with psycopg.connect(_plain(_fresh(runtime))) as connection:
        started = time.perf_counter()
        with connection.cursor() as cursor:
            for table, data in rows.items():
                with cursor.copy(f"copy ledger.{table} from stdin (format binary)") as copy:
                    copy.write(data)
        connection.commit()
        return time.perf_counter() - started


def _replay_apart(runtime: Runtime, peaks: list[float]) -> float:
    """Replay in a process of its own; return its seconds without its start, keep its peak memory in MB."""
    seconds, peak = figures_apart("bench.replay", "--replay", str(runtime.home), _fresh(runtime))
    peaks.append(peak)
    return seconds


def _replay(home: str, url: str) -> int:
    with open_runtime(Settings(home_path=Path(home), database_url=url, env="test", actor="bench")) as runtime:
        started = time.perf_counter()
        (done,) = replay(runtime, runtime.home / "archive")
        seconds = time.perf_counter() - started
        peak = peak_megabytes()
        report = check_book(runtime, BOOK)
        assert report.codes == {"behind_proxy"}, report.as_lines()
        assert report.size == done.size
    print(seconds, peak)
    return 0


def _fresh(runtime: Runtime) -> str:
    """Return the address of a database that is migrated and empty."""
    name = f"bench_replay_{next(_numbers)}"
    with closing(psycopg.connect(_plain(runtime.database_url), autocommit=True)) as connection:
        connection.execute(f"create database {name}")  # type: ignore[arg-type]
    url = f"{runtime.database_url.rpartition('/')[0]}/{name}"
    login = make_engine(url, role="login", pool_size=1)
    migrate(login)
    with login.connect() as check:
        assert check.execute(text("select count(*) from ledger.log_head")).scalar_one() == 0
    login.dispose()
    return url


def _plain(url: str) -> str:
    return url.replace("+psycopg", "")


if __name__ == "__main__":
    sys.exit(main())
