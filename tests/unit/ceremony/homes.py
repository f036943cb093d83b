"""A home whose keys are changed: its proxy started and used, and the desk at which a change is installed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ledger_core.base.objects.file import FileStore
from ledger_core.ceremony.desk import Desk
from ledger_core.ceremony.install import install
from ledger_core.ceremony.offline import sign_draft
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import (
    Checkpoint,
)
from ledger_core.log.record import format_time
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.backends import software
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.documents import next_document, rotated
from ledger_core.signing.service import SigningService
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


@contextlib.contextmanager
def desk_of(home: Path) -> Iterator[Desk]:
    wiring: Any = SimpleNamespace(trust_path=home / "trust.json", archive=FileStore(home / "archive"), home=home)
    with Desk.read(home / "signer", home / "trust.json", runtime=wiring) as desk:
        yield desk


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
