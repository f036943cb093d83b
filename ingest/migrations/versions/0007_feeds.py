"""What of matching a record type carries."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0007"
down_revision = "ingest_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column from the SQL beside this folder, filled for what has landed already."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0007_feeds.sql")
