"""What benchmarks share: a home that is thrown away, interleaved rounds, medians, and a table of ratios.

A figure without a baseline of the same run says what the machine was doing, not what the code costs; so every benchmark
here measures its limit in the same rounds, alternating, and judges by the ratio of medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger_core.base.processes import ProcessGroup
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing to measure; `run` returns units a second."""

    name: str
    run: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a ratio or a rate must reach."""

    name: str
    value: float
    at_least: float

    @property
    def reached(self) -> bool:
        return self.value >= self.at_least


@contextmanager
def throwaway_runtime() -> Iterator[Runtime]:
    """Open a runtime in a home of its own: embedded Postgres with fsync on, a real proxy; stop both afterwards."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-bench-") as folder:
        settings = Settings(home_path=Path(folder), database_url=None, env="test", actor="bench")
        try:
            with open_runtime(settings) as runtime:
                yield runtime
        finally:
            group = ProcessGroup(Path(folder) / "run")
            for record in reversed(group.records()):
                group.stop(record.name)


def parser_of(doc: str | None, *, records: int) -> argparse.ArgumentParser:
    """Return the parser of a benchmark over a number of records, with the options that each of them has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small round: does it run at all")
    parser.add_argument("--records", type=int, default=records, help="posted before anything is measured")
    parser.add_argument("--rounds", type=int, default=3, help="how many interleaved rounds")
    return parser


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleaved(cases: Sequence[Case], rounds: int) -> dict[str, list[float]]:
    """Run every case once a round, in turn, and return the rates by name."""
    rates: dict[str, list[float]] = {case.name: [] for case in cases}
    for number in range(rounds):
        # The order turns, so that none always runs after the same other.
        for case in [*cases[number % len(cases) :], *cases[: number % len(cases)]]:
            rates[case.name].append(case.run())
    return rates


def print_rates(rates: dict[str, list[float]], unit: str) -> dict[str, float]:
    """Print each case's median and range, and return the medians."""
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, found in rates.items():
        print(f"{name:<44} {medians[name]:>10,.0f} {unit}   ({min(found):,.0f} to {max(found):,.0f})")
    return medians


def print_targets(targets: Sequence[Target]) -> bool:
    """Print each target with what was found, and say whether all were reached."""
    for target in targets:
        mark = "reached" if target.reached else "MISSED"
        print(f"{target.name:<56} {target.value:>10,.2f}   at least {target.at_least:,.2f}   {mark}")
    return all(target.reached for target in targets)
