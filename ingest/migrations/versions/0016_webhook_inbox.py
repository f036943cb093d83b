"""The inbox of webhooks."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0016"
down_revision = "ingest_0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the inbox, by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0016_webhook_inbox.sql")
