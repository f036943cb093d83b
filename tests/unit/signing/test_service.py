"""What the service refuses to sign: growth that is not shown, manifests of other trees, a key outside its range."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger_core.errors import InvalidInput, SignerRefused
from ledger_core.log.dsse import PROOF_TYPE, SEGMENT_TYPE
from ledger_core.log.keys import CHECKPOINT_PURPOSE, DSSE_PURPOSE, KeyRing, Validity
from ledger_core.log.merkle import Frontier, leaf_hash, node_hash
from ledger_core.log.note import Checkpoint, encode_base64, parse_checkpoint, parse_note
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing import service as service_module
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.port import MAX_LEAVES
from ledger_core.signing.service import SigningService
from ledger_core.signing.state import WitnessState
from ledger_core.signing.witness import Request, Ruling, format_request, judge, parse_request

ORIGIN = "ledger.example/test/main"
LEAVES = [leaf_hash(b"%d" % number) for number in range(60)]
OTHER = [*LEAVES[:5], leaf_hash(b"rewritten"), *LEAVES[6:]]


def at(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(ORIGIN, size, Frontier().extend(leaves[:size]).root())


def request(old: int, new: int, leaves: list[bytes] = LEAVES) -> Request:
    return Request(old=Frontier().extend(leaves[:old]), leaves=tuple(leaves[old:new]), checkpoint=at(new, leaves))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SigningService]:
    made = open_service(
        tmp_path / "signer",
        trust_path=tmp_path / "trust.json",
        origin_prefix="ledger.example/test/",
        settings=SignerSettings(env="test"),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    yield made
    made.close()


def invented_growth(size: int) -> bytes:
    """A request with the true tree of six records, and a size that no record stands for."""
    old = Frontier().extend(LEAVES[:6])
    root = node_hash(old.root(), bytes(32))
    return format_request(ORIGIN, old, (), root).replace(b"\n6\n", b"\n%d\n" % size)


@pytest.mark.parametrize("size", [7, 8, 2**20, 2**40, 2**62, 2**63 - 1])
def test_a_size_without_its_records_is_not_signed(service: SigningService, size: int) -> None:
    service.sign_checkpoint(request(0, 6))
    with pytest.raises(InvalidInput, match="is not 6 and the 0 leaf hashes"):
        service.sign_checkpoint(parse_request(invented_growth(size)))
    with pytest.raises(SignerRefused):
        service.sign_checkpoint(replace(request(6, 6), checkpoint=Checkpoint(ORIGIN, size, bytes(32))))
    assert parse_checkpoint(parse_note(service.sign_checkpoint(request(6, 20))).text) == at(20), "the log goes on"


def test_a_log_that_begins_shows_its_records_too(service: SigningService) -> None:
    with pytest.raises(SignerRefused):
        service.sign_checkpoint(replace(request(0, 0), checkpoint=Checkpoint(ORIGIN, 2**62, bytes(32))))
    assert service.latest(ORIGIN) is None


def test_subtrees_do_not_pass_as_leaves(service: SigningService) -> None:
    """A node's hash is no leaf's: a tree whose halves are given as its leaves has another root or another size."""
    service.sign_checkpoint(request(0, 4))
    halves = (node_hash(LEAVES[4], LEAVES[5]), node_hash(LEAVES[6], LEAVES[7]))
    for size in (6, 8):
        with pytest.raises(SignerRefused):
            service.sign_checkpoint(replace(request(4, 8), leaves=halves, checkpoint=at(size)))


def test_the_old_tree_must_be_the_one_that_was_signed(service: SigningService) -> None:
    service.sign_checkpoint(request(0, 7))
    forged = Frontier(7, tuple(leaf_hash(b"peak %d" % number) for number in range(3)))
    grown = forged.extend(LEAVES[7:9])
    with pytest.raises(SignerRefused) as caught:
        service.sign_checkpoint(
            Request(old=forged, leaves=tuple(LEAVES[7:9]), checkpoint=Checkpoint(ORIGIN, 9, grown.root()))
        )
    assert caught.value.context["reason"] == "fork"


def test_one_request_carries_a_bounded_number_of_records() -> None:
    many = [bytes(32)] * (MAX_LEAVES + 1)
    for old in (Frontier(), Frontier().extend(LEAVES)):
        found = parse_request(format_request(ORIGIN, old, many[:-1], bytes(32)))
        assert found.checkpoint.size == old.size + MAX_LEAVES
        with pytest.raises(InvalidInput):
            parse_request(format_request(ORIGIN, old, many, bytes(32)))


def test_a_witness_without_state_signs_no_unknown_history() -> None:
    assert judge(None, request(5, 10)) is Ruling.UNKNOWN_HISTORY
    assert judge(None, request(10, 10)) is Ruling.UNKNOWN_HISTORY
    assert judge(None, request(0, 10)) is Ruling.STORE_AND_SIGN


def test_how_many_logs_are_remembered_is_bounded(service: SigningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "MAX_LOGS", 3)
    for number in range(3):
        other = replace(at(2), origin=f"ledger.example/test/book-{number}")
        service.sign_checkpoint(replace(request(0, 2), checkpoint=other))
    with pytest.raises(SignerRefused) as caught:
        service.sign_checkpoint(request(0, 2))
    assert caught.value.context["reason"] == "logs"
    known = replace(at(4), origin="ledger.example/test/book-0")
    assert service.sign_checkpoint(replace(request(2, 4), checkpoint=known))


@pytest.mark.parametrize(
    "origin",
    ["ledger.example/test/", "ledger.example/test/A", "ledger.example/test/\ud800", "ledger.example/test/a/b", "",
     "ledger.example/test/x\n", "ledger.example/test/" + "x" * 100],
)  # fmt: skip
def test_what_is_no_origin_is_refused_and_never_looked_up(service: SigningService, origin: str) -> None:
    with pytest.raises(SignerRefused):
        service.latest(origin)
    with pytest.raises(SignerRefused):
        service.sign_dsse(PROOF_TYPE, json.dumps({"origin": origin}).encode())


# The state's compare-and-swap.


def test_the_state_moves_on_only_from_the_very_tree_that_was_judged(tmp_path: Path) -> None:
    state = WitnessState(tmp_path / "state.sqlite", create=True)
    assert state.swap(None, at(10))
    assert not state.swap(at(10, OTHER), at(20, OTHER)), "the same size, another root"
    assert not state.swap(at(9), at(20))
    assert not state.swap(replace(at(10), size=9), at(20)), "the same root, another size"
    assert not state.swap(None, at(20))
    assert (state.last(ORIGIN), state.generation) == (at(10), 1)
    assert state.swap(at(10), at(20))
    assert (state.last(ORIGIN), state.generation) == (at(20), 2)
    state.close()


# Keys.


def limited(service: SigningService, *, from_size: int, to_size: int | None, purposes: tuple[str, ...]) -> None:
    """Let the registry give the key this range of sizes and these purposes."""
    (record,) = service._ring.keys
    valid = (Validity(origin=ORIGIN, from_size=from_size, to_size=to_size),)
    keys = (replace(record, valid=valid, purposes=purposes),)
    service._ring = KeyRing(version=2, sha256="0" * 64, keys=keys)


BOTH = (CHECKPOINT_PURPOSE, DSSE_PURPOSE)


def refuses_the_key(service: SigningService, work: Any) -> None:
    before = service._signed
    with pytest.raises(SignerRefused) as caught:
        work()
    assert caught.value.context["reason"] == "key"
    assert service._signed == before, "nothing was signed on the way"


def test_a_key_signs_inside_its_range_and_nowhere_else(service: SigningService) -> None:
    limited(service, from_size=5, to_size=20, purposes=BOTH)
    refuses_the_key(service, lambda: service.sign_checkpoint(request(0, 4)))
    assert service.latest(ORIGIN) is None
    assert service.sign_checkpoint(request(0, 5))
    refuses_the_key(service, lambda: service.sign_checkpoint(request(5, 21)))
    assert parse_checkpoint(parse_note(service.sign_checkpoint(request(5, 20))).text) == at(20), "not stored either"


def test_a_key_whose_range_ended_signs_nothing_again(service: SigningService) -> None:
    service.sign_checkpoint(request(0, 10))
    manifest = manifest_of(10, at(10).root)
    limited(service, from_size=0, to_size=9, purposes=BOTH)
    refuses_the_key(service, lambda: service.sign_checkpoint(request(0, 10)))
    refuses_the_key(service, lambda: service.sign_checkpoint(request(0, 5)))
    refuses_the_key(service, lambda: service.latest(ORIGIN))
    refuses_the_key(service, lambda: service.sign_dsse(SEGMENT_TYPE, manifest))


def test_a_key_signs_what_it_is_for(service: SigningService) -> None:
    service.sign_checkpoint(request(0, 10))
    limited(service, from_size=0, to_size=None, purposes=(CHECKPOINT_PURPOSE,))
    refuses_the_key(service, lambda: service.sign_dsse(SEGMENT_TYPE, manifest_of(10, at(10).root)))
    limited(service, from_size=0, to_size=None, purposes=(DSSE_PURPOSE,))
    refuses_the_key(service, lambda: service.sign_checkpoint(request(10, 20)))


def test_a_key_that_the_registry_does_not_name_signs_nothing(service: SigningService) -> None:
    service._ring = KeyRing(version=2, sha256="0" * 64, keys=())
    refuses_the_key(service, lambda: service.sign_checkpoint(request(0, 10)))


# Manifests.


def manifest_of(size: object, root: object) -> bytes:
    shown = encode_base64(root) if isinstance(root, bytes) else root
    return json.dumps({"origin": ORIGIN, "tree": {"after": {"size": size, "root": shown}}}).encode()


@pytest.fixture
def notes(service: SigningService) -> dict[int, str]:
    return {new: service.sign_checkpoint(request(old, new)) for old, new in ((0, 10), (10, 20), (20, 30))}


def test_a_manifest_of_an_older_tree_needs_the_note_that_was_signed_of_it(
    service: SigningService, notes: dict[int, str]
) -> None:
    manifest = manifest_of(20, at(20).root)
    assert service.sign_dsse(SEGMENT_TYPE, manifest, checkpoint=notes[20]).payload == manifest
    assert service.sign_dsse(SEGMENT_TYPE, manifest_of(30, at(30).root))
    body, _, signatures = notes[20].partition("\n\n")
    unsigned = body.replace(encode_base64(at(20).root), encode_base64(at(20, OTHER).root)) + "\n\n" + signatures
    for size, root, note in (
        (20, at(20).root, None),
        (20, at(20).root, notes[10]),
        (20, at(20).root, notes[30]),
        (20, at(20, OTHER).root, notes[20]),
        (20, at(20, OTHER).root, None),
        (20, at(20, OTHER).root, unsigned),
        (15, at(15).root, None),
        (15, at(15).root, notes[20]),
        (1, bytes(32), None),
        (20, at(20).root, ""),
        (20, at(20).root, "\ud800"),
        (20, at(20).root, "x" * 100_000),
        (30, at(30, OTHER).root, notes[30]),
        (31, at(31).root, notes[30]),
        (2**62, bytes(32), notes[30]),
    ):
        with pytest.raises(SignerRefused):
            service.sign_dsse(SEGMENT_TYPE, manifest_of(size, root), checkpoint=note)


def test_another_logs_note_says_nothing_of_this_ones_manifest(service: SigningService, notes: dict[int, str]) -> None:
    other = replace(at(20, OTHER), origin="ledger.example/test/other")
    note = service.sign_checkpoint(replace(request(0, 20, OTHER), checkpoint=other))
    with pytest.raises(SignerRefused):
        service.sign_dsse(SEGMENT_TYPE, manifest_of(20, at(20, OTHER).root), checkpoint=note)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"[]", b"null", b"\xff", b"[" * 200_000, b'{"a":' * 200_000, b'{"origin":"ledger.example/test/main"}',
        b'{"origin":"ledger.example/test/main","tree":[]}', b'{"origin":"ledger.example/test/main","tree":{"after":7}}',
        b'{"origin":"ledger.example/test/main","origin":"ledger.example/test/main"}', b'{"origin":7}',
        b'{"origin":' + b"9" * 5000 + b"}",
        manifest_of(True, bytes(32)), manifest_of("10", bytes(32)), manifest_of(-1, bytes(32)),
        manifest_of(0, bytes(32)),
        manifest_of(10, 7), manifest_of(10, "AAAA"), manifest_of(10, "\ud800"), manifest_of(1.0, bytes(32)),
    ],
    ids=lambda payload: payload[:30].decode("latin-1"),
)  # fmt: skip
def test_what_is_no_manifest_is_refused_by_name(service: SigningService, notes: dict[int, str], payload: bytes) -> None:
    with pytest.raises(InvalidInput):
        service.sign_dsse(SEGMENT_TYPE, payload)


def test_what_was_signed_last_is_said_without_a_signature_also_while_one_hangs(tmp_path: Path) -> None:
    """Whoever ends a key asks it, and the key may be switched off, or hang, by then."""
    service = open_service(
        tmp_path / "signer",
        trust_path=tmp_path / "trust.json",
        origin_prefix="ledger.example/test/",
        settings=SignerSettings(env="test"),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert service.remembered() == {}
    before = service.health()["signatures"]
    with service._lock:  # as while a back-end does not answer
        assert service.remembered() == {}
        assert len(service.keys()) == 1
    assert service.health()["signatures"] == before + 1
    service.close()
