"""What Stripe's API lists lands, and how far it was swept is known."""

from pathlib import Path

from alembic import op

from ledger_core.base.migrate import run_script

revision = "ingest_0018"
down_revision = "ingest_0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of `stripe_api` and its checkpoints, by the SQL beside this folder."""
    run_script(op.get_bind(), Path(__file__).parents[1] / "sql" / "0018_stripe_api.sql")
