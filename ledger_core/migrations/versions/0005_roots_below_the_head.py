"""A checkpoint below the head is held against the log where that costs next to nothing."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ledger_0005"
down_revision = "ledger_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put another body under `ledger.store_checkpoint`, by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0005_roots_below_the_head.sql")
