"""A difference finds its break by an id that they share."""

from __future__ import annotations

from hashlib import sha256

from reconciliation.breaks.identity import BreakKey, Found, assign, mint


def key(kind: str, value: str, *, currency: str = "USD", sign: int = 1) -> BreakKey:
    return BreakKey(leg="A", provider="stripe", account="default", kind=kind, key=value, sign=sign, currency=currency)


def found(name: str, *keys: BreakKey, of: str = "txn_1") -> Found:
    return Found(
        difference_id=name, leg="A", provider="stripe", account="default", sign=1, key=of, currency="USD", keys=keys
    )


def nothing_exists(_ids: object) -> set[str]:
    return set()


def test_a_new_break_is_named_by_the_hash_of_its_canonical_array() -> None:
    expected = sha256(b'["main","A","stripe","default",1,"txn_1","USD"]').hexdigest()
    assert assign([found("d")], {}, book="main", exists=nothing_exists) == {"d": expected}


def test_a_shared_id_wins_over_a_name_that_changed() -> None:
    known = {key("reference", "ch_1"): "older"}
    difference = found("d", key("balance_transaction", "txn_1"), key("reference", "ch_1"))
    assert assign([difference], known, book="main", exists=nothing_exists) == {"d": "older"}


def test_two_differences_of_one_run_never_share_a_break() -> None:
    known = {key("balance_transaction", "txn_1"): "older", key("reference", "ch_1"): "older"}
    psp = found("psp", key("balance_transaction", "txn_1"))
    ledger = found("ledger", key("reference", "ch_1"), of="ch_1")
    answer = assign([ledger, psp], known, book="main", exists=nothing_exists)
    assert answer["psp"] == "older", "the provider's own id is believed first"
    assert answer["ledger"] == mint(ledger, book="main")


def test_equal_names_in_one_run_are_told_apart() -> None:
    twins = [found("first"), found("second")]
    answer = assign(twins, {}, book="main", exists=nothing_exists)
    assert answer == {"first": mint(twins[0], book="main"), "second": mint(twins[1], book="main", ordinal=2)}


def test_a_name_that_an_older_break_bears_is_not_given_again() -> None:
    difference = found("d")
    taken = mint(difference, book="main")
    answer = assign([difference], {}, book="main", exists=lambda ids: {taken} & set(ids))
    assert answer == {"d": mint(difference, book="main", ordinal=2)}


def test_the_other_currency_of_an_id_is_another_id() -> None:
    known = {key("balance_transaction", "txn_1", currency="EUR"): "older"}
    difference = found("d", key("balance_transaction", "txn_1"))
    assert assign([difference], known, book="main", exists=nothing_exists) != {"d": "older"}
