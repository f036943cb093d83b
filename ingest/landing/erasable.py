"""Landed files as an erasure sees them: which file is meant, and the key of its bytes dropped.

The transaction is the ledger's, so that a file is erased exactly when its record stands. What was read from the file
stays: its rows, its counts and its hash (docs/runbooks/erasure.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from psycopg import Connection

from ingest.landing.file_keys import drop_key
from ledger_core.ports import ErasableFile

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class LandedFiles:
    """Fulfils `ledger_core.ports.ErasableFiles`."""

    table: ClassVar[str] = "ops.file_keys"
    held_query: ClassVar[str] = "select file_id::text from ops.file_keys where file_id = any(%(files)s::uuid[])"

    def find(self, conn: Connection[Any], book: str, references: Sequence[str]) -> dict[str, list[ErasableFile]]:
        """Return the files of each of `references`: one of an id, and of a SHA-256 all that hold these bytes."""
        rows = conn.execute(
            "select file_id::text, sha256 from raw.files "
            "where book = %s and (file_id = any(%s::uuid[]) or sha256 = any(%s)) order by file_id",
            [book, [text for text in references if _UUID.fullmatch(text)], list(references)],
        ).fetchall()
        found: dict[str, list[ErasableFile]] = {}
        for text in references:
            named = [row for row in rows if text.lower() in row]
            if named:
                found[text] = [ErasableFile(file_id=file_id, sha256=sha256) for file_id, sha256 in named]
        return found

    def drop(self, conn: Connection[Any], file_ids: Sequence[str]) -> None:
        """Drop the keys of these files."""
        for file_id in file_ids:
            drop_key(conn, file_id)
