"""The steps one by one, on a folder of files, with nothing started before."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

README = Path(__file__).parents[2] / "README.md"


def found_breaks(rows: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return sorted((row["class"], row["leg"], row["key"], row["currency"], row["amount_minor"]) for row in rows)


def test_every_step_is_a_process_of_its_own_and_finds_what_was_planted(counterfoil, sample: Path) -> None:
    truth = json.loads((sample / "truth.json").read_text())
    assert counterfoil("accounts", "apply", sample / "accounts.yaml", "--json").json["created"] > 10
    assert counterfoil("accounts", "apply", sample / "accounts.yaml", "--json").json["created"] == 0

    posted = counterfoil("post", sample / "entries.jsonl", "--json").json
    assert posted["posted"] == posted["read"] == len((sample / "entries.jsonl").read_text().splitlines())
    again = counterfoil("post", sample / "entries.jsonl", "--json").json
    assert (again["posted"], again["identical"]) == (0, posted["read"])

    landed = counterfoil("ingest", "stripe_report", sample / "stripe", "--json").json
    assert all(file["status"] == "landed" for file in landed["files"])
    again = counterfoil("ingest", "stripe_report", sample / "stripe", "--json").json
    assert all(file["status"] == "already_landed" for file in again["files"])
    counterfoil("ingest", "camt053", sample / "bank", "--json")

    run = counterfoil("reconcile", "--to", truth["as_of"], "--json", status=1).json
    assert run["verdict"] == "breaks"
    assert run["created"]
    rows = counterfoil("breaks", "list", "--json").json
    assert found_breaks(rows) == found_breaks(truth["breaks"])
    assert counterfoil("breaks", "show", rows[0]["break_id"], "--json").json["break_id"] == rows[0]["break_id"]
    assert not counterfoil("reconcile", "--to", truth["as_of"], "--json", status=1).json["created"]

    first = counterfoil("export", truth["as_of"], "--json").json
    assert first["created"]
    assert first["records"] > posted["posted"]
    assert not counterfoil("export", truth["as_of"], "--json").json["created"]
    report = counterfoil("verify", counterfoil.home / "archive", "--json").json
    assert report["verdict"] == "verified"
    assert counterfoil("check", "--json").json["findings"] == []


def test_a_clean_company_is_reconciled_and_cut_earlier_it_waits(counterfoil, tmp_path: Path) -> None:
    counterfoil("sample", "make", tmp_path / "m", "--days", "20", "--per-day", "40", "--seed", "5", "--clean")
    truth = json.loads((tmp_path / "m" / "truth.json").read_text())
    counterfoil("accounts", "apply", tmp_path / "m" / "accounts.yaml")
    # From standard input, as other tools would hand it over.
    counterfoil("post", "-", stdin=(tmp_path / "m" / "entries.jsonl").read_text())
    counterfoil("ingest", "stripe_report", tmp_path / "m" / "stripe")
    counterfoil("ingest", "camt053", tmp_path / "m" / "bank")
    whole = counterfoil("reconcile", "--json").json
    assert (whole["verdict"], whole["as_of"]) == ("reconciled", truth["as_of"])
    days = sorted(re.findall(r"\d{4}-\d\d-\d\d", (tmp_path / "m" / "entries.jsonl").read_text()))
    cut = counterfoil("reconcile", "--to", days[len(days) // 2], "--json").json
    assert cut["verdict"] == "reconciled_with_pending"
    assert counterfoil("breaks", "list", "--json").json == []


def test_a_proof_verifies_alone_and_a_changed_one_does_not(counterfoil, sample: Path, tmp_path: Path) -> None:
    counterfoil("accounts", "apply", sample / "accounts.yaml")
    counterfoil("post", sample / "entries.jsonl")
    external_id = json.loads((sample / "entries.jsonl").read_text().splitlines()[3])["external_id"]
    bundle = tmp_path / "bundle.json"
    counterfoil("proof", external_id, "--out", bundle)
    counterfoil("verify", bundle, "--trust", counterfoil.home / "trust.json")
    text = counterfoil("proof", external_id).out
    (tmp_path / "entry.tlog-proof").write_text(text)
    assert text.startswith("c2sp.org/tlog-proof@v1")
    without_trust = counterfoil("verify", bundle, "--trust", tmp_path / "nowhere.json", status=2)
    assert "nowhere.json" in without_trust.err


def test_no_home_is_made_by_surprise(tmp_path: Path, counterfoil, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    environment = {name: value for name, value in counterfoil.environment.items() if name != "COUNTERFOIL_HOME"}
    finished = subprocess.run(
        [sys.executable, "-m", "cli.main", "check"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert finished.returncode == 2
    assert "counterfoil up" in finished.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_readme_names_every_command_and_no_other(shared) -> None:
    text = README.read_text()
    table = text.split("| command | does |")[1].split("\n\n")[0]
    named = {
        name.split()[0]
        for name in re.findall(r"`([a-z -]+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:]))
    }
    helped = shared("--help").out
    offered = set(re.findall(r"^  ([a-z-]+) ", helped.split("Commands:")[1], re.M))
    assert named == offered
