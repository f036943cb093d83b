"""What a file says of itself, which file replaces which, and what was refused, as faces of `raw`."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0006"
down_revision = "ingest_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns, tables and views from the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0006_what_counts.sql")
