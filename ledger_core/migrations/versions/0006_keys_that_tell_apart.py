"""What tells rows apart stands first in the indexes that every append writes."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ledger_0006"
down_revision = "ledger_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make three indexes of `ledger.entries` and `ledger.postings` anew, by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0006_keys_that_tell_apart.sql")
