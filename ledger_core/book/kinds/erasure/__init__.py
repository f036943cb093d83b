"""An erasure: the record that private values, or the bytes of files, were dropped, and the dropping in its transaction.

The record names what is gone, why, by whom, and until when backups may hold it; never what it was. Erasing what is
erased already changes nothing. Invariants: nothing is dropped without its record, nothing that a record names stays,
and a book that is restored and gone on with drops it again, because `project` runs there too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from ledger_core.actor import Actor
from ledger_core.book.kinds.erasure.derive import Erasures
from ledger_core.book.kinds.erasure.facts import ErasureFacts, read_erasure_facts
from ledger_core.errors import ConfigurationError, NothingToErase, ReferenceNotFound
from ledger_core.journal.cards import refuse_cards, texts_of
from ledger_core.journal.erasures import EntryErasure, ErasureDraft, check_erasure, erasure_as_json
from ledger_core.kinds import Accepted, BookView, Checking, Judging, Kind, PreparedRecord, check_size
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.shapes import SHAPES
from ledger_core.ports import Draft, ErasableFiles, Unchanged

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(slots=True, kw_only=True)
class ErasureItem:
    """An erasure ready for the lock, where alone is known what is there to be erased."""

    kind: Erasure
    draft: ErasureDraft
    actor: Actor
    size_bytes: int

    body: ClassVar[bytes] = b""
    may_plan_ahead: ClassVar[bool] = False


@dataclass(frozen=True, eq=False)
class Erasure(Kind):
    """The kind `erasure`; `files` is the room that keeps files, where there is one."""

    files: ErasableFiles | None = field(default=None)

    def accepts(self, draft: Draft) -> bool:
        return isinstance(draft, ErasureDraft)

    def route(self, draft: Draft) -> str:
        return "erasures"

    def document(self, draft: ErasureDraft) -> Any:
        return erasure_as_json(draft)

    def prepare(self, draft: ErasureDraft, actor: Actor, who: bytes) -> ErasureItem:
        check_erasure(draft)
        if draft.files:
            self._room()
        document = erasure_as_json(draft)
        refuse_cards(texts_of(document))
        asked = canonical_bytes(document)
        return ErasureItem(
            kind=self,
            draft=draft,
            actor=actor,
            size_bytes=len(asked) + len(who),
        )

    def read_facts(
        self, conn: Connection[Any], view: BookView, items: Sequence[ErasureItem], before: Any
    ) -> ErasureFacts:
        del before
        return read_erasure_facts(conn, view.book, [item.draft for item in items], self.files)

    def judge(self, judging: Judging, item: ErasureItem, facts: ErasureFacts) -> Accepted | Unchanged:
        values, files, stands = _left(item.draft, facts)
        if not values and not files:
            first = item.draft.entries[0].entry if item.draft.entries else item.draft.files[0]
            return Unchanged(code=first, stands=stands + 1)
        members = {
            "actor": item.actor.as_body(),
            "files": [{"file_id": file_id} for file_id in sorted(files)],
            "fingerprint": _fingerprint(item.draft, facts),
            "kept_until": item.draft.kept_until.isoformat(),
            "reason": item.draft.reason,
            "values": [
                {"id": facts.ids[seq], "names": sorted(names), "seq": seq} for seq, names in sorted(values.items())
            ],
        }
        body = canonical_bytes(members)
        check_size(body)
        facts.erased.update({(seq, name): judging.seq for seq, names in values.items() for name in names})
        facts.erased_files.update(dict.fromkeys(files, judging.seq))
        return Accepted(PreparedRecord(kind=self, body=body, members=members), body)

    def mend(self, conn: Connection[Any], book: str, facts: ErasureFacts) -> None:
        """Drop what was asked for, is erased already, and is held all the same: a part of a backup may have brought it.

        Past the books, since the record that names it stands already.
        """
        _drop_again(conn, book, list(facts.ids))
        if facts.erased_before:
            self._room().drop(conn, sorted(facts.erased_before))

    def undo(self, judging: Judging, accepted: Accepted, facts: ErasureFacts) -> None:
        del judging
        for seq, name in named_values(accepted.item.members):
            del facts.erased[seq, name]
        for file in accepted.item.members["files"]:
            del facts.erased_files[file["file_id"]]

    def project(self, conn: Connection[Any], book: str, accepted: Sequence[tuple[int, Accepted]]) -> None:
        gone: set[str] = set()
        for seq, each in accepted:
            named = named_values(each.item.members)
            _drop_values(conn, book, seq, named)
            files = each.item.members["files"]
            for file in files:
                conn.execute(
                    "insert into ledger.erased_files (book, file_id, seq) values (%s, %s, %s)",
                    [book, file["file_id"], seq],
                )
            gone.update(file["file_id"] for file in files)
        if gone:
            # In one order over all records of the batch: two that drop the same files wait, and never for each other.
            self._room().drop(conn, sorted(gone))

    def restored(self, conn: Connection[Any], book: str) -> None:
        """Drop again all that the log says was erased: another part of the backup may have brought it along."""
        _drop_again(conn, book)
        files = conn.execute("select file_id::text from ledger.erased_files where book = %s", [book]).fetchall()
        if files:
            # In the order in which keys are wrapped anew, so that the two wait and never for each other.
            self._room().drop(conn, sorted(file_id for (file_id,) in files))

    def _room(self) -> ErasableFiles:
        if self.files is None:
            raise ConfigurationError(
                "this program keeps no files, so it cannot drop the key of one.",
                remedy="Erase files, and replay a log that erased some, by `counterfoil`.",
            )
        return self.files

    def derive(self, checking: Checking) -> Erasures:
        return Erasures(checking, self.files)  # type: ignore[arg-type]


def named_values(members: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return (seq of an entry, name) of each value that the body of an erasure names, in its order."""
    return [(item["seq"], name) for item in members["values"] for name in item["names"]]


def _left(draft: ErasureDraft, facts: ErasureFacts) -> tuple[dict[int, set[str]], set[str], int]:
    """Return what of `draft` is not erased yet, by seq and by file, and the last seq that erased any of the rest.

    Raises `ReferenceNotFound` and `NothingToErase` for what never was there.
    """
    values: dict[int, set[str]] = {}
    files: set[str] = set()
    stands = 0
    for index, asked in enumerate(draft.entries):
        seq, names = _names(asked, facts, f"/entries/{index}")
        for name in names:
            by = facts.erased.get((seq, name))
            if by is None:
                values.setdefault(seq, set()).add(name)
            else:
                stands = max(stands, by)
    for index, reference in enumerate(draft.files):
        found = facts.files.get(reference)
        if not found:
            raise ReferenceNotFound("there is no such file in this book.", pointer=f"/files/{index}")
        for file_id in found:
            by = facts.erased_files.get(file_id)
            if by is None:
                files.add(file_id)
            else:
                stands = max(stands, by)
    return values, files, stands


def _fingerprint(draft: ErasureDraft, facts: ErasureFacts) -> str:
    """Return the SHA-256 of the request with each file by its id: by a hash of its bytes, these could be guessed."""
    named = replace(draft, files=tuple(sorted({file_id for each in draft.files for file_id in facts.files[each]})))
    return sha256(canonical_bytes(erasure_as_json(named))).hexdigest()


def _names(asked: EntryErasure, facts: ErasureFacts, pointer: str) -> tuple[int, Sequence[str]]:
    seq = facts.entries.get(asked.entry)
    if seq is None:
        raise ReferenceNotFound("there is no such entry in this book.", pointer=f"{pointer}/id")
    known = facts.names[seq]
    if not known:
        raise NothingToErase(
            "the entry has no private values: all that it says is signed and stays.",
            pointer=f"{pointer}/id",
            remedy="What must be erasable belongs into `private` when it is posted.",
        )
    for index, name in enumerate(asked.names):
        if name not in known:
            raise NothingToErase(
                f"the entry has no private value {name}.",
                pointer=f"{pointer}/names/{index}",
                remedy=f"It has {', '.join(sorted(known))}.",
            )
    return seq, asked.names or sorted(known)


def _drop_values(conn: Connection[Any], book: str, seq: int, named: Sequence[tuple[int, str]]) -> None:
    """Say that the values are erased, and drop salts, keys and what they seal; the guards want it in this order."""
    given = {"book": book, "seq": seq, "seqs": [each[0] for each in named], "names": [each[1] for each in named]}
    conn.execute(
        "insert into ledger.erased_values (book, entry_seq, name, seq) "
        "select %(book)s, entry_seq, name, %(seq)s "
        "from unnest(%(seqs)s::bigint[], %(names)s::text[]) as gone (entry_seq, name)",
        given,
    )
    for table in ("private_keys", "private_values"):
        conn.execute(
            f"delete from ledger.{table} where book = %(book)s and (seq, name) in "  # noqa: S608 - constants
            "(select * from unnest(%(seqs)s::bigint[], %(names)s::text[]))",
            given,
        )


def _drop_again(conn: Connection[Any], book: str, seqs: Sequence[int] | None = None) -> None:
    """Drop what is held of the values that are erased already, of the entries at `seqs` or of all."""
    for table in ("private_keys", "private_values"):
        conn.execute(
            f"delete from ledger.{table} as held using ledger.erased_values as erased "  # noqa: S608 - constants
            "where held.book = %(book)s and (%(seqs)s::bigint[] is null or held.seq = any(%(seqs)s)) "
            "and erased.book = held.book and erased.entry_seq = held.seq and erased.name = held.name",
            {"book": book, "seqs": seqs},
        )


ERASURE = Erasure(name="erasure", shape=SHAPES["erasure"])
