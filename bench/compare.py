"""Whether this tree is slower than another commit: both measured in turn, on the same machine, in the same hour.

    python -m bench.compare COMMIT [--only NAME ...] [--pairs N] [--quick]

COMMIT is checked out beside this tree with an environment of its own, by its own `make setup`; then each benchmark runs
there, here, there, here (five pairs). For every figure it prints the ratio of the medians, here over there, and the
spread of the pairs, the lowest and the highest ratio of one run here to the run there just before it. A figure whose
spread takes in 1 is no loss, whatever its medians say: the machine moved more than the code did. The exit status is 1
when a figure is worse in every pair and its medians by more than 5 %, 2 when nothing could be compared. One pair has no
spread and judges nothing.

The working tree is measured as it stands, with what is not committed. Traffic is loopback only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import FIGURES, Figure, figures_in

ROOT = Path(__file__).parents[1]
TOLERATED_LOSS = 0.05
PAIRS = 5
RUN_TIMEOUT_SECONDS = 3600.0
WORSE, COULD_NOT_RUN = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One figure of all pairs, in their order; none of the numbers is 0."""

    figure: Figure
    there: tuple[float, ...]
    here: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Return the median here over the median there."""
        return statistics.median(self.here) / statistics.median(self.there)

    @property
    def spread(self) -> tuple[float, float]:
        """Return the lowest and the highest ratio of a pair."""
        ratios = [here / there for here, there in zip(self.here, self.there, strict=True)]
        return min(ratios), max(ratios)

    @property
    def loss(self) -> float:
        """Return how much worse the medians are, as a share of what was there; negative when they are better."""
        return 1 - self.ratio if self.figure.higher_is_better else self.ratio - 1

    @property
    def is_within_spread(self) -> bool:
        """Tell whether pairs disagree on which side is better."""
        low, high = self.spread
        return low <= 1 <= high

    @property
    def is_worse(self) -> bool:
        """Tell whether this is a loss that counts."""
        judged = not self.figure.is_baseline and len(self.here) > 1
        return judged and not self.is_within_spread and self.loss > TOLERATED_LOSS

    @property
    def words(self) -> str:
        """Return the judgement."""
        if self.figure.is_baseline:
            return "baseline: the machine, not judged"
        if len(self.here) == 1:
            return "one pair has no spread: not judged"
        if self.is_within_spread:
            return "no loss: within the spread"
        if self.loss <= 0:
            return "better"
        return f"{'WORSE' if self.is_worse else 'worse, tolerated:'} by {self.loss:.1%}"


def main() -> int:
    """Compare with the commit that is named; see the module's docstring for the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--only", nargs="+", choices=sorted(FIGURES), default=list(FIGURES), metavar="NAME")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--quick", action="store_true", help="small rounds: does it run at all")
    options = parser.parse_args()
    if options.pairs < 1:
        parser.error("--pairs is at least 1")
    results: list[Compared] = []
    with other_tree(options.commit) as other:
        for name in options.only:
            if not (other / "bench" / f"{name}.py").exists():
                print(f"\n{name}: {options.commit} has no such benchmark")
                continue
            there, here = run_pairs(name, other, options.pairs, quick=options.quick)
            compared, lacking = compare(name, there, here)
            print_compared(name, compared, lacking, options.pairs)
            results += compared
    worse = [each for each in results if each.is_worse]
    print(f"\n{len(results)} figures compared with {options.commit}, {len(worse)} worse by over 5 %")
    if not results:
        return COULD_NOT_RUN
    return WORSE if worse else 0


@contextmanager
def other_tree(commit: str) -> Iterator[Path]:
    """Yield a worktree of `commit` with its own environment, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-compare-") as folder:
        tree = Path(folder) / "tree"
        _say(f"checking out {commit}")
        _must(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], ROOT)
        try:
            _say("setting it up")
            _must(["make", "--no-print-directory", "setup"], tree)
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=False)


def run_pairs(name: str, other: Path, pairs: int, *, quick: bool) -> tuple[list[str], list[str]]:
    """Run a benchmark there and here in turn; return what each printed, in order."""
    there, here = [], []
    for number in range(1, pairs + 1):
        _say(f"{name}: pair {number} of {pairs}")
        there.append(_measure(name, other, other / ".venv" / "bin" / "python", quick=quick))
        here.append(_measure(name, ROOT, Path(sys.executable), quick=quick))
    return there, here


def compare(name: str, there: Sequence[str], here: Sequence[str]) -> tuple[list[Compared], list[str]]:
    """Return the figures that every run printed, and the names of those that some did not, or that are 0."""
    read_there, read_here = ([figures_in(name, text) for text in texts] for texts in (there, here))
    compared, lacking = [], []
    for figure in FIGURES[name]:
        values = [[found.get(figure.name, 0.0) for found in side] for side in (read_there, read_here)]
        if not all(values[0]) or not all(values[1]):
            lacking.append(figure.name)
            continue
        compared.append(Compared(figure=figure, there=tuple(values[0]), here=tuple(values[1])))
    return compared, lacking


def print_compared(name: str, compared: Sequence[Compared], lacking: Sequence[str], pairs: int) -> None:
    """Print one line a figure."""
    print(f"\n{name}, {pairs} pair{'s' if pairs > 1 else ''}")
    for each in compared:
        way = "higher" if each.figure.higher_is_better else "lower"
        low, high = each.spread
        there, here = statistics.median(each.there), statistics.median(each.here)
        print(
            f"  {each.figure.name:<44} {there:>12,.2f} -> {here:>12,.2f}"
            f"  ratio {each.ratio:5.3f} ({low:5.3f} to {high:5.3f}, {way} is better)  {each.words}"
        )
    for figure in lacking:
        print(f"  {figure:<44} not printed by every run, or 0: not compared")


def _measure(name: str, tree: Path, python: Path, *, quick: bool) -> str:
    """Run one benchmark of `tree` and return what it printed; a missed target (status 1) is not this program's."""
    command = [str(python), "-m", f"bench.{name}", *(["--quick"] if quick else [])]
    finished = subprocess.run(
        command, cwd=tree, env=_environment(), capture_output=True, text=True, check=False, timeout=RUN_TIMEOUT_SECONDS
    )
    if not figures_in(name, finished.stdout):
        print(finished.stdout[-1000:] + finished.stderr[-2000:], file=sys.stderr)
        raise SystemExit(COULD_NOT_RUN)
    return finished.stdout


def _must(command: Sequence[str], folder: Path) -> None:
    finished = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    if finished.returncode:
        print(f"{' '.join(command)}: {(finished.stderr or finished.stdout).strip()[-2000:]}", file=sys.stderr)
        raise SystemExit(COULD_NOT_RUN)


def _environment() -> dict[str, str]:
    """Return ours without what would make either side use our home, our database or our environment."""
    ours = ("COUNTERFOIL_", "DATABASE_", "VIRTUAL_ENV", "VENV", "PYTHONPATH", "MAKE", "MFLAGS", "GIT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
