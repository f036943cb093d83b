"""Statements of banks that write MT940."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0013"
down_revision = "ingest_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the source `mt940`, by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0013_mt940.sql")
