"""The ledger's face: heads of the books, and balances with their currency."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ledger_0002"
down_revision = "ledger_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the views from the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0002_heads.sql")
