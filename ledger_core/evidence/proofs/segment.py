"""An archived segment against the log's record of it, its own manifest, and the records of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Connection, text

from ledger_core.errors import IntegrityError, NotFound
from ledger_core.evidence.export.archive import recorded_manifest
from ledger_core.evidence.export.records import require_intact, verify_against_database
from ledger_core.log.findings import EDITED, MISSING, Failure, VerificationReport
from ledger_core.log.keys import KeyRing

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime


def verify_segment(
    runtime: Runtime, connection: Connection, book: str, segment: int, ring: KeyRing, report: VerificationReport
) -> dict[str, Any]:
    """Add to `report` what is wrong with the segment and return what it is. Raises `NotFound` if it was never made."""
    row = connection.execute(
        text(
            "select segment, closed_on, first_seq, next_seq, manifest_sha256, uri from ledger.exports "
            "where book = :book and segment = :segment"
        ),
        {"book": book, "segment": segment},
    ).one_or_none()
    if row is None:
        raise NotFound(f"book {book} has no segment {segment}.", pointer="/selector/segment")
    found = {name: value for name, value in row._mapping.items() if name != "closed_on"}
    origin = runtime.settings.origin_of(book)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        archived = recorded_manifest(runtime.archive, origin, row, row.closed_on, ring)
        if archived is None:
            _fail(report, MISSING, row.first_seq, f"segment {segment} is not in the archive")
            return found
        require_intact(runtime.archive, archived.manifest)
        stream = verify_against_database(driver, runtime.archive, archived.manifest)
        report.records += stream.size - stream.first_seq
    except NotFound as error:
        _fail(report, MISSING, row.first_seq, error.message)
    except IntegrityError as error:
        _fail(report, EDITED, error.context.get("seq", row.first_seq), error.message)
    return found


def _fail(report: VerificationReport, verdict: str, seq: int | None, detail: str) -> None:
    report.add(Failure(verdict=verdict, seq=seq, where="archive", detail=detail))
