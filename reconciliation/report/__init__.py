"""The report: one self-contained HTML page a run, read from the marts and the breaks, nothing from the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection


def render_report(connection: Connection, run_id: str) -> str:
    """Return the page of the run `run_id`. Raises `NotFound` for a run that there is not."""
    from reconciliation.report.page import page_of
    from reconciliation.report.read import read_report

    return page_of(read_report(connection, run_id))
