"""The feeds that a run pins: what is expected when."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "reconciliation_0002"
down_revision = "reconciliation_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table from the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0002_feeds.sql")
