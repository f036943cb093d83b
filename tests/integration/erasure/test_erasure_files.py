"""Erasing a landed file: its key goes with the record, its rows stay, and nobody reads its bytes again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from uuid import UUID

import pytest

from ingest.landing.land import land
from ingest.landing.stored_bytes import read_stored
from ledger_core.errors import Erased
from ledger_core.evidence.check.model import Code
from ledger_core.ports import Unchanged
from tests.integration.erasure.conftest import ADA, Shop, body_of
from tests.integration.landing.conftest import HEADER

pytestmark = pytest.mark.integration


def report(path: Path, *, start: int = 0) -> Path:
    """Write a small report of a provider."""
    rows = [
        f"po_1,txn_{start + number},2026-10-01 10:00:00,usd,25.00,0.95,24.05,charge,Order of Ada" for number in range(3)
    ]
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


def bytes_of(shop: Shop, file_id: UUID) -> bytes:
    return b"".join(read_stored(shop.runtime, file_id))


@pytest.mark.parametrize("by", ["id", "sha256"])
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
    erased = shop.erase("a", files=(str(one.file_id) if by == "id" else sha256,))
    assert body_of(erased)["files"] == [{"file_id": str(one.file_id), "sha256": sha256}]
    with pytest.raises(Erased):
        bytes_of(shop, one.file_id)
    assert b"Ada" in bytes_of(shop, other.file_id)
    assert shop.rows("raw.stripe_report_payout_reconciliation") == rows
    assert shop.sound().counts["erased_files"] == 1
    assert isinstance(shop.erase("a", files=(str(one.file_id),)), Unchanged)
    # Landing the same bytes again brings no key back: the file is known.
    land(shop.runtime, source="stripe_report", paths=[tmp_path / "one.csv"])
    assert shop.rows("ops.file_keys") == 1
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


def test_an_erasure_that_the_books_refuse_drops_no_key(shop: Shop, tmp_path: Path) -> None:
    (landed,) = land(shop.runtime, source="stripe_report", paths=[report(tmp_path / "one.csv")])
    with pytest.raises(Exception, match="no such entry"):
        shop.erase("nobody", files=(str(landed.file_id),))
    assert b"Ada" in bytes_of(shop, landed.file_id)
