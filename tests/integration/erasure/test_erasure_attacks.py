"""A superuser whom no trigger holds, against the side table and what was erased: each attack has its finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from ledger_core.errors import IntegrityError
from ledger_core.evidence.check.model import Code
from ledger_core.evidence.proofs.prove import verify_selection
from ledger_core.log.commitments import seal
from tests.integration.erasure.conftest import ADA, Shop

pytestmark = pytest.mark.integration

Attack = Callable[[psycopg.Connection[Any], str, int], object]


def other_value(connection: psycopg.Connection[Any], book: str, seq: int) -> None:
    """Another value, sealed as it should be."""
    row = connection.execute(
        "select key from ledger.private_keys where book = %s and seq = %s and name = 'payer_name'", [book, seq]
    ).fetchone()
    assert row is not None
    sealed = seal("Eve Example", key=bytes(row[0]), name="payer_name")
    connection.execute(
        "update ledger.private_values set sealed = %s where book = %s and seq = %s and name = 'payer_name'",
        [sealed, book, seq],
    )


def statement(query: str) -> Attack:
    return lambda connection, book, seq: connection.execute(query, {"book": book, "seq": seq})


ATTACKS: dict[str, tuple[Attack, Code]] = {
    "another value": (other_value, Code.PRIVATE_MISMATCH),
    "another salt": (
        statement(
            "update ledger.private_keys set salt = substr(sha256(salt), 1, 16) where book = %(book)s and seq = %(seq)s"
        ),
        Code.PRIVATE_MISMATCH,
    ),
    "another key": (
        statement("update ledger.private_keys set key = sha256(key) where book = %(book)s and seq = %(seq)s"),
        Code.PRIVATE_MISMATCH,
    ),
    "other sealed bytes": (
        statement("update ledger.private_values set sealed = sha256(sealed) where book = %(book)s and seq = %(seq)s"),
        Code.PRIVATE_MISMATCH,
    ),
    "no sealed bytes": (
        statement("delete from ledger.private_values where book = %(book)s and seq = %(seq)s"), Code.PRIVATE_MISMATCH,
    ),
    "no key": (
        statement("delete from ledger.private_keys where book = %(book)s and seq = %(seq)s"), Code.PRIVATE_MISMATCH,
    ),
    "neither": (
        lambda connection, book, seq: [
            connection.execute(f"delete from ledger.{table} where book = %s and seq = %s", [book, seq])
            for table in ("private_keys", "private_values")
        ],
        Code.PRIVATE_MISSING,
    ),
    "a value of another name": (
        statement(
            "insert into ledger.private_keys select book, seq, 'other', salt, key from ledger.private_keys "
            "where book = %(book)s and seq = %(seq)s limit 1"
        ),
        Code.PRIVATE_MISMATCH,
    ),
    "a value of an entry that has none": (
        statement(
            "insert into ledger.private_keys select book, seq - 1, name, salt, key from ledger.private_keys "
            "where book = %(book)s and seq = %(seq)s"
        ),
        Code.PRIVATE_MISMATCH,
    ),
    "a value of an entry to come": (
        statement(
            "insert into ledger.private_values select book, seq + 1000, name, sealed from ledger.private_values "
            "where book = %(book)s and seq = %(seq)s"
        ),
        Code.PRIVATE_MISMATCH,
    ),
    "values of two names exchanged": (
        statement(
            "update ledger.private_keys as one set salt = other.salt, key = other.key "
            "from ledger.private_keys as other "
            "where one.book = %(book)s and one.seq = %(seq)s "
            "and other.book = one.book and other.seq = one.seq and other.name <> one.name"
        ),
        Code.PRIVATE_MISMATCH,
    ),
    "an erasure that no record says": (
        statement("insert into ledger.erased_values values (%(book)s, %(seq)s, 'payer_name', %(seq)s + 1)"),
        Code.PROJECTION_MISMATCH,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_whoever_changes_what_is_held_is_seen(shop: Shop, name: str) -> None:
    attack, code = ATTACKS[name]
    shop.post("plain")
    posted = shop.post("a", ADA)
    shop.post("last")
    shop.sound()
    with shop.attack() as superuser:
        attack(superuser, shop.book, posted.seq)
    assert code in shop.check().codes


@pytest.mark.parametrize("name", ["another value", "another salt", "neither"])
def test_a_deep_verification_sees_it_too(shop: Shop, name: str) -> None:
    posted = shop.post("a", ADA)
    selector = {"entry_ids": (posted.id,)}
    assert verify_selection(shop.runtime, shop.book, selector=selector, deep=True).verdict == "verified"
    with shop.attack() as superuser:
        ATTACKS[name][0](superuser, shop.book, posted.seq)
    found = verify_selection(shop.runtime, shop.book, selector=selector, deep=True)
    assert found.verdict == "failed"
    assert found.failures[0]["where"] == "ledger.private_values"


def test_a_value_that_is_another_is_never_shown(shop: Shop) -> None:
    posted = shop.post("a", ADA)
    with shop.attack() as superuser:
        other_value(superuser, shop.book, posted.seq)
    with pytest.raises(IntegrityError):
        shop.part("a")


def test_whoever_puts_an_erased_value_back_is_seen(shop: Shop) -> None:
    posted = shop.post("a", ADA)
    with shop.attack() as superuser:
        for table in ("private_keys", "private_values"):
            superuser.execute(
                f"create temp table kept_{table} as select * from ledger.{table} where book = '{shop.book}'"
            )
        superuser.commit()
        shop.erase("a")
        for table in ("private_keys", "private_values"):
            superuser.execute(f"insert into ledger.{table} table kept_{table}")
    findings = shop.check().findings
    assert {finding.code for finding in findings} == {Code.NOT_ERASED}
    assert {finding.seq for finding in findings} == {posted.seq}
    assert len(findings) == 2
    assert shop.part("a").values == {}
    deep = verify_selection(shop.runtime, shop.book, selector={"entry_ids": (posted.id,)}, deep=True)
    assert deep.verdict == "failed"


def test_whoever_unsays_an_erasure_is_seen(shop: Shop) -> None:
    shop.post("a", ADA)
    shop.erase("a")
    with shop.attack() as superuser:
        superuser.execute("delete from ledger.erased_values where book = %s", [shop.book])
    assert shop.check().codes == {Code.PROJECTION_MISMATCH, Code.PRIVATE_MISSING}


def test_a_theft_covered_by_an_invented_erasure_is_seen_in_a_deep_verification(shop: Shop) -> None:
    posted = shop.post("a", ADA)
    with shop.attack() as superuser:
        for table in ("private_keys", "private_values"):
            superuser.execute(f"delete from ledger.{table} where book = %s", [shop.book])
        for name in ADA:
            superuser.execute(
                "insert into ledger.erased_values values (%s, %s, %s, %s)",
                [shop.book, posted.seq, name, posted.seq + 1],
            )
    deep = verify_selection(shop.runtime, shop.book, selector={"entry_ids": (posted.id,)}, deep=True)
    assert deep.verdict == "failed"


def test_a_theft_covered_by_an_invented_replay_is_told_by_its_range(shop: Shop) -> None:
    """A superuser can write this table too: the check goes on saying what is not held, and why it takes that as so."""
    posted = shop.post("a", ADA)
    with shop.attack() as superuser:
        for table in ("private_keys", "private_values"):
            superuser.execute(f"delete from ledger.{table} where book = %s", [shop.book])
        superuser.execute("insert into ledger.replays values (%s, %s, %s)", [shop.book, posted.seq, posted.seq + 1])
    report = shop.sound()
    assert any("2 private values are not held" in note for note in report.notes)
