"""What a change of keys is made of: the signer's folder in hand, and what is shown of the logs from outside it.

The folder is held by whoever changes keys, on the host where the proxy runs: a desk in a home (`desk.py`), or the
command of that host (`host.py`). What lies in the database and in the archive comes from beside it or in a file, and
may withhold, never lie: a line of a key is verified, a tree is recomputed or proved. No database here, no settings of
the ledger's.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ledger_core.log.dsse import Envelope
from ledger_core.log.keys import KeyRing, TrustFile
from ledger_core.log.note import Checkpoint, NoteSignature, PublicKey
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.folder import STATE_FILE
from ledger_core.signing.state import WitnessState


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


def remembered(folder: Path) -> dict[str, Checkpoint]:
    """Return by log what the witness signed last, out of its file: nothing is signed for it, and no proxy needed."""
    with closing(WitnessState(folder / STATE_FILE, create=False)) as state:
        return state.all()
