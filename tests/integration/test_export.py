"""The nightly export against a real ledger: what it writes, when it does nothing, and what a crash leaves."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.errors import DependencyError, IntegrityError, InvalidInput
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import ExportResult, export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.segment import (
    CHECKPOINT_FILE,
    FILES,
    KEYS_FILE,
    MANIFEST_FILE,
    RECORDS_FILE,
    Manifest,
    parse_manifest,
)
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime

pytestmark = pytest.mark.integration

BOOK = "main"
ME = Actor(subject="tester")
FIRST, SECOND, THIRD = date(2026, 3, 30), date(2026, 3, 31), date(2026, 4, 1)


def entry(number: int) -> EntryDraft:
    return EntryDraft(
        effective_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
        external_id=f"shop:{number}",
        description=f"order {number}",
        postings=(
            PostingDraft(account="assets:cash:usd", direction="debit", amount_minor=number + 1, currency="USD"),
            PostingDraft(account="revenue:sales:usd", direction="credit", amount_minor=number + 1, currency="USD"),
        ),
    )


@pytest.fixture
def posted(runtime: Runtime) -> Runtime:
    """A book with two accounts and twenty entries: seqs 0 to 22."""
    ledger = runtime.ledger(BOOK)
    apply_accounts(
        ledger,
        [
            account_draft(code="assets:cash:usd", type="asset", currency="USD"),
            account_draft(code="revenue:sales:usd", type="revenue", currency="USD"),
        ],
        Ask(actor=ME),
    )
    ledger.append([entry(number) for number in range(20)], Ask(actor=ME))
    return runtime


def export(runtime: Runtime, day: date) -> ExportResult:
    return export_segment(runtime, closed_on=day, book=BOOK)


def folder_of(runtime: Runtime, result: ExportResult) -> Path:
    return runtime.home / "archive" / result.uri.removeprefix(f"{runtime.archive.uri}/")


def manifest_of(runtime: Runtime, result: ExportResult) -> Manifest:
    return parse_manifest(parse_envelope((folder_of(runtime, result) / MANIFEST_FILE).read_bytes()).payload)


def verified(runtime: Runtime) -> int:
    report = verify_path(runtime.home / "archive", runtime.trust_path)
    assert report.verdict == "verified", report.as_lines()
    return report.segments


def rows(runtime: Runtime, query: str) -> list[Any]:
    with runtime.engine.connect() as connection:
        return list(connection.execute(text(query)).all())


def test_a_segment_holds_the_exact_bytes_of_every_signed_record(posted: Runtime) -> None:
    result = export(posted, FIRST)
    assert (result.segment, result.first_seq, result.next_seq, result.records) == (1, 0, 23, 23)
    assert result.created
    folder = folder_of(posted, result)
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert folder.relative_to(posted.home / "archive").as_posix() == (
        "counterfoil.localhost/test/main/segments/2026/03/30/0000000001-0-23"
    )
    stored = [bytes(row.canonical) for row in rows(posted, "select canonical from ledger.records order by seq")]
    assert gzip.decompress((folder / RECORDS_FILE).read_bytes()).splitlines() == stored[:23]
    assert verified(posted) == 1


def test_the_manifest_carries_totals_tree_and_chain(posted: Runtime) -> None:
    first = manifest_of(posted, export(posted, FIRST))
    assert (first.previous, first.before.size, first.consistency) == (None, 0, ())
    assert first.totals == {"USD": (210, 210)}
    assert (first.entries, first.assurance) == (20, "software")
    posted.ledger(BOOK).append([entry(20)], Ask(actor=ME))
    second = manifest_of(posted, export(posted, SECOND))
    assert second.previous is not None
    assert (second.previous.segment, second.first_seq, second.before.root()) == (1, 23, first.root)
    assert second.totals == {"USD": (21, 21)}
    assert second.consistency
    assert second.first_prev == first.last_leaf


def test_the_export_is_recorded_in_the_log_and_the_record_goes_into_the_next_segment(posted: Runtime) -> None:
    first = export(posted, FIRST)
    (row,) = rows(posted, "select * from ledger.exports")
    assert (row.segment, row.closed_on, row.first_seq, row.next_seq, row.seq) == (1, FIRST, 0, 23, 23)
    assert (row.manifest_sha256, row.uri) == (first.manifest_sha256, first.uri)
    second = export(posted, SECOND)
    assert (second.first_seq, second.next_seq) == (23, 24), "a quiet day still writes a segment"
    assert verified(posted) == 2


def test_exporting_a_date_again_changes_nothing_and_says_so(posted: Runtime) -> None:
    first = export(posted, FIRST)
    posted.ledger(BOOK).append([entry(20)], Ask(actor=ME))
    before = rows(posted, "select size from ledger.log_head")
    again = export(posted, FIRST)
    assert not again.created
    assert (again.uri, again.manifest_sha256, again.next_seq) == (first.uri, first.manifest_sha256, first.next_seq)
    assert rows(posted, "select size from ledger.log_head") == before
    assert verified(posted) == 1


def test_a_late_close_of_an_earlier_date_writes_what_is_left(posted: Runtime) -> None:
    export(posted, SECOND)
    late = export(posted, FIRST)
    assert (late.segment, late.closed_on, late.created) == (2, FIRST, True)
    assert verified(posted) == 2


def test_a_book_that_was_just_opened_can_be_exported(runtime: Runtime) -> None:
    assert export(runtime, FIRST).next_seq == 1
    assert verified(runtime) == 1


def test_two_books_do_not_mix(posted: Runtime) -> None:
    export(posted, FIRST)
    other = export_segment(posted, closed_on=FIRST, book="other")
    assert (other.segment, other.first_seq, other.next_seq) == (1, 0, 1)
    assert verified(posted) == 2
    assert check_book(posted, "other").sound
    assert check_book(posted, BOOK).sound


def test_a_second_exporter_is_told_to_wait(posted: Runtime) -> None:
    from ledger_core.evidence.export.segment import EXPORT_LOCK

    with posted.engine.connect() as connection:
        connection.execute(text(f"select pg_advisory_lock({EXPORT_LOCK}, hashtext('{BOOK}'))"))
        with pytest.raises(DependencyError, match="another process is exporting"):
            export(posted, FIRST)
        connection.execute(text(f"select pg_advisory_unlock({EXPORT_LOCK}, hashtext('{BOOK}'))"))
    assert export(posted, FIRST).created


_KILLED = """
import os, signal, sys
from datetime import date
from ledger_core.settings import load_settings
from ledger_core.base.objects import file
from ledger_core.evidence.export.segment import export_segment
from ledger_core.book.ledger import Ledger
from ledger_core.runtime import open_runtime

at, day = sys.argv[1], date.fromisoformat(sys.argv[2])
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
put_once, link, append = file.FileStore.put_once, file._link, Ledger.append

def putting(self, name, data):
    file._link = lambda aside, target: die() if at == f"linking {target.name}" else link(aside, target)
    stored = put_once(self, name, data)
    if at == f"after {name.rpartition('/')[2]}":
        die()
    return stored

def appending(self, *args, **kwargs):
    posted = append(self, *args, **kwargs)
    die() if at == "after the record" else None
    return posted

file.FileStore.put_once, Ledger.append = putting, appending
with open_runtime(load_settings()) as runtime:
    export_segment(runtime, closed_on=day, book="main")
"""


def kill_export(runtime: Runtime, at: str, day: date) -> None:
    environment = {
        **os.environ,
        "COUNTERFOIL_HOME": str(runtime.home),
        "DATABASE_URL": runtime.database_url,
        "COUNTERFOIL_ENV": "test",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    finished = subprocess.run(
        [sys.executable, "-c", _KILLED, at, day.isoformat()], env=environment, capture_output=True, text=True
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr


MOMENTS = [*(f"{moment} {name}" for name in FILES for moment in ("linking", "after")), "after the record"]


@pytest.mark.parametrize("at", MOMENTS)
def test_an_export_killed_at_any_moment_is_finished_by_the_same_command(posted: Runtime, at: str) -> None:
    export(posted, FIRST)
    posted.ledger(BOOK).append([entry(20), entry(21)], Ask(actor=ME))
    kill_export(posted, at, SECOND)
    # What came after the kill belongs to the next segment: a started one keeps its range.
    posted.ledger(BOOK).append([entry(22)], Ask(actor=ME))
    result = export(posted, SECOND)
    started = at not in (f"linking {RECORDS_FILE}",)
    assert result.next_seq == (26 if started else 27)
    assert result.created == (at != "after the record")
    assert export(posted, THIRD).first_seq == result.next_seq
    assert verified(posted) == 3
    report = check_book(posted, BOOK)
    assert report.sound, [str(item) for item in report.findings]
    assert report.counts["exports"] == report.counts["segments"] == 3


@pytest.mark.parametrize("at", [f"after {RECORDS_FILE}", f"after {MANIFEST_FILE}"])
def test_a_night_that_was_killed_is_finished_by_the_next_nights_export(posted: Runtime, at: str) -> None:
    kill_export(posted, at, FIRST)
    assert any("interrupted" in note or "not yet recorded" in note for note in check_book(posted, BOOK).notes)
    result = export(posted, SECOND)
    assert (result.segment, result.closed_on) == (2, SECOND)
    assert [row.closed_on for row in rows(posted, "select closed_on from ledger.exports order by segment")] == [
        FIRST,
        SECOND,
    ]
    assert verified(posted) == 2
    assert check_book(posted, BOOK).sound


def test_what_an_interrupted_night_left_must_be_of_this_log(posted: Runtime) -> None:
    kill_export(posted, f"after {RECORDS_FILE}", FIRST)
    (left,) = (posted.home / "archive").rglob(RECORDS_FILE)
    left.chmod(0o644)
    left.write_bytes(gzip.compress(b"{}\n", mtime=0))
    with pytest.raises(IntegrityError, match="left by an interrupted export"):
        export(posted, FIRST)
    left.write_bytes(b"no gzip at all")
    with pytest.raises(IntegrityError, match="left by an interrupted export"):
        export(posted, FIRST)


def _unsigned(right: str, early: str) -> str:
    return right.partition("\n\n")[0] + "\n\n" + early.partition("\n\n")[2]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (CHECKPOINT_FILE, lambda _right, _early: "no note"),
        (CHECKPOINT_FILE, lambda _right, early: early),
        (CHECKPOINT_FILE, _unsigned),
        (KEYS_FILE, lambda *_: "no json\n"),
        (KEYS_FILE, lambda *_: '{"payload":1}\n'),
        (KEYS_FILE, lambda *_: ""),
    ],
    ids=["garbage", "of another size", "of another signature", "no keys", "no envelope", "no key"],
)
def test_what_somebody_laid_into_an_interrupted_night_enters_no_manifest(
    posted: Runtime, file: str, content: Callable[[str, str], str]
) -> None:
    kill_export(posted, f"after {RECORDS_FILE}", FIRST)
    early, *_, right = (row.note for row in rows(posted, "select note from ledger.checkpoints order by size"))
    (left,) = (posted.home / "archive").rglob(RECORDS_FILE)
    planted = left.with_name(file)
    planted.write_text(content(right, early))
    with pytest.raises((IntegrityError, InvalidInput)):
        export(posted, FIRST)
    assert not left.with_name(MANIFEST_FILE).exists()
    planted.unlink()
    assert export(posted, FIRST).created
    assert verified(posted) == 1


def test_names_that_are_no_segments_are_told_and_stop_no_night(posted: Runtime) -> None:
    origin = posted.settings.origin_of(BOOK)
    names = [f"{origin}/segments/notes.txt", f"{origin}/segments/2026/13/30/0000000001-0-3/checkpoint"]
    for name in names:
        posted.archive.put_once(name, b"mine")
    first = export(posted, FIRST)
    assert first.created
    assert [told.partition(":")[0] for told in first.foreign] == sorted(names)
    assert export(posted, SECOND).segment == 2
    assert check_book(posted, BOOK).codes == {"archive_foreign"}


def test_records_packed_otherwise_by_another_zlib_are_taken_as_they_are(posted: Runtime) -> None:
    kill_export(posted, f"after {RECORDS_FILE}", FIRST)
    (left,) = (posted.home / "archive").rglob(RECORDS_FILE)
    left.chmod(0o644)
    left.write_bytes(gzip.compress(gzip.decompress(left.read_bytes()), compresslevel=9, mtime=1))
    assert export(posted, FIRST).created
    assert verified(posted) == 1


def test_an_export_in_another_process_sees_what_this_one_wrote(posted: Runtime, settings) -> None:
    export(posted, FIRST)
    with open_runtime(settings) as other:
        assert not export(other, FIRST).created
