"""`raw.sources`: what each source is, as data that SQL asks; the claims on bank lines go to the providers."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0003"
down_revision = "ingest_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, fill it for what has landed already, and move the claims."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0003_sources.sql")
