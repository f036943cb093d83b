"""Dagster's role reads nothing of this room: its password lies in a file that every code server is given."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0008"
down_revision = "ingest_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the right to look into the room's schemas away, by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0008_dagster_reads_nothing.sql")
