"""Several files of keys in one verification: which one judges, which are forks, and which say nothing."""

from __future__ import annotations

import dataclasses
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.errors import IntegrityError, InvalidInput
from ledger_core.log import registries
from ledger_core.log.dsse import KEYS_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.keys import TrustFile, registry_payload, resolve_keys
from ledger_core.log.registries import Registries, registry_failure
from ledger_core.signing.backends.software import SoftwareKey


def digest(envelope: Envelope) -> str:
    return sha256(envelope.payload).hexdigest()


@pytest.fixture
def chain(log: Any) -> list[Envelope]:
    """Three documents that follow each other."""
    for _ in range(2):
        log.registry.append(log.add_registry())
    return list(log.registry)


def folder(tmp_path: Path, *documents: Envelope | bytes, name: str = "one") -> Path:
    path = tmp_path / name
    path.mkdir(exist_ok=True)
    lines = [each if isinstance(each, bytes) else each.to_bytes() for each in documents]
    (path / "keys.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (3, 1, 2)])
def test_the_chain_that_reaches_furthest_judges_in_whatever_order_they_come(
    log: Any, chain: list[Envelope], tmp_path: Path, order: tuple[int, ...]
) -> None:
    seen = Registries(log.trust)
    assert seen.newest is None
    for count, length in enumerate(order, start=1):
        ring = seen.read(folder(tmp_path, *chain[:length], name=str(length)))
        assert ring is not None
        assert ring.version == length, "an old segment brings an old file rightly"
        assert seen.newest is not None
        assert seen.newest.version == max(order[:count])


def test_nothing_judges_before_the_pinned_version_is_reached(log: Any, chain: list[Envelope], tmp_path: Path) -> None:
    seen = Registries(dataclasses.replace(log.trust, registry_version=2))
    old = folder(tmp_path, chain[0], name="old")
    for ask in (lambda: seen.read(old), lambda: seen.resolve(chain[:1])):
        with pytest.raises(IntegrityError) as refused:
            ask()
        assert refused.value.context["verdict"] == "truncated"
        assert seen.newest is None
    assert seen.resolve(chain[:2]).version == 2
    assert seen.newest is not None
    for ring in (seen.read(old), seen.resolve(chain[:1])):
        assert ring is not None
        assert ring.version == 1


def test_each_file_is_resolved_once_however_many_segments_bring_it(
    log: Any, chain: list[Envelope], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def count(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        return resolve_keys(*arguments, **options)

    monkeypatch.setattr(registries, "resolve_keys", count)
    seen = Registries(log.trust)
    same = [folder(tmp_path, *chain, name=str(number)) for number in range(5)]
    seen.add_folders([*same, folder(tmp_path, chain[0], name="short")])
    assert len(asked) == 2
    assert seen.read(same[0]) is seen.read(same[4])
    assert len(asked) == 2


def test_a_file_that_is_gone_or_broken_is_passed_over_where_all_are_taken_in(
    log: Any, chain: list[Envelope], tmp_path: Path
) -> None:
    (tmp_path / "none").mkdir()
    stranger = type(log)()
    broken = [folder(tmp_path, b"nonsense", name="nonsense"), folder(tmp_path, *stranger.registry, name="stranger")]
    seen = Registries(log.trust)
    seen.add_folders([tmp_path / "none", *broken, folder(tmp_path, *chain, name="sound")])
    assert seen.newest is not None
    assert seen.newest.version == 3
    assert seen.read(tmp_path / "none") is None
    with pytest.raises(InvalidInput):
        seen.read(broken[0])
    with pytest.raises(IntegrityError):
        seen.read(broken[1])


def test_the_newest_chain_says_which_of_two_documents_is_the_fork(log: Any, chain: list[Envelope]) -> None:
    twin = log.add_registry(version=1)
    other_end = log.add_registry(previous=chain[1], created_at="2026-04-01T00:00:00.000000Z")
    for order in ([[twin], chain], [chain, [twin]], [[twin], chain[:1], chain], [chain, [twin], [twin]]):
        seen = Registries(log.trust)
        rings = [seen.resolve(documents) for documents in order]
        assert not seen.fork(1, digest(chain[0]))
        assert seen.fork(1, digest(twin))
        assert [seen.forked_version(ring) for ring in rings] == [1 if [twin] == each else None for each in order]
    seen = Registries(log.trust)
    ours, theirs = seen.resolve(chain), seen.resolve([*chain[:2], other_end])
    assert (seen.forked_version(ours), seen.forked_version(theirs)) == (None, 3), "the first that was seen stays"
    assert not seen.fork(9, "0" * 64), "nothing is known of it"


def moved(log: Any, key: SoftwareKey, *signers: SoftwareKey) -> Envelope:
    """Return the next document, in which `key` is the only root."""
    payload = registry_payload(
        version=2,
        previous_sha256=digest(log.registry[0]),
        roots=[key.public_key],
        threshold=1,
        keys=[],
        created_at="2026-03-01T00:00:00.000000Z",
    )
    data = pae(KEYS_TYPE, payload)
    return Envelope(KEYS_TYPE, payload, tuple(EnvelopeSignature(k.public_key.key_id, k.sign(data)) for k in signers))


def test_a_file_from_before_the_pinned_roots_is_as_good_as_what_they_signed_leads_back_to_it(log: Any) -> None:
    new = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    second = moved(log, new, log.root_key, new)
    trust = TrustFile(origin=log.trust.origin, threshold=1, roots=(new.public_key,), registry_version=2)
    seen = Registries(trust)
    old, twin = log.registry, [log.add_registry(version=1)]
    for _ in range(2):
        with pytest.raises(IntegrityError, match="no key registry document is signed by the pinned roots"):
            seen.resolve(old)
    newest = seen.resolve([*old, second])
    assert seen.resolve(old) is newest
    for strange in (twin, [*old, *twin], []):
        with pytest.raises(IntegrityError):
            seen.resolve(strange)
    # Whichever file showed that they do.
    seen = Registries(trust)
    newest = seen.resolve([second])
    with pytest.raises(IntegrityError):
        seen.resolve(old)
    seen.resolve([*old, second])
    assert seen.resolve(old) is newest
    # Of what they lead back to, not of what lay before them in the file by chance.
    seen = Registries(trust)
    seen.resolve([*twin, second])
    with pytest.raises(IntegrityError):
        seen.resolve(twin)


def test_what_is_wrong_with_a_registry_is_told_by_what_refused_it(log: Any) -> None:
    seen = Registries(dataclasses.replace(log.trust, registry_version=7))
    told = []
    for documents in (log.registry, type(log)().registry, [log.envelope("other", b"{}")]):
        try:
            seen.resolve(documents)
        except (IntegrityError, InvalidInput) as error:
            told.append(registry_failure(error, "here").verdict)
    assert told == ["truncated", "bad_signature", "edited"]
    assert json.loads(log.registry[0].payload)["version"] == 1
