"""The fuzzer of the verifier, for some seconds; `COUNTERFOIL_FUZZ_SECONDS=600` makes a long round of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_verifier.py")
SECONDS = float(os.environ.get("COUNTERFOIL_FUZZ_SECONDS", "8"))
SEED = int(os.environ.get("COUNTERFOIL_FUZZ_SEED", "0"))


@pytest.mark.timeout(SECONDS + 300)
def test_whatever_an_export_holds_the_verifier_answers() -> None:
    """A process of its own: its memory is limited, and an alarm ends a case that takes too long."""
    done = subprocess.run(
        [sys.executable, str(FUZZER), "--seconds", str(SECONDS), "--seed", str(SEED)],
        capture_output=True, text=True, check=False, cwd=FUZZER.parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5_000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["cases"] > 0
    # A fuzzer that changes nothing, or destroys everything, would find nothing; of a few cases that cannot be said.
    if answer["cases"] >= 100:
        assert {"verified", "edited", "unverifiable"} <= answer["verdicts"].keys(), answer


def test_the_fuzzer_tells_of_what_it_meets(tmp_path: Path) -> None:
    """An exception in the verifier is a finding, by the number of its case."""
    broken = (
        "import runpy, sys; import ledger_core.log.verifier as v; "
        "v._verify_place = lambda *a: 1 / 0; sys.argv = ['fuzz', '--cases', '1']; "
        f"sys.path.insert(0, {str(FUZZER.parent)!r}); runpy.run_path({str(FUZZER)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", broken], capture_output=True, text=True, check=False, cwd=FUZZER.parents[2], timeout=120
    )
    assert done.returncode == 1
    assert "case 0:" in done.stderr
    assert "ZeroDivisionError" in done.stderr
