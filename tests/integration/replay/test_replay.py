"""A book rebuilt from its archive alone is the book: every row of every table, and it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from cli.main import app
from ledger_core.book.posting import recall
from ledger_core.book.posting.holder import Holder
from ledger_core.errors import ConfigurationError, DuplicateExternalId, IntegrityError, LedgerBehind, NotEmpty
from ledger_core.evidence.check.checker import Code, check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.proofs.prove import entry_proof
from ledger_core.evidence.replay import rebuild
from ledger_core.evidence.replay import replay as module
from ledger_core.evidence.replay.replay import TABLES, replay
from ledger_core.log.findings import MAX_FAILURES
from ledger_core.ports import Ask, Declined, RecordDraft
from ledger_core.runtime import Runtime
from tests.conftest import ArchiveBucket
from tests.integration.replay.conftest import BOOK, ME, Company, Fresh, rows_of

pytestmark = pytest.mark.integration

NOT_REBUILT = {"idempotency", "checkpoints", "private_keys", "private_values", "relay_cursors", "replays"}
"""Keys are in no record; of the checkpoints the archive has those of its segments; what is private is in no archive."""
NOT_HERE = {"erased_files"}
"""This company keeps no files: tests/integration/erasure has one that does."""


def require_equal(original: str, rebuilt: str) -> None:
    """Hold every row of every table against the original's."""
    here, there = rows_of(original), rows_of(rebuilt)
    assert set(here) == set(there) == {*TABLES, "log_head"}, "a table that nobody thought of"
    for table in sorted(set(here) - NOT_REBUILT - NOT_HERE):
        assert here[table], f"nothing in {table} is compared"
        assert there[table] == here[table], table
    assert there["idempotency"] == []
    assert here["relay_cursors"]
    # A backup brings its own along; a log alone says of none.
    assert set(there["relay_cursors"]) <= set(here["relay_cursors"])
    assert here["private_keys"]
    assert set(there["private_keys"]) <= set(here["private_keys"])
    assert there["replays"]
    assert there["checkpoints"]
    strange = set(there["checkpoints"]) - set(here["checkpoints"])
    # Over a tail the proxy says again what it signed last: one statement, and a signature is never the same twice.
    assert {statement(row) for row in strange} <= {statement(max(here["checkpoints"], key=size_of))}


def size_of(row: str) -> int:
    return int(row.split(",")[1])


def statement(row: str) -> str:
    return row.partition("\n\n")[0]


def test_every_row_is_the_originals_and_the_book_goes_on(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime], tmp_path: Path
) -> None:
    tail = company.tail(tmp_path / "tail.jsonl")
    rebuilt = beside(fresh())
    (done,) = replay(rebuilt, company.archive, tail=tail)
    assert (done.book, done.first_seq, done.behind) == (BOOK, 0, 0)
    require_equal(company.runtime.database_url, rebuilt.database_url)
    assert rows_of(rebuilt.database_url)["relay_cursors"] == []
    report = check_book(rebuilt, BOOK)
    assert report.sound, report.as_lines()
    assert (report.size, report.signed_size) == (done.size, done.size)
    assert entry_proof(rebuilt, BOOK, "shop:1")
    ledger = rebuilt.ledger(BOOK)
    answer = ledger.append([company.entry(), company.entry()], Ask(actor=ME))
    assert [item.seq for item in answer.posted] == [done.size, done.size + 1]
    company._posted = 0
    again = ledger.append([company.entry()], Ask(actor=ME)).items[0]
    assert isinstance(again, Declined)
    assert isinstance(again.error, DuplicateExternalId), "keys are gone, external_id goes on protecting"
    assert again.error.identical
    export_segment(rebuilt, closed_on=date(2026, 1, 20), book=BOOK)
    assert check_book(rebuilt, BOOK).sound


def interrupted(*_given: object) -> None:
    raise KeyboardInterrupt


def test_the_archive_alone_gives_what_it_holds_and_nothing_is_posted_behind_it(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime]
) -> None:
    rebuilt = beside(fresh())
    (done,) = replay(rebuilt, company.archive)
    assert done.behind == 1, "the export record of the last night is in no segment"
    report = check_book(rebuilt, BOOK)
    assert report.codes == {Code.BEHIND_PROXY}
    assert report.size == report.signed_size == done.size
    with pytest.raises(LedgerBehind):
        rebuilt.ledger(BOOK).append([company.entry()], Ask(actor=ME))


def test_a_night_whose_record_was_never_written_leaves_nothing_to_be_missed(
    runtime: Runtime, fresh: Fresh, beside: Callable[[str], Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company(runtime)
    company.live()
    with monkeypatch.context() as killed:
        killed.setattr("ledger_core.evidence.export.segment._record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            company.night()
    rebuilt = beside(fresh())
    (done,) = replay(rebuilt, company.archive)
    require_equal(runtime.database_url, rebuilt.database_url)
    report = check_book(rebuilt, BOOK)
    assert report.sound, report.as_lines()
    assert done.behind == 0
    export_segment(rebuilt, closed_on=date(2026, 1, 4), book=BOOK)
    assert check_book(rebuilt, BOOK).sound


def test_batches_of_any_size_come_to_the_same_rows(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tail = company.tail(tmp_path / "tail.jsonl")
    for records, size_bytes in ((7, 2**20), (256, 2**20), (2_000, 1)):
        monkeypatch.setattr(rebuild, "BATCH_RECORDS", records)
        monkeypatch.setattr(rebuild, "BATCH_BYTES", size_bytes)
        rebuilt = beside(fresh())
        replay(rebuilt, company.archive, tail=tail)
        require_equal(company.runtime.database_url, rebuilt.database_url)


def test_a_replay_that_is_interrupted_anywhere_left_nothing_and_is_repeated(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tail = company.tail(tmp_path / "tail.jsonl")
    rebuilt = beside(fresh())
    monkeypatch.setattr(rebuild, "BATCH_RECORDS", 200)
    write, store, finish = rebuild.write_planned, rebuild.store_checkpoint, recall.Recaller.finish
    for at in range(1, 9):
        left = [at]

        def step(real: Callable[..., object], left: list[int] = left) -> Callable[..., object]:
            def run(*given: object, **more: object) -> object:
                done = real(*given, **more)
                left[0] -= 1
                if not left[0]:
                    raise KeyboardInterrupt
                return done

            return run

        with monkeypatch.context() as killed:
            killed.setattr(rebuild, "write_planned", step(write))
            killed.setattr(rebuild, "store_checkpoint", step(store))
            killed.setattr(recall.Recaller, "finish", step(finish))
            with pytest.raises(KeyboardInterrupt):
                replay(rebuilt, company.archive, tail=tail)
        assert not any(rows_of(rebuilt.database_url).values())
    replay(rebuilt, company.archive, tail=tail)
    require_equal(company.runtime.database_url, rebuilt.database_url)


def test_a_database_that_is_not_empty_is_refused_by_name(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime]
) -> None:
    with pytest.raises(NotEmpty, match="holds book main already"):
        replay(company.runtime, company.archive)
    other = beside(fresh())
    draft = RecordDraft(kind="security_event", body={"event": "test"})
    other.ledger("other").append([draft], Ask(actor=ME))
    before = rows_of(other.database_url)
    with pytest.raises(NotEmpty, match="holds book other already"):
        replay(other, company.archive)
    assert rows_of(other.database_url) == before
    (done,) = replay(other, company.archive, book=BOOK)
    assert done.size == len(rows_of(other.database_url)["records"]) - 2, "beside another book, by name"


def test_what_is_left_of_a_book_without_its_head_is_refused_by_name(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime]
) -> None:
    rebuilt = beside(fresh())
    with psycopg.connect(rebuilt.database_url.replace("+psycopg", "")) as connection:
        connection.execute(
            "insert into ledger.balances (book, account_id, last_seq) values ('main', 1, 1)",
        )
    with pytest.raises(NotEmpty, match=r"rows of it in ledger\.balances"):
        replay(rebuilt, company.archive)


def test_two_books_are_rebuilt_together_or_not_at_all(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    company.runtime.ledger("zoo")
    export_segment(company.runtime, closed_on=date(2026, 1, 1), book="zoo")
    rebuilt = beside(fresh())
    finish, calls = recall.Recaller.finish, []

    def fail_at_the_second(self: recall.Recaller, conn: object) -> None:
        calls.append(self)
        if len(calls) == 2:
            raise IntegrityError("the second book falls")
        finish(self, conn)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(recall.Recaller, "finish", fail_at_the_second)
        with pytest.raises(IntegrityError, match="second book"):
            replay(rebuilt, company.archive)
    assert not any(rows_of(rebuilt.database_url).values())
    assert [item.book for item in replay(rebuilt, company.archive)] == [BOOK, "zoo"]


def test_a_void_export_record_has_no_row_in_the_rebuilt_book_either(
    runtime: Runtime, fresh: Fresh, beside: Callable[[str], Runtime], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ledger_core.book.kinds.export import Export
    from ledger_core.kinds import Kind

    company = Company(runtime)
    company.live()
    with monkeypatch.context() as earlier:
        earlier.setattr(Export, "read_facts", Kind.read_facts)
        earlier.setattr(Export, "judge", Kind.judge)
        bogus = {"segment": 4, "first_seq": 0, "next_seq": 3, "closed_on": "2026-01-04"}
        seq = company.record("export", {"manifest_sha256": "0" * 64, "uri": "file:///x", **bogus})
    company.record("security_event", {"event": "export_void", "seq": seq, "reason": "no segment was written"})
    with psycopg.connect(runtime.database_url.replace("+psycopg", "")) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("delete from ledger.exports where seq = %s", [seq])
    company.night()
    rebuilt = beside(fresh())
    replay(rebuilt, company.archive, tail=company.tail(tmp_path / "tail.jsonl"))
    require_equal(runtime.database_url, rebuilt.database_url)
    assert check_book(rebuilt, BOOK).sound


def test_an_archive_in_a_bucket_is_replayed_alike(
    settings: object, bucket: ArchiveBucket, fresh: Fresh, tmp_path: Path
) -> None:
    from ledger_core.runtime import open_runtime

    given = settings.model_copy(update={"archive": bucket.settings})  # type: ignore[attr-defined]
    with open_runtime(given) as runtime:
        company = Company(runtime)
        company.live()
        with open_runtime(given.model_copy(update={"database_url": fresh()})) as rebuilt:
            replay(rebuilt, bucket.place, tail=company.tail(tmp_path / "tail.jsonl"))
            require_equal(runtime.database_url, rebuilt.database_url)
            assert check_book(rebuilt, BOOK).sound
        # More of somebody else's than a report lists.
        for number in range(MAX_FAILURES + 20):
            name = f"books/{given.origin_of(BOOK)}/segments/junk-{number}"
            bucket.client.put_object(Bucket=bucket.name, Key=name, Body=b"x")
        with open_runtime(given.model_copy(update={"database_url": fresh()})) as rebuilt:
            replay(rebuilt, bucket.place, tail=tmp_path / "tail.jsonl")
            require_equal(runtime.database_url, rebuilt.database_url)


def test_a_replay_is_told_apart_from_a_writer_of_ours_that_stopped(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the head while it reads an archive, for as long as that takes: nobody who waits may end it."""
    rebuilt = beside(fresh())
    opened = module._opened
    names: list[str] = []

    def looking(conn: psycopg.Connection[tuple[str]], *given: object) -> object:
        done = opened(conn, *given)  # type: ignore[arg-type]
        row = conn.execute("select application_name from pg_stat_activity where pid = pg_backend_pid()").fetchone()
        assert row is not None
        names.append(row[0])
        return done

    monkeypatch.setattr(module, "_opened", looking)
    replay(rebuilt, company.archive)
    (name,) = names
    assert not Holder(pid=1, application=name, since=None, state=None, stopped=True).is_ours
    with rebuilt.engine.connect() as connection:
        after = connection.exec_driver_sql("select current_setting('application_name')").scalar()
    assert Holder(pid=1, application=str(after), since=None, state=None, stopped=True).is_ours


def test_the_command_says_what_it_did_and_what_is_missing(
    company: Company, fresh: Fresh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (
        ("COUNTERFOIL_HOME", str(company.runtime.home)), ("DATABASE_URL", fresh()), ("COUNTERFOIL_ENV", "test"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    run = CliRunner().invoke
    first = run(app, ["replay"], catch_exceptions=False)
    assert first.exit_code == 0
    assert "records from seq 0 on" in first.stdout
    assert "signed 1 records more" in first.stderr
    with pytest.raises(NotEmpty):
        run(app, ["replay"], catch_exceptions=False)
    tail = company.tail(tmp_path / "tail.jsonl")
    second = run(app, ["replay", "--continue", "--tail", str(tail), "--json"], catch_exceptions=False)
    (book,) = json.loads(second.stdout)["books"]
    assert (book["records"], book["behind"]) == (1, 0)
    assert run(app, ["check"], catch_exceptions=False).exit_code == 0


def test_the_command_believes_no_trust_file_that_came_with_the_archive(
    company: Company, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("COUNTERFOIL_HOME", str(company.runtime.home)), ("DATABASE_URL", fresh()), ("COUNTERFOIL_ENV", "test"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="nothing is pinned"):
        CliRunner().invoke(app, ["replay", str(company.runtime.home)], catch_exceptions=False)
