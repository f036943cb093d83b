"""Identity holds for any differences and any history of breaks: sets in SQL say what the oracle says one by one."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from reconciliation.breaks.identity import KIND_ORDER, assign, release

pytestmark = pytest.mark.integration

_spec = importlib.util.spec_from_file_location("identity_oracle", Path(__file__).with_name("identity_oracle.py"))
assert _spec
assert _spec.loader
oracle: Any = importlib.util.module_from_spec(_spec)
sys.modules["identity_oracle"] = oracle
_spec.loader.exec_module(oracle)
BreakKey, Found = oracle.BreakKey, oracle.Found


@pytest.fixture(scope="module")
def connection(postgres: tuple[EmbeddedPostgres, int]) -> Iterator[Connection]:
    """A session with tables of the names and columns that identity reads."""
    embedded, port = postgres
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as creating:
        creating.execute(text("create database identity template counterfoil_template"))
    engine = make_engine(embedded.url(port, "identity"), role="login", pool_size=1)
    with engine.connect() as opened:
        opened.execute(text("create schema found"))
        opened.execute(
            text(
                "create table found.fct_differences (difference_id text, leg text, provider text, account text,"
                " sign smallint, key text, currency text, identity_keys jsonb, status text)"
            )
        )
        opened.commit()
        yield opened
    engine.dispose()
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as dropping:
        dropping.execute(text("drop database identity with (force)"))
    admin.dispose()


def answer_of(
    connection: Connection, found: list[Any], known: dict[Any, str], exists: set[str] = frozenset()
) -> dict[str, str]:
    """Return what the database says, and leave nothing behind."""
    try:
        for break_id in {*known.values(), *exists}:
            connection.execute(
                text(
                    "insert into recon.breaks (book, break_id, leg, provider, account, sign, class, key, keys,"
                    " currency, amount_minor, priority, status, opened_on, rule, rule_version, first_run_id, run_id,"
                    " as_of) values ('main', :id, 'A', 'stripe', 'default', 1, 'ambiguous', 'k', '{}', 'USD', 1, 'P1',"
                    " 'open', '2026-10-01', 'r', 1, 'run', 'run', '2026-10-01')"
                ),
                {"id": break_id},
            )
        for key, break_id in known.items():
            connection.execute(
                text(
                    "insert into recon.break_keys values"
                    " ('main', :leg, :provider, :account, :kind, :key, :sign, :currency, :break_id)"
                ),
                {name: getattr(key, name) for name in BreakKey.__slots__} | {"break_id": break_id},
            )
        for difference in found:
            connection.execute(
                text(
                    "insert into found.fct_differences values (:difference_id, :leg, :provider, :account, :sign, :key,"
                    " :currency, cast(:keys as jsonb), 'break')"
                ),
                {name: getattr(difference, name) for name in Found.__slots__ if name != "keys"}
                | {"keys": json.dumps([[key.kind, key.key, key.currency] for key in difference.keys])},
            )
        assign(connection, book="main", schema="found")
        answer = {row.difference_id: row.break_id for row in connection.execute(text("select * from pg_temp.assigned"))}
        release(connection)
        return answer
    finally:
        connection.rollback()


def expected(found: list[Any], known: dict[Any, str], exists: set[str] = frozenset()) -> dict[str, str]:
    taken = {*known.values(), *exists}
    return oracle.assign(found, known, book="main", exists=lambda ids: taken & set(ids))


def hashed(name: str) -> str:
    return sha256(name.encode()).hexdigest()


NAMES = st.sampled_from(["k1", "k2", 'with "quotes" \\', "tab\tand\x01", "Zürich", "\u2028"])
BREAKS = [hashed(str(number)) for number in range(3)]


@st.composite
def differences(draw: st.DrawFn) -> list[Any]:
    found = []
    for number in range(draw(st.integers(0, 8))):
        sign, currency = draw(st.sampled_from([-1, 1])), draw(st.sampled_from(["USD", "EUR"]))
        keys = [
            BreakKey(
                leg="A", provider="stripe", account="default", kind=kind, key=key, sign=sign, currency=currency_of_key
            )
            for kind, key, currency_of_key in draw(
                st.lists(st.tuples(st.sampled_from(KIND_ORDER), NAMES, st.sampled_from(["USD", "EUR"])), max_size=4)
            )
        ]
        found.append(
            Found(
                difference_id=f"d{number}", leg="A", provider="stripe", account="default", sign=sign,
                key=draw(NAMES), currency=currency, keys=tuple(keys),
            )
        )  # fmt: skip
    return found


KEYS = st.builds(
    BreakKey,
    leg=st.just("A"),
    provider=st.just("stripe"),
    account=st.just("default"),
    kind=st.sampled_from(KIND_ORDER),
    key=NAMES,
    sign=st.sampled_from([-1, 1]),
    currency=st.sampled_from(["USD", "EUR"]),
)
HISTORY = st.dictionaries(KEYS, st.sampled_from(BREAKS), max_size=12)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=differences(), known=HISTORY, chance=st.randoms(use_true_random=False), taken=st.integers(0, 3))
def test_sets_say_what_one_by_one_says_whatever_the_order(
    connection: Connection, found: list[Any], known: dict[Any, str], chance: Random, taken: int
) -> None:
    # Some names were given before, to breaks that no id finds any more.
    older = {oracle.mint(each, book="main", ordinal=number + 1) for each in found[:taken] for number in range(taken)}
    right = expected(found, known, older)
    assert set(right) == {each.difference_id for each in found}
    assert len(set(right.values())) == len(found), "two differences of one run never share a break"
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert answer_of(connection, shuffled, known, older) == right


def key(kind: str, value: str, *, currency: str = "USD", sign: int = 1) -> Any:
    return BreakKey(leg="A", provider="stripe", account="default", kind=kind, key=value, sign=sign, currency=currency)


def found(name: str, *keys: Any, of: str = "txn_1") -> Any:
    return Found(
        difference_id=name, leg="A", provider="stripe", account="default", sign=1, key=of, currency="USD", keys=keys
    )


def test_a_new_break_is_named_by_the_hash_of_its_canonical_array(connection: Connection) -> None:
    right = {"d": hashed('["main","A","stripe","default",1,"txn_1","USD"]')}
    assert answer_of(connection, [found("d")], {}) == right


def test_a_shared_id_wins_over_a_name_that_changed(connection: Connection) -> None:
    difference = found("d", key("balance_transaction", "txn_1"), key("reference", "ch_1"))
    assert answer_of(connection, [difference], {key("reference", "ch_1"): BREAKS[0]}) == {"d": BREAKS[0]}


def test_the_providers_own_id_is_believed_first(connection: Connection) -> None:
    known = {key("balance_transaction", "txn_1"): BREAKS[0], key("reference", "ch_1"): BREAKS[0]}
    psp = found("psp", key("balance_transaction", "txn_1"))
    ledger = found("ledger", key("reference", "ch_1"), of="ch_1")
    answer = answer_of(connection, [ledger, psp], known)
    assert answer["psp"] == BREAKS[0]
    assert answer["ledger"] == hashed('["main","A","stripe","default",1,"ch_1","USD"]')


def test_a_name_that_older_breaks_bear_is_not_given_again(connection: Connection) -> None:
    older = {oracle.mint(found("d"), book="main", ordinal=number) for number in (1, 2, 3)}
    twins = [found("first"), found("second")]
    assert answer_of(connection, twins, {}, older) == {
        "first": hashed('["main","A","stripe","default",1,"txn_1","USD",4]'),
        "second": hashed('["main","A","stripe","default",1,"txn_1","USD",5]'),
    }


def test_the_other_currency_of_an_id_is_another_id(connection: Connection) -> None:
    known = {key("balance_transaction", "txn_1", currency="EUR"): BREAKS[0]}
    assert answer_of(connection, [found("d", key("balance_transaction", "txn_1"))], known) != {"d": BREAKS[0]}
