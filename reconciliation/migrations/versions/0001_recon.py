"""The schemas `recon` (runs and breaks, which have a history) and `analytics` (what dbt builds, which has none)."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "reconciliation_0001"
down_revision = None
branch_labels = ("reconciliation",)
depends_on = None


def upgrade() -> None:
    """Create tables and grants from the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0001_recon.sql")
