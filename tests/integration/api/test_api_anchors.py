"""Anchoring beside the requests: every interval where a log grew, and an archive that is away stops no posting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from api.anchoring import Anchoring
from api.app import create_app
from api.metrics import Metrics
from ledger_core.actor import Actor
from ledger_core.base.objects.file import FileStore
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError
from ledger_core.evidence.anchor import anchor_checkpoints, anchor_name, anchored_sizes
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from ledger_core.settings.rooms import ArchiveSettings
from tests.conftest import ArchiveBucket

pytestmark = pytest.mark.integration

BOOK, OTHER = "main", "other"


def account(code: str) -> object:
    return account_draft(code=code, type="asset", currency="USD")


def grow(runtime: Runtime, code: str, book: str = BOOK) -> None:
    apply_accounts(runtime.ledger(book), [account(code)], Ask(actor=Actor(subject="tester")))


def sizes(runtime: Runtime, book: str = BOOK) -> list[int]:
    return anchored_sizes(runtime.archive, runtime.settings.origin_of(book), after=0)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def counted(metrics: Metrics, outcome: str) -> float:
    return metrics.registry.get_sample_value("counterfoil_anchorings_total", {"outcome": outcome}) or 0.0


def test_every_book_is_anchored_each_time_it_grew(runtime: Runtime) -> None:
    grow(runtime, "assets:a:usd")
    grow(runtime, "assets:a:usd", OTHER)
    metrics = Metrics()
    anchoring = Anchoring(runtime, metrics, seconds=0.05)
    anchoring.start()
    try:
        until(lambda: sizes(runtime) == sizes(runtime, OTHER) == [2])
        grow(runtime, "assets:b:usd")
        until(lambda: sizes(runtime) == [2, 3])
        until(lambda: counted(metrics, "unchanged") > 1)
    finally:
        anchoring.close()
    assert sizes(runtime, OTHER) == [2]
    assert check_book(runtime, BOOK).sound
    labels = {"origin": runtime.settings.origin_of(BOOK)}
    assert metrics.registry.get_sample_value("counterfoil_anchored_size", labels) == 3


def test_a_folder_tells_of_anchors_behind_its_end_and_of_one_that_no_key_signed(runtime: Runtime) -> None:
    grow(runtime, "assets:a:usd")
    export_segment(runtime, closed_on=date(2026, 3, 30), book=BOOK)
    grow(runtime, "assets:b:usd")
    anchor_checkpoints(runtime, {})
    archive = runtime.home / "archive"
    report = verify_path(archive, runtime.trust_path)
    assert report.verdict == "verified", report.as_lines()
    assert any("2 records more are signed" in note for note in report.notes)
    (anchor,) = archive.glob("*/*/*/checkpoints/*")
    anchor.with_name(f"{10**6:016d}").write_bytes(anchor.read_bytes())
    assert verify_path(archive, runtime.trust_path).verdict == "foreign"
    assert check_book(runtime, BOOK).codes == {"archive_foreign"}


def test_an_archive_that_is_away_is_said_and_stops_nothing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    grow(runtime, "assets:a:usd")
    metrics = Metrics()
    anchoring = Anchoring(runtime, metrics, seconds=60)

    def away(*_: object) -> None:
        raise DependencyError("the bucket does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "put_once", away)
        anchoring.turn()
    assert (counted(metrics, "late"), sizes(runtime)) == (1, [])
    assert "the next turn tries again" in caplog.text
    grow(runtime, "assets:b:usd")
    anchoring.turn()
    assert (counted(metrics, "written"), sizes(runtime)) == (1, [3])


def test_an_answer_that_nobody_foresaw_does_not_end_the_thread(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    grow(runtime, "assets:a:usd")
    metrics = Metrics()
    anchoring = Anchoring(runtime, metrics, seconds=0.05)

    def odd(*_: object) -> None:
        raise KeyError("Versions")

    monkeypatch.setattr(FileStore, "put_once", odd)
    anchoring.start()
    try:
        until(lambda: counted(metrics, "late") >= 2)
        monkeypatch.undo()
        until(lambda: sizes(runtime) == [2])
    finally:
        anchoring.close()
    assert "KeyError" in caplog.text


def test_an_anchor_that_somebody_else_put_there_first_is_refused_and_the_next_one_is_written(runtime: Runtime) -> None:
    grow(runtime, "assets:a:usd")
    runtime.archive.put_once(anchor_name(runtime.settings.origin_of(BOOK), 2), b"mine")
    metrics = Metrics()
    anchoring = Anchoring(runtime, metrics, seconds=60)
    anchoring.turn()
    assert counted(metrics, "refused") == 1
    grow(runtime, "assets:b:usd")
    anchoring.turn()
    assert (counted(metrics, "written"), sizes(runtime)) == (1, [2, 3])


def test_a_book_that_cannot_be_anchored_keeps_no_other_from_it_and_is_named(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """The first of three by name: those after it have their turn, and the metric says which one failed."""
    for book in (BOOK, OTHER, "zebra"):
        grow(runtime, "assets:a:usd", book)
    bad = runtime.settings.origin_of(BOOK)
    runtime.archive.put_once(anchor_name(bad, 2), b"mine")
    metrics = Metrics()
    Anchoring(runtime, metrics, seconds=60).turn()
    assert [sizes(runtime, book) for book in (OTHER, "zebra")] == [[2], [2]]
    assert (counted(metrics, "refused"), counted(metrics, "written")) == (1, 1)
    failed = {
        book: metrics.registry.get_sample_value(
            "counterfoil_anchoring_failed", {"origin": runtime.settings.origin_of(book)}
        )
        for book in (BOOK, OTHER, "zebra")
    }
    assert failed == {BOOK: 1, OTHER: 0, "zebra": 0}
    assert f"no checkpoint of {bad} was anchored" in caplog.text
    with pytest.raises(IntegrityError, match="put there by somebody else"):
        anchor_checkpoints(runtime, {})


def test_a_checkpoint_that_no_key_vouches_for_is_not_anchored(runtime: Runtime) -> None:
    grow(runtime, "assets:a:usd")
    with runtime.engine.begin() as connection:
        connection.exec_driver_sql("reset role")
        connection.exec_driver_sql("set session_replication_role = replica")
        connection.exec_driver_sql("update ledger.checkpoints set note = replace(note, '\n2\n', '\n9\n')")
    metrics = Metrics()
    Anchoring(runtime, metrics, seconds=60).turn()
    assert (counted(metrics, "refused"), sizes(runtime)) == (1, [])


def test_the_api_anchors_while_it_runs_and_not_when_told_so(settings: Settings, tmp_path: Path) -> None:
    def serve_for_a_while(seconds: float, holds: Callable[[Runtime], bool]) -> None:
        chosen = settings.model_copy(update={"archive": ArchiveSettings(anchor_seconds=seconds)})
        with open_runtime(chosen) as runtime:
            app = create_app(chosen, runtime=runtime)

            async def run() -> None:
                async with app.router.lifespan_context(app):
                    await asyncio.to_thread(until, lambda: holds(runtime))

            asyncio.run(run())

    started = time.monotonic()
    serve_for_a_while(0, lambda _: time.monotonic() > started + 0.5)
    with open_runtime(settings) as runtime:
        assert sizes(runtime) == []
    serve_for_a_while(0.05, lambda runtime: sizes(runtime) == [1])


def test_the_api_does_not_start_over_a_bucket_that_cannot_lock(settings: Settings, bucket: ArchiveBucket) -> None:
    bucket.client.create_bucket(Bucket=f"{bucket.name}-weak")
    weak = bucket.settings.model_copy(update={"url": f"s3://{bucket.name}-weak/books"})
    chosen = settings.model_copy(update={"archive": weak})

    async def run() -> None:
        app = create_app(chosen)
        async with app.router.lifespan_context(app):
            raise AssertionError("it started")

    with pytest.raises(ConfigurationError, match="keeps no versions"):
        asyncio.run(run())
