"""Dagster's role reads nothing of this room: its password lies in a file that every code server is given."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ledger_0004"
down_revision = "ledger_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the right to look into the room's schemas away, by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0004_dagster_reads_nothing.sql")
