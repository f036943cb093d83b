"""`events tail`: what a consumer would see, from the log itself."""

from __future__ import annotations

import threading
from collections.abc import Callable

import orjson
import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from ledger_core.errors import InvalidInput, NotFound
from ledger_core.relay.tail import tail
from ledger_core.runtime import Runtime
from tests.integration.relay.conftest import records

pytestmark = pytest.mark.integration

Post = Callable[..., None]


@pytest.fixture
def tailed(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COUNTERFOIL_HOME", str(runtime.home))
    monkeypatch.setenv("COUNTERFOIL_ENV", "test")
    monkeypatch.setenv("DATABASE_URL", runtime.database_url)
    return lambda *words: CliRunner().invoke(app, ["events", "tail", *words], catch_exceptions=False)


def test_it_prints_the_newest_as_cloud_events(runtime: Runtime, post: Post, tailed: Callable[..., Result]) -> None:
    post(20)
    held = records(runtime)

    shown = [orjson.loads(line) for line in tailed().stdout.splitlines()]

    assert [event["data"] for event in shown] == [orjson.loads(record) for record in held[-10:]]
    first, record = shown[0], orjson.loads(held[-10])
    assert {name: value for name, value in first.items() if name != "data"} == {
        "specversion": "1.0",
        "id": str(record["seq"]),
        "source": runtime.settings.origin_of("main"),
        "type": "counterfoil.journal_entry.v1",
        "subject": record["id"],
        "time": record["recorded_at"],
        "datacontenttype": "application/json",
        "sequence": f"{record['seq']:016d}",
        "partitionkey": "main",
    }
    # The data stand there as the log holds them, byte for byte.
    assert held[-1].decode() in tailed("--last", "1").stdout


def test_it_begins_where_it_is_told_to(runtime: Runtime, post: Post, tailed: Callable[..., Result]) -> None:
    post(1_200)
    lines = tailed("--from", "1").stdout.splitlines()
    assert [orjson.loads(line)["id"] for line in lines] == [str(seq) for seq in range(1, len(records(runtime)))]
    assert tailed("--from", str(len(records(runtime)))).stdout == ""


def test_a_number_to_come_and_a_book_that_is_not_there_are_refused(runtime: Runtime, post: Post) -> None:
    post(1)
    with pytest.raises(InvalidInput, match="no record 1,000 yet"):
        next(tail(runtime, "main", first=1_000))
    with pytest.raises(NotFound):
        next(tail(runtime, "nowhere"))


def test_following_goes_on_with_what_is_recorded(runtime: Runtime, post: Post) -> None:
    post(2)
    size = len(records(runtime))
    events = tail(runtime, "main", first=size, follow=True)
    posting = threading.Timer(0.3, post, [3])
    posting.start()

    followed = [next(events) for _ in range(3)]

    posting.join()
    assert [event.data for event in followed] == records(runtime)[size:]
