"""The log told to a real broker: at least once, in order per book, none missing, whoever is killed meanwhile."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import orjson
import pytest

from ledger_core.errors import DependencyError
from ledger_core.relay import kafka
from ledger_core.relay.kafka import KafkaDestination
from ledger_core.relay.relay import Relay
from ledger_core.runtime import Runtime
from ledger_core.settings.rooms import KafkaSettings
from tests.integration.relay import relay_process
from tests.integration.relay.conftest import records
from tests.integration.relay.kafka_server import Broker

pytestmark = pytest.mark.integration

Post = Callable[..., None]
KILLS = int(os.environ.get("COUNTERFOIL_RELAY_KILLS", "6"))
_topics = itertools.count(1)


@pytest.fixture
def topic(broker: Broker) -> str:
    return broker.create(f"finance.audit-events.test-{next(_topics)}", **{"max.message.bytes": "8388608"})


def relay_of(runtime: Runtime, broker: Broker, topic: str) -> Relay:
    told = {"kafka_bootstrap_servers": broker.address, "kafka": KafkaSettings(audit_topic=topic)}
    return Relay(runtime, KafkaDestination(runtime.settings.model_copy(update=told)))


def by_book(messages: list[Any]) -> dict[str, list[bytes]]:
    """Return what was told of each book, in the order in which a consumer sees it, every record where it first came."""
    books: dict[str, dict[str, bytes]] = defaultdict(dict)
    for message in messages:
        headers = dict(message.headers())
        assert books[message.key().decode()].setdefault(headers["ce_id"].decode(), message.value()) == message.value()
    return {book: list(seen.values()) for book, seen in books.items()}


def test_every_record_is_an_event_of_the_exact_bytes(runtime: Runtime, post: Post, broker: Broker, topic: str) -> None:
    post(20)
    post(3, book="second")
    relay = relay_of(runtime, broker, topic)

    assert relay.turn() == len(records(runtime)) + len(records(runtime, "second"))
    post(5)
    assert relay.turn() == 5
    relay.close()

    messages = broker.read(topic)
    assert by_book(messages) == {"main": records(runtime), "second": records(runtime, "second")}
    assert len(messages) == len(records(runtime)) + len(records(runtime, "second"))
    assert len({message.partition() for message in messages if message.key() == b"main"}) == 1
    last = next(message for message in reversed(messages) if message.key() == b"main")
    record = orjson.loads(last.value())
    assert {name: value.decode() for name, value in last.headers()} == {
        "ce_specversion": "1.0",
        "ce_id": str(record["seq"]),
        "ce_source": runtime.settings.origin_of("main"),
        "ce_type": "counterfoil.journal_entry.v1",
        "ce_subject": record["id"],
        "ce_time": record["recorded_at"],
        "ce_sequence": f"{record['seq']:016d}",
        "ce_partitionkey": "main",
        "content-type": "application/json",
    }


def test_brokers_that_are_away_keep_the_cursor_where_it_is(
    runtime: Runtime, post: Post, broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "SEND_SECONDS", 2.0)
    post(5)
    relay = relay_of(runtime, broker, topic)
    relay.turn()
    broker.stop()
    post(5)
    with pytest.raises(DependencyError, match="did not take everything"):
        relay.turn()
    broker.start()
    monkeypatch.setattr(kafka, "SEND_SECONDS", 30.0)

    assert relay.turn() == 5
    relay.close()
    assert by_book(broker.read(topic)) == {"main": records(runtime)}


def test_a_topic_that_is_missing_is_named(
    runtime: Runtime, post: Post, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "SEND_SECONDS", 3.0)
    post(1)
    with pytest.raises(DependencyError, match=r"topic finance\.nowhere") as refused:
        relay_of(runtime, broker, "finance.nowhere").turn()
    assert "max.message.bytes" in str(refused.value.remedy)


def test_a_record_that_the_topic_refuses_is_told_when_the_topic_takes_it(
    runtime: Runtime, post: Post, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "SEND_SECONDS", 5.0)
    small = broker.create(f"finance.small-{next(_topics)}", **{"max.message.bytes": "2048"})
    post(3)
    relay = relay_of(runtime, broker, small)
    monkeypatch.setattr(KafkaDestination, "batch_records", 1)
    relay.turn()
    noise = Random(1).randbytes(4_000).hex()
    post(1, description=noise[:4_000])
    post(2)

    with pytest.raises(DependencyError):
        relay.turn()
    told = by_book(broker.read(small))["main"]
    assert told == records(runtime)[: len(told)]
    assert len(told) == len(records(runtime)) - 3


def test_a_relay_killed_again_and_again_under_load_loses_nothing_and_turns_nothing_round(
    runtime: Runtime, post: Post, broker: Broker, topic: str
) -> None:
    dice, end = Random(7), threading.Event()

    def load() -> None:
        while not end.is_set():
            post(40)
            post(5, book="second")

    loading = threading.Thread(target=load)
    loading.start()
    try:
        for _ in range(KILLS):
            with relaying(runtime, broker, topic) as process:
                time.sleep(dice.uniform(0.0, 0.7))
                process.kill()
    finally:
        end.set()
        loading.join()
    relay = relay_of(runtime, broker, topic)
    relay.turn()
    relay.close()

    messages = broker.read(topic)
    assert by_book(messages) == {"main": records(runtime), "second": records(runtime, "second")}
    stream = runtime.home / "archive" / runtime.settings.origin_of("main") / "stream"
    assert not stream.exists() or list(stream.iterdir())


@contextmanager
def relaying(runtime: Runtime, broker: Broker, topic: str) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that relays."""
    database_url = runtime.database_url
    arguments = [str(runtime.home), database_url, broker.address, topic]
    process = subprocess.Popen(
        [sys.executable, relay_process.__file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"relaying\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=30)
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.close()
