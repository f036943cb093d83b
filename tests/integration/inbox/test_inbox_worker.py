"""What may pass is tried again, what will not is a dead letter, what is ours to mend counts against nobody."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text

from ingest.inbox import letters, store
from ingest.inbox.accounts import LOOK_SECONDS
from ingest.inbox.metrics import InboxMetrics
from ingest.inbox.run import Inbox as Workers
from ingest.inbox.worker import Worker
from ledger_core.actor import Actor
from ledger_core.errors import Conflict, DependencyError, NotFound, SignatureLate
from tests.integration.inbox.conftest import CHART, Inbox, event, open_chart, set_up

pytestmark = pytest.mark.integration

DOWN = (500, {"error": {"type": "api_error", "message": "down"}})
BUSY = (429, {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "slow down"}})


def change(inbox: Inbox, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    """Write the account's settings anew, as an operator would, and let them count at once."""
    place = inbox.runtime.settings.webhooks_folder / "stripe" / "default" / "account.yaml"
    place.write_text(json.dumps({"api_url": inbox.stripe.url, "chart": CHART, **more}))
    monkeypatch.setattr("ingest.inbox.accounts.LOOK_SECONDS", 0.0)


def test_what_may_pass_is_tried_again_later_each_time(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    inbox.stripe.broken += [DOWN, BUSY, DOWN]
    pauses = []
    for _ in range(3):
        assert inbox.drain() == ["retried"]
        assert inbox.drain() == []
        pauses += inbox.rows("round(extract(epoch from next_attempt_at - now()))")
        inbox.make_due()
    assert [int(each) for each in pauses] == [2, 4, 8]
    assert "dependency_unavailable: Stripe" in inbox.rows("reason")[0]
    assert inbox.drain() == ["posted"]
    assert inbox.rows("attempts") == [4]


def test_after_so_many_attempts_it_is_a_dead_letter_with_the_reason(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    inbox.stripe.broken += [DOWN] * 20
    outcomes = []
    while "dead" not in outcomes:
        outcomes += inbox.drain()
        inbox.make_due()
    assert outcomes == ["retried"] * 11 + ["dead"]
    assert "APIError 500. (after 12 attempts)" in inbox.rows("reason")[0]


def test_a_dead_letter_goes_again_by_a_person_whom_the_book_names(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1"), id="evt_1"))
    inbox.execute("update ops.webhook_inbox set attempts = 11")
    inbox.stripe.broken.append(DOWN)
    assert inbox.drain() == ["dead"]
    engine = inbox.runtime.engine
    (dead,) = letters.list_letters(engine, letters.DEAD)
    assert (dead.event_id, dead.attempts) == ("evt_1", 12)
    assert letters.list_letters(engine, letters.DEAD, provider="adyen") == []
    assert letters.replay(inbox.runtime, [dead.inbox_id], actor=Actor(subject="ada", role="operator")) == 1
    assert inbox.rows("status, attempts, replays, replayed_by") == [("pending", 0, 1, "ada")]
    record = json.loads(_last_record(inbox))
    assert record["kind"] == "security_event"
    assert record["body"]["event"] == "dead_letters_replayed"
    assert record["body"]["actor"] == {"role": "operator", "subject": "ada"}
    assert record["body"]["letters"][0]["event"] == "stripe/default/evt_1"
    assert "APIError" in record["body"]["letters"][0]["reason"]
    assert inbox.drain() == ["posted"]
    assert letters.list_letters(engine, letters.DEAD) == []


def test_nothing_is_let_go_when_one_of_them_is_no_dead_letter(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", {"id": "ch_nobody", "object": "charge"}))
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    assert sorted(inbox.drain()) == ["dead", "posted"]
    before = _last_record(inbox)
    with pytest.raises(Conflict, match="is posted, and not dead"):
        letters.replay(inbox.runtime, inbox.rows("inbox_id"), actor=Actor(subject="ada"))
    with pytest.raises(NotFound):
        letters.replay(inbox.runtime, [inbox.rows("inbox_id")[0], 10**9], actor=Actor(subject="ada"))
    assert (inbox.rows(), _last_record(inbox)) == (["dead", "posted"], before)


def test_what_the_books_forbid_is_a_dead_letter_at_once(inbox: Inbox) -> None:
    charge = inbox.stripe.charge("ch_1")
    inbox.stripe.transactions["txn_ch_1"]["currency"] = "eur"
    inbox.deliver(event("charge.succeeded", charge))
    assert inbox.drain() == ["dead"]
    assert "unknown_account" in inbox.rows("reason")[0]


def test_a_role_without_an_account_waits_for_whoever_mends_the_file(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    change(inbox, monkeypatch, chart={})
    assert inbox.drain() == ["retried"]
    assert "for the role clearing" in inbox.rows("reason")[0]
    assert "account.yaml" in inbox.rows("reason")[0]
    change(inbox, monkeypatch)
    inbox.make_due()
    assert inbox.drain() == ["posted"]


def test_a_key_that_stripe_refuses_is_said_without_being_repeated(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.inbox.accounts.LOOK_SECONDS", 0.0)
    (inbox.runtime.settings.webhooks_folder / "stripe" / "default" / "api-key").write_text("rk_test_of_another\n")
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    assert inbox.drain() == ["retried"]
    assert "Stripe refuses the key" in inbox.rows("reason")[0]
    assert "rk_test" not in inbox.rows("reason")[0]


@pytest.mark.parametrize("error", [DependencyError("away"), SignatureLate("late")])
def test_a_ledger_that_takes_nothing_counts_against_no_event(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, error: DependencyError
) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    ledger = inbox.runtime.ledger()
    with monkeypatch.context() as patch:
        patch.setattr(type(ledger), "append", lambda *_, **__: (_ for _ in ()).throw(error))
        assert inbox.drain() == ["held"]
    assert inbox.rows("status, attempts") == [("pending", 0)]
    inbox.make_due()
    assert inbox.drain() == ["posted"]


def test_the_policy_says_post_propose_or_leave(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    change(inbox, monkeypatch, policy={"default": "leave", "charge.*": "propose", "charge.succeeded": "post"})
    inbox.deliver(event("payout.paid", inbox.stripe.payout("po_1")))
    inbox.deliver(event("charge.captured", inbox.stripe.charge("ch_2")))
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    assert inbox.drain() == ["left", "proposed", "posted"]
    (proposed,) = letters.list_letters(inbox.runtime.engine, letters.PROPOSED)
    assert proposed.proposal[0]["external_id"] == "stripe:default:ch_2:charge_captured"
    assert letters.approve(inbox.runtime, [proposed.inbox_id], actor=Actor(subject="ada")) == 1
    assert inbox.drain() == ["posted"]
    assert [entry.draft.metadata["reference"] for entry in inbox.entries()] == ["ch_1", "ch_2"]
    assert inbox.rows("approved_by") == [None, "ada", None]


def test_events_of_an_account_go_into_its_own_book(inbox: Inbox) -> None:
    open_chart(inbox.runtime, "second")
    set_up(inbox.runtime.settings.webhooks_folder, api_url=inbox.stripe.url, account="eu", book="second")
    charge = inbox.stripe.charge("ch_1")
    told = event("charge.succeeded", charge)
    inbox.deliver(told)
    inbox.deliver(told, account="eu")
    assert inbox.drain() == ["posted", "posted"]
    names = [entry.draft.external_id for book in (None, "second") for entry in inbox.entries(book)]
    assert names == ["stripe:default:ch_1:charge_captured", "stripe:eu:ch_1:charge_captured"]


def test_a_book_that_nobody_opened_is_not_opened_by_an_event(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    change(inbox, monkeypatch, book="mian")
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    assert inbox.drain() == ["retried"]
    assert "there is no book mian" in inbox.rows("reason")[0]
    inbox.execute("update ops.webhook_inbox set attempts = 11, next_attempt_at = now()")
    assert inbox.drain() == ["dead"]
    assert letters.replay(inbox.runtime, inbox.rows("inbox_id"), actor=Actor(subject="ada")) == 1
    with inbox.runtime.engine.connect() as connection:
        assert connection.execute(text("select book from ledger.heads")).scalars().all() == ["main"]
    change(inbox, monkeypatch)
    assert inbox.drain() == ["posted"]
    assert inbox.rows("book") == ["main"]


@contextmanager
def held(inbox: Inbox, statement: str, *given: Any) -> Iterator[None]:
    """Hold something of the database in a session of somebody else."""
    with inbox.runtime.engine.connect() as connection:
        connection.execute(text(statement), dict(zip("abc", given, strict=False)))
        yield
        connection.rollback()


def test_nobody_works_on_an_object_that_somebody_else_works_on(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    lock = "select pg_advisory_xact_lock(hashtextextended(:a, 0))"
    with held(inbox, lock, "webhook stripe/default/ch_1"):
        assert inbox.worker.turn().outcome == "held"
    assert inbox.rows("attempts") == [0]
    inbox.make_due()
    assert inbox.drain() == ["posted"]


def test_nobody_waits_for_a_row_that_somebody_else_works_on(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    with held(inbox, "select from ops.webhook_inbox for update"):
        assert inbox.worker.turn() is None
    with store.transaction(inbox.runtime.engine) as connection:
        inbox_id = store.claim(connection, lease_seconds=60)
    assert inbox.worker.turn() is None, "its lease runs"
    with held(inbox, "select from ops.webhook_inbox for update"), store.transaction(inbox.runtime.engine) as connection:
        assert store.hold(connection, inbox_id) is None


def test_a_worker_that_died_gives_its_event_back_and_the_attempt_counts(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    with store.transaction(inbox.runtime.engine) as connection:
        store.claim(connection, lease_seconds=0)
    assert inbox.drain() == ["posted"]
    assert inbox.rows("attempts") == [2]


def test_an_event_that_kills_each_worker_is_a_dead_letter_in_the_end(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    for _ in range(12):
        with store.transaction(inbox.runtime.engine) as connection:
            store.claim(connection, lease_seconds=0)
    assert inbox.drain() == ["dead"]
    assert "each attempt ended with its worker" in inbox.rows("reason")[0]


def test_a_worker_that_died_between_posting_and_settling_posts_nothing_twice(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    with monkeypatch.context() as patch:
        patch.setattr(store, "settle", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            inbox.worker.turn()
    assert (inbox.rows(), len(inbox.entries())) == (["pending"], 1)
    inbox.make_due()
    assert (inbox.drain(), len(inbox.entries())) == (["posted"], 1)
    assert [str(each) for each in inbox.rows("entry_ids")[0]] == [inbox.entries()[0].id]


def test_threads_work_it_off_and_say_what_came_of_it(inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "counterfoil.inbox")
    for number in range(12):
        inbox.deliver(event("charge.succeeded", inbox.stripe.charge(f"ch_{number}")))
    inbox.deliver(event("charge.succeeded", {"id": "ch_nobody", "object": "charge"}))
    workers = Workers(inbox.runtime)
    workers.start()
    wait = threading.Event()
    while "pending" in inbox.rows():
        wait.wait(0.05)
    workers.close()
    assert sorted(inbox.rows()) == ["dead", *["posted"] * 12]
    registry = workers._metrics.registry
    count = registry.get_sample_value
    assert count("counterfoil_webhook_events_total", {"provider": "stripe", "outcome": "posted"}) == 12
    assert count("counterfoil_webhook_events_total", {"provider": "stripe", "outcome": "dead"}) == 1
    assert count("counterfoil_webhook_wait_seconds_count", {"provider": "stripe"}) == 13
    assert any("is a dead letter" in record.getMessage() for record in caplog.records)


def test_how_the_inbox_stands_is_told(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", {"id": "ch_nobody", "object": "charge"}))
    inbox.drain()
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    inbox.execute("update ops.webhook_inbox set received_at = now() - interval '90 s' where status = 'pending'")
    with store.transaction(inbox.runtime.engine) as connection:
        told = letters.standing(connection)
    assert (told["pending"], told["dead"]) == (1, 1)
    assert 90 <= told["lag_seconds"] < 150
    metrics = InboxMetrics()
    metrics.standing(**told)
    assert metrics.registry.get_sample_value("counterfoil_webhook_lag_seconds") == told["lag_seconds"]


def test_an_account_that_is_gone_is_waited_for(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    folder = inbox.runtime.settings.webhooks_folder
    folder.rename(folder.with_name("elsewhere"))
    fresh = Worker(inbox.runtime, inbox.runtime.engine, random=lambda: 1.0)
    assert fresh.turn().outcome == "retried"
    assert "is not set up here" in inbox.rows("reason")[0]


def test_files_are_looked_at_again_after_a_moment() -> None:
    assert 0 < LOOK_SECONDS <= 2


def _last_record(inbox: Inbox) -> bytes:
    with inbox.runtime.engine.connect() as connection:
        found = connection.execute(text("select canonical from ledger.records order by seq desc limit 1")).scalar_one()
    return bytes(found)
