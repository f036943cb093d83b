"""Checkpoints by a function with its own check; indexes for lists of one account and of one hour."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ledger_0003"
down_revision = "ledger_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the function, the grants and the indexes from the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0003_guards.sql")
