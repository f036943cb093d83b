"""Landed files as an erasure sees them: which file is meant, and the key of its bytes dropped.

The transaction is the ledger's, so that a file is erased exactly when its record stands. What was read from the file
stays: its rows, its counts and its hash (docs/runbooks/erasure.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from psycopg import Connection

from ingest.landing import raw_tables
from ingest.landing.file_keys import drop_key

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class LandedFiles:
    """Fulfils `ledger_core.ports.ErasableFiles`."""

    table: ClassVar[str] = "ops.file_keys"
    held_query: ClassVar[str] = "select file_id::text from ops.file_keys where file_id = any(%(files)s::uuid[])"

    def find(self, conn: Connection[Any], book: str, references: Sequence[str]) -> dict[str, list[str]]:
        """Return the files of each of `references`: one of an id, and of a SHA-256 all that came as these bytes.

        A file that held a card number is known by the keyed hash of its bytes alone.
        """
        known = {text: {text.lower()} for text in references}
        with conn.cursor() as cursor:
            for text, names in known.items():
                if _SHA256.fullmatch(text):
                    names.add(raw_tables.content_hmac(cursor, text))
        asked = {name for names in known.values() for name in names}
        rows = conn.execute(
            "select file_id::text, sha256, content_hmac from raw.files where book = %(book)s "
            "and (file_id = any(%(ids)s::uuid[]) or sha256 = any(%(hashes)s) or content_hmac = any(%(hashes)s)) "
            "order by file_id",
            {"book": book, "ids": [name for name in asked if _UUID.fullmatch(name)], "hashes": list(asked)},
        ).fetchall()
        found = {text: [row[0] for row in rows if not names.isdisjoint(row)] for text, names in known.items()}
        return {text: file_ids for text, file_ids in found.items() if file_ids}

    def drop(self, conn: Connection[Any], file_ids: Sequence[str]) -> None:
        """Drop the keys of these files."""
        for file_id in file_ids:
            drop_key(conn, file_id)
