"""How far each destination outside has been told of the log."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ledger_0008"
down_revision = "ledger_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of cursors, by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0008_relays.sql")
