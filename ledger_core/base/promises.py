"""What a database must promise before a book is kept in it: asked, never assumed, at the start and in every batch.

What a session can set, `SESSION` sets, whatever the server, the database or the login say by default. What only the
server can set is asked: a promise that is not kept is refused by its name. Not who may do what: that is the roles'.
Invariant: nothing is acknowledged that the server may forget when it is killed, and no trigger of ours is asleep.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine, text

from ledger_core.errors import ConfigurationError

KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_COUNT = 10, 5, 4
UNANSWERED_SECONDS = KEEPALIVE_IDLE_SECONDS + KEEPALIVE_INTERVAL_SECONDS * KEEPALIVE_COUNT
"""After which either end takes the other's machine for lost: Linux alone would take two hours."""

CONNECTION = {
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": KEEPALIVE_IDLE_SECONDS,
    "keepalives_interval": KEEPALIVE_INTERVAL_SECONDS,
    "keepalives_count": KEEPALIVE_COUNT,
    "tcp_user_timeout": UNANSWERED_SECONDS * 1_000,
}
"""Our end of every connection."""

_SETTINGS = {
    "timezone": "'UTC'",
    # A batch reads the head after it waited for the lock: with an older snapshot it would see the head of before.
    "default_transaction_isolation": "'read committed'",
    "default_transaction_read_only": "'off'",
    "default_transaction_deferrable": "'off'",
    # Whoever asked for more than `on` keeps it.
    "synchronous_commit": "case current_setting('synchronous_commit') "
    "when 'remote_apply' then 'remote_apply' else 'on' end",
    "tcp_keepalives_idle": f"'{KEEPALIVE_IDLE_SECONDS}'",
    "tcp_keepalives_interval": f"'{KEEPALIVE_INTERVAL_SECONDS}'",
    "tcp_keepalives_count": f"'{KEEPALIVE_COUNT}'",
    "tcp_user_timeout": f"'{UNANSWERED_SECONDS}s'",
}
SESSION = "select " + ", ".join(f"set_config('{name}', {value}, false)" for name, value in _SETTINGS.items())
"""What every session of ours sets first, the server's end of the connection included."""

_OF_THE_SESSION = {
    "synchronous_commit": ("on", "remote_apply"),
    "transaction_isolation": ("read committed",),
    "session_replication_role": ("origin",),
}
_OF_THE_SERVER = {"fsync": ("on",), "full_page_writes": ("on",)}


def broken_promises_sql(*, durable: bool) -> str:
    """Return an SQL expression: the settings, as `name = value`, under which a commit is not what it should be.

    Without `durable` the server may forget: for tests alone.
    """
    asked = _OF_THE_SESSION | (_OF_THE_SERVER if durable else {})
    cases = (
        f"case when current_setting('{name}') not in ({', '.join(map(repr, kept))}) "
        f"then '{name} = ' || current_setting('{name}') end"
        for name, kept in asked.items()
    )
    return f"array_remove(array[{', '.join(cases)}], null)"


def not_durable(broken: list[str]) -> ConfigurationError:
    """Say that the database does not promise what a book needs, and by which settings."""
    return ConfigurationError(
        f"the database does not promise to keep what it commits: {', '.join(broken)}.",
        remedy="Set synchronous_commit, fsync and full_page_writes to on and session_replication_role to origin, "
        "on the server and for the database and the login, then start again.",
    )


def require_promises(engine: Engine, *, durable: bool) -> None:
    """Raise `ConfigurationError`, naming it, for whatever keeps the database from promising what a book needs."""
    with engine.connect() as connection:
        asked = f"select {broken_promises_sql(durable=durable)}, pg_is_in_recovery(), getdatabaseencoding()"
        row = connection.execute(text(asked)).one()
        broken, standby, encoding = list[str](row[0]), bool(row[1]), str(row[2])
        unlogged: Iterable[str] = connection.execute(
            text(
                "select relname from pg_class where relnamespace = to_regnamespace('ledger') and relpersistence = 'u' "
                "and relkind = 'r' order by relname"
            )
        ).scalars()
        broken += [f"table ledger.{name} is unlogged" for name in unlogged]
        asleep: Iterable[str] = connection.execute(
            text(
                "select tgrelid::regclass::text || '.' || tgname || "
                "case tgenabled when 'D' then ' is disabled' else ' fires on replicas alone' end "
                "from pg_trigger inner join pg_class as held on held.oid = tgrelid "
                "where held.relnamespace = to_regnamespace('ledger') and tgenabled in ('D', 'R') order by 1"
            )
        ).scalars()
        broken += [f"trigger {which}" for which in asleep]
    if standby:
        raise ConfigurationError(
            "the database is a standby, which only reads.", remedy="Name the primary in DATABASE_URL."
        )
    if encoding != "UTF8":
        raise ConfigurationError(
            f"the database is kept in {encoding}, which cannot hold every text.",
            remedy="Make the database with encoding UTF8.",
        )
    if broken:
        raise not_durable(broken)
