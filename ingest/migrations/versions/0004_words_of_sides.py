"""The words for credit and debit, beside the sign rule."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0004"
down_revision = "ingest_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns from the SQL beside this folder, filled for what has landed already."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0004_words_of_sides.sql")
