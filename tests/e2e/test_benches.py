"""Every benchmark runs: its quick mode shows that, and its figures are for people with a quiet machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.figures import FIGURES, figures_in

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "name", ["posting", "http_api", "webhooks", "growth", "ingest", "reconciliation", "replay", "verify", "log"]
)
def test_the_benchmark_runs_in_its_quick_mode_and_prints_a_ratio(name: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--quick"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
    assert "ratio" in finished.stdout.lower() or " of " in finished.stdout
    # bench.compare reads these lines: a figure that is worded anew needs its pattern.
    assert list(figures_in(name, finished.stdout)) == [figure.name for figure in FIGURES[name]]
