"""The keys of files lie wrapped."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0010"
down_revision = "ingest_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give wrapped keys their columns, by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0010_wrapped_keys.sql")
