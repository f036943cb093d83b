"""What a run costs beside matching when ten million matches lie behind it: manifest, coverage, merge and findings.

Manifest: the pin over ten years of daily files, the hashes over what matched and differs, and the run's own rows.
Coverage: the models from landed files to `fct_source_coverage`. Merge: the differences into the breaks, a tenth of
them and all. Findings: the counts over items, matches and differences. The hash is measured against the single text
over all rows that it replaced, in the same run.

    python -m bench.growth [--rows N] [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import psutil
from sqlalchemy import Connection, Engine, text

from bench.growth_rows import BOOK, SCHEMA, YEARS, forget_differences, make, make_differences
from bench.models import build
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.migrate import migrate
from ledger_core.settings import Settings
from reconciliation.breaks.merge import merge_differences
from reconciliation.runs.findings import read_findings, read_rules
from reconciliation.runs.manifest import build_manifest, manifest_sha256
from reconciliation.runs.output_hashes import MATCH_COLUMNS, output_hashes
from reconciliation.runs.pins import Pin, store_pin, take_pin
from reconciliation.runs.run import insert_run

T = TypeVar("T")

LIMIT_SECONDS = 60.0
LIMIT_MIB = 500.0
AS_OF = date(2026, 10, 31)
COVERAGE = {
    "int_failed_totals": "table",
    "int_feed_spans": "table",
    "int_feeds": "table",
    "int_feed_clocks": "table",
    "fct_source_coverage": "table",
}
VIEWS = ("stg_recon__pin", "stg_recon__feeds", "stg_raw__sources", "stg_raw__files", "stg_raw__control_totals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Time of day, and processor time of this process and the server, which a busy machine distorts less."""

    seconds: float
    processor: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(seconds=self.seconds + other.seconds, processor=self.processor + other.processor)

    def __str__(self) -> str:
        return f"{self.seconds:8.2f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What each part costs; `merge_tenth` and `one_text` are what the others are compared with."""

    pin: Cost
    hashes: Cost
    storing: Cost
    coverage: Cost
    merge: Cost
    findings: Cost
    merge_tenth: Cost
    one_text: Cost
    files: int

    @property
    def manifest(self) -> Cost:
        return self.pin + self.hashes + self.storing

    @property
    def together(self) -> Cost:
        return self.manifest + self.coverage + self.merge + self.findings


def main() -> int:
    """Run the benchmark; exit 1 when a limit is missed at full size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="matched items behind the run")
    parser.add_argument("--quick", action="store_true", help="20,000 items and a year of files, to see that it runs")
    options = parser.parse_args()
    rows = 20_000 if options.quick else options.rows
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-bench-"))
    embedded = EmbeddedPostgres(folder=folder / "postgres")
    process, port = embedded.start()
    try:
        engine = make_engine(embedded.url(port, "postgres"), role="login")
        migrate(engine)
        measured = _measure(engine, Meter(process.pid), rows, years=1 if options.quick else YEARS)
    finally:
        process.send_signal(2)
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _show(measured, rows, peak)
    return 0 if options.quick or (measured.together.seconds <= LIMIT_SECONDS and peak <= LIMIT_MIB) else 1


def _measure(engine: Engine, meter: Meter, rows: int, *, years: int) -> Measured:
    differences = _differences(rows)
    with engine.connect() as connection:
        make(connection, rows, years=years)
        taking, pin = meter.cost(lambda: _pin(engine, connection))
        for view in VIEWS:
            build(connection, SCHEMA, view, kind="view")
        coverage, _ = meter.cost(
            lambda: [build(connection, SCHEMA, name, kind=kind) for name, kind in COVERAGE.items()]
        )
        _make_rates(connection)
        make_differences(connection, differences // 10)
        few, _ = meter.cost(lambda: _merge(connection, pin, ordinal=1))
        forget_differences(connection)
        make_differences(connection, differences)
        connection.commit()
        finding, findings = meter.cost(lambda: read_findings(connection, SCHEMA))
        many, changes = meter.cost(lambda: _merge(connection, pin, ordinal=2))
        hashing, hashes = meter.cost(lambda: output_hashes(connection, SCHEMA))
        counts = findings.as_counts() | {"merge": changes.as_manifest()}
        storing, _ = meter.cost(lambda: _store(connection, pin, findings, counts, hashes))
        connection.commit()
        # With the settings of a plain connection, as it ran.
        before, single = meter.cost(lambda: connection.execute(text(_ONE_TEXT)).scalar_one())
        assert single != hashes["matches_sha256"]
        assert findings.matched == rows
        connection.rollback()
    return Measured(
        pin=taking,
        hashes=hashing,
        storing=storing,
        coverage=coverage,
        merge=many,
        findings=finding,
        merge_tenth=few,
        one_text=before,
        files=len(pin.files),
    )


def _show(measured: Measured, rows: int, peak_mib: float) -> None:
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(
        f"python {platform.python_version()}, {rows:,} matched items, {_differences(rows):,} differences,"
        f" {measured.files:,} files, {os.cpu_count()} processors, load {load}"
    )
    one, few = measured.one_text, measured.merge_tenth
    print(f"  manifest: pin, hashes, the run's rows {measured.manifest}")
    print(f"    pin over the files                  {measured.pin}")
    print(f"  hashes over matches and differences  {measured.hashes}, one text over all rows {one}")
    print(f"  ratio one text / tree                {one.seconds / measured.hashes.seconds:8.2f}")
    print(f"  coverage, from files to days         {measured.coverage}")
    print(f"  merge of all differences             {measured.merge}, of a tenth {few}")
    print(f"  ratio by the row, all / a tenth      {measured.merge.seconds / few.seconds / 10:8.2f}")
    print(f"  findings over items and matches      {measured.findings}")
    spent = {
        "hashes": measured.hashes,
        "one text": one,
        "merge": measured.merge,
        "findings": measured.findings,
        "together": measured.together,
    }
    print("  processor: " + ", ".join(f"{name} {cost.processor:.2f} s" for name, cost in spent.items()))
    print(
        f"  together {measured.together.seconds:.2f} s (limit {LIMIT_SECONDS:.0f} s for 10 million),"
        f" this process {peak_mib:.0f} MiB (limit {LIMIT_MIB:.0f})"
    )


def _differences(rows: int) -> int:
    return max(rows // 100, 10)


def _pin(engine: Engine, connection: Connection) -> Pin:
    settings = Settings(env="test", actor="bench")
    pin = take_pin(engine, settings, book=BOOK, to=AS_OF, today=AS_OF, code_version="bench", home=Path("/nonexistent"))
    store_pin(connection, pin, target_schema=SCHEMA)
    connection.commit()
    return pin


def _make_rates(connection: Connection) -> None:
    # What the mart holds when the run's own step begins: a row a provider and currency.
    connection.execute(text(_RATES))


def _merge(connection: Connection, pin: Pin, *, ordinal: int) -> Any:
    return merge_differences(connection, book=BOOK, run_id=pin.run_id, run_ordinal=ordinal, as_of=AS_OF, schema=SCHEMA)


def _store(connection: Connection, pin: Pin, findings: Any, counts: dict[str, Any], hashes: dict[str, str]) -> None:
    manifest = build_manifest(
        pin,
        verdict=findings.verdict,
        merged=True,
        counts=counts,
        rules=read_rules(connection, SCHEMA),
        outputs=hashes,
    )
    assert manifest_sha256(manifest)
    insert_run(
        connection, pin, findings, manifest, merged=True, ordinal=2, now=datetime.now(tz=UTC), target_schema=SCHEMA
    )


class Meter:
    """Tells what a step costs here and in the server, whose workers' time is the postmaster's once they have ended."""

    def __init__(self, server: int) -> None:
        self._server = psutil.Process(server)

    def cost(self, run: Callable[[], T]) -> tuple[Cost, T]:
        started, spent = time.perf_counter(), self._processor()
        result = run()
        return Cost(seconds=time.perf_counter() - started, processor=self._processor() - spent), result

    def _processor(self) -> float:
        total = time.process_time()
        own = self._server.cpu_times()
        total += own.user + own.system + own.children_user + own.children_system
        for process in self._server.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total


_RATES = f"""
create table {SCHEMA}.fct_match_rates as
select leg, provider, account, currency, count(*) as matched, 0::bigint as pending, 0::bigint as breaks
from {SCHEMA}.fct_matches
group by leg, provider, account, currency
"""

_ONE_TEXT = f"""
select encode(sha256(coalesce(string_agg(hashed.digest, ''::bytea order by hashed.digest), ''::bytea)), 'hex')
from (select sha256(convert_to(row({MATCH_COLUMNS})::text, 'UTF8')) as digest from {SCHEMA}.fct_matches) as hashed
"""

if __name__ == "__main__":
    sys.exit(main())
