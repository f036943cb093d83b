"""What this home shows of its logs for a change of keys: out of its database and its archive, beside the proxy or not.

The database is the accused where a key was stolen: it gives hashes and notes, which are folded and verified before
they count. What a proxy on another host needs of it goes there in a file (`proofs`), which proves the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from ledger_core.book.sequencer.checkpoints import frontier_at
from ledger_core.ceremony.carried import LogProof, proofs_bytes
from ledger_core.ceremony.good import archived, tip_proved
from ledger_core.errors import CounterfoilError, Refused
from ledger_core.evidence.export.plan import plans_of
from ledger_core.log.keys import KeyRing
from ledger_core.log.merkle import consistency_path
from ledger_core.log.note import Checkpoint, NoteSignature, PublicKey, checkpoint_text, parse_note
from ledger_core.log.segment import FILES, MANIFEST_FILE
from ledger_core.reading.heads import checkpoint_at
from ledger_core.reading.tiles import node_reader

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

NO_ANSWER = (CounterfoilError, ValueError, TypeError, psycopg.Error, SQLAlchemyError)
"""What reading a database that is damaged or away may raise."""


class FromHere:
    """What the database and the archive of `runtime` show."""

    def __init__(self, runtime: Runtime, ring: KeyRing) -> None:
        self._runtime, self._ring = runtime, ring

    def former_lines(self, key: PublicKey, last: Checkpoint) -> list[NoteSignature]:
        """Return the line of `key` in the note that the ledger has stored of `last`."""
        try:
            with self._runtime.engine.connect() as connection:
                stored = checkpoint_at(connection, last.origin.rpartition("/")[2], last.size)
            note = parse_note(stored.note) if stored is not None else None
        except NO_ANSWER:
            note = None  # the database is away, or holds no note: then the new key's line stands alone
        text = checkpoint_text(last.origin, last.size, last.root)
        if note is None or note.text != text:
            return []
        own = (last.origin, key.note_hash(last.origin))
        lines = [item for item in note.signatures if (item.name, item.key_hash) == own]
        return [item for item in lines if key.verify(text.encode(), item.signature)][:1]

    def why_not_proved(self, good: Checkpoint | None, tip: Checkpoint) -> str | None:
        """Return why the database does not show that the tip contains `good`: whatever is wrong with it, the key
        ends."""
        try:
            with self._runtime.engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, psycopg.Connection)
                return tip_proved(driver, tip.origin.rpartition("/")[2], good, tip)
        except NO_ANSWER as error:
            return no_answer(error)

    def holds(self, tree: Checkpoint) -> bool:
        """Say whether the database has `tree`; one that does not answer cannot take a record of it either."""
        try:
            with self._runtime.engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, psycopg.Connection)
                return frontier_at(driver, tree.origin.rpartition("/")[2], tree.size).root() == tree.root
        except NO_ANSWER:
            return True

    def places(self, good: Checkpoint) -> list[str]:
        """Return where `good` lies in the archive, nothing where that cannot be read: the registry states the tree."""
        try:
            found = archived(self._runtime.archive, self._ring, good.origin)
        except (CounterfoilError, OSError):
            return []
        return [item.where for item in found if item.checkpoint == good]

    def proofs(self, good: Mapping[str, Checkpoint], last: Mapping[str, Checkpoint]) -> bytes:
        """Return the file that shows the same where there is neither database nor archive: `carried.Carried` reads
        it."""
        return proofs_bytes([self._proof(good.get(origin), tip) for origin, tip in sorted(last.items())])

    def _proof(self, good: Checkpoint | None, tip: Checkpoint) -> LogProof:
        why_not = self.why_not_proved(good, tip)
        path: list[bytes] = []
        if why_not is None and good is not None:
            try:
                with self._runtime.engine.connect() as connection:
                    reader = node_reader(connection, tip.origin.rpartition("/")[2], tip.size)
                    path = consistency_path(good.size, tip.size, reader)
            except NO_ANSWER as error:
                why_not = no_answer(error)
        places = self.places(good) if good is not None else []
        return LogProof(tip=tip, path=tuple(path), why_not=why_not, places=tuple(places))


def no_answer(error: Exception) -> str:
    """Return in one line what the database said instead of answering."""
    said = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
    return f"the database does not answer: {said or type(error).__name__}"


def refuse_interrupted_exports(runtime: Runtime, origins: Mapping[str, int]) -> None:
    """Raise `Refused` while an export of ours has begun a segment and not ended it: the new key could not end it.

    What only lies in the archive says nothing: whoever can write there must not be able to keep a key alive.
    """
    for origin in origins:
        for plan in plans_of(runtime.home, origin):
            begun = any(runtime.archive.exists(f"{plan.folder}/{name}") for name in FILES)
            if begun and not runtime.archive.exists(f"{plan.folder}/{MANIFEST_FILE}"):
                raise Refused(
                    f"the export of {plan.closed_on} was interrupted, and the key that begins now cannot end it.",
                    remedy=f"Run `counterfoil export {plan.closed_on}` first.",
                )
