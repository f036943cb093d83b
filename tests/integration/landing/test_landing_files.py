"""Files land in Postgres and the object store, row by row as they came; the same bytes again are a no-op."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from ingest.sources import contracts
from ingest.sources.stripe_report.contract import CLAIMS as STRIPE_CLAIMS

pytestmark = pytest.mark.integration


def test_a_report_lands_row_by_row_as_it_came(landing, tmp_path):
    [file] = landing.land(landing.report(tmp_path / "r.csv", description='"back\\slash, ""quotes"" and\ntwo lines"'))
    assert (file.status, file.record_type, file.read, file.accepted) == ("landed", "payout_reconciliation", 3, 3)
    rows = landing.rows("select * from raw.stripe_report_payout_reconciliation order by ordinal")
    assert [row["balance_transaction_id"] for row in rows] == ["txn_0", "txn_1", "txn_2"]
    assert rows[0]["description"] == 'back\\slash, "quotes" and\ntwo lines'
    assert rows[0]["source_id"] is None
    [stored] = landing.rows("select * from raw.files")
    assert (stored["rows_read"], stored["provider"], stored["account"]) == (3, "stripe", "default")
    assert (stored["first_on"], stored["last_on"]) == (date(2026, 10, 1), date(2026, 10, 1))
    assert stored["sha256"] == stored["stored_sha256"]


def test_the_same_bytes_again_change_nothing_and_say_so(landing, tmp_path):
    landing.land(landing.report(tmp_path / "r.csv"))
    before = landing.counts()
    again, renamed = landing.land(landing.report(tmp_path / "r.csv"), landing.report(tmp_path / "other.csv"))
    assert {again.status, renamed.status} == {"already_landed"}
    assert "landed before, as r.csv at 2026-11-01 06:00 UTC" in renamed.warnings[0]
    assert again.control_totals[0].name == "rows"
    assert landing.counts() == before


def test_the_same_bytes_of_another_account_are_another_file(landing, tmp_path):
    path = landing.report(tmp_path / "r.csv")
    first, second = landing.land(path)[0], landing.land(path, account="acct_2")[0]
    assert second.status == "landed"
    assert first.file_id != second.file_id


def test_the_same_bytes_for_another_interval_are_another_file(landing, tmp_path):
    path = landing.report(tmp_path / "r.csv", rows=0)
    days = [(date(2026, 10, day), date(2026, 10, day)) for day in (3, 4)]
    landed = [landing.land(path, interval=interval)[0].status for interval in (*days, None, *days, None)]
    assert landed == ["landed"] * 3 + ["already_landed"] * 3
    covered = landing.rows("select covers_from, covers_to from raw.current_files where covers_from is not null")
    assert sorted((row["covers_from"], row["covers_to"]) for row in covered) == days


def test_a_newer_version_replaces_the_days_of_both_whatever_it_is_called(landing, tmp_path):
    [old] = landing.land(landing.report(tmp_path / "r.csv", rows=3))
    [new] = landing.land(landing.report(tmp_path / "other.csv", rows=4))
    assert (new.status, new.supersedes) == ("landed", (old.file_id,))
    [again] = landing.land(landing.report(tmp_path / "r.csv", rows=3))
    assert "A newer file replaces days of it or all: other.csv" in again.warnings[1]


def test_the_same_name_over_other_days_or_with_other_rows_is_no_new_version(landing, tmp_path):
    landing.land(landing.report(tmp_path / "r.csv", day="2026-10-01"))
    for day, start in (("2026-10-02", 10), ("2026-10-01", 20)):
        [other] = landing.land(landing.report(tmp_path / "r.csv", day=day, start=start))
        assert (other.status, other.supersedes, other.superseded_by) == ("landed", (), None)


def test_rows_put_aside_are_named_by_line_and_reason_again_and_again(landing, tmp_path):
    path = landing.report(tmp_path / "r.csv", rows=25)
    path.write_text(path.read_text().replace("25.00", "zero"))
    for status in ("landed", "already_landed"):
        [file] = landing.land(path)
        assert (file.status, file.quarantined, len(file.quarantined_rows)) == (status, 25, 20)
        line, reason = file.quarantined_rows[0]
        assert (line, reason.split(":")[0]) == (2, "column gross")


def test_a_folder_stands_for_its_files(landing, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        landing.report(folder / f"{number}.csv", start=number * 10)
    (folder / ".hidden").write_text("x")
    assert [file.name for file in landing.land(folder)] == ["0.csv", "1.csv", "2.csv"]


def test_bad_rows_are_kept_apart_with_their_reasons(landing, tmp_path):
    path = landing.report(tmp_path / "r.csv")
    path.write_text(path.read_text().replace("txn_1,2026-10-01", "txn_1,2026-13-01"))
    [file] = landing.land(path)
    assert (file.read, file.accepted, file.quarantined) == (3, 2, 1)
    [row] = landing.rows("select * from raw.quarantine")
    assert (row["line"], row["ordinal"], row["code"]) == (3, 2, "bad_date")
    ordinals = landing.rows("select ordinal from raw.stripe_report_payout_reconciliation order by 1")
    assert [each["ordinal"] for each in ordinals] == [1, 3]


def test_a_statement_lands_with_its_totals(landing, tmp_path):
    path = tmp_path / "bank.xml"
    path.write_text(landing.statement(closing="130.00", narrative="STRIPE"))
    [file] = landing.land(path, source="camt053")
    assert file.status == "landed"
    [line] = landing.rows("select * from raw.camt053_lines")
    assert (line["end_to_end_id"], line["remittance"], line["indicator"]) == ("po_1", "STRIPE", "CRDT")
    [statement] = landing.rows("select * from raw.camt053_statements")
    assert (statement["electronic_sequence"], statement["closing_amount"]) == ("7", "130.00")
    totals = landing.rows("select name, expected, actual, passed from raw.control_totals order by name")
    assert totals[0] == {"name": "balance", "expected": "130.00", "actual": "125.00", "passed": False}


def test_the_mirror_of_the_contract_follows_it(landing, tmp_path):
    with landing.engine.begin() as connection:
        connection.execute(text("insert into raw.bank_claims values ('camt053', 'gone', 'remittance', 'x')"))
    landing.land(source="camt053")
    providers = {contract.provider for contract in contracts().values() if contract.claims}
    assert {row["provider"] for row in landing.rows("select * from raw.bank_claims")} == providers


def test_what_a_source_is_stands_beside_its_rows_and_follows_the_contract(landing, tmp_path):
    declared = "select * from raw.sources where source in ('camt053', 'stripe_report') order by source, record_type"
    migrated = landing.rows(declared)
    assert {(row["source"], row["kind"], row["provider"]) for row in migrated} == {
        ("camt053", "bank", None),
        ("stripe_report", "psp", "stripe"),
    }
    claims = "select field, pattern, purpose from raw.bank_claims where provider = 'stripe'"
    wanted = {(claim.field, claim.pattern, str(claim.purpose)) for claim in STRIPE_CLAIMS}
    assert {tuple(row.values()) for row in landing.rows(claims)} == wanted
    with landing.engine.begin() as connection:
        connection.execute(text("update raw.sources set kind = 'psp', scale = 'api_minor' where source = 'camt053'"))
        connection.execute(text("delete from raw.sources where record_type = 'payouts'"))
        connection.execute(text("update raw.bank_claims set purpose = 'ownership' where field = 'additional_info'"))
    assert {tuple(row.values()) for row in landing.rows(claims)} != wanted
    landing.land(source="stripe_report")
    assert landing.rows(declared) == migrated
    assert {tuple(row.values()) for row in landing.rows(claims)} == wanted


def test_the_file_of_a_bank_names_no_provider(landing, tmp_path):
    path = tmp_path / "statement.xml"
    path.write_text(landing.statement(closing="125.00", narrative="rent"))
    [file] = landing.land(path, source="camt053")
    assert file.status == "landed"
    assert landing.rows("select provider from raw.files") == [{"provider": None}]


def test_raw_rows_cannot_be_changed(landing, engine, tmp_path):
    landing.land(landing.report(tmp_path / "r.csv"))
    for statement in ("update raw.files set name = 'x'", "delete from raw.stripe_report_payout_reconciliation"):
        for who, said in ((landing.engine, "permission denied"), (engine, "written once")):
            with pytest.raises(DatabaseError, match=said), who.begin() as connection:
                connection.execute(text(statement))
