"""Kill -9 in the middle, then the same command again: nothing lost, nothing doubled."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from sample import make_sample

pytestmark = pytest.mark.e2e


def kill(pid: int) -> None:
    os.kill(pid, 9)


def process_of(counterfoil, name: str) -> int:
    return next(
        row["pid"] for row in counterfoil("status", "--json", status=None).json["processes"] if row["name"] == name
    )


@pytest.fixture(scope="module")
def busy_month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough entries that a kill two seconds into posting them is in the middle."""
    folder = tmp_path_factory.mktemp("busy") / "m"
    make_sample(folder, days=14, per_day=900, seed=3, clean=False)
    return folder


@pytest.mark.parametrize("victim", ["post", "postgres", "signing-proxy"])
def test_a_kill_while_posting_loses_and_doubles_nothing(counterfoil, busy_month: Path, victim: str) -> None:
    counterfoil("accounts", "apply", busy_month / "accounts.yaml")
    entries = busy_month / "entries.jsonl"
    total = len(entries.read_text().splitlines())
    pid = None if victim == "post" else process_of(counterfoil, victim)
    posting = counterfoil.start("post", entries, "--json")
    # Reading the file twice takes a moment; then batches are under way.
    time.sleep(2.0)
    kill(posting.pid if pid is None else pid)
    posting.communicate(timeout=120)
    done = counterfoil("post", entries, "--json").json
    assert done["posted"] + done["identical"] == total
    report = counterfoil("check", "--json").json
    assert report["findings"] == []
    assert report["counts"]["entries"] == total


def test_a_kill_while_closing_loses_and_doubles_nothing(counterfoil, sample: Path) -> None:
    truth = json.loads((sample / "truth.json").read_text())
    counterfoil("accounts", "apply", sample / "accounts.yaml")
    landing = counterfoil.home / "landing"
    shutil.copytree(sample / "stripe", landing / "stripe_report", dirs_exist_ok=True)
    shutil.copytree(sample / "bank", landing / "camt053", dirs_exist_ok=True)
    (landing / "entries").mkdir(exist_ok=True)
    shutil.copy(sample / "entries.jsonl", landing / "entries" / "entries.jsonl")
    for after_seconds in (6.0, 12.0):
        closing = counterfoil.start("close", truth["as_of"], "--json")
        time.sleep(after_seconds)
        if closing.poll() is None:
            kill(closing.pid)
        closing.communicate(timeout=120)
    counterfoil("close", truth["as_of"], "--json", status=1)
    found = {(row["class"], row["key"]) for row in counterfoil("breaks", "list", "--json").json}
    assert found == {(row["class"], row["key"]) for row in truth["breaks"]}
    report = counterfoil("check", "--json").json
    assert report["findings"] == []
    assert report["counts"]["entries"] == len((sample / "entries.jsonl").read_text().splitlines())
    assert counterfoil("verify", counterfoil.home / "archive", "--json").json["verdict"] == "verified"
