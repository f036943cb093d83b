"""The ledger's schema."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ledger_0001"
down_revision = None
branch_labels = ("ledger",)
depends_on = None


def upgrade() -> None:
    """Create tables, triggers, views and grants from the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0001_ledger.sql")
