"""A book whose database went back in time: posts are refused by name, it is not ready, no other book is hurt."""

import time

import pytest
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.base.engine import make_engine
from ledger_core.errors import LedgerBehind
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import parse_entry
from ledger_core.log.merkle import Frontier
from ledger_core.ports import Ask

pytestmark = pytest.mark.integration

ENTRIES = "/finance/journal-entries"


def roll_back(api, book, records):
    """Take the last `records` of `book` away, as a restore from a backup would, past the triggers."""
    superuser = make_engine(api.runtime.database_url, role="login", pool_size=1)
    with superuser.begin() as connection:

        def run(statement, **arguments):
            return connection.execute(text(statement), {"book": book, **arguments})

        run("set session_replication_role = replica")
        size = run("select size from ledger.log_head where book = :book").scalar_one() - records
        for table in ("postings", "entries", "account_versions", "records"):
            run(f"delete from ledger.{table} where book = :book and seq >= :size", size=size)
        run("delete from ledger.checkpoints where book = :book and size > :size", size=size)
        rows = run("select leaf_hash from ledger.records where book = :book order by seq").scalars()
        leaves = [bytes(row) for row in rows]
        run(
            "update ledger.log_head set size = :size, last_leaf = :leaf, frontier = :peaks, signed_size = "
            "(select coalesce(max(size), 0) from ledger.checkpoints where book = :book) where book = :book",
            size=size,
            leaf=leaves[-1],
            peaks=Frontier().extend(leaves).to_bytes(),
        )
    superuser.dispose()


def readiness(http, status, *, lacks=frozenset(), stopped=None, **params):
    """Ask until the answer has `status` and says that much: answers are remembered for a second or two."""
    deadline = time.monotonic() + 20
    while True:
        answer = http.get("/readyz", params=params)
        said = answer.json()
        missing = {item["dependency"] for item in said.get("missing", [])}
        as_asked = answer.status_code == status and missing >= lacks
        if as_asked and (stopped is None or said["stopped_books"] == stopped):
            return said
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)


def refused(answer):
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "ledger_behind"), answer.text
    assert "went back in time" in problem["detail"]
    assert "Restore a newer backup" in problem["remedy"]
    assert problem["size"] < problem["signed_size"]


def test_one_book_that_went_back_leaves_the_others_ready_and_writable(api, http, entry, key):
    chart = [
        account_draft(code=posting["account"], type=posting["account"].split(":")[0].rstrip("s"), currency="USD")
        for posting in entry()["postings"]
    ]
    apply_accounts(api.runtime.ledger("other"), chart, Ask(actor=Actor(subject="tests")))
    for _ in range(3):
        posted = http.post(ENTRIES, json=entry(book="other"), headers=key())
        assert posted.status_code == 201, posted.text
    readiness(http, 200, book="other")
    roll_back(api, "other", 2)
    readiness(http, 503, book="other", lacks={"book"})
    refused(http.post(ENTRIES, json=entry(book="other"), headers=key()))
    refused(http.post(ENTRIES, json=entry(book="other"), headers=key()))
    readiness(http, 503, book="other", lacks={"book", "sequencer"})
    readiness(http, 200, stopped=["other"])
    assert http.post(ENTRIES, json=entry(), headers=key()).status_code == 201


def test_a_book_that_is_none_is_not_asked_about(http):
    assert http.get("/readyz", params={"book": "no such\x00book"}).status_code == 422
    assert http.get("/readyz", params={"book": "nobody"}).status_code == 503


def test_the_default_book_that_went_back_is_refused_by_name_and_not_ready(api, http, entry, key):
    for _ in range(3):
        posted = http.post(ENTRIES, json=entry(), headers=key())
        assert posted.status_code == 201
    readiness(http, 200)
    time.sleep(2.1)
    readiness(http, 200)
    roll_back(api, "main", 2)
    found = readiness(http, 503)
    assert [item["dependency"] for item in found["missing"]] == ["book"]
    assert "docs/runbooks/failed-check.md" in found["missing"][0]["detail"]
    refused(http.post(ENTRIES, json=entry(), headers=key()))
    account = {"code": "revenue:more:usd", "type": "revenue", "currency": "USD", "normal_balance": "credit"}
    refused(http.post("/finance/accounts", json=account, headers=key()))
    many = http.post(f"{ENTRIES}/batch", json={"entries": [entry(), entry()]}, headers=key())
    refused(many)
    with api.client() as client, pytest.raises(LedgerBehind) as caught:
        client.post_entry(parse_entry(entry()))
    assert caught.value.remedy
    assert http.get(ENTRIES).status_code == 200, "what is there may be read"
    assert http.get("/livez").status_code == 200
