"""Reports of banks that write BAI2."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0014"
down_revision = "ingest_0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the source `bai2`, by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0014_bai2.sql")
