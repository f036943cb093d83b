"""The analysts' copy: read back with pandas, it says what the archived segment says; and it is nobody's proof."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from ledger_core.actor import Actor
from ledger_core.errors import ConfigurationError, IntegrityError, NotFound
from ledger_core.evidence import parquet
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import ExportResult, export_segment
from ledger_core.evidence.parquet import Copied, copy_segments
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.segment import MANIFEST_FILE, RECORDS_FILE, Manifest, parse_manifest
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

BOOK = "main"
ME = Actor(subject="tester")
FIRST, SECOND = date(2026, 3, 30), date(2026, 3, 31)
CURRENCIES = ("usd", "jpy", "kwd")
LARGEST = 2**63 - 1


def entry(number: int, currency: str, amount_minor: int) -> EntryDraft:
    return EntryDraft(
        effective_at=datetime(2026, 3, 1 + number % 28, 8, tzinfo=UTC),
        external_id=f"shop:{currency}:{number}",
        description=f"order {number}",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=amount_minor, currency=currency.upper())
            for code, side in ((f"assets:cash:{currency}", "debit"), (f"revenue:sales:{currency}", "credit"))
        ),
    )


@pytest.fixture
def nights(runtime: Runtime) -> tuple[Runtime, list[ExportResult]]:
    """Two archived nights of entries in currencies of two, of no, and of three digits."""
    ledger = runtime.ledger(BOOK)
    accounts = [
        account_draft(code=f"{root}:{currency}", type=kind, currency=currency.upper())
        for currency in CURRENCIES
        for root, kind in (("assets:cash", "asset"), ("revenue:sales", "revenue"))
    ]
    apply_accounts(ledger, accounts, Ask(actor=ME))
    drafts = [entry(number, currency, 1 + 7 * number) for number in range(40) for currency in CURRENCIES]
    ledger.append(drafts, Ask(actor=ME))
    made = [export_segment(runtime, closed_on=FIRST, book=BOOK)]
    ledger.append([entry(99, "jpy", LARGEST // 4)], Ask(actor=ME))
    made.append(export_segment(runtime, closed_on=SECOND, book=BOOK))
    return runtime, made


def copies(runtime: Runtime, target: Path, **more: Any) -> list[Copied]:
    return list(copy_segments(runtime, book=BOOK, target=target, **more))


def folder_of(runtime: Runtime, night: ExportResult) -> Path:
    return runtime.home / "archive" / night.uri.removeprefix(f"{runtime.archive.uri}/")


def manifest_of(runtime: Runtime, night: ExportResult) -> Manifest:
    return parse_manifest(parse_envelope((folder_of(runtime, night) / MANIFEST_FILE).read_bytes()).payload)


def test_totals_records_and_ends_are_those_of_the_segment(
    nights: tuple[Runtime, list[ExportResult]], tmp_path: Path
) -> None:
    runtime, made = nights
    for copied, night in zip(copies(runtime, tmp_path), made, strict=True):
        manifest = manifest_of(runtime, night)
        records, postings = pandas.read_parquet(copied.records), pandas.read_parquet(copied.postings)
        assert list(records["seq"]) == list(range(manifest.first_seq, manifest.next_seq))
        sums = postings.groupby(["currency", "direction"], observed=True)["amount_minor"].sum()
        found = {code: (int(sums[code, "debit"]), int(sums[code, "credit"])) for code in manifest.totals}
        assert found == manifest.totals
        assert (records["kind"] == "journal_entry").sum() == manifest.entries
        stored = gzip.decompress((folder_of(runtime, night) / RECORDS_FILE).read_bytes()).splitlines()
        bodies = [json.loads(line)["body"] for line in stored]
        assert [json.loads(body) for body in records["body"]] == bodies
        assert set(postings["seq"]) == set(records.loc[records["kind"] == "journal_entry", "seq"])


def test_columns_have_types_and_amounts_are_whole_numbers_of_minor_units(
    nights: tuple[Runtime, list[ExportResult]], tmp_path: Path
) -> None:
    runtime, _ = nights
    *_, last = copies(runtime, tmp_path)
    schema = pyarrow.parquet.read_schema(last.postings)
    types = {name: str(schema.field(name).type) for name in ("seq", "amount_minor", "recorded_at", "minor_digits")}
    assert types == {
        "seq": "int64", "amount_minor": "int64", "recorded_at": "timestamp[us, tz=UTC]", "minor_digits": "int8",
    }  # fmt: skip
    whole = pandas.read_parquet(tmp_path / BOOK / "postings")
    assert set(zip(whole["currency"], whole["minor_digits"], strict=True)) == {("USD", 2), ("JPY", 0), ("KWD", 3)}
    assert whole["amount_minor"].max() == LARGEST // 4
    assert str(whole["currency"].dtype) == "category"
    about = {name.decode(): value.decode() for name, value in schema.metadata.items() if name != b"ARROW:schema"}
    assert (about["authoritative"], about["segment"], about["closed_on"]) == ("false", "2", SECOND.isoformat())


def test_each_segment_is_copied_once_and_gives_the_same_bytes(
    nights: tuple[Runtime, list[ExportResult]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, _ = nights
    monkeypatch.setattr(parquet, "ROWS", 50)
    first, again, other = (copies(runtime, tmp_path / name) for name in ("a", "a", "b"))
    assert [item.created for item in (*first, *again)] == [True, True, False, False]
    for one, two in zip(first, other, strict=True):
        assert one.records.read_bytes() == two.records.read_bytes()
        assert one.postings.read_bytes() == two.postings.read_bytes()
    assert pyarrow.parquet.ParquetFile(first[0].records).num_row_groups == 3
    assert [item.segment for item in copies(runtime, tmp_path / "c", segment=2)] == [2]


def test_what_is_no_longer_what_was_signed_is_not_copied(
    nights: tuple[Runtime, list[ExportResult]], tmp_path: Path
) -> None:
    runtime, made = nights
    records = folder_of(runtime, made[0]) / RECORDS_FILE
    before = records.read_bytes()
    records.chmod(0o600)
    edited = gzip.decompress(before).replace(b"order 7", b"order 8")
    for damage in (gzip.compress(edited, mtime=0), before[:-20], b"no gzip", gzip.compress(b"x" * 10**7, mtime=0)):
        records.write_bytes(damage)
        with pytest.raises(IntegrityError, match="nothing was copied"):
            copies(runtime, tmp_path / "out")
        assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_copy_changes_neither_archive_nor_proof(nights: tuple[Runtime, list[ExportResult]], tmp_path: Path) -> None:
    runtime, _ = nights
    archive = runtime.home / "archive"
    before = sorted(archive.rglob("*"))
    copies(runtime, runtime.home / "analysts")
    assert sorted(archive.rglob("*")) == before
    assert verify_path(archive, runtime.trust_path).verdict == "verified"
    assert check_book(runtime, BOOK).sound
    del tmp_path


def test_without_the_library_it_says_so_and_the_night_is_none_the_wiser(
    nights: tuple[Runtime, list[ExportResult]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, _ = nights
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match="needs pyarrow") as refused:
        copies(runtime, tmp_path)
    assert "counterfoil[analysts]" in str(refused.value.remedy)
    assert export_segment(runtime, closed_on=date(2026, 4, 1), book=BOOK).created


def test_the_command_copies_what_is_archived(
    nights: tuple[Runtime, list[ExportResult]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cli.main import app

    runtime, made = nights
    monkeypatch.setenv("COUNTERFOIL_HOME", str(runtime.home))
    monkeypatch.setenv("COUNTERFOIL_ENV", "test")
    monkeypatch.setenv("DATABASE_URL", runtime.database_url)
    said = CliRunner().invoke(app, ["parquet", "--to", str(tmp_path), "--json"])
    assert said.exit_code == 0, said.output
    assert [item["created"] for item in json.loads(said.output)] == [True, True]
    assert len(pandas.read_parquet(tmp_path / BOOK / "records")) == sum(night.records for night in made)
    assert isinstance(CliRunner().invoke(app, ["parquet", "--segment", "9"]).exception, NotFound)
