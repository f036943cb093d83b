"""Alembic's entry: each migration in a transaction, on the connection that `ledger_core/base/migrate.py` gives."""

from alembic import context
from sqlalchemy import text

from ledger_core.base.migrate import VERSION_SCHEMA, VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table=VERSION_TABLE,
    version_table_schema=VERSION_SCHEMA,
    transaction_per_migration=True,
)
with context.begin_transaction():
    # A migration that waits for a lock blocks everybody behind it: better to fail and be run again.
    connection.execute(text("set local lock_timeout to '10s'"))
    context.run_migrations()
