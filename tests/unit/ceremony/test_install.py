"""A change of keys in the signer's folder, killed at every durable step: the proxy's next start goes on from there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger_core.ceremony import install as installing
from ledger_core.ceremony.carried import Carried, LogProof
from ledger_core.ceremony.desk import Desk
from ledger_core.ceremony.install import install
from ledger_core.ceremony.offline import sign_draft
from ledger_core.ceremony.record import _body
from ledger_core.errors import ConfigurationError, Refused
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.keys import TrustFile
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import (
    Checkpoint,
    parse_checkpoint,
    parse_note,
)
from ledger_core.log.record import MAX_RECORD_BYTES, format_time
from ledger_core.log.registry import Validity
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.backends import software
from ledger_core.signing.documents import compromised, next_document, rotated
from ledger_core.signing.takeover import describe, drop_next_key, open_successor
from tests.unit.ceremony.homes import LEAVES, MAIN, NOW, PREFIX, SIDE, desk_of, ring_of, rotate, sign, start


class Killed(BaseException):
    pass


def durable_steps(monkeypatch: pytest.MonkeyPatch, at: int | None) -> list[int]:
    """Let the durable step number `at` be the last of this process; count them."""
    counted = [0]

    def watch(real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **more: Any) -> Any:
            counted[0] += 1
            if at is not None and counted[0] >= at:
                raise Killed
            return real(*args, **more)

        return run

    for name in ("fsync", "fdatasync", "pwrite", "replace", "unlink"):
        monkeypatch.setattr(os, name, watch(getattr(os, name)))
    return counted


def test_a_rotation_killed_at_any_durable_step_is_either_not_made_or_made(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each, the proxy starts and signs on from its memory; what was not made is made by the same again."""
    with monkeypatch.context() as patched:
        counted = durable_steps(patched, None)
        shutil.copytree(home, tmp_path / "whole")
        rotate(tmp_path / "whole")
    steps = counted[0]
    assert steps > 20, steps

    first = ring_of(home).keys[0].key.key_id
    made = 0
    for at in range(1, steps + 1):
        copy = tmp_path / f"killed-at-{at}"
        shutil.copytree(home, copy)
        with monkeypatch.context() as patched:
            durable_steps(patched, at)
            with pytest.raises(Killed):
                rotate(copy)
        service = start(copy)
        if service.health()["registry_version"] == 1:
            assert service.health()["key_id"] == first
            service.close()
            rotate(copy)
            service = start(copy)
        else:
            made += 1
        health = service.health()
        assert (health["registry_version"], health["signed_sizes"]) == (2, {MAIN: 10, SIDE: 3}), f"killed at {at}"
        assert health["key_id"] != first
        note = parse_note(sign(service, MAIN, 10, 12))
        assert ring_of(copy).judge_checkpoint(note, parse_checkpoint(note.text)).verdict is None
        assert not (copy / "signer" / "next.pem").exists()
        service.close()
    assert 0 < made < steps, "the change is made at one of the steps in between"


def test_an_older_copy_of_the_memory_is_refused_across_a_rotation(home: Path) -> None:
    state = home / "signer" / "state.sqlite"
    older = state.read_bytes()
    service = start(home)
    sign(service, MAIN, 10, 12)
    service.close()
    rotate(home)
    state.write_bytes(older)
    with pytest.raises(ConfigurationError, match="it is an older copy"):
        start(home)


def test_a_document_that_would_lose_a_key_or_let_none_sign_is_not_installed(home: Path) -> None:
    def without_any(desk: Desk) -> bytes:
        return next_document(desk.ring, [], created_at="")

    with pytest.raises(Refused, match="forgotten"):
        rotate(home, payload=without_any)

    def ended(desk: Desk) -> bytes:
        return next_document(desk.ring, [replace(desk.ring.keys[0], status="retired")], created_at="")

    with pytest.raises(Refused, match="no key would sign"):
        rotate(home, payload=ended)

    def of_another_key(desk: Desk) -> bytes:
        other = software.load_or_create(desk.folder.parent / "other.pem")
        keys = rotated(desk.ring.keys, describe(other), desk.state.sizes(), f"{PREFIX}*")
        return next_document(desk.ring, keys, created_at="")

    with pytest.raises(Refused, match="the key here is"):
        rotate(home, payload=of_another_key)

    def with_a_wildcard(desk: Desk) -> bytes:
        successor = describe(open_successor(desk.folder, desk.settings, desk.ring))
        old, new = rotated(desk.ring.keys, successor, desk.state.sizes(), f"{PREFIX}*")
        part = Validity(origin=f"{PREFIX}*", from_size=0, to_size=5)
        return next_document(desk.ring, [replace(old, valid=(*old.valid, part)), new], created_at="")

    with pytest.raises(Refused, match="in logs that are opened later"):
        rotate(home, payload=with_a_wildcard)

    def of_before_a_log_was_opened(desk: Desk) -> bytes:
        successor = describe(open_successor(desk.folder, desk.settings, desk.ring))
        sizes = {MAIN: desk.state.sizes()[MAIN]}
        return next_document(
            desk.ring, rotated(desk.ring.keys, successor, sizes, f"{PREFIX}*", window=9), created_at=""
        )

    with pytest.raises(Refused, match="side was opened since"):
        rotate(home, payload=of_before_a_log_was_opened)
    assert ring_of(home).version == 1
    start(home).close()


def test_a_draft_that_says_a_key_is_kept_otherwise_than_it_is_is_not_installed(home: Path) -> None:
    """Its description was changed on its way: every proof would call a key in a file one in a module."""
    for told in ({"assurance": "hsm"}, {"backend": "pkcs11"}):

        def swapped(desk: Desk, told: dict[str, str] = told) -> bytes:
            successor = replace(describe(open_successor(desk.folder, desk.settings, desk.ring)), **told)
            keys = rotated(desk.ring.keys, successor, desk.state.sizes(), f"{PREFIX}*")
            return next_document(desk.ring, keys, created_at="")

        with pytest.raises(Refused, match=r"the key here is [0-9a-f]{16} \(software, software\)"):
            rotate(home, payload=swapped)
    assert ring_of(home).version == 1
    rotate(home)


def stolen_payload(desk: Desk, good: Checkpoint) -> bytes:
    successor = describe(open_successor(desk.folder, desk.settings, desk.ring, fresh=True))
    keys = compromised(desk.ring.keys, desk.ring.keys[0], {good.origin: good}, f"{PREFIX}*", successor=successor)
    return next_document(desk.ring, keys, created_at=format_time(NOW))


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [(MAIN, 11, None), (MAIN, 10, bytes(32)), (SIDE, 4, None), (f"{PREFIX}other", 2, None)],
)
def test_a_draft_that_calls_good_what_was_not_signed_here_is_not_installed(
    home: Path, origin: str, size: int, root: bytes | None
) -> None:
    good = Checkpoint(origin, size, root or Frontier().extend(LEAVES[:size]).root())
    with pytest.raises(Refused, match="calls good a tree that was not signed here"):
        rotate(home, payload=lambda desk: stolen_payload(desk, good))
    assert ring_of(home).version == 1
    start(home).close()


def test_what_others_wrote_does_not_make_a_statement_too_large_for_the_log(home: Path) -> None:
    good = Checkpoint(MAIN, 10, Frontier().extend(LEAVES[:10]).root())
    places = tuple(f"s3://{number % 40}/\0\ud800{'é' * 20_000}" for number in range(400))
    proofs = [
        LogProof(tip=good, places=("s3://a/b", "s3://a/b", *places), why_not="\1" * 100_000),
        LogProof(tip=Checkpoint(SIDE, 3, Frontier().extend(LEAVES[:3]).root()), why_not="\1" * 100_000),
    ]
    with desk_of(home) as desk:
        seat: Any = SimpleNamespace(
            folder=desk.folder, state=desk.state, trust=desk.trust, trust_path=desk.trust_path,
            registry=desk.registry, ring=desk.ring, settings=desk.settings, now=lambda: NOW,
            shown=Carried(logs=tuple(proofs)),
        )  # fmt: skip
        payload = stolen_payload(desk, good)
        change = install(seat, sign_draft(payload, software.load(desk.folder / "root.pem")))
    for item in change.logs.values():
        assert len(canonical_bytes(_body(change, item))) < MAX_RECORD_BYTES - 4096
    said = json.loads(parse_envelope((change.logs[MAIN].statement or "").encode()).payload)
    assert (said["evidence"][0], len(said["evidence"]), len(set(said["evidence"]))) == ("s3://a/b", 8, 8)
    assert len(said["why_not_reattested"]) == 500


def test_settings_that_are_not_set_do_not_make_a_key_in_a_file_follow_one_that_is_kept_elsewhere(home: Path) -> None:
    with desk_of(home) as desk:
        (first,) = desk.ring.keys
        ring = replace(desk.ring, keys=(replace(first, backend="pkcs11", assurance="hsm"),))
        before = set(desk.folder.iterdir())
        with pytest.raises(ConfigurationError, match="COUNTERFOIL_SIGNING__BACKEND is software, or is not set"):
            open_successor(desk.folder, SignerSettings(), ring, fresh=True)
        assert set(desk.folder.iterdir()) == before


def test_a_version_that_makes_the_registry_larger_than_verifiers_read_is_not_installed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (home / "signer" / "keys.jsonl").read_bytes()
    monkeypatch.setattr(installing, "MAX_KEYS_BYTES", len(before) + 500)
    with pytest.raises(Refused, match="verifiers read"):
        rotate(home)
    assert (home / "signer" / "keys.jsonl").read_bytes() == before
    monkeypatch.undo()
    rotate(home)
    start(home).close()


def test_the_trust_file_keeps_whose_time_stamps_are_believed(home: Path) -> None:
    path, stampers = home / "trust.json", ("-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n",)
    path.write_text(json.dumps(replace(TrustFile.load(path), timestamp_roots=stampers).as_json()))
    rotate(home)
    found = TrustFile.load(path)
    assert (found.timestamp_roots, found.registry_version) == (stampers, 2)


def test_a_fresh_successor_is_none_that_lay_ready_and_the_key_that_signs_is_never_dropped(home: Path) -> None:
    with desk_of(home) as desk:
        ready = open_successor(desk.folder, desk.settings, desk.ring).public_key.key_id
        assert open_successor(desk.folder, desk.settings, desk.ring).public_key.key_id == ready
        assert open_successor(desk.folder, desk.settings, desk.ring, fresh=True).public_key.key_id != ready
        signs = desk.folder / "key.pem"
        data = signs.read_bytes()
        signs.rename(desk.folder / "next.pem")  # as a change that was killed leaves it
        drop_next_key(desk.folder, desk.ring)
        assert signs.read_bytes() == data
        assert not (desk.folder / "next.pem").exists()
    start(home).close()
