"""The log's figures: how fast it is exported, verified and proved, and how often its key is asked.

    python -m bench.log [--quick] [--records N] [--generated N]

Everything that is posted is exported and verified, on one core and with a second process that unfolds, each in a
process of its own, so that its memory is known; in turn with `gunzip | sha256` of the same file, the bound. One entry's
proof is asked for over HTTP, of a real server. Posts at 1,000 a second are signed by the real proxy behind a key that
takes 5 ms longer, and its signatures are counted. `--generated 10000000` verifies that many records besides, of a
segment made without a database: the memory must not grow.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path

from api.auth.development import ALL_SCOPES, issue_development_token
from bench.apart import figures_apart
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
from bench.http_api import server
from bench.http_load import http_request, run_load
from bench.log_book import ACTOR, BOOK, charge, gunzip_and_hash, post
from bench.log_segment import make_segment
from bench.posting import SlowSigner
from ledger_core.base.processes import free_port
from ledger_core.book.ledger import Ledger
from ledger_core.evidence.export.segment import export_segment
from ledger_core.log.segment import RECORDS_FILE
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime

POSTS_PER_SECOND = 1_000
CALLERS = 64
PLAIN, ONE, TWO = "baseline: gunzip and sha256", "verified, strict, one core", "verified, strict, second process"


def main() -> int:
    """Run the benchmark; return 1 when a target is missed (never with `--quick`)."""
    parser = parser_of(__doc__, records=1_000_000)
    parser.add_argument("--generated", type=int, default=0, help="verified besides, made without a database")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to post for the count of signatures")
    options = parser.parse_args()
    records, rounds, seconds = (20_000, 1, 2.0) if options.quick else (options.records, options.rounds, options.seconds)
    targets = []
    with throwaway_runtime() as runtime:
        targets += _archive(runtime, records, rounds)
        targets += _proofs(runtime, records, 1.0 if options.quick else 10.0)
        targets += _signatures(runtime, seconds)
    generated = 50_000 if options.quick else options.generated
    if generated:
        targets += _generated(generated)
    return 0 if print_targets(targets) or options.quick else 1


def _archive(runtime: Runtime, records: int, rounds: int) -> list[Target]:
    print(f"posted {records:,} entries in {seconds_of(lambda: post(runtime, records)):.1f} s")
    export_seconds = seconds_of(lambda: export_segment(runtime, closed_on=date(2026, 1, 31), book=BOOK))
    (packed,) = runtime.home.rglob(RECORDS_FILE)
    print(f"exported in {export_seconds:.1f} s to {packed.stat().st_size / 1e6:,.0f} MB")
    medians, peak = _verified(packed, runtime.trust_path, records, rounds)
    both_seconds = (export_seconds + records / medians[TWO]) * 1_000_000 / records
    print(f"{'export and verification of 1 M together':<44} {both_seconds:>10.1f} s")
    return [
        Target(
            name="records verified a second, the better of both", value=max(medians[ONE], medians[TWO]), at_least=3e5
        ),
        Target(name="300 MB over the verifier's peak memory", value=300 / peak, at_least=1.0),
        Target(name="30 s over export and verification of 1 M", value=30 / both_seconds, at_least=1.0),
    ]


def _verified(packed: Path, trust: Path, records: int, rounds: int) -> tuple[dict[str, float], float]:
    """Print rates against the bound, and return their medians, and the largest peak of memory in MB."""
    peaks: dict[int, float] = {1: 0.0, 2: 0.0}

    def verify(processes: int) -> float:
        count, seconds, peak = figures_apart("bench.log_verify", str(packed.parent), str(trust), str(processes))
        assert count >= records
        peaks[processes] = max(peaks[processes], peak)
        return count / seconds

    rates = interleaved(
        [
            Case(name=PLAIN, run=lambda: records / seconds_of(lambda: gunzip_and_hash(packed))),
            Case(name=ONE, run=lambda: verify(1)),
            Case(name=TWO, run=lambda: verify(2)),
        ],
        rounds,
    )
    medians = print_rates(rates, "records/s")
    print(f"{'ratio to the baseline, one core':<44} {medians[ONE] / medians[PLAIN]:>10.2f}")
    print(f"{'ratio to the baseline, second process':<44} {medians[TWO] / medians[PLAIN]:>10.2f}")
    print(f"{'peak memory, one core':<44} {peaks[1]:>10.0f} MB")
    print(f"{'peak memory, both processes':<44} {peaks[2]:>10.0f} MB")
    return medians, max(peaks.values())


def _proofs(runtime: Runtime, records: int, seconds: float) -> list[Target]:
    """Ask a real server for proofs of entries anywhere in the log, one after another."""
    token = issue_development_token(runtime.settings, "bench", ALL_SCOPES, 3600)
    anywhere = random.Random(7)

    def request() -> bytes:
        number = anywhere.randrange(records)
        return http_request("GET", f"/finance/journal-entries/bench:{number}/proof", token=token)

    port = free_port()
    environment = {
        **os.environ,
        "COUNTERFOIL_HOME": str(runtime.home),
        "COUNTERFOIL_ENV": runtime.settings.env,
    }
    with server([sys.executable, "-m", "api.server", "--port", str(port)], port, environment):
        asyncio.run(run_load(port, request, clients=1, seconds=seconds / 5, expect=b"200"))  # warm
        load = asyncio.run(run_load(port, request, clients=1, seconds=seconds, expect=b"200"))
    assert not load.unexpected, load.unexpected
    p50, p99 = load.quantile(0.5), load.quantile(0.99)
    print(f"{f'proof of one entry of {records:,} over HTTP':<44} p50 {p50:.1f} ms  p99 {p99:.1f} ms")
    return [Target(name="10 ms over the proof of one entry, p50", value=10 / p50, at_least=1.0)]


def _signatures(runtime: Runtime, seconds: float) -> list[Target]:
    """Post one entry at a time, 1,000 a second from many callers, and count what the key was asked for."""
    signer = SlowSigner(runtime.signer)
    ledger = Ledger(
        engine=runtime.engine, signer=signer, settings=runtime.settings, book=BOOK, kinds=runtime.kinds,
        clock=runtime.clock,
    )  # fmt: skip
    numbers = itertools.count()
    waits: list[float] = []
    until = time.perf_counter() + seconds
    begun = time.perf_counter()
    count_before = signer.count

    def call(caller: int) -> None:
        for turn in itertools.count():
            due = begun + (turn * CALLERS + caller) / POSTS_PER_SECOND
            if due > until:
                return
            time.sleep(max(0.0, due - time.perf_counter()))
            asked = time.perf_counter()
            answer = ledger.append([charge(next(numbers), prefix="rate")], Ask(actor=ACTOR))
            assert answer.checkpoint is not None
            waits.append(time.perf_counter() - asked)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - begun
    posts, asked = len(waits) / taken, (signer.count - count_before) / taken
    ledger.close()
    print(
        f"{'signatures asked of the key':<44} {asked:>10.1f} a second at {posts:,.0f} posts a second "
        f"(p50 {statistics.median(waits) * 1_000:.0f} ms)"
    )
    return [
        Target(name="50 over the signatures a second at 1,000 posts", value=50 / max(asked, 0.1), at_least=1.0),
        Target(name="posts a second reached while counting", value=posts, at_least=0.9 * POSTS_PER_SECOND),
    ]


def _generated(records: int) -> list[Target]:
    with tempfile.TemporaryDirectory(prefix="counterfoil-bench-") as place:
        begun = time.perf_counter()
        folder, trust = make_segment(Path(place), records)
        print(f"generated {records:,} records in {time.perf_counter() - begun:.0f} s")
        _, peak = _verified(folder / RECORDS_FILE, trust, records, rounds=1)
    return [Target(name=f"300 MB over the peak memory at {records:,}", value=300 / peak, at_least=1.0)]


if __name__ == "__main__":
    sys.exit(main())
