"""Private values: never in the log, held beside it, and compared with by whoever repeats a request."""

from __future__ import annotations

import dataclasses
import json
from hashlib import sha256

import psycopg
import pytest
from sqlalchemy import text

from api.reversals import reverse
from ledger_core.book.kinds.journal_entry.prepare import prepare_entry
from ledger_core.errors import DuplicateExternalId, InvalidInput, KeyReused, NotFound
from ledger_core.evidence.proofs.prove import entry_proof
from ledger_core.log.canonical import canonical_bytes
from ledger_core.ports import Declined, Posted
from ledger_core.reading.entries import get_entry
from ledger_core.reading.private import private_parts
from tests.integration.erasure.conftest import ADA, ME, Shop, body_of, entry

pytestmark = pytest.mark.integration


def test_the_record_commits_to_a_private_value_and_does_not_hold_it(shop: Shop) -> None:
    posted = shop.post("a", ADA)
    body = body_of(posted)
    assert set(body["commitments"]) == set(ADA)
    assert dict(posted.commitments) == body["commitments"]
    for value in ADA.values():
        assert value.encode() not in posted.canonical
    assert "private" not in body
    with shop.runtime.engine.connect() as connection:
        rows = connection.execute(
            text("select name, salt from ledger.private_keys where book = :book"), {"book": shop.book}
        ).all()
    assert len(rows) == len(ADA)
    for name, salt in rows:
        assert sha256(bytes(salt) + json.dumps(ADA[name]).encode()).hexdigest() == body["commitments"][name]
    assert shop.part("a").values == ADA
    assert shop.sound().counts["private_values"] == 2


def test_no_table_of_the_database_holds_the_text_of_a_private_value(shop: Shop) -> None:
    shop.append(entry("a", ADA), key="k")
    shop.append(entry("a", ADA), key="other")
    with shop.runtime.engine.connect() as connection:
        tables = connection.execute(
            text(
                "select table_schema, table_name from information_schema.tables where table_schema in ('ledger','ops')"
            )
        ).all()
        for schema, name in tables:
            for (row,) in connection.execute(text(f"select t::text from {schema}.{name} as t where t is not null")):
                for value in ADA.values():
                    assert value not in row, f"{schema}.{name}"
                    assert value.encode().hex() not in row, f"{schema}.{name}"


def test_equal_values_have_other_commitments_in_every_entry(shop: Shop) -> None:
    one, other = shop.post("a", {"name": "x"}), shop.post("b", {"name": "x"})
    assert one.commitments["name"] != other.commitments["name"]


def test_no_stored_hash_is_one_that_can_be_guessed(shop: Shop) -> None:
    """Whoever knows everything of a request but the private value cannot try values against what is stored."""
    draft = entry("a", {"name": "x"})
    posted = shop.append(draft, key="k").only
    with shop.runtime.engine.connect() as connection:
        query = text("select fingerprint from ledger.idempotency where book = :book")
        fingerprint = bytes(connection.execute(query, {"book": shop.book}).scalar_one())
    stored = {fingerprint.hex(), body_of(posted)["fingerprint"]}
    shop.append(entry("b", {"name": "x"}), key="l")
    other = dataclasses.replace(draft, private={"name": "another"})
    again = shop.append(dataclasses.replace(other, external_id="a"), key="m").items[0]
    assert isinstance(again, Declined)
    # The same request with another value has the same fingerprint: it says nothing of the value.
    assert prepare_entry(other, b'{"role":"service","subject":"tester"}').fingerprint in stored


def test_a_repeated_request_is_answered_with_the_same_record_and_another_value_is_another_request(shop: Shop) -> None:
    first = shop.append(entry("a", ADA), key="k")
    again = shop.append(entry("a", ADA), key="k")
    assert again.replayed
    assert again.only.canonical == first.only.canonical
    assert again.only.entry == first.only.entry
    assert dict(again.only.commitments) == dict(first.only.commitments)
    for other in ({**ADA, "payer_name": "Eve"}, {"payer_name": ADA["payer_name"]}, {**ADA, "more": "x"}, {}):
        with pytest.raises(KeyReused):
            shop.append(entry("a", other), key="k")
    assert shop.rows("ledger.private_values") == 2


def test_a_value_that_cannot_be_read_is_held_against_nobody(shop: Shop) -> None:
    first = shop.append(entry("a", ADA), key="k")
    with shop.attack() as superuser:
        superuser.execute("update ledger.private_values set sealed = sha256(sealed) where book = %s", [shop.book])
    again = shop.append(entry("a", ADA), key="k")
    assert again.replayed
    assert again.only.canonical == first.only.canonical


def test_one_external_id_twice_says_whether_the_private_values_are_the_same_too(shop: Shop) -> None:
    posted = shop.post("a", ADA)
    for private, identical in (
        (ADA, True),
        ({**ADA, "payer_name": "Eve"}, False),
        ({}, False),
        (dict(ADA), True),
    ):
        (item,) = shop.append(entry("a", private)).items
        assert isinstance(item, Declined)
        assert isinstance(item.error, DuplicateExternalId)
        assert (item.error.entry_id, item.error.identical) == (posted.id, identical)
    items = shop.append(entry("b", ADA), entry("b", ADA), entry("b", {**ADA, "payer_name": "Eve"})).items
    assert [getattr(getattr(item, "error", None), "identical", None) for item in items] == [None, True, False]


def test_a_batch_repeats_whole_with_declined_items_between_the_private_ones(shop: Shop) -> None:
    shop.post("taken")
    drafts = [entry("a", ADA), entry("taken"), entry("b", {"name": "x"})]
    first = shop.append(*drafts, key="k")
    assert [type(item) for item in first.items] == [Posted, Declined, Posted]
    assert shop.append(*drafts, key="k").replayed
    with pytest.raises(KeyReused):
        shop.append(drafts[0], drafts[1], entry("b", {"name": "y"}), key="k")


@pytest.mark.parametrize(
    ("private", "pointer"),
    [
        ({"Name": "x"}, "/private"),
        ({"name": 1}, "/private/name"),
        ({"name": "x" * 8_001}, "/private/name"),
        ({"name": "a\0"}, "/private/name"),
        ({"name": "e\u0301"}, "/private/name"),
        ({"card": "4111 1111 1111 1111"}, "/private/card"),
        ({f"n{number}": "x" for number in range(65)}, "/private"),
        ({f"n{number}": "é" * 8_000 for number in range(5)}, "/private"),
    ],
)
def test_what_may_not_be_private_is_refused_and_not_repeated(shop: Shop, private: dict, pointer: str) -> None:
    (item,) = shop.append(entry("a", private)).items
    assert isinstance(item, Declined)
    assert isinstance(item.error, InvalidInput)
    assert item.error.pointer == pointer
    assert "4111" not in str(item.error)
    assert shop.rows("ledger.private_values") == 0


def test_the_most_that_fits_is_taken(shop: Shop) -> None:
    shop.post("a", {f"n{number:02}{'x' * 61}": "é" * 511 for number in range(64)})
    assert shop.rows("ledger.private_values") == 64
    shop.sound()


def test_a_name_like_a_member_of_the_body_changes_nothing_of_it(shop: Shop) -> None:
    posted = shop.post("a", {"metadata": "x", "fingerprint": "y", "a": "z"}, metadata={"order": "o-1"})
    assert canonical_bytes(json.loads(posted.canonical)) == posted.canonical
    assert body_of(posted)["metadata"] == {"order": "o-1"}
    shop.sound()


def test_a_reversal_takes_nothing_private_along(shop: Shop) -> None:
    shop.post("a", ADA)
    runtime = shop.runtime
    undone = reverse(runtime.ledger(shop.book), runtime.engine, "a", actor=ME, now=runtime.clock()).only
    assert not undone.commitments
    shop.sound()


def test_a_draft_in_a_log_line_or_a_traceback_shows_no_private_value() -> None:
    assert ADA["payer_name"] not in repr(entry("a", ADA))


@pytest.mark.parametrize("role", ["reader", "auditor", "dbt", "dagster"])
@pytest.mark.parametrize("table", ["private_values", "private_keys"])
def test_nobody_but_the_writer_reads_what_is_private(shop: Shop, role: str, table: str) -> None:
    with shop.attack() as superuser:
        superuser.execute(f"set role counterfoil_{role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            superuser.execute(f"select * from ledger.{table}")
        superuser.rollback()


def test_an_entry_without_private_values_writes_no_more_than_it_did(shop: Shop) -> None:
    posted = shop.post("a")
    assert "commitments" not in body_of(posted)
    assert shop.rows("ledger.private_values") == shop.rows("ledger.private_keys") == 0


def test_a_value_that_is_erased_while_it_is_read_is_erased_and_not_lost(shop: Shop) -> None:
    """The reader's snapshot is older than the erasure, the values are read after it."""
    shop.post("a", ADA)
    with shop.runtime.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        found = get_entry(connection, shop.book, "a")
        assert found is not None
        erased = shop.erase("a")
        part = private_parts(connection, shop.book, [found], values=shop.runtime)[found.seq]
    assert isinstance(erased, Posted)
    assert (part.values, part.not_held) == ({}, [])
    assert dict(part.erased) == dict.fromkeys(ADA, erased.seq)


def test_a_proof_opens_no_value_that_was_erased_and_put_back(shop: Shop) -> None:
    shop.post("a", ADA)
    assert entry_proof(shop.runtime, shop.book, "a", opened=("payer_name",)).bundle
    tables = ("private_keys", "private_values")
    with shop.attack() as superuser:
        for table in tables:
            superuser.execute(
                f"create temp table kept_{table} as select * from ledger.{table} where book = '{shop.book}'"
            )
        superuser.commit()
        shop.erase("a")
        for table in tables:
            superuser.execute(f"insert into ledger.{table} select * from kept_{table}")
    with pytest.raises(NotFound):
        entry_proof(shop.runtime, shop.book, "a", opened=("payer_name",))
