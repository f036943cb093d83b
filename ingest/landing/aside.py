"""What was put aside, for people: which rows, why, and what of them may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from ledger_core.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideRow:
    """A row that nobody could vouch for."""

    file_id: UUID
    file: str
    source: str
    account: str
    record_type: str
    line: int
    code: str
    reason: str
    raw: str
    """Without columns that name persons and with card numbers masked."""
    put_aside_at: datetime
    parser_version: int
    is_current: bool
    """Whether the file still counts for any day; a newer one may have brought the row."""


_ROWS = """
select
    aside.file_id, files.name as file, files.source, files.account, files.record_type, aside.line, aside.code,
    aside.reason, aside.raw, aside.created_at as put_aside_at, files.parser_version, files.is_current
from raw.quarantine as aside
inner join raw.current_files as files using (file_id)
where files.book = :book
"""


def list_aside(
    connection: Connection,
    book: str,
    *,
    source: str | None = None,
    code: str | None = None,
    current: bool = True,
    limit: int = 100,
) -> list[AsideRow]:
    """Return rows put aside, the newest files first and each file's in its order; `current` leaves out those of files
    that a newer one replaced."""
    rows = connection.execute(
        text(
            f"{_ROWS} and (cast(:source as text) is null or files.source = :source)"
            " and (cast(:code as text) is null or aside.code = :code) and (files.is_current or not :current)"
            " order by files.received_at desc, files.name, aside.file_id, aside.ordinal limit :limit"
        ),
        {"book": book, "source": source, "code": code, "current": current, "limit": limit},
    )
    return [AsideRow(**row) for row in rows.mappings()]


def show_aside(connection: Connection, book: str, file: str, line: int) -> list[AsideRow]:
    """Return what was put aside at that line of the files that are called so, or of the one of that id.

    Raises `NotFound`.
    """
    rows = connection.execute(
        text(
            f"{_ROWS} and (files.name = :file or files.file_id::text = :file) and aside.line = :line"
            " order by files.received_at desc, aside.file_id"
        ),
        {"book": book, "file": file, "line": line},
    )
    if not (found := [AsideRow(**row) for row in rows.mappings()]):
        raise NotFound(
            f"nothing was put aside at line {line} of {file}.", remedy="`counterfoil quarantine list` shows what was."
        )
    return found
