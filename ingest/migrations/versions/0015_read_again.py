"""Bytes that landed may be read again by a later parser."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0015"
down_revision = "ingest_0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it so by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0015_read_again.sql")
