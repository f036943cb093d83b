"""How fast a segment is exported, verified and checked, against `gunzip | sha256` of the same file in the same run.

    python -m bench.verify [--quick] [--records N]

The export is of everything that was posted (1 M records by default), its verification runs in a process of its own, so
that its memory is known. The check walks the same records with every projection beside them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from datetime import date
from pathlib import Path

from bench.apart import figures_apart, peak_megabytes
from bench.harness import (
    Case,
    Target,
    interleaved,
    parser_of,
    print_rates,
    print_targets,
    seconds_of,
    throwaway_runtime,
)
from bench.log_book import BOOK, gunzip_and_hash, post
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.proofs.prove import entry_proof
from ledger_core.log.segment import RECORDS_FILE
from ledger_core.log.verifier import verify_path
from ledger_core.runtime import Runtime

PROOFS = 50


def main() -> int:
    """Run the benchmark; return 1 when a target is missed (never with `--quick`)."""
    parser = parser_of(__doc__, records=1_000_000)
    parser.add_argument("--verify", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.verify:
        return _verify(*(Path(item) for item in options.verify))
    records, rounds = (20_000, 1) if options.quick else (options.records, options.rounds)
    with throwaway_runtime() as runtime:
        reached = _run(runtime, records, rounds)
    return 0 if reached or options.quick else 1


def _run(runtime: Runtime, records: int, rounds: int) -> bool:
    posting_seconds = seconds_of(lambda: post(runtime, records))
    print(f"posted {records:,} entries in {posting_seconds:.1f} s")
    export_seconds = seconds_of(lambda: export_segment(runtime, closed_on=date(2026, 1, 31), book=BOOK))
    (packed,) = runtime.home.rglob(RECORDS_FILE)
    print(f"exported in {export_seconds:.1f} s to {packed.stat().st_size / 1e6:,.0f} MB")
    peaks: list[float] = []
    cpu_rates: list[float] = []
    plain, ours = "baseline: gunzip and sha256", "verified, strict"
    rates = interleaved(
        [
            Case(name=plain, run=lambda: records / seconds_of(lambda: gunzip_and_hash(packed))),
            Case(name=ours, run=lambda: records / _verify_apart(runtime, packed.parent, peaks, cpu_rates)),
            Case(name="checked, every projection", run=lambda: records / seconds_of(lambda: _check(runtime))),
        ],
        rounds,
    )
    medians = print_rates(rates, "records/s")
    proof_seconds = statistics.median(
        seconds_of(lambda n=number: entry_proof(runtime, BOOK, f"bench:{n * records // PROOFS}"))
        for number in range(PROOFS)
    )
    next_seconds = seconds_of(lambda: export_segment(runtime, closed_on=date(2026, 2, 1), book=BOOK))
    print(f"{'ratio to the baseline':<44} {medians[ours] / medians[plain]:>10.2f}")
    print(f"{'verified in a second of CPU':<44} {statistics.median(cpu_rates):>10,.0f} records")
    print(f"{'next export (verifies this segment first)':<44} {next_seconds:>10.1f} s")
    print(f"{'proof of one entry, p50':<44} {proof_seconds * 1_000:>10.1f} ms")
    both_seconds = (export_seconds + records / medians[ours]) * 1_000_000 / records
    return print_targets(
        [
            Target(name="records verified a second", value=medians[ours], at_least=150_000),
            Target(name="60 s over export and verification of 1 M", value=60 / both_seconds, at_least=1.0),
            Target(name="300 MB over the verifier's peak memory", value=300 / max(peaks), at_least=1.0),
            Target(name="10 ms over the proof of one entry", value=0.010 / proof_seconds, at_least=1.0),
        ]
    )


def _verify_apart(runtime: Runtime, folder: Path, peaks: list[float], cpu_rates: list[float]) -> float:
    """Verify in a process of its own; return its seconds without its start, keep its peak memory in MB and CPU rate."""
    seconds, peak, cpu_rate = figures_apart("bench.verify", "--verify", str(folder), str(runtime.trust_path))
    peaks.append(peak)
    cpu_rates.append(cpu_rate)
    return seconds


def _verify(folder: Path, trust: Path) -> int:
    started, cpu_started = time.perf_counter(), time.process_time()
    report = verify_path(folder, trust)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    assert report.verdict == "verified", report.as_lines()
    print(seconds, peak_megabytes(), report.records / cpu_seconds)
    return 0


def _check(runtime: Runtime) -> None:
    report = check_book(runtime, BOOK)
    assert report.sound, report.as_lines()


if __name__ == "__main__":
    sys.exit(main())
