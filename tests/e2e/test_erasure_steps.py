"""Personal data from its posting to its erasure, each command a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

CHART = """book: main
accounts:
  - {code: "assets:cash:usd", type: asset, currency: USD}
  - {code: "revenue:sales:usd", type: revenue, currency: USD}
"""
ENTRY = {
    "effective_at": "2026-01-02T00:00:00Z",
    "external_id": "order-17",
    "description": "charge",
    "postings": [
        {"account": "assets:cash:usd", "direction": "debit", "amount": "5", "currency": "USD"},
        {"account": "revenue:sales:usd", "direction": "credit", "amount": "5", "currency": "USD"},
    ],
    "private": {"payer_name": "Ada Example"},
}


def test_what_was_posted_in_private_is_shown_proved_and_erased_for_good(counterfoil, tmp_path: Path) -> None:
    (tmp_path / "chart.yaml").write_text(CHART)
    counterfoil("accounts", "apply", tmp_path / "chart.yaml")
    assert counterfoil("post", "-", "--json", stdin=json.dumps(ENTRY) + "\n").json["posted"] == 1
    assert counterfoil("entry", "order-17", "--json").json["private"] == ENTRY["private"]
    proof = tmp_path / "proof.json"
    counterfoil("proof", "order-17", "--open", "payer_name", "--out", proof)
    assert "Ada Example" in proof.read_text()

    for wrong, status in ((("nobody", "--reason", "mistake"), 1), (("order-17", "--reason", "because"), 2)):
        assert counterfoil("erase", "entry", *wrong, status=status).err
    made = counterfoil("erase", "entry", "order-17", "--reason", "consent_withdrawn", "--json").json
    assert [value["names"] for value in made["values"]] == [["payer_name"]]
    assert counterfoil("erase", "entry", "order-17", "--reason", "mistake", "--json").json == {"status": "unchanged"}

    shown = counterfoil("entry", "order-17", "--json").json
    assert (shown["private"], shown["erased"]) == ({}, {"payer_name": made["seq"]})
    counterfoil("export", "2026-01-03")
    counterfoil("verify", counterfoil.home / "archive")
    counterfoil("verify", proof)
    assert counterfoil("check", "--json").json["findings"] == []
    assert counterfoil("proof", "order-17", "--open", "payer_name", status=2).err
    for file in counterfoil.home.rglob("*"):
        if file.is_file() and "postgres" not in file.parts:
            assert b"Ada Example" not in file.read_bytes(), file
