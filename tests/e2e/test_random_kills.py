"""Kill -9 of any process at any moment, under load, then `up` once: all is back, nothing lost, nothing doubled.

A few rounds here; COUNTERFOIL_KILL_ROUNDS=20 for the whole.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

pytestmark = pytest.mark.e2e

ROUNDS = int(os.environ.get("COUNTERFOIL_KILL_ROUNDS", "3"))
BACK_WITHIN_SECONDS = 20.0
CHART = """
accounts:
- {code: "assets:cash:usd", type: asset, currency: USD}
- {code: "revenue:sales:usd", type: revenue, currency: USD}
"""


class Load:
    """Posts one after the other over HTTP, each under a key of its own, and again until it is answered."""

    def __init__(self, token: str) -> None:
        self.url = ""
        self.acknowledged: dict[str, str] = {}
        self.wrong: list[str] = []
        self._token = token
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(4)]

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join(60)

    def _run(self, number: int) -> None:
        count = 0
        while not self._ended.is_set():
            external_id = f"load:{number}:{count}"
            if self._post(external_id):
                count += 1
            else:
                time.sleep(0.05)

    def _post(self, external_id: str) -> bool:
        posting = {"amount": "100", "currency": "USD"}
        body = {
            "effective_at": "2026-11-22T08:00:00Z", "external_id": external_id, "description": "load",
            "postings": [
                {"account": "assets:cash:usd", "direction": "debit", **posting},
                {"account": "revenue:sales:usd", "direction": "credit", **posting},
            ],
        }  # fmt: skip
        headers = {
            "authorization": f"Bearer {self._token}", "content-type": "application/json",
            "idempotency-key": str(uuid.uuid5(uuid.NAMESPACE_URL, external_id)),
        }  # fmt: skip
        request = urllib.request.Request(
            f"{self.url}/finance/journal-entries", json.dumps(body).encode(), headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                self.acknowledged[external_id] = json.load(answer)["id"]
                return True
        except HTTPError as error:
            if error.code < 500 and error.code != 409:
                self.wrong.append(f"{external_id}: {error.code} {error.reason}")
            return False
        except (URLError, HTTPException, OSError, ValueError):
            # An answer that was cut off is none.
            return False


def ready(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
        return bool(answer.status == 200)


def test_each_round_of_random_kills_is_mended_by_one_up(counterfoil, tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)
    (tmp_path / "accounts.yaml").write_text(CHART)
    began = time.monotonic()
    urls = counterfoil("up", "--json").json["urls"]
    # On a machine that is busy with other things a start takes longer, and so may a return.
    patience = max(BACK_WITHIN_SECONDS, 1.5 * (time.monotonic() - began))
    counterfoil("accounts", "apply", tmp_path / "accounts.yaml")
    load = Load(counterfoil("token", "--json").json["token"])
    load.url = urls["api"]
    with load.running():
        for number in range(ROUNDS):
            before = len(load.acknowledged)
            time.sleep(chance.uniform(0.5, 2.0))
            records = (counterfoil.home / "run").glob("*.json")
            rows = {path.stem: json.loads(path.read_text())["pid"] for path in records}
            victims = ["postgres", *chance.sample(sorted(rows.keys() - {"postgres"}), chance.randint(0, 3))]
            if number % 3 == 2:
                victims = victims[1:] or ["api"]
            for name in victims:
                with suppress(ProcessLookupError):
                    os.kill(rows[name], signal.SIGKILL)
            time.sleep(chance.uniform(0.0, 1.0))
            began = time.monotonic()
            urls = counterfoil("up", "--json").json["urls"]
            took = time.monotonic() - began
            assert ready(urls["api"]), f"seed {seed}, round {number}: {victims}"
            assert took < patience, f"seed {seed}, round {number}: {victims}: {took:.1f} s"
            load.url = urls["api"]
            while len(load.acknowledged) < before + 3 and time.monotonic() - began < 60:
                time.sleep(0.05)
            assert len(load.acknowledged) > before, f"seed {seed}, round {number}: {victims}: nothing can be posted"
    assert load.wrong == []
    report = counterfoil("check", "--json").json
    assert report["findings"] == []
    # A post whose answer was lost may stand unacknowledged; none stands twice, and none that was acknowledged is gone.
    held = counterfoil.home
    assert set(load.acknowledged.values()) <= ids_in(held, urls)
    assert report["counts"]["entries"] == len(ids_in(held, urls))
    assert 0 <= report["counts"]["entries"] - len(load.acknowledged) <= 4


def ids_in(home: Path, urls: dict[str, str]) -> set[str]:
    """Return the entries' ids; an external_id that stood twice would be refused by no index of this query."""
    import psycopg

    address = urls["database"].replace("***", (home / "postgres" / "password").read_text().strip())
    with psycopg.connect(address) as connection:
        rows = connection.execute("select id::text, external_id from ledger.entries").fetchall()
    assert len({external_id for _, external_id in rows}) == len(rows)
    return {identity for identity, _ in rows}


def test_an_up_that_was_killed_before_it_wrote_down_the_server_is_mended_by_the_next(counterfoil) -> None:
    counterfoil("up", "--json")
    (counterfoil.home / "run" / "postgres.json").unlink()
    processes = counterfoil("up", "--json").json["processes"]
    assert {row["health"] for row in processes} == {"up"}
    assert "postgres" in {row["name"] for row in processes}
