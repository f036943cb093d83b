"""What a change of keys is made of: the signer's folder in hand, and what is shown of the logs from outside it.

The folder is held by whoever changes keys, on the host where the proxy runs: a desk in a home (`desk.py`), or the
command of that host (`host.py`). What lies in the database and in the archive comes from beside it or in a file, and
may withhold, never lie: a line of a key is verified, a tree is recomputed or proved. No database here, no settings of
the ledger's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Self

from ledger_core.log.dsse import Envelope
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.note import Checkpoint, NoteSignature, PublicKey
from ledger_core.settings.signer import SignerSettings, load_signer_settings
from ledger_core.signing.folder import STATE_FILE
from ledger_core.signing.state import WitnessState
from ledger_core.signing.takeover import read_registry


class Shown(Protocol):
    """What is known outside the signer's folder of the logs that are signed there."""

    def former_lines(self, key: PublicKey, last: Checkpoint) -> list[NoteSignature]:
        """Return the line of `key`, which ends, over `last`, as it is stored elsewhere; none where it is not."""
        ...

    def why_not_proved(self, good: Checkpoint | None, tip: Checkpoint) -> str | None:
        """Return why the tree `tip` is not shown to contain `good`, None when it is."""
        ...

    def places(self, good: Checkpoint) -> list[str]:
        """Return where `good` lies as evidence."""
        ...


class Seat(Protocol):
    """The folder under its lock, and what its registry says to whom the trust file pins."""

    @property
    def folder(self) -> Path: ...

    @property
    def state(self) -> WitnessState: ...

    @property
    def trust(self) -> TrustFile: ...

    @property
    def trust_path(self) -> Path: ...

    @property
    def registry(self) -> list[Envelope]: ...

    @property
    def ring(self) -> KeyRing: ...

    @property
    def settings(self) -> SignerSettings: ...

    @property
    def shown(self) -> Shown: ...

    def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a folder that is held consists of; what is shown beside it, and the time, are the holder's to add."""

    folder: Path
    state: WitnessState
    trust: TrustFile
    trust_path: Path
    registry: list[Envelope]
    ring: KeyRing
    settings: SignerSettings

    @classmethod
    @contextmanager
    def read(cls, folder: Path, trust_path: Path, **more: Any) -> Iterator[Self]:
        """Read the folder, which the caller holds, and keep its memory open; `more` is what a holder adds."""
        with closing(WitnessState(folder / STATE_FILE, create=False)) as state:
            trust, registry = TrustFile.load(trust_path), read_registry(folder)
            yield cls(
                folder=folder,
                state=state,
                trust=trust,
                trust_path=trust_path,
                registry=registry,
                ring=resolve_keys(trust, registry),
                settings=load_signer_settings(),
                **more,
            )


def remembered(folder: Path) -> dict[str, Checkpoint]:
    """Return by log what the witness signed last, out of its file: nothing is signed for it, and no proxy needed."""
    with closing(WitnessState(folder / STATE_FILE, create=False)) as state:
        return state.all()
