"""Erasing a landed file: its key goes with the record, its rows stay, and nobody reads its bytes again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from ingest.landing.land import land
from ingest.landing.stored_bytes import read_stored
from ledger_core.errors import Erased, ReferenceNotFound
from ledger_core.evidence.check.model import Code
from ledger_core.journal.erasures import EntryErasure, ErasureDraft
from ledger_core.log.canonical import canonical_bytes
from ledger_core.ports import Unchanged
from tests.integration.erasure.conftest import ADA, BOOK, UNTIL, Shop, body_of
from tests.integration.landing.conftest import HEADER

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(alone: Shop) -> Shop:
    return alone


def report(path: Path, *, start: int = 0) -> Path:
    """Write a small report of a provider."""
    rows = [
        f"po_1,txn_{start + number},2026-10-01 10:00:00,usd,25.00,0.95,24.05,charge,Order of Ada" for number in range(3)
    ]
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


def bytes_of(shop: Shop, file_id: UUID) -> bytes:
    return b"".join(read_stored(shop.runtime, file_id))


@pytest.mark.parametrize("by", ["id", "sha256", "SHA256"])
def test_an_erased_file_cannot_be_read_any_more_and_its_rows_stay(shop: Shop, tmp_path: Path, by: str) -> None:
    one, other = land(
        shop.runtime,
        source="stripe_report",
        paths=[report(tmp_path / "one.csv"), report(tmp_path / "two.csv", start=10)],
    )
    assert b"Ada" in bytes_of(shop, one.file_id)
    rows = shop.rows("raw.stripe_report_payout_reconciliation")
    shop.post("a", ADA)
    sha256 = hashlib.sha256((tmp_path / "one.csv").read_bytes()).hexdigest()
    named = {"id": str(one.file_id), "sha256": sha256, "SHA256": sha256.upper()}
    erased = shop.erase("a", files=(named[by],))
    assert body_of(erased)["files"] == [{"file_id": str(one.file_id)}]
    asked = {"entries": [{"id": "a"}], "reason": "mistake"}
    by_id = hashlib.sha256(canonical_bytes({**asked, "files": [named["id"]]})).hexdigest()
    assert body_of(erased)["fingerprint"] == by_id, "nothing of the record is a hash of the bytes"
    assert sha256.encode() not in erased.canonical.lower()
    with pytest.raises(Erased):
        bytes_of(shop, one.file_id)
    assert b"Ada" in bytes_of(shop, other.file_id)
    assert shop.rows("raw.stripe_report_payout_reconciliation") == rows
    assert shop.sound().counts["erased_files"] == 1
    for again in (str(one.file_id), str(one.file_id).upper()):
        assert isinstance(shop.erase("a", files=(again,)), Unchanged)
    # Landing the same bytes again brings no key back: the file is known.
    land(shop.runtime, source="stripe_report", paths=[tmp_path / "one.csv"])
    assert shop.rows("ops.file_keys") == 1
    # For another account they are another file, which may be kept: whoever sent them is told.
    (twin,) = land(shop.runtime, source="stripe_report", paths=[tmp_path / "one.csv"], account="acct_other")
    assert any(f"the same bytes were erased, as one.csv ({one.file_id})" in warning for warning in twin.warnings)
    shop.sound()


def test_a_key_that_is_put_back_is_a_finding(shop: Shop, tmp_path: Path) -> None:
    (landed,) = land(shop.runtime, source="stripe_report", paths=[report(tmp_path / "one.csv")])
    with shop.attack() as superuser:
        kept = superuser.execute("select * from ops.file_keys").fetchone()
        superuser.commit()
        assert kept is not None
        erased = shop.erase(files=(str(landed.file_id),))
        shop.sound()
        superuser.execute(f"insert into ops.file_keys values ({', '.join(['%s'] * len(kept))})", kept)
    (finding,) = shop.check().findings
    assert (finding.code, finding.table, finding.seq) == (Code.NOT_ERASED, "ops.file_keys", erased.seq)
    with pytest.raises(Erased):
        bytes_of(shop, landed.file_id)
    (again,) = land(shop.runtime, source="stripe_report", paths=[tmp_path / "one.csv"])
    assert any("were erased since" in warning for warning in again.warnings)
    # Erased already, and nothing is recorded; what is held all the same goes.
    size = shop.rows("ledger.records")
    assert isinstance(shop.erase(files=(str(landed.file_id),)), Unchanged)
    assert (shop.rows("ops.file_keys"), shop.rows("ledger.records")) == (0, size)
    shop.sound()


def test_a_value_that_is_put_back_goes_when_its_erasure_is_asked_for_again(shop: Shop) -> None:
    other = Shop(shop.runtime, "other").open()
    posted, beside = shop.post("a", ADA), other.post("a", ADA)
    assert posted.seq == beside.seq
    shop.post("kept", ADA)
    shop.post("later", ADA)
    tables = ("private_keys", "private_values")
    named = EntryErasure(entry="a", names=("payer_name",))
    with shop.attack() as superuser:
        for table in tables:
            superuser.execute(f"create temp table kept_{table} as table ledger.{table}")
        superuser.commit()
        shop.erase(named)
        shop.erase("later")
        other.erase("a")
        for table in tables:
            superuser.execute(f"insert into ledger.{table} select * from kept_{table} on conflict do nothing")
    findings = len(shop.check().findings)
    assert shop.check().codes == {Code.NOT_ERASED}
    again = ErasureDraft(reason="mistake", entries=(named,), kept_until=UNTIL)
    assert shop.runtime.ledger(BOOK).dry_run(again) is None
    assert len(shop.check().findings) == findings, "a dry run wrote"
    assert isinstance(shop.erase(named), Unchanged)
    # What was asked for goes, and nothing else of this book or of another.
    assert len(shop.check().findings) == findings - 1
    assert other.check().codes == {Code.NOT_ERASED}
    assert isinstance(shop.erase("later"), Unchanged)
    shop.sound()
    assert shop.part("a").values == {"payer_iban": ADA["payer_iban"]}
    assert shop.part("kept").values == ADA


def test_the_database_takes_no_key_of_a_file_that_was_erased(shop: Shop, tmp_path: Path) -> None:
    (landed,) = land(shop.runtime, source="stripe_report", paths=[report(tmp_path / "one.csv")])
    with psycopg.connect(address(shop), autocommit=True) as connection:
        kept = connection.execute("select * from ops.file_keys").fetchone()
        assert kept is not None
        put_back = f"insert into ops.file_keys values ({', '.join(['%s'] * len(kept))})"
        connection.execute("delete from ops.file_keys")
        connection.execute(put_back, kept)
        shop.erase(files=(str(landed.file_id),))
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(put_back, kept)


def test_what_is_dropped_of_a_key_is_vacuumed_at_once(shop: Shop) -> None:
    with psycopg.connect(address(shop)) as connection:
        query = "select unnest(reloptions) from pg_class where oid = 'ops.file_keys'::regclass"
        options = {option for (option,) in connection.execute(query)}
    assert {"autovacuum_vacuum_threshold=0", "autovacuum_vacuum_scale_factor=0"} <= options


def test_a_file_that_held_a_card_number_is_found_by_the_hash_of_its_bytes(shop: Shop, tmp_path: Path) -> None:
    path = report(tmp_path / "one.csv")
    path.write_bytes(path.read_bytes().replace(b"Order of Ada", b"4242 4242 4242 4242", 1))
    (landed,) = land(shop.runtime, source="stripe_report", paths=[path])
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    erased = shop.erase(files=(sha256,))
    assert body_of(erased)["files"] == [{"file_id": str(landed.file_id)}]
    with pytest.raises(Erased):
        bytes_of(shop, landed.file_id)


def test_an_erased_file_is_not_landed_into_a_database_that_lost_what_it_knew_of_files(
    shop: Shop, tmp_path: Path
) -> None:
    (landed,) = land(shop.runtime, source="stripe_report", paths=[report(tmp_path / "one.csv")])
    shop.erase(files=(str(landed.file_id),))
    with shop.attack() as superuser:
        superuser.execute("delete from raw.files")
        superuser.execute("delete from raw.stripe_report_payout_reconciliation")
    again, other = land(
        shop.runtime,
        source="stripe_report",
        paths=[tmp_path / "one.csv", report(tmp_path / "two.csv", start=10)],
    )
    assert (again.status, other.status) == ("rejected", "landed")
    assert again.error is not None
    assert "was erased by record" in again.error.message
    assert shop.rows("raw.stripe_report_payout_reconciliation") == 3


def address(shop: Shop) -> str:
    return shop.runtime.database_url.replace("+psycopg", "")


def test_an_erasure_that_the_books_refuse_drops_no_key(shop: Shop, tmp_path: Path) -> None:
    (landed,) = land(shop.runtime, source="stripe_report", paths=[report(tmp_path / "one.csv")])
    with pytest.raises(Exception, match="no such entry"):
        shop.erase("nobody", files=(str(landed.file_id),))
    (other,) = land(shop.runtime, source="stripe_report", paths=[tmp_path / "one.csv"], book="other")
    with pytest.raises(ReferenceNotFound):
        shop.erase(files=(str(other.file_id),))
    assert b"Ada" in bytes_of(shop, landed.file_id)
    assert shop.rows("ops.file_keys") == 2
