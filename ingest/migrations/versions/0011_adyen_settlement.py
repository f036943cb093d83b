"""The raw tables of `adyen_settlement`, and times beside which their zone stands."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0011"
down_revision = "ingest_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create table and functions from the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0011_adyen_settlement.sql")
