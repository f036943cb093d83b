"""What a change of keys makes of the registry: pure, by sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.errors import CounterfoilError, InvalidInput, NotFound, Refused
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint
from ledger_core.log.registry import KeyRecord, Validity, parse_registry
from ledger_core.signing.backends.software import SoftwareKey
from ledger_core.signing.documents import Successor, compromised, find_key, next_document, revoked, rotated

MAIN, SIDE, BELOW = "ledger.example/test/main", "ledger.example/test/side", "ledger.example/test/*"


def successor() -> Successor:
    key = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    return Successor(key=key.public_key, backend="software", assurance="software")


def first() -> KeyRecord:
    made = successor()
    return KeyRecord(
        key=made.key,
        backend=made.backend,
        assurance=made.assurance,
        status="active",
        purposes=("checkpoint", "dsse"),
        valid=(Validity(origin=BELOW, from_size=0, to_size=None),),
    )


def valid(key: KeyRecord, origin: str, *sizes: int) -> list[bool]:
    return [key.is_valid_at(origin, size) for size in sizes]


def test_at_a_rotation_both_keys_count_at_the_size_where_they_meet_and_one_elsewhere() -> None:
    old, new = rotated([first()], successor(), {MAIN: 10, SIDE: 3}, BELOW)
    assert (valid(old, MAIN, 1, 10, 11), valid(new, MAIN, 9, 10, 11)) == ([True, True, False], [False, True, True])
    assert (valid(old, SIDE, 3, 4), valid(new, SIDE, 2, 3)) == ([True, False], [False, True])
    later = "ledger.example/test/opened-later"
    assert (valid(old, later, 1), valid(new, later, 1)) == ([False], [True])
    assert (old.status, new.status) == ("retired", "active")


def test_a_second_rotation_leaves_the_ranges_of_the_first() -> None:
    once = rotated([first()], successor(), {MAIN: 10}, BELOW)
    old, second, third = rotated(once, successor(), {MAIN: 20, SIDE: 5}, BELOW)
    assert old == once[0]
    assert valid(second, MAIN, 9, 10, 20, 21) == [False, True, True, False]
    assert valid(second, SIDE, 1, 5, 6) == [True, True, False], "a log that was opened in between"
    assert valid(third, MAIN, 19, 20) == [False, True]


@pytest.mark.parametrize("window", [0, 1, 5, 10**9])
def test_a_window_lets_the_old_key_go_on_that_far_and_never_in_a_log_that_is_opened_later(window: int) -> None:
    for status in ("retired", "revoked"):
        old, new = rotated([first()], successor(), {MAIN: 10}, BELOW, window=window, status=status)
        assert valid(old, MAIN, 10 + window, 11 + window) == [True, False]
        assert valid(new, MAIN, 10, 10 + window) == [True, True]
        assert valid(old, SIDE, 0, 1, window) == [False, False, False]
        assert valid(new, SIDE, 0, 1, window) == [True, True, True]


def test_a_key_does_not_end_while_nobody_knows_how_far_it_signed_a_log() -> None:
    once = rotated([first()], successor(), {MAIN: 10, SIDE: 5}, BELOW)
    with pytest.raises(Refused, match="does not remember"):
        rotated(once, successor(), {MAIN: 20}, BELOW)
    old = revoked(once, once[0], {MAIN: 20})[0]
    assert (old.status, old.valid) == ("revoked", (once[0].valid[1], once[0].valid[0])), "what it signed stays"


def test_a_stolen_key_counts_in_no_range_by_its_signature_alone() -> None:
    good = {MAIN: Checkpoint(MAIN, 7, bytes(32))}
    keys = [first()]
    old, new = compromised(keys, keys[0], good, BELOW, successor=successor())
    assert valid(old, MAIN, 1, 7, 8) == [False, False, False]
    assert (old.good_trees(MAIN), old.good_trees(SIDE)) == ([(7, bytes(32))], [])
    assert valid(new, MAIN, 6, 7, 8) == [False, True, True]
    assert valid(new, SIDE, 1) == [True], "a log without evidence is the new key's from the first record on"


def ring(*keys: KeyRecord, roots: int = 1) -> KeyRing:
    return KeyRing(
        version=4, sha256="ab" * 32, keys=keys, roots=tuple(successor().key for _ in range(roots)), threshold=1
    )


def test_the_next_document_follows_and_a_root_in_a_range_makes_it_one_that_older_verifiers_refuse() -> None:
    keys = [first()]
    plain = parse_registry(next_document(ring(*keys), keys, created_at=""))
    assert (plain.version, plain.previous) == (5, "ab" * 32)
    stolen = compromised(keys, keys[0], {MAIN: Checkpoint(MAIN, 7, bytes(32))}, BELOW, successor=successor())
    payload = next_document(ring(*keys), stolen, created_at="")
    assert b'"schema":"cf-keys/2"' in payload
    assert parse_registry(payload).keys[0].good_trees(MAIN) == [(7, bytes(32))]


@pytest.mark.parametrize("threshold", [0, 2])
def test_a_threshold_that_the_roots_cannot_meet_is_refused(threshold: int) -> None:
    keys = [first()]
    with pytest.raises(InvalidInput):
        next_document(ring(*keys), keys, created_at="", threshold=threshold)
    twice = ring(*keys)
    with pytest.raises(InvalidInput):
        next_document(twice, keys, created_at="", roots=[*twice.roots, *twice.roots], threshold=2)


def test_what_cannot_be_changed_is_refused() -> None:
    key = first()
    again = Successor(key=key.key, backend="software", assurance="software")
    gone = replace(key, status="compromised", valid=())
    for refused in (
        lambda: rotated([key], again, {MAIN: 1}, BELOW),
        lambda: compromised([key], key, {}, BELOW, successor=None),
        lambda: compromised([key], key, {}, BELOW, successor=again),
        lambda: compromised([gone], gone, {}, BELOW, successor=successor()),
        lambda: revoked([gone], gone, {}),
    ):
        with pytest.raises(Refused):
            refused()


def test_a_key_is_named_by_enough_of_its_id() -> None:
    one, other = first(), first()
    assert find_key([one, other], one.key.key_id[:10].upper()) is one
    for named, error in ((one.key.key_id[:7], InvalidInput), ("f" * 64, NotFound), ("", InvalidInput)):
        with pytest.raises(CounterfoilError) as caught:
            find_key([one, other], named)
        assert type(caught.value) is error
