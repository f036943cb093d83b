"""What of a file reaches a disk: bytes under a key, no card number, no hash that gives one away."""

from __future__ import annotations

import hashlib
from uuid import uuid5

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from ingest.landing.land import _FILE_IDS
from ingest.landing.stored_bytes import read_stored
from ledger_core.base.engine import make_engine
from ledger_core.errors import Erased

pytestmark = pytest.mark.integration


def test_stored_bytes_are_encrypted_and_come_back_until_the_key_is_dropped(landing, tmp_path):
    path = landing.report(tmp_path / "r.csv")
    [file] = landing.land(path)
    [name] = landing.raw_store.list()
    with landing.raw_store.open(name) as source:
        assert b"txn_0" not in source.read()
    assert b"".join(read_stored(landing, file.file_id)) == path.read_bytes()
    with landing.engine.begin() as connection:
        connection.execute(text("delete from ops.file_keys"))
    with pytest.raises(Erased, match="its key was dropped"):
        list(read_stored(landing, file.file_id))
    assert list((tmp_path / "home" / "incoming").iterdir()) == []


def test_a_card_number_reaches_no_disk(landing, tmp_path):
    path = landing.report(tmp_path / "r.csv")
    original = path.read_bytes().replace(b"charge,Order\n", b"charge,4242 4242 4242 4242\n", 1)
    path.write_bytes(original)
    [file] = landing.land(path)
    assert (file.accepted, file.quarantined) == (2, 1)
    stored = b"".join(read_stored(landing, file.file_id))
    assert stored == original.replace(b"4242 4242 4242 4242", b"**** **** **** 4242")
    [row] = landing.rows("select stored_sha256 from raw.files")
    assert row["stored_sha256"] == hashlib.sha256(stored).hexdigest()
    [row] = landing.rows("select raw, original_hmac from raw.quarantine")
    assert "4242 4242" not in row["raw"]
    assert len(row["original_hmac"]) == 32


def test_a_card_number_that_cannot_be_masked_in_place_refuses_the_file(landing, tmp_path):
    path = tmp_path / "bank.xml"
    path.write_text(landing.statement(closing="125.00", narrative="4242 4242 4242 42&#52;2"))
    [file] = landing.land(path, source="camt053")
    assert file.status == "rejected"
    assert "cannot be masked" in file.error.message
    assert set(landing.counts().values()) == {0}


def test_only_the_landing_may_see_keys(landing, database_url, tmp_path):
    landing.land(landing.report(tmp_path / "r.csv"))
    for role in ("dbt", "reader", "dagster", "auditor"):
        engine = make_engine(database_url, role=role)
        if role != "dagster":  # which keeps its own schedules and reads nothing of ours
            with engine.connect() as connection:
                assert connection.execute(text("select count(*) from raw.files")).scalar_one() == 1
        with pytest.raises(DatabaseError, match="permission denied"), engine.connect() as connection:
            connection.execute(text("select * from ops.file_keys"))
        engine.dispose()


def _everything(landing) -> str:
    """Return every row of `raw` and `ops` as text, but for the keys."""
    tables = landing.rows(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('raw', 'ops')"
        " and tablename not in ('file_keys', 'hash_key')"
    )
    return "\n".join(str(landing.rows(f"select * from {table['name']}")) for table in tables)


@pytest.mark.parametrize("is_refused", [False, True], ids=["landed", "refused"])
def test_no_hash_of_bytes_that_were_masked_can_be_tried_out(landing, tmp_path, is_refused):
    path = landing.report(tmp_path / "r.csv")
    path.write_bytes(path.read_bytes().replace(b"charge,Order\n", b"charge,4242 4242 4242 4242\n", 1))
    if is_refused:
        path.write_bytes(path.read_bytes()[:-10])
    # Whoever knows all but the hidden digits, and tries them, has the bytes as they came.
    guessed = path.read_bytes()
    [file] = landing.land(path)
    assert (file.status == "rejected") == is_refused
    kept = _everything(landing) + str(list(landing.raw_store.list()))
    bare = hashlib.sha256(guessed).hexdigest()
    names = {bare, str(uuid5(_FILE_IDS, f"main\nstripe_report\ndefault\n{bare}"))}
    assert not [name for name in names if name in kept]
    if not is_refused:
        assert landing.land(path)[0].status == "already_landed"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("4242424242424242.csv", "************4242.csv"),
        ("refunds_4242424242424242_may.csv", "refunds_************4242_may.csv"),
        ("card 4242 4242 4242 4242.csv", "card **** **** **** 4242.csv"),
        ("4242_4242_4242_4242.csv", "****_****_****_4242.csv"),
        ("of-378282246310005-.csv", "of-***********0005-.csv"),
    ],
)
@pytest.mark.parametrize("is_refused", [False, True], ids=["landed", "refused"])
def test_a_card_number_in_the_name_of_a_file_is_masked_wherever_the_name_goes(
    landing, tmp_path, name, shown, is_refused
):
    path = landing.report(tmp_path / name)
    if is_refused:
        path.write_bytes(path.read_bytes()[:-10])
    [file] = landing.land(path)
    assert file.name == shown
    assert name.removesuffix(".csv") not in _everything(landing) + str(file)
    if is_refused:
        assert shown in str(file.error)


COLUMNS = ("payment_metadata[anything]", "refund_metadata[x]", "transfer_metadata[id]", "dispute_reason",
           "connected_account_name", "statement_descriptor", "payment_method_type", "new_column")  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_that_is_no_id_code_amount_or_date_is_searched(landing, tmp_path, column):
    path = landing.report(tmp_path / "r.csv", rows=2)
    first, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{first},{column}", f"{rows[0]},4242424242424242", f"{rows[1]},none", ""]))
    [file] = landing.land(path)
    assert (file.accepted, file.quarantined) == (1, 1)
    assert "4242424242424242" not in _everything(landing)
    assert b"4242424242424242" not in b"".join(read_stored(landing, file.file_id))


@pytest.mark.parametrize("column", ["payment_metadata[order_id]", "trace_id", "invoice_number"])
def test_ids_and_references_are_no_card_numbers(landing, tmp_path, column):
    path = landing.report(tmp_path / "r.csv", rows=1)
    first, row = path.read_text().splitlines()
    path.write_text(f"{first},{column}\n{row},4242424242424242\n")
    [file] = landing.land(path)
    assert (file.accepted, file.quarantined) == (1, 0)
