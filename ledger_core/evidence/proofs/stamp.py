"""The time-stamp that goes with a bundle: of the exported tree that holds the records and was stamped first.

Tokens are made over the checkpoints of nightly segments and lie in the archive, so the bundle gets that checkpoint as
well, and the proof that its tree is a part of the bundle's. It is extra evidence: an archive that does not answer, or
holds something else than the log recorded, leaves the bundle without it, and is for others to name.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Row, text

from ledger_core.errors import CounterfoilError
from ledger_core.evidence.export.archive import ArchivedManifest, read_object, recorded_manifest
from ledger_core.log.keys import KeyRing, TrustFile
from ledger_core.log.merkle import NodeReader, consistency_path
from ledger_core.log.note import MAX_NOTE_BYTES
from ledger_core.log.proof import Consistency
from ledger_core.log.segment import CHECKPOINT_FILE, TIMESTAMP_FILE
from ledger_core.log.timestamps import MAX_TOKEN_BYTES, judge_token

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

_log = logging.getLogger("counterfoil.proofs")


def stamped_tree(
    runtime: Runtime,
    connection: Connection,
    book: str,
    ring: KeyRing,
    seqs: Sequence[int],
    size: int,
    reader: NodeReader,
) -> Consistency | None:
    """Return the stamped checkpoint that goes with a proof of `seqs` under the tree of `size`, or None.

    The first that holds all of them, else the last that holds some.
    """
    pinned = TrustFile.load(runtime.trust_path).timestamp_roots
    if not seqs or not (pinned or runtime.settings.archive.tsa_url):
        return None
    try:
        for row in _exports(connection, book, seqs, size):
            found = _read(runtime, book, row, ring)
            if found is None:
                continue
            note, token = found
            # It may have been listed under other roots than are pinned by now: attached, it would fail every proof.
            refusal = judge_token(token, note.encode(), pinned).refusal
            if refusal is not None:
                _log.warning(
                    "a proof of book %s goes without the time-stamp of size %s: %s", book, row.next_seq, refusal
                )
                continue
            path = tuple(consistency_path(row.next_seq, size, reader))
            return Consistency(checkpoint=note, path=path, timestamp=token)
    except (CounterfoilError, UnicodeDecodeError) as error:
        _log.warning("a proof of book %s goes without its time-stamp: %s", book, error)
    return None


def _exports(connection: Connection, book: str, seqs: Sequence[int], size: int) -> Sequence[Row[tuple[object, ...]]]:
    query = text(
        "(select * from ledger.exports where book = :book and next_seq > :last and next_seq <= :size "
        "order by segment limit 1) union all "
        "(select * from ledger.exports where book = :book and next_seq > :first and next_seq <= :size "
        "order by segment desc limit 1)"
    )
    given = {"book": book, "first": min(seqs), "last": max(seqs), "size": size}
    return connection.execute(query, given).all()


def _read(runtime: Runtime, book: str, row: Row[tuple[object, ...]], ring: KeyRing) -> tuple[str, bytes] | None:
    """Return the checkpoint and the token of an exported segment, as its manifest lists them."""
    archived = recorded_manifest(runtime.archive, runtime.settings.origin_of(book), row, row.closed_on, ring)
    if archived is None:
        return None
    token = _listed(runtime, archived, TIMESTAMP_FILE, MAX_TOKEN_BYTES)
    note = None if token is None else _listed(runtime, archived, CHECKPOINT_FILE, MAX_NOTE_BYTES)
    return None if token is None or note is None else (note.decode(), token)


def _listed(runtime: Runtime, archived: ArchivedManifest, name: str, limit_bytes: int) -> bytes | None:
    stored = archived.manifest.stored(name)
    if stored is None:
        return None
    path = f"{archived.manifest.folder}/{name}"
    versions = runtime.archive.versions(path)
    version = next((item for item in versions if item.version_id == stored.version_id), None)
    data = None if version is None else read_object(runtime.archive, path, limit_bytes, version)
    return data if data is not None and sha256(data).hexdigest() == stored.sha256 else None
