"""The page of an erasure, run: every command that stands in it, in order, as its reader would give it."""

from __future__ import annotations

import json
import os
import re
import shlex
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from ingest.landing.land import land
from ledger_core import errors
from ledger_core.journal.erasures import REASONS
from tests.integration.erasure.conftest import ADA, Shop
from tests.integration.erasure.test_erasure_files import report

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(alone: Shop) -> Shop:
    return alone


RUNBOOK = (Path(__file__).parents[3] / "docs" / "runbooks" / "erasure.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Return the commands of the fenced blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", RUNBOOK, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def reader(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Somebody in a shell of his own, asked to forget an entry's payer and a file."""
    shop.post("order-17", ADA)
    shop.post("order-18", ADA)
    file = report(tmp_path / "report.csv")
    land(shop.runtime, source="stripe_report", paths=[file])
    settings = shop.runtime.settings
    for name, value in (
        ("COUNTERFOIL_HOME", str(settings.home)), ("COUNTERFOIL_ENV", "test"), ("DATABASE_URL", settings.database_url),
        ("ENTRY", "order-17"), ("FILE", str(file)),
    ):  # fmt: skip
        monkeypatch.setenv(name, str(value))
    return shop


def run(line: str) -> Result:
    words = [os.path.expandvars(word) for word in shlex.split(line)]
    assert words[0] == "counterfoil", line
    return CliRunner().invoke(app, words[1:], catch_exceptions=False)


def test_the_page_of_an_erasure_does_what_it_says(reader: Shop) -> None:
    printed = []
    for line in commands():
        result = run(line)
        assert result.exit_code == 0, (line, result.output)
        printed.append(result.output)
    assert ADA["payer_name"] in printed[0]
    erasures = [text for line, text in zip(commands(), printed, strict=True) if " erase " in line]
    assert [re.findall(r"(\d+) private values, (\d+) files", text)[0] for text in erasures] == [
        ("1", "0"), ("1", "0"), ("0", "1"),
    ]  # fmt: skip
    assert all("backups may hold them until" in text for text in erasures)
    shown = json.loads(printed[-2])
    assert (shown["private"], set(shown["erased"]), shown["not_held"]) == ({}, set(ADA), [])
    assert "sound" in printed[-1]
    for line, text in zip(commands(), printed, strict=True):
        if " erase " in line:
            assert "erased already" in run(line).output
            assert ADA["payer_name"] not in text
    assert reader.part("order-18").values == ADA
    assert reader.rows("ops.file_keys") == 0


def test_what_the_commands_say_to_machines(reader: Shop) -> None:
    made = json.loads(run("counterfoil erase entry order-17 order-18 --reason objection --json").stdout)
    assert (made["status"], made["reason"], len(made["values"])) == ("posted", "objection", 2)
    today = reader.runtime.clock().date()
    kept = timedelta(days=reader.runtime.settings.ledger.backups_kept_days)
    assert date.fromisoformat(made["kept_until"]) in {today + kept, today + kept - timedelta(days=1)}
    again = json.loads(run("counterfoil erase entry order-17 --reason objection --json").stdout)
    assert again == {"status": "unchanged"}


def test_a_proof_opens_what_is_held_and_nothing_that_is_erased(reader: Shop, tmp_path: Path) -> None:
    bundle = tmp_path / "proof.json"
    assert run(f"counterfoil proof order-17 --open payer_name --out {bundle}").exit_code == 0
    (record,) = json.loads(bundle.read_text())["records"]
    assert record["openings"]["payer_name"]["value"] == ADA["payer_name"]
    assert "payer_iban" not in record["openings"]
    assert run(f"counterfoil verify {bundle}").exit_code == 0
    for member, wrong in (("value", "Eve"), ("salt", "0" * 32)):
        forged = json.loads(bundle.read_text())
        forged["records"][0]["openings"]["payer_name"][member] = wrong
        (tmp_path / "forged.json").write_text(json.dumps(forged))
        found = run(f"counterfoil verify {tmp_path / 'forged.json'} --json")
        assert (found.exit_code, json.loads(found.stdout)["failures"][0]["verdict"]) == (1, "edited")
    run("counterfoil erase entry order-17 --reason mistake")
    assert run(f"counterfoil verify {bundle}").exit_code == 0
    with pytest.raises(errors.NotFound):
        run("counterfoil proof order-17 --open payer_name --json")


def test_a_posted_file_brings_private_values_and_is_done_when_it_is_posted_again(reader: Shop, tmp_path: Path) -> None:
    lines = [
        {
            "effective_at": "2026-01-02T00:00:00Z",
            "external_id": f"file:{number}",
            "description": "",
            "postings": [
                {"account": code, "direction": side, "amount": "5", "currency": "USD"}
                for code, side in (("assets:cash:usd", "debit"), ("revenue:sales:usd", "credit"))
            ],
            "private": {"payer_name": f"Ada {number}"},
        }
        for number in range(3)
    ]
    file = tmp_path / "entries.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for posted, identical in ((3, 0), (0, 3)):
        result = run(f"counterfoil post {file} --json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert (found["posted"], found["identical"]) == (posted, identical)
    assert reader.part("file:1").values == {"payer_name": "Ada 1"}
    lines[1]["private"] = {"payer_name": "Eve"}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert json.loads(run(f"counterfoil post {file} --json").stdout)["refused"] == 1
    lines[1]["private"] = {"payer_name": 7}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(errors.InvalidInput) as refused:
        run(f"counterfoil post {file}")
    assert (refused.value.line, refused.value.pointer) == (2, "/private/payer_name")


def test_the_page_names_every_refusal_by_a_code_that_exists_and_every_reason() -> None:
    rows = [line for line in RUNBOOK.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    codes = {found.code for found in vars(errors).values() if isinstance(found, type) and hasattr(found, "code")}
    assert named <= codes
    assert {f"`{reason}`" for reason in REASONS} <= set(re.findall(r"`\w+`", RUNBOOK))
