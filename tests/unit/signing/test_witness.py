"""The witness's rules, and the service that stores before it signs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger_core.errors import ConfigurationError, IntegrityError, InvalidInput, SignerMovedOn, SignerRefused
from ledger_core.log.dsse import KEYS_TYPE, PROOF_TYPE, SEGMENT_TYPE, parse_envelope
from ledger_core.log.keys import TrustFile, resolve_keys
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import Checkpoint, encode_base64, parse_checkpoint, parse_note
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.service import SigningService
from ledger_core.signing.state import WitnessState
from ledger_core.signing.witness import Request, Ruling, format_request, judge, parse_request

ORIGIN = "ledger.example/test/main"
LEAVES = [leaf_hash(b"%d" % number) for number in range(50)]


def at(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(ORIGIN, size, Frontier().extend(leaves[:size]).root())


def request(old: int, new: int, leaves: list[bytes] = LEAVES) -> Request:
    frontier = Frontier().extend(leaves[:old])
    return Request(old=frontier, leaves=tuple(leaves[old:new]), checkpoint=at(new, leaves))


OTHER = [*LEAVES[:5], leaf_hash(b"rewritten"), *LEAVES[6:]]


@pytest.mark.parametrize(
    ("last", "asked", "ruling"),
    [
        (None, request(0, 10), Ruling.STORE_AND_SIGN),
        (None, request(5, 10), Ruling.UNKNOWN_HISTORY),
        (at(10), request(10, 20), Ruling.STORE_AND_SIGN),
        (at(10), request(10, 10), Ruling.SIGN_AGAIN),
        (at(10), request(0, 10), Ruling.SIGN_AGAIN),
        (at(10), request(4, 5), Ruling.ANSWER_LAST),
        (at(10), request(5, 20), Ruling.MOVED_ON),
        (at(10), request(0, 20), Ruling.MOVED_ON),
        (at(10), request(15, 20), Ruling.MOVED_ON),
        (at(10), request(10, 10, OTHER), Ruling.FORK),
        (at(10), request(10, 20, OTHER), Ruling.FORK),
        (at(10), replace(request(10, 20), leaves=()), Ruling.FORK),
        (at(10), replace(request(10, 20), leaves=tuple(LEAVES[10:19])), Ruling.FORK),
        (at(10), replace(request(10, 20), leaves=tuple(LEAVES[11:21])), Ruling.FORK),
        (at(10), replace(request(10, 20), checkpoint=at(21)), Ruling.FORK),
        (at(10), replace(request(10, 20), checkpoint=Checkpoint(ORIGIN, 2**62, at(20).root)), Ruling.FORK),
        (None, replace(request(0, 10), checkpoint=at(9)), Ruling.FORK),
        (None, Request(old=Frontier(), leaves=(), checkpoint=Checkpoint(ORIGIN, 2**62, bytes(32))), Ruling.FORK),
    ],
)
def test_a_log_may_grow_and_nothing_else(last: Checkpoint | None, asked: Request, ruling: Ruling) -> None:
    assert judge(last, asked) is ruling


def test_a_request_survives_its_bytes() -> None:
    asked = request(10, 20)
    found = asked.checkpoint
    assert parse_request(format_request(ORIGIN, asked.old, asked.leaves, found.root)) == asked


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"old 1",
        b"old 01\n\n" + b"x",
        b"old -1\n\n" + f"{ORIGIN}\n2\n{encode_base64(bytes(32))}\n".encode(),
        b"old 1\nAAAA\n\n" + f"{ORIGIN}\n2\n{encode_base64(bytes(32))}\n".encode(),
        b"old 0\n\n" + f"{ORIGIN}\n0\n{encode_base64(bytes(32))}\n".encode(),
        b"old 0\n\n" + f"{ORIGIN}\n2\n{encode_base64(bytes(31))}\n".encode(),
        b"old 0\n\n" + f"{ORIGIN}\n2\n{encode_base64(bytes(32))}\nextension\n".encode(),
        b"old 1\n"
        + f"{encode_base64(bytes(32))}\n".encode() * 64
        + f"\n{ORIGIN}\n2\n{encode_base64(bytes(32))}\n".encode(),
        b"\xff",
        b"x" * 70_000,
    ],
)
def test_a_malformed_request_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_request(data)


def start(folder: Path, env: str = "test") -> SigningService:
    return open_service(
        folder / "signer",
        trust_path=folder / "trust.json",
        origin_prefix="ledger.example/test/",
        settings=SignerSettings(env=env),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SigningService]:
    service = start(tmp_path)
    yield service
    service.close()


def test_a_signature_counts_under_the_trust_file_of_the_first_start(service: SigningService, tmp_path: Path) -> None:
    note = parse_note(service.sign_checkpoint(request(0, 10)))
    trust = TrustFile.load(tmp_path / "trust.json")
    ring = resolve_keys(trust, map(parse_envelope, service.keys()))
    judgement = ring.judge_checkpoint(note, parse_checkpoint(note.text))
    assert judgement.verdict is None
    assert judgement.signers[0].assurance == "software"


def test_state_is_stored_before_the_signature_is_made(service: SigningService, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[Checkpoint | None] = []
    state, sign = service._state, service._backend.sign

    def watched(message: bytes) -> bytes:
        stored.append(state.last(ORIGIN))
        return sign(message)

    monkeypatch.setattr(service._backend, "sign", watched)
    service.sign_checkpoint(request(0, 10))
    assert stored == [at(10)]


def test_a_restarted_service_signs_the_same_again_and_refuses_a_fork(tmp_path: Path) -> None:
    first = start(tmp_path)
    note = first.sign_checkpoint(request(0, 10))
    first.close()
    second = start(tmp_path)
    assert parse_note(second.sign_checkpoint(request(0, 10))).text == parse_note(note).text
    with pytest.raises(SignerRefused) as caught:
        second.sign_checkpoint(request(10, 10, OTHER))
    assert caught.value.context["reason"] == "fork"
    latest = second.latest(ORIGIN)
    assert latest is not None
    assert parse_note(latest).text == parse_note(note).text
    second.close()


def test_a_smaller_size_gets_the_last_checkpoint(service: SigningService) -> None:
    service.sign_checkpoint(request(0, 10))
    assert parse_checkpoint(parse_note(service.sign_checkpoint(request(0, 5))).text) == at(10)


def test_a_proof_from_another_size_gets_the_size_to_prove_from(service: SigningService) -> None:
    service.sign_checkpoint(request(0, 10))
    with pytest.raises(SignerMovedOn) as caught:
        service.sign_checkpoint(request(5, 20))
    assert caught.value.latest is not None
    assert parse_checkpoint(parse_note(caught.value.latest).text) == at(10)
    assert parse_checkpoint(parse_note(service.sign_checkpoint(request(10, 20))).text) == at(20)


def test_an_origin_outside_the_prefix_is_refused(service: SigningService) -> None:
    for origin in ("ledger.example/prod/main", "ledger.example/test2/main"):
        with pytest.raises(SignerRefused) as caught:
            service.sign_checkpoint(replace(request(0, 1), checkpoint=replace(at(1), origin=origin)))
        assert caught.value.context["reason"] == "origin"


def test_only_listed_types_are_put_in_an_envelope(service: SigningService) -> None:
    payload = json.dumps({"origin": ORIGIN}).encode()
    assert service.sign_dsse(PROOF_TYPE, payload).payload == payload
    for payload_type in (KEYS_TYPE, "text/plain", ORIGIN, "application/vnd.counterfoil.health.v1+json"):
        with pytest.raises(SignerRefused):
            service.sign_dsse(payload_type, payload)
    with pytest.raises(SignerRefused):
        service.sign_dsse(PROOF_TYPE, b'{"origin":"elsewhere.example/test/main"}')
    with pytest.raises(InvalidInput):
        service.sign_dsse(PROOF_TYPE, b"[]")


def test_a_manifest_of_a_tree_that_was_not_signed_is_refused(service: SigningService) -> None:
    service.sign_checkpoint(request(0, 10))

    def manifest(size: int, root: bytes) -> bytes:
        tree = {"after": {"size": size, "root": encode_base64(root)}}
        return json.dumps({"origin": ORIGIN, "tree": tree}).encode()

    assert service.sign_dsse(SEGMENT_TYPE, manifest(10, at(10).root))
    for size, root in ((11, at(11).root), (10, at(11).root)):
        with pytest.raises(SignerRefused):
            service.sign_dsse(SEGMENT_TYPE, manifest(size, root))


def test_a_back_end_that_signs_wrongly_is_found_out(service: SigningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service._backend, "sign", lambda message: b"\x30\x06\x02\x01\x01\x02\x01\x01")
    with pytest.raises(IntegrityError, match="does not verify"):
        service.health()


def test_health_makes_a_signature(service: SigningService) -> None:
    before = service.health()["signatures"]
    assert service.health()["signatures"] == before + 1


def test_production_refuses_the_software_key_before_it_looks_at_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="production"):
        start(tmp_path, env="production")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("elsewhere", [False, True], ids=["key-here", "key-elsewhere"])
def test_a_key_without_its_state_is_not_used(tmp_path: Path, elsewhere: bool) -> None:
    start(tmp_path).close()
    if elsewhere:  # as with a back-end that leaves no file: the registry says that there was a key
        (tmp_path / "signer" / "key.pem").unlink()
    for path in (tmp_path / "signer").glob("state.sqlite*"):
        path.unlink()
    with pytest.raises(ConfigurationError, match="no record of what it signed"):
        start(tmp_path)


def test_a_trust_file_that_pins_another_root_is_not_replaced(tmp_path: Path) -> None:
    start(tmp_path / "one").close()
    start(tmp_path / "two").close()
    pinned = (tmp_path / "two" / "trust.json").read_bytes()
    (tmp_path / "one" / "trust.json").write_bytes(pinned)
    with pytest.raises(ConfigurationError, match="another root"):
        start(tmp_path / "one")
    assert (tmp_path / "one" / "trust.json").read_bytes() == pinned


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    start(tmp_path).close()
    (tmp_path / "signer" / "key.pem").chmod(0o644)
    with pytest.raises(ConfigurationError, match="mode 0644"):
        start(tmp_path)


def test_files_of_the_first_start_are_private(service: SigningService, tmp_path: Path) -> None:
    folder = tmp_path / "signer"
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("key.pem", "root.pem", "state.sqlite"):
        assert (folder / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("lost", ["root.pem", "keys.jsonl", "trust.json"])
def test_a_first_start_that_was_killed_is_continued(tmp_path: Path, lost: str) -> None:
    """Files appear in the order state, key, root, registry, trust: whatever is missing from some point on is made."""
    order = ["key.pem", "root.pem", "keys.jsonl", "trust.json"]
    start(tmp_path).close()
    for name in order[order.index(lost) :]:
        (tmp_path / (name if name == "trust.json" else f"signer/{name}")).unlink()
    service = start(tmp_path)
    assert service.sign_checkpoint(request(0, 3))
    service.close()


def test_two_proxies_on_one_state_cannot_sign_two_histories(tmp_path: Path) -> None:
    one = WitnessState(tmp_path / "state.sqlite", create=True)
    two = WitnessState(tmp_path / "state.sqlite", create=False)
    assert one.swap(None, at(10))
    assert not two.swap(None, at(10, OTHER))
    assert one.swap(at(10), at(20))
    assert not two.swap(at(10), at(20, OTHER))
    assert two.last(ORIGIN) == at(20)
    one.close()
    two.close()
