"""A change of keys in the signer's folder, killed at every durable step: the proxy's next start goes on from there."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger_core.base.objects.file import FileStore
from ledger_core.ceremony.desk import Desk
from ledger_core.ceremony.install import install
from ledger_core.ceremony.offline import sign_draft
from ledger_core.errors import ConfigurationError, Refused
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import Checkpoint, parse_checkpoint, parse_note
from ledger_core.log.record import format_time
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.backends import software
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.documents import next_document, rotated
from ledger_core.signing.service import SigningService
from ledger_core.signing.state import WitnessState
from ledger_core.signing.takeover import describe, open_successor, read_registry
from ledger_core.signing.witness import Request

PREFIX = "ledger.example/test/"
MAIN, SIDE = f"{PREFIX}main", f"{PREFIX}side"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LEAVES = [leaf_hash(b"%d" % number) for number in range(20)]


def start(home: Path) -> SigningService:
    """What the proxy does when it starts."""
    return open_service(
        home / "signer",
        trust_path=home / "trust.json",
        origin_prefix=PREFIX,
        settings=SignerSettings(),
        clock=lambda: NOW,
    )


def sign(service: SigningService, origin: str, old: int, new: int) -> str:
    frontier = Frontier().extend(LEAVES[:old])
    grown = frontier.extend(LEAVES[old:new])
    return service.sign_checkpoint(
        Request(old=frontier, leaves=tuple(LEAVES[old:new]), checkpoint=Checkpoint(origin, new, grown.root()))
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose proxy has signed two logs."""
    made = tmp_path / "home"
    made.mkdir()
    service = start(made)
    sign(service, MAIN, 0, 10)
    sign(service, SIDE, 0, 3)
    service.close()
    return made


@contextlib.contextmanager
def desk_of(home: Path) -> Iterator[Desk]:
    folder, trust = home / "signer", TrustFile.load(home / "trust.json")
    registry = read_registry(folder)
    state = WitnessState(folder / "state.sqlite", create=False)
    wiring: Any = SimpleNamespace(trust_path=home / "trust.json", archive=FileStore(home / "archive"), home=home)
    try:
        yield Desk(
            runtime=wiring,
            folder=folder,
            state=state,
            trust=trust,
            registry=registry,
            ring=resolve_keys(trust, registry),
            settings=SignerSettings(),
        )
    finally:
        state.close()


def rotate(home: Path, *, payload: Callable[[Desk], bytes] | None = None) -> None:
    with desk_of(home) as desk:
        if payload is None:
            successor = describe(open_successor(desk.folder, desk.settings, desk.ring))
            keys = rotated(desk.ring.keys, successor, desk.state.sizes(), f"{PREFIX}*")
            made = next_document(desk.ring, keys, created_at=format_time(NOW))
        else:
            made = payload(desk)
        install(desk, sign_draft(made, software.load(desk.folder / "root.pem")))


def ring_of(home: Path) -> KeyRing:
    return resolve_keys(TrustFile.load(home / "trust.json"), read_registry(home / "signer"))


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
    assert ring_of(home).version == 1
    start(home).close()
