"""An older backup, a book rebuilt from segments alone: what the log says was erased is erased there too, for good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import psycopg
import pytest

from ingest.landing.land import land
from ledger_core.errors import ConfigurationError, LedgerBehind
from ledger_core.evidence.check.model import Code
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.proofs.prove import entry_proof
from ledger_core.evidence.replay.replay import replay
from ledger_core.journal.erasures import EntryErasure
from ledger_core.log.object_tree import place_of
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings
from tests.integration.erasure.conftest import ADA, BOOK, Shop
from tests.integration.erasure.test_erasure_files import bytes_of, report

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(alone: Shop) -> Shop:
    return alone


Beside = Callable[[str], Shop]


def private_rows(url: str) -> list[tuple[str, int, str]]:
    """Return (table, seq, name) of all that is held of private values."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return [
            (table, seq, name)
            for table in ("private_keys", "private_values")
            for seq, name in connection.execute(f"select seq, name from ledger.{table} order by 1, 2")
        ]


def test_a_backup_of_before_an_erasure_is_gone_on_with_and_holds_what_was_erased_no_more(
    settings: Settings, shop: Shop, fresh: Callable[..., str], beside: Beside, archive: Path
) -> None:
    one = shop.post("one", ADA)
    part = shop.post("part", ADA)
    kept = shop.post("kept", ADA)
    (landed,) = land(shop.runtime, source="stripe_report", paths=[report(settings.home / "report.csv")])
    shop.runtime.close()
    backup = fresh(settings.database_url)
    shop.erase("one", files=(str(landed.file_id),))
    shop.erase(EntryErasure(entry="part", names=("payer_iban",)))
    shop.post("later", ADA)
    export_segment(shop.runtime, closed_on=date(2026, 1, 1), book=BOOK)
    assert len(private_rows(backup)) == 12

    restored = beside(backup)
    with pytest.raises(LedgerBehind):
        restored.post("too early")
    assert restored.rows("ops.file_keys") == 1
    replay(restored.runtime, place_of(str(archive)), proceed=True)

    assert {(seq, name) for _, seq, name in private_rows(backup)} == {
        (part.seq, "payer_name"), (kept.seq, "payer_name"), (kept.seq, "payer_iban"),
    }  # fmt: skip
    assert one.seq not in {seq for _, seq, _ in private_rows(backup)}
    assert restored.rows("ops.file_keys") == 0
    assert set(restored.part("one").erased) == set(ADA)
    # The export's own record is in no segment: what else it lacks is not known, so nothing is shown.
    assert (restored.part("kept").values, restored.part("kept").withheld) == ({}, "ledger_behind")
    # Of what came after the backup nothing private is in the archive: it is gone with the database, and check says so.
    assert sorted(restored.part("later").not_held) == sorted(ADA)
    report_of = restored.check()
    assert report_of.codes <= {Code.BEHIND_PROXY}, report_of.as_lines()
    assert any("2 private values are not held" in note for note in report_of.notes)


def test_a_backup_that_is_behind_shows_no_value_and_opens_no_file(
    settings: Settings, shop: Shop, fresh: Callable[..., str], beside: Beside
) -> None:
    """Whether its ledger was opened or not: the lost tail may have erased any of them."""
    shop.post("one", ADA)
    shop.post("kept", ADA)
    (landed,) = land(shop.runtime, source="stripe_report", paths=[report(settings.home / "report.csv")])
    assert shop.part("one").withheld is None
    shop.post("gone", ADA)
    before = shop.erase(EntryErasure(entry="gone", names=("payer_iban",)))
    shop.runtime.close()
    backup = fresh(settings.database_url)
    shop.erase("one", files=(str(landed.file_id),))
    assert len(private_rows(backup)) == 10
    restored = beside(backup)
    gone = restored.part("gone")
    assert (gone.values, gone.not_held, gone.withheld) == ({}, ["payer_name"], "ledger_behind")
    assert dict(gone.erased) == {"payer_iban": before.seq}
    for _ in range(2):
        for name in ("one", "kept"):
            part = restored.part(name)
            assert (part.values, sorted(part.not_held or ()), part.withheld) == ({}, sorted(ADA), "ledger_behind")
            assert part.as_json()["withheld"] == "ledger_behind"
            with pytest.raises(LedgerBehind):
                entry_proof(restored.runtime, BOOK, name, opened=("payer_name",))
        with pytest.raises(LedgerBehind):
            bytes_of(restored, landed.file_id)
        with pytest.raises(LedgerBehind):
            restored.post("too early")


def test_a_book_rebuilt_from_segments_says_what_is_not_held_and_what_was_erased(
    shop: Shop, fresh: Callable[..., str], beside: Beside, archive: Path
) -> None:
    shop.post("one", ADA)
    shop.post("kept", ADA)
    shop.erase("one")
    export_segment(shop.runtime, closed_on=date(2026, 1, 1), book=BOOK)
    rebuilt = beside(fresh())
    replay(rebuilt.runtime, place_of(str(archive)))
    assert private_rows(rebuilt.runtime.database_url) == []
    assert set(rebuilt.part("one").erased) == set(ADA)
    assert sorted(rebuilt.part("kept").not_held) == sorted(ADA)
    found = rebuilt.check()
    assert found.codes <= {Code.BEHIND_PROXY}
    assert found.counts["erased_values"] == shop.check().counts["erased_values"] == 2
    # What is not held can be erased all the same: a backup that has it drops it when it is restored.
    assert any("2 private values are not held" in note for note in found.notes)


def test_after_a_restore_posting_and_erasing_go_on(
    settings: Settings, shop: Shop, fresh: Callable[..., str], beside: Beside, archive: Path
) -> None:
    shop.post("one", ADA)
    shop.post("two", ADA)
    shop.runtime.close()
    backup = fresh(settings.database_url)
    shop.erase("one")
    export_segment(shop.runtime, closed_on=date(2026, 1, 1), book=BOOK)
    tail = settings.home / "tail.jsonl"
    with shop.attack() as reader:
        rows = reader.execute("select canonical from ledger.records order by seq").fetchall()
        tail.write_bytes(b"".join(bytes(row[0]) + b"\n" for row in rows))
    restored = beside(backup)
    replay(restored.runtime, place_of(str(archive)), proceed=True, tail=tail)
    restored.post("three", ADA)
    restored.erase("two")
    assert restored.part("two").values == {}
    assert restored.part("three").values == ADA
    restored.sound()


def test_a_value_that_was_taken_before_a_backup_is_no_loss_of_the_replay(
    settings: Settings, shop: Shop, fresh: Callable[..., str], beside: Beside, archive: Path
) -> None:
    """Only what a replay brought may be without its values."""
    posted = shop.post("one", ADA)
    with shop.attack() as superuser:
        for table in ("private_keys", "private_values"):
            superuser.execute(f"delete from ledger.{table}")
    shop.runtime.close()
    backup = fresh(settings.database_url)
    shop.post("two")
    export_segment(shop.runtime, closed_on=date(2026, 1, 1), book=BOOK)
    restored = beside(backup)
    replay(restored.runtime, place_of(str(archive)), proceed=True)
    missing = [finding for finding in restored.check().findings if finding.code == Code.PRIVATE_MISSING]
    assert {finding.seq for finding in missing} == {posted.seq}


def test_a_program_that_keeps_no_files_does_not_replay_the_erasure_of_one(
    settings: Settings, shop: Shop, fresh: Callable[..., str], archive: Path
) -> None:
    (landed,) = land(shop.runtime, source="stripe_report", paths=[report(settings.home / "report.csv")])
    shop.erase(files=(str(landed.file_id),))
    export_segment(shop.runtime, closed_on=date(2026, 1, 1), book=BOOK)
    without = settings.model_copy(update={"database_url": fresh()})
    with open_runtime(without) as runtime:
        with pytest.raises(ConfigurationError):
            replay(runtime, place_of(str(archive)))
        assert Shop(runtime).rows("ledger.records") == 0


def test_a_replay_drops_again_what_another_part_of_a_backup_brought(shop: Shop, archive: Path) -> None:
    """Nothing is behind, and the tables of keys alone were restored from before the erasure."""
    (landed,) = land(shop.runtime, source="stripe_report", paths=[report(archive.parent / "report.csv")])
    shop.post("one", ADA)
    shop.post("kept", ADA)
    tables = ("ledger.private_keys", "ledger.private_values", "ops.file_keys")
    with shop.attack() as superuser:
        for number, table in enumerate(tables):
            superuser.execute(f"create temp table kept_{number} as table {table}")
        superuser.commit()
        shop.erase("one", files=(str(landed.file_id),))
        export_segment(shop.runtime, closed_on=date(2026, 1, 1), book=BOOK)
        for number, table in enumerate(tables):
            superuser.execute(f"insert into {table} select * from kept_{number} on conflict do nothing")
    assert shop.check().codes == {Code.NOT_ERASED}
    replay(shop.runtime, place_of(str(archive)), proceed=True)
    shop.sound()
    assert shop.part("kept").values == ADA
    assert shop.rows("ops.file_keys") == 0
    assert shop.rows("ledger.replays") == 0
