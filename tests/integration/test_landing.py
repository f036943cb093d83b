"""Files land in Postgres and the object store, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from ingest.landing.land import LandedFile, land
from ingest.landing.stored_bytes import read_stored
from ingest.sources.stripe_report.contract import CLAIMS as STRIPE_CLAIMS
from ledger_core.base.engine import make_engine
from ledger_core.base.objects.file import FileStore
from ledger_core.errors import InvalidInput, NotFound
from ledger_core.settings import Settings

HEADER = "automatic_payout_id,balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,description"
TABLES = (
    "raw.files",
    "raw.control_totals",
    "raw.quarantine",
    "raw.stripe_report_payout_reconciliation",
    "raw.stripe_report_payouts",
    "raw.camt053_statements",
    "raw.camt053_lines",
    "ops.file_keys",
)
STATEMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S1</Id>
<ElctrncSeqNb>7</ElctrncSeqNb><Acct><Id><IBAN>DE02100500000054540402</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-10-01</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{closing}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-10-01</Dt></Dt></Bal>
<Ntry><Amt Ccy="EUR">25.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-10-01</Dt></BookgDt>
<NtryDtls><TxDtls><Refs><EndToEndId>po_1</EndToEndId></Refs>
<RmtInf><Ustrd>{narrative}</Ustrd></RmtInf></TxDtls></NtryDtls>
</Ntry></Stmt></BkToCstmrStmt></Document>
"""


@dataclass
class LandingOnly:
    """The part of the runtime that landing uses; no signing proxy is needed for it."""

    settings: Settings
    engine: Engine
    raw_store: FileStore

    @staticmethod
    def clock() -> datetime:
        return datetime(2026, 11, 1, 6, 0, tzinfo=UTC)


@pytest.fixture
def landing(database_url: str, tmp_path: Path) -> Iterator[LandingOnly]:
    engine = make_engine(database_url, role="writer")
    yield LandingOnly(Settings(home_path=tmp_path / "home"), engine, FileStore(tmp_path / "raw"))
    engine.dispose()


def _report(path: Path, rows: int = 3, *, day: str = "2026-10-01", start: int = 0, description: str = "Order") -> Path:
    lines = [
        f"po_1,txn_{start + number},{day} 10:00:00,usd,25.00,0.95,24.05,charge,{description}" for number in range(rows)
    ]
    path.write_text("\n".join([HEADER, *lines, ""]))
    return path


def _land(landing: LandingOnly, *paths: Path, source: str = "stripe_report", **more: object) -> list[LandedFile]:
    return land(landing, source=source, paths=paths, **more)


def _counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {table: connection.execute(text(f"select count(*) from {table}")).scalar_one() for table in TABLES}


def _rows(engine: Engine, statement: str) -> list[dict]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(statement)).mappings()]


def test_a_report_lands_row_by_row_as_it_came(landing, tmp_path):
    [file] = _land(landing, _report(tmp_path / "r.csv", description='"back\\slash, ""quotes"" and\ntwo lines"'))
    assert (file.status, file.record_type, file.read, file.accepted) == ("landed", "payout_reconciliation", 3, 3)
    rows = _rows(landing.engine, "select * from raw.stripe_report_payout_reconciliation order by ordinal")
    assert [row["balance_transaction_id"] for row in rows] == ["txn_0", "txn_1", "txn_2"]
    assert rows[0]["description"] == 'back\\slash, "quotes" and\ntwo lines'
    assert rows[0]["source_id"] is None
    [stored] = _rows(landing.engine, "select * from raw.files")
    assert (stored["rows_read"], stored["provider"], stored["account"]) == (3, "stripe", "default")
    assert (stored["first_on"], stored["last_on"]) == (date(2026, 10, 1), date(2026, 10, 1))
    assert stored["sha256"] == stored["stored_sha256"]


def test_stored_bytes_are_encrypted_and_come_back_until_the_key_is_dropped(landing, tmp_path):
    path = _report(tmp_path / "r.csv")
    [file] = _land(landing, path)
    [name] = landing.raw_store.list()
    with landing.raw_store.open(name) as source:
        assert b"txn_0" not in source.read()
    assert b"".join(read_stored(landing.engine, landing.raw_store, file.file_id)) == path.read_bytes()
    with landing.engine.begin() as connection:
        connection.execute(text("delete from ops.file_keys"))
    with pytest.raises(NotFound, match="its key was dropped"):
        list(read_stored(landing.engine, landing.raw_store, file.file_id))
    assert list((tmp_path / "home" / "incoming").iterdir()) == []


def test_the_same_bytes_again_change_nothing_and_say_so(landing, tmp_path):
    _land(landing, _report(tmp_path / "r.csv"))
    before = _counts(landing.engine)
    again, renamed = _land(landing, _report(tmp_path / "r.csv"), _report(tmp_path / "other.csv"))
    assert {again.status, renamed.status} == {"already_landed"}
    assert "landed before, as r.csv at 2026-11-01 06:00 UTC" in renamed.warnings[0]
    assert again.control_totals[0].name == "rows"
    assert _counts(landing.engine) == before


def test_the_same_bytes_of_another_account_are_another_file(landing, tmp_path):
    path = _report(tmp_path / "r.csv")
    first, second = _land(landing, path)[0], _land(landing, path, account="acct_2")[0]
    assert second.status == "landed"
    assert first.file_id != second.file_id


def test_a_newer_version_replaces_the_days_of_both_whatever_it_is_called(landing, tmp_path):
    [old] = _land(landing, _report(tmp_path / "r.csv", rows=3))
    [new] = _land(landing, _report(tmp_path / "other.csv", rows=4))
    assert (new.status, new.supersedes) == ("landed", (old.file_id,))
    [again] = _land(landing, _report(tmp_path / "r.csv", rows=3))
    assert "A newer file replaces days of it or all: other.csv" in again.warnings[1]


def test_the_same_name_over_other_days_or_with_other_rows_is_no_new_version(landing, tmp_path):
    _land(landing, _report(tmp_path / "r.csv", day="2026-10-01"))
    for path in (
        _report(tmp_path / "r.csv", day="2026-10-02", start=10),
        _report(tmp_path / "r.csv", day="2026-10-01", start=20),
    ):
        [other] = _land(landing, path)
        assert (other.status, other.supersedes, other.superseded_by) == ("landed", (), None)


def test_rows_put_aside_are_named_by_line_and_reason_again_and_again(landing, tmp_path):
    path = _report(tmp_path / "r.csv", rows=25)
    path.write_text(path.read_text().replace("25.00", "zero"))
    for status in ("landed", "already_landed"):
        [file] = _land(landing, path)
        assert (file.status, file.quarantined, len(file.quarantined_rows)) == (status, 25, 20)
        line, reason = file.quarantined_rows[0]
        assert (line, reason.split(":")[0]) == (2, "column gross")


def test_a_cut_file_leaves_nothing_behind_and_the_others_land(landing, tmp_path):
    whole = _report(tmp_path / "whole.csv", rows=5_000)
    cut = tmp_path / "cut.csv"
    cut.write_bytes(whole.read_bytes()[:-30])
    rejected, landed = _land(landing, cut, _report(tmp_path / "other.csv"))
    assert (rejected.status, rejected.error.line) == ("rejected", 5_001)
    assert str(rejected.error).startswith("cut.csv:5001: the file ends in the middle of a row")
    assert landed.status == "landed"
    assert _counts(landing.engine)["raw.stripe_report_payout_reconciliation"] == 3
    [noted] = _rows(landing.engine, "select * from ops.rejected_files")
    assert (noted["name"], noted["code"], noted["line"]) == ("cut.csv", "invalid_input", 5_001)
    assert len(list(landing.raw_store.list())) == 1


MEMORY = Path("/proc/self/mem")
"""A regular file whose first byte cannot be read."""


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Path("gone.csv"), "No such file"),
        pytest.param(MEMORY, "error", marks=pytest.mark.skipif(not MEMORY.exists(), reason="needs Linux' /proc")),
    ],
    ids=["dangling link", "failing disk"],
)
def test_a_file_that_cannot_be_read_is_named_and_the_others_land(landing, tmp_path, target, said):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").symlink_to(target)
    os.mkfifo(folder / "b.csv")
    (folder / "c.csv").mkdir()
    _report(folder / "d.csv")
    rejected, landed = _land(landing, folder)
    assert (rejected.name, rejected.status, landed.name, landed.status) == ("a.csv", "rejected", "d.csv", "landed")
    assert said in rejected.error.message
    assert rejected.error.remedy
    assert _rows(landing.engine, "select name from ops.rejected_files") == [{"name": "a.csv"}]
    for strange in ("b.csv", "c.csv/none.csv"):
        with pytest.raises(InvalidInput):
            _land(landing, folder / strange)


@pytest.mark.parametrize(
    ("source", "data", "said"),
    [
        ("stripe_report", b"", "the file is empty"),
        ("stripe_report", STATEMENT.encode(), "looks like XML"),
        ("camt053", HEADER.encode(), "looks like CSV"),
        ("stripe_report", HEADER.encode("utf-16"), "UTF-16"),
        ("stripe_report", b"\x1f\x8b" + b"x" * 100, "compressed"),
        ("camt053", STATEMENT.encode()[:-100], "stops being XML"),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_nothing(landing, tmp_path, source, data, said):
    path = tmp_path / "wrong"
    path.write_bytes(data)
    [file] = _land(landing, path, source=source)
    assert file.status == "rejected"
    assert said in file.error.message
    assert file.error.remedy
    assert set(_counts(landing.engine).values()) == {0}


def test_a_missing_path_and_an_unknown_source_stop_before_anything_lands(landing, tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        _land(landing, _report(tmp_path / "r.csv"), tmp_path / "none.csv")
    with pytest.raises(InvalidInput, match="Use one of"):
        _land(landing, tmp_path / "r.csv", source="nobody")
    assert set(_counts(landing.engine).values()) == {0}


def test_a_folder_stands_for_its_files(landing, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        _report(folder / f"{number}.csv", start=number * 10)
    (folder / ".hidden").write_text("x")
    assert [file.name for file in _land(landing, folder)] == ["0.csv", "1.csv", "2.csv"]


def test_bad_rows_are_kept_apart_with_their_reasons(landing, tmp_path):
    path = _report(tmp_path / "r.csv")
    path.write_text(path.read_text().replace("txn_1,2026-10-01", "txn_1,2026-13-01"))
    [file] = _land(landing, path)
    assert (file.read, file.accepted, file.quarantined) == (3, 2, 1)
    [row] = _rows(landing.engine, "select * from raw.quarantine")
    assert (row["line"], row["ordinal"], row["code"]) == (3, 2, "bad_date")
    ordinals = _rows(landing.engine, "select ordinal from raw.stripe_report_payout_reconciliation order by 1")
    assert [each["ordinal"] for each in ordinals] == [1, 3]


def test_a_card_number_reaches_no_disk(landing, tmp_path):
    path = _report(tmp_path / "r.csv")
    original = path.read_bytes().replace(b"charge,Order\n", b"charge,4242 4242 4242 4242\n", 1)
    path.write_bytes(original)
    [file] = _land(landing, path)
    assert (file.accepted, file.quarantined) == (2, 1)
    stored = b"".join(read_stored(landing.engine, landing.raw_store, file.file_id))
    assert stored == original.replace(b"4242 4242 4242 4242", b"**** **** **** 4242")
    [row] = _rows(landing.engine, "select sha256, stored_sha256 from raw.files")
    assert row["sha256"] == hashlib.sha256(original).hexdigest()
    assert row["stored_sha256"] == hashlib.sha256(stored).hexdigest()
    [row] = _rows(landing.engine, "select raw, original_hmac from raw.quarantine")
    assert "4242 4242" not in row["raw"]
    assert len(row["original_hmac"]) == 32


def test_a_card_number_that_cannot_be_masked_in_place_refuses_the_file(landing, tmp_path):
    path = tmp_path / "bank.xml"
    path.write_text(STATEMENT.format(closing="125.00", narrative="4242 4242 4242 42&#52;2"))
    [file] = _land(landing, path, source="camt053")
    assert file.status == "rejected"
    assert "cannot be masked" in file.error.message
    assert set(_counts(landing.engine).values()) == {0}


def test_a_statement_lands_with_its_totals(landing, tmp_path):
    path = tmp_path / "bank.xml"
    path.write_text(STATEMENT.format(closing="130.00", narrative="STRIPE"))
    [file] = _land(landing, path, source="camt053")
    assert file.status == "landed"
    [line] = _rows(landing.engine, "select * from raw.camt053_lines")
    assert (line["end_to_end_id"], line["remittance"], line["indicator"]) == ("po_1", "STRIPE", "CRDT")
    [statement] = _rows(landing.engine, "select * from raw.camt053_statements")
    assert (statement["electronic_sequence"], statement["closing_amount"]) == ("7", "130.00")
    totals = _rows(landing.engine, "select name, expected, actual, passed from raw.control_totals order by name")
    assert totals[0] == {"name": "balance", "expected": "130.00", "actual": "125.00", "passed": False}


def test_the_mirror_of_the_contract_follows_it(landing, tmp_path):
    with landing.engine.begin() as connection:
        connection.execute(text("insert into raw.bank_claims values ('camt053', 'gone', 'remittance', 'x')"))
    _land(landing, source="camt053")
    assert {row["provider"] for row in _rows(landing.engine, "select * from raw.bank_claims")} == {"stripe"}


def test_what_a_source_is_stands_beside_its_rows_and_follows_the_contract(landing, tmp_path):
    declared = "select * from raw.sources order by source, record_type"
    migrated = _rows(landing.engine, declared)
    assert {(row["source"], row["kind"], row["provider"]) for row in migrated} == {
        ("camt053", "bank", None),
        ("stripe_report", "psp", "stripe"),
    }
    claims = "select field, pattern, purpose from raw.bank_claims"
    wanted = {(claim.field, claim.pattern, str(claim.purpose)) for claim in STRIPE_CLAIMS}
    assert {tuple(row.values()) for row in _rows(landing.engine, claims)} == wanted
    with landing.engine.begin() as connection:
        connection.execute(text("update raw.sources set kind = 'psp', scale = 'api_minor' where source = 'camt053'"))
        connection.execute(text("delete from raw.sources where record_type = 'payouts'"))
        connection.execute(text("update raw.bank_claims set purpose = 'ownership' where field = 'additional_info'"))
    assert {tuple(row.values()) for row in _rows(landing.engine, claims)} != wanted
    _land(landing, source="stripe_report")
    assert _rows(landing.engine, declared) == migrated
    assert {tuple(row.values()) for row in _rows(landing.engine, claims)} == wanted


def test_the_file_of_a_bank_names_no_provider(landing, tmp_path):
    path = tmp_path / "statement.xml"
    path.write_text(STATEMENT.format(closing="125.00", narrative="rent"))
    [file] = _land(landing, path, source="camt053")
    assert file.status == "landed"
    assert _rows(landing.engine, "select provider from raw.files") == [{"provider": None}]


def test_raw_rows_cannot_be_changed(landing, engine, tmp_path):
    _land(landing, _report(tmp_path / "r.csv"))
    for statement in ("update raw.files set name = 'x'", "delete from raw.stripe_report_payout_reconciliation"):
        for who, said in ((landing.engine, "permission denied"), (engine, "written once")):
            with pytest.raises(DatabaseError, match=said), who.begin() as connection:
                connection.execute(text(statement))


def test_only_the_landing_may_see_keys(landing, database_url, tmp_path):
    _land(landing, _report(tmp_path / "r.csv"))
    for role in ("dbt", "reader", "dagster", "auditor"):
        engine = make_engine(database_url, role=role)
        with engine.connect() as connection:
            assert connection.execute(text("select count(*) from raw.files")).scalar_one() == 1
        with pytest.raises(DatabaseError, match="permission denied"), engine.connect() as connection:
            connection.execute(text("select * from ops.file_keys"))
        engine.dispose()


def test_of_many_landing_the_same_bytes_at_once_one_does(landing, tmp_path):
    path = _report(tmp_path / "r.csv", rows=20_000)
    statuses: list[str] = []
    workers = [threading.Thread(target=lambda: statuses.append(_land(landing, path)[0].status)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(statuses) == ["already_landed", "already_landed", "already_landed", "landed"]
    assert _counts(landing.engine)["raw.stripe_report_payout_reconciliation"] == 20_000


def test_a_landing_killed_half_way_leaves_nothing_and_is_run_again(landing, database_url, tmp_path):
    path = _report(tmp_path / "r.csv", rows=100_000)
    script = textwrap.dedent("""
        import sys, pathlib, types, datetime
        from ingest.landing import land as landing
        from ledger_core.settings import Settings
        from ledger_core.base.engine import make_engine
        from ledger_core.base.objects.file import FileStore
        url, folder = sys.argv[1], pathlib.Path(sys.argv[2])
        runtime = types.SimpleNamespace(
            settings=Settings(home_path=folder / "home"), engine=make_engine(url), raw_store=FileStore(folder / "raw"),
            clock=lambda: datetime.datetime.now(datetime.UTC))
        def report(name, done, total):
            print(done, flush=True)
        landing.land(runtime, source="stripe_report", paths=[folder / "r.csv"], progress=report)
    """)
    command = [sys.executable, "-c", script, database_url, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    for _ in range(20):
        assert process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert set(_counts(landing.engine).values()) == {0}
    # The server notices the dead client when it next reads from it, and lets go of the lock.
    deadline = time.monotonic() + 30
    [file] = _land(landing, path)
    assert time.monotonic() < deadline
    assert (file.status, file.accepted) == ("landed", 100_000)
    assert _counts(landing.engine)["raw.stripe_report_payout_reconciliation"] == 100_000


@pytest.mark.parametrize("line", ["po_1,txn_x,2026-10-01 10:00:00,usd,25.00,0.95,24.05,charge,late\n", ""])
def test_a_file_that_changes_while_it_is_read_is_refused(landing, tmp_path, line):
    path = _report(tmp_path / "r.csv", rows=5_000)

    def change(*_: object) -> None:
        text_now = path.read_text()
        with path.open("r+") as sink:
            sink.write(text_now.replace("txn_1,", "txn_!,") + line)

    [file] = _land(landing, path, progress=change)
    assert file.status == "rejected"
    assert "changed while it was being read" in file.error.message
    assert set(_counts(landing.engine).values()) == {0}
