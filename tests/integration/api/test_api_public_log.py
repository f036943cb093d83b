"""A log that is open to monitors: they follow it without a token, from hashes alone, and read no record."""

from __future__ import annotations

import gzip
import threading
import time
from contextlib import contextmanager

import httpx2
import pytest
from sqlalchemy import text

from api.routers import tiles
from ledger_core.base.engine import make_engine
from ledger_core.log.merkle import Frontier, leaf_hash, node_hash
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.settings.rooms import ApiSettings

pytestmark = pytest.mark.integration

API_SETTINGS = {"api": ApiSettings(public_log=True)}
LOG = "/finance/log/main"
FOR_EVER = "max-age=31536000, immutable"


@pytest.fixture(scope="module")
def filled(api):
    """The log after 700 entries."""
    accounts = ("assets:psp:stripe:clearing:usd", "revenue:sales:usd")
    with api.http() as client:
        entries = [
            {
                "effective_at": "2026-11-22T08:00:00Z",
                "external_id": f"tiles:{number}",
                "postings": [
                    {"account": code, "direction": side, "amount": "5", "currency": "USD"}
                    for code, side in zip(accounts, ("debit", "credit"), strict=True)
                ],
            }
            for number in range(700)
        ]
        answer = client.post(
            "/finance/journal-entries/batch", json={"entries": entries}, headers={"idempotency-key": "x"}
        )
        assert {item["status"] for item in answer.json()["results"]} == {201}
    return api


@pytest.fixture
def anyone(filled):
    """A client without a token."""
    with httpx2.Client(base_url=filled.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def reader(filled):
    with filled.http("export:read") as client:
        yield client


def checkpoint(client):
    answer = client.get(f"{LOG}/checkpoint")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.headers["cache-control"] == "public, max-age=1"
    return parse_checkpoint(parse_note(answer.text).text)


def path_of(n):
    groups = [f"{n:03d}"[-3:]]
    while n >= 1000:
        n //= 1000
        groups.insert(0, f"x{n % 1000:03d}")
    return "/".join(groups)


def tile(client, level, n, size):
    """The hashes of a tile in the tree of `size`, full or partial, as a monitor asks for it."""
    width = min((size >> (8 * level)) - n * 256, 256)
    partial = "" if width == 256 else f".p/{width}"
    answer = client.get(f"{LOG}/tile/{level}/{path_of(n)}{partial}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == f"public, {FOR_EVER}"
    assert len(answer.content) == 32 * width
    return [answer.content[at : at + 32] for at in range(0, len(answer.content), 32)]


def test_a_monitor_recomputes_the_root_from_hashes_alone(anyone):
    point = checkpoint(anyone)
    assert point.size > 700
    leaves = [node for n in range(-(-point.size // 256)) for node in tile(anyone, 0, n, point.size)]
    assert Frontier().extend(leaves).root() == point.root
    upper = tile(anyone, 1, 0, point.size)
    for n, node in enumerate(upper):
        row = leaves[n * 256 : (n + 1) * 256]
        while len(row) > 1:
            row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
        assert row == [node]


def test_records_need_a_token_and_hash_to_the_tiles_beside_them(anyone, reader, filled):
    point = checkpoint(anyone)
    for n in range(-(-point.size // 256)):
        width = min(point.size - n * 256, 256)
        path = f"{LOG}/tile/entries/{path_of(n)}" + ("" if width == 256 else f".p/{width}")
        assert anyone.get(path).status_code == 401
        with filled.http("journal:write") as other:
            assert other.get(path).status_code == 403
        answer = reader.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == f"private, {FOR_EVER}"
        assert [leaf_hash(record) for record in split(answer.content)] == tile(anyone, 0, n, point.size)


def split(bundle):
    at = 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        yield bundle[at + 2 : at + 2 + length]
        at += 2 + length
    assert at == len(bundle)


def test_a_bundle_is_packed_for_those_who_take_it_and_is_the_same(reader):
    path = f"{LOG}/tile/entries/000"
    plain = reader.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with reader.stream("GET", path, headers={"accept-encoding": "br, gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
        assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "accept-encoding")
    assert len(packed) < len(plain.content) / 2
    assert gzip.decompress(packed) == plain.content
    assert "content-encoding" not in reader.get(f"{LOG}/tile/0/000", headers={"accept-encoding": "gzip"}).headers


@pytest.mark.parametrize(
    "path",
    ["tile/entries/000", "tile/%65ntries/000", "tile/entries%2F000", "tile//entries/000", "tile/0/../entries/000",
     "tile/./entries/000", "tile/entries/../entries/000", "tile/Entries/000", "tile/entries/000/", "entries/000",
     "tile/entries", "tile/entries/", "tile/entries/000.p/1", "tile/entries/000?token=x"],
)  # fmt: skip
def test_no_spelling_of_a_path_gives_a_record_without_a_token(wire, filled, path):
    answer = wire.ask("GET", f"{LOG}/{path}", token="")
    assert answer.status in (401, 404), path
    assert b"external_id" not in answer.content
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000"])
def test_what_is_open_is_open_whatever_token_is_shown_and_nothing_else_is(anyone, path):
    assert anyone.get(f"{LOG}/{path}").status_code == 200
    for given in ("Bearer expired", "Basic eDp5", ""):
        assert anyone.get(f"{LOG}/{path}", headers={"authorization": given}).status_code == 200
    assert anyone.get(f"/finance/log/nobodys/{path}").status_code == 404
    for elsewhere in ("/finance/checkpoints/latest", "/finance/checkpoints/1/consistency/2", "/finance/keys",
                      "/finance/journal-entries", "/finance/journal-entries/tiles:1/proof"):  # fmt: skip
        assert anyone.get(elsewhere).status_code == 401
    assert anyone.post("/finance/verify", json={"selector": {"segment": 1}}).status_code == 401


def test_what_is_not_full_or_not_signed_is_not_there_yet_and_nobody_keeps_that(api, anyone):
    size = checkpoint(anyone).size
    for path in (
        f"tile/0/{path_of(size // 256)}",  # the right edge, as if it were full
        f"tile/0/{path_of(size // 256)}.p/{size % 256 + 1}",
        f"tile/0/{path_of(size // 256 + 1)}.p/1",
        f"tile/1/000.p/{size // 256 + 1}",
        "tile/1/000",
        "tile/2/000.p/1",
        "tile/8/000",
        "tile/63/000.p/1",
    ):
        answer = anyone.get(f"{LOG}/{path}")
        assert answer.status_code == 404, path
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["remedy"]


def test_a_tile_of_records_that_no_signature_covers_is_not_served(api, anyone):
    """The head says how far the log is signed; what is durable beyond it is nobody's to see yet."""
    size = checkpoint(anyone).size
    last = f"{LOG}/tile/0/{path_of((size - 1) // 256)}.p/{(size - 1) % 256 + 1}"
    assert anyone.get(last).status_code == 200
    with set_signed_size(api, size - 1):
        assert anyone.get(last).status_code == 404
    assert anyone.get(last).status_code == 200


@contextmanager
def set_signed_size(api, size):
    superuser = make_engine(api.runtime.database_url, role="login", pool_size=1)

    def put(value):
        with superuser.begin() as connection:
            connection.execute(text("set session_replication_role = replica"))
            connection.execute(
                text("update ledger.log_head set signed_size = :size where book = 'main'"), {"size": value}
            )

    put(size)
    try:
        yield
    finally:
        put(size + 1)
        superuser.dispose()


def test_a_crowd_of_monitors_is_told_to_wait_and_leaves_room_for_callers(api, anyone, reader, monkeypatch):
    entered, let_go = threading.Semaphore(0), threading.Event()
    real = tiles.read_tile_bytes

    def slow(*given):
        entered.release()
        assert let_go.wait(30)
        return real(*given)

    monkeypatch.setattr(tiles, "read_tile_bytes", slow)
    answers = []

    def ask():
        with httpx2.Client(base_url=api.url, timeout=60, trust_env=False) as client:
            answers.append(client.get(f"{LOG}/tile/0/000"))

    crowd = [threading.Thread(target=ask) for _ in range(70)]
    try:
        for each in crowd:
            each.start()
        for _ in range(4):
            assert entered.acquire(timeout=30)
        deadline = time.monotonic() + 30
        while len(answers) < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [(answer.status_code, answer.headers["cache-control"]) for answer in answers] == [(429, "no-store")] * 6
        assert all(answer.headers["retry-after"] for answer in answers)
        assert not entered.acquire(timeout=0.2), "four at once, whoever waits"
        assert reader.get("/finance/checkpoints/latest").status_code == 200
        monkeypatch.setattr(tiles, "read_tile_bytes", real)
        # Whoever has a token waits for none of them.
        assert reader.get(f"{LOG}/tile/entries/000.p/1").status_code == 200
    finally:
        let_go.set()
        for each in crowd:
            each.join(60)
    assert sorted(answer.status_code for answer in answers) == [200] * 64 + [429] * 6
