"""Comparing two trees: what counts as a loss, and that the figures are found in what the benchmarks print."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench import compare as program
from bench.compare import Compared, compare, other_tree
from bench.figures import FIGURES, Figure, figures_in

HIGHER = Figure(name="rate", pattern="", higher_is_better=True)
LOWER = Figure(name="cost", pattern="", higher_is_better=False)
VERIFY = """posted 20,000 entries in 2.5 s
exported in 1.1 s to 3 MB
baseline: gunzip and sha256                     109,803 records/s   (109,803 to 109,803)
verified, strict                                 28,079 records/s   (28,079 to 28,079)
checked, every projection                         7,836 records/s   (7,836 to 7,836)
ratio to the baseline                              0.26
verified in a second of CPU                     144,097 records
next export (verifies this segment first)           0.7 s
proof of one entry, p50                            36.4 ms
"""


def compared(figure: Figure, there: tuple[float, ...], here: tuple[float, ...]) -> Compared:
    return Compared(figure=figure, there=there, here=here)


def test_a_ratio_within_the_spread_is_no_loss_and_says_so() -> None:
    noisy = compared(HIGHER, (100, 100, 100), (70, 80, 101))
    assert noisy.ratio == pytest.approx(0.8)
    assert not noisy.is_worse
    assert noisy.words == "no loss: within the spread"


@pytest.mark.parametrize(
    ("figure", "here", "worse", "words"),
    [
        (HIGHER, (90, 91, 92), True, "WORSE by 9.0%"),
        (HIGHER, (96, 97, 98), False, "worse, tolerated: by 3.0%"),
        (HIGHER, (108, 109, 110), False, "better"),
        (LOWER, (108, 109, 110), True, "WORSE by 9.0%"),
        (LOWER, (103, 104, 105), False, "worse, tolerated: by 4.0%"),
        (LOWER, (90, 91, 92), False, "better"),
    ],
)
def test_a_loss_counts_when_every_pair_shows_it_and_it_is_over_five_percent(
    figure: Figure, here: tuple[float, ...], worse: bool, words: str
) -> None:
    judged = compared(figure, (100, 100, 100), here)
    assert (judged.is_worse, judged.words) == (worse, words)


def test_what_measures_the_machine_is_never_a_loss() -> None:
    baseline = Figure(name="limit", pattern="", higher_is_better=True, is_baseline=True)
    assert not compared(baseline, (100, 100), (10, 10)).is_worse


def test_one_pair_has_no_spread_and_judges_nothing() -> None:
    alone = compared(HIGHER, (100,), (10,))
    assert (alone.is_worse, alone.words) == (False, "one pair has no spread: not judged")


def test_every_figure_of_the_verifier_is_read_from_what_it_prints() -> None:
    found = figures_in("verify", VERIFY)
    assert list(found) == [figure.name for figure in FIGURES["verify"]]
    assert found["verified, strict"] == 28_079
    assert found["proof of one entry, p50 ms"] == 36.4


def test_a_figure_that_one_side_does_not_print_is_named_and_not_compared() -> None:
    older = VERIFY.replace("checked, every projection", "checked")
    done, lacking = compare("verify", [older], [VERIFY])
    assert lacking == ["checked, every projection"]
    assert {each.ratio for each in done} == {1.0}


def test_the_other_tree_is_gone_when_setting_it_up_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "Makefile").write_text("setup:\n\t@echo no network; exit 1\n")
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "--message", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=repository, check=True, capture_output=True)
    monkeypatch.setattr(program, "ROOT", repository)
    with pytest.raises(SystemExit) as ended, other_tree("HEAD"):
        pass
    assert ended.value.code == 2
    listed = subprocess.run(["git", "worktree", "list"], cwd=repository, check=True, capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) == 1
