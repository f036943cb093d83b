"""The database's own guards, each attacked by SQL of its own: check constraints, the trigger that balances, the views.

The list of constraints is the database's: one that is added without an attack here turns a test red.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine

from ledger_core.log.merkle import Frontier
from tests.integration.erasure import guards

pytestmark = pytest.mark.integration

LEAF = sha256(b"leaf").digest()
SOUND: dict[str, dict[str, object]] = {
    "log_head": {"book": "b", "origin": "o", "size": 1, "signed_size": 1, "last_leaf": LEAF, "frontier": LEAF},
    "records": {"book": "b", "seq": 0, "kind": "k", "recorded_at": "now", "leaf_hash": LEAF, "canonical": b"{}"},
    "checkpoints": {"book": "b", "size": 1, "root": LEAF, "frontier": LEAF, "note": "n"},
    "tiles": {"book": "b", "level": 0, "n": 0, "root": LEAF, "hashes": bytes(8192)},
    "accounts": {
        "book": "b", "account_id": 1, "code": "c", "type": "asset", "normal_balance": "debit", "currency": "USD",
        "status": "open", "overdraft": "allowed", "metadata": "{}", "opened_seq": 0, "changed_seq": 0,
    },
    **guards.SOUND, "balances": {"book": "b", "account_id": 1, "debits": 0, "credits": 0, "last_seq": 0},
    "relay_cursors": {"book": "b", "destination": "d", "next_seq": 0},
    "idempotency": {
        "book": "b", "route": "r", "key": "k", "fingerprint": LEAF, "first_seq": 0, "count": 1, "outcome": "[]",
    },
    "postings": {
        "book": "b", "seq": 0, "line": 0, "account_id": 1, "direction": "debit", "amount_minor": 1, "currency": "USD",
        "effective_at": "now",
    },
}  # fmt: skip
"""A row of each table that has a check; `postings` takes none alone, since it would not balance."""

WRONG: dict[str, list[dict[str, object]]] = {
    **guards.WRONG,
    "log_head_book_check": [{"book": "B"}, {"book": ""}, {"book": "a" * 64}, {"book": "a\n"}, {"book": "-a"}],
    "log_head_check": [{"signed_size": 2}, {"signed_size": -1}],
    "log_head_size_check": [{"size": -1, "signed_size": -1}],
    "log_head_last_leaf_check": [{"last_leaf": LEAF + b"x"}, {"last_leaf": b""}],
    "log_head_frontier_check": [{"frontier": LEAF + b"x"}],
    "records_seq_check": [{"seq": -1}],
    "records_leaf_hash_check": [{"leaf_hash": LEAF[:-1]}, {"leaf_hash": LEAF + b"x"}],
    "records_canonical_check": [{"canonical": b"{"}, {"canonical": bytes(65_536)}],
    "checkpoints_size_check": [{"size": 0}],
    "checkpoints_root_check": [{"root": LEAF[:-1]}],
    "checkpoints_frontier_check": [{"frontier": LEAF[:-1]}],
    "tiles_level_check": [{"level": -1}],
    "tiles_n_check": [{"n": -1}],
    "tiles_root_check": [{"root": b""}],
    "tiles_hashes_check": [{"hashes": bytes(8191)}, {"hashes": bytes(8193)}],
    "accounts_account_id_check": [{"account_id": 0}],
    "accounts_type_check": [{"type": "income"}],
    "accounts_normal_balance_check": [{"normal_balance": "left"}],
    "accounts_currency_check": [{"currency": "usd"}, {"currency": "USDT"}, {"currency": "USD\n"}],
    "accounts_status_check": [{"status": "deleted"}],
    "accounts_overdraft_check": [{"overdraft": "0"}, {"overdraft": "-5"}, {"overdraft": "01"}, {"overdraft": "1" * 20}],
    "balances_debits_check": [{"debits": -1}],
    "balances_credits_check": [{"credits": -1}],
    "idempotency_fingerprint_check": [{"fingerprint": LEAF[:-1]}],
    "relay_cursors_next_seq_check": [{"next_seq": -1}],
    "postings_line_check": [{"line": -1}],
    "postings_direction_check": [{"direction": "DEBIT"}, {"direction": ""}],
    "postings_amount_minor_check": [{"amount_minor": 0}, {"amount_minor": -1}],
}


@pytest.fixture
def conn(engine: Engine) -> Iterator[psycopg.Connection]:
    """A superuser's connection: what is refused here is refused to everybody."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as made:
        yield made


def insert(conn: psycopg.Connection, table: str, row: dict[str, object]) -> None:
    statement = sql.SQL("insert into ledger.{} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join([sql.Placeholder()] * len(row)),
    )
    conn.execute(statement, list(row.values()))


def test_every_check_of_the_schema_is_attacked(conn: psycopg.Connection) -> None:
    names = conn.execute(
        "select conname from pg_constraint where connamespace = 'ledger'::regnamespace and contype = 'c'"
    )
    assert {name for (name,) in names} == set(WRONG)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [(name, wrong) for name, rows in WRONG.items() for wrong in rows],
    ids=lambda value: str(value)[:40],
)
def test_a_check_refuses_what_is_wrong_in_just_one_column(
    conn: psycopg.Connection, name: str, wrong: dict[str, object]
) -> None:
    table = max((table for table in SOUND if name.startswith(f"{table}_")), key=len)
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        insert(conn, table, SOUND[table] | wrong)
    # The head's sizes are held by two checks, and either may be the first to say so.
    assert refused.value.diag.constraint_name in {name, "log_head_check"} if "size" in name else {name}
    if table != "postings":
        insert(conn, table, SOUND[table])


COLUMNS = "book, seq, line, account_id, direction, amount_minor, currency, effective_at"


def postings(conn: psycopg.Connection, *lines: tuple[int, str, int, str]) -> None:
    """Insert, by one statement, postings of (seq, direction, amount, currency)."""
    rows = [
        ("main", seq, number, 1, side, amount, currency) for number, (seq, side, amount, currency) in enumerate(lines)
    ]
    conn.execute(
        sql.SQL(f"insert into ledger.postings ({COLUMNS}) values {{}}").format(
            sql.SQL(", ").join([sql.SQL("(%s, %s, %s, %s, %s, %s, %s, now())")] * len(rows))
        ),
        [value for row in rows for value in row],
    )


@pytest.mark.parametrize(
    "lines",
    [
        [(1, "debit", 5, "USD")],
        [(1, "debit", 5, "USD"), (1, "credit", 4, "USD")],
        [(1, "debit", 5, "USD"), (1, "credit", 5, "EUR")],
        [(1, "debit", 5, "USD"), (1, "debit", 3, "EUR"), (1, "credit", 3, "USD"), (1, "credit", 5, "EUR")],
        [(1, "debit", 5, "USD"), (2, "credit", 5, "USD")],
        [(1, "debit", 5, "USD"), (1, "credit", 5, "USD"), (2, "debit", 5, "USD"), (2, "debit", 5, "USD")],
        [(1, "debit", 2**63 - 1, "USD"), (1, "debit", 2**63 - 1, "USD"), (1, "credit", 2**63 - 1, "USD")],
    ],
    ids=[
        "one side",
        "a unit",
        "two currencies",
        "sides that cross",
        "two entries",
        "a sound one beside",
        "the largest",
    ],
)
def test_what_does_not_balance_by_entry_and_currency_is_refused(
    conn: psycopg.Connection, lines: list[tuple[int, str, int, str]]
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="does not balance in"):
        postings(conn, *lines)
    assert conn.execute("select count(*) from ledger.postings").fetchone() == (0,)


def test_what_balances_in_each_currency_is_taken_also_by_copy(conn: psycopg.Connection) -> None:
    postings(
        conn, (1, "debit", 5, "USD"), (1, "credit", 5, "USD"), (1, "debit", 3, "EUR"), (1, "credit", 3, "EUR"),
        (2, "debit", 2**63 - 1, "USD"), (2, "credit", 2**63 - 1, "USD"),
    )  # fmt: skip
    with (
        pytest.raises(psycopg.errors.CheckViolation, match="entry 3 of book main does not balance in USD"),
        conn.cursor() as cursor,
        cursor.copy(f"copy ledger.postings ({COLUMNS}) from stdin") as copy,
    ):
        copy.write_row(("main", 3, 0, 1, "debit", 5, "USD", "2026-11-23"))
    assert conn.execute("select count(*) from ledger.postings").fetchone() == (6,)


def test_no_view_of_the_face_shows_what_is_not_signed(conn: psycopg.Connection) -> None:
    insert(conn, "log_head", SOUND["log_head"] | {"book": "main", "size": 3, "signed_size": 1})
    for seq in range(3):
        conn.execute(
            "insert into ledger.entries (book, seq, id, external_id, effective_at, description, metadata) "
            "values ('main', %s, gen_random_uuid(), %s, now(), '', '{}')",
            [seq, f"e:{seq}"],
        )
        conn.execute(
            "insert into ledger.account_versions "
            "select 'main', %s, 1, 'c', 'asset', 'debit', 'USD', 'open', 'allowed', '{}'",
            [seq],
        )
    postings(conn, *((seq, side, 1, "USD") for seq in range(3) for side in ("debit", "credit")))
    views = ("posted_entries", "posted_postings", "posted_account_versions")
    for signed_size in (0, 1, 2, 3):
        conn.execute("update ledger.log_head set signed_size = %s", [signed_size])
        for view in views:
            found = conn.execute(
                sql.SQL("select distinct seq from ledger.{} order by seq").format(sql.Identifier(view))
            )
            assert [seq for (seq,) in found] == list(range(signed_size)), (view, signed_size)
    conn.execute("update ledger.log_head set signed_size = 2")
    assert conn.execute("select size, signed_size from ledger.heads").fetchall() == [(3, 2)]
    insert(conn, "balances", SOUND["balances"] | {"book": "main"})
    assert conn.execute("select size, signed_size from ledger.posted_balances").fetchall() == [(3, 2)]
    shown = conn.execute(
        "select table_name from information_schema.views where table_schema = 'ledger' order by 1"
    ).fetchall()
    assert {name for (name,) in shown} == {*views, "heads", "posted_balances"}


UNIQUE = {
    "an id twice": ("same id", "e:2", None),
    "an external_id twice": (None, "e:1", None),
    "a second reversal": (None, "e:2", "same reversal"),
}


@pytest.mark.parametrize("what", UNIQUE)
def test_what_comes_once_comes_once_by_the_database_too(conn: psycopg.Connection, what: str) -> None:
    id, external_id, reverses = UNIQUE[what]
    one, other = "0198c1f4-0000-7000-8000-000000000001", "0198c1f4-0000-7000-8000-000000000002"
    act = (
        "insert into ledger.entries (book, seq, id, external_id, effective_at, description, metadata, reverses) "
        "values ('main', %s, %s, %s, now(), '', '{}', %s)"
    )
    conn.execute(act, [1, one, "e:1", other])
    with pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute(act, [2, one if id else other, external_id, other if reverses else None])


# Checkpoints: what the writer's role may do about them.


def signed_head(conn: psycopg.Connection) -> tuple[bytes, bytes, str]:
    """A book of three leaves, none of them signed; return root, frontier and note of all three."""
    leaves = [sha256(bytes([number])).digest() for number in range(3)]
    pair = sha256(b"\x01" + leaves[0] + leaves[1]).digest()
    frontier, root = pair + leaves[2], sha256(b"\x01" + pair + leaves[2]).digest()
    head = SOUND["log_head"] | {
        "book": "main",
        "size": 3,
        "signed_size": 0,
        "last_leaf": leaves[2],
        "frontier": frontier,
    }
    insert(conn, "log_head", head)
    (text,) = conn.execute("select encode(%s::bytea, 'base64')", [root]).fetchone() or ("",)
    return root, frontier, f"o\n3\n{text}\n\n— o AAAA\n"


def store(conn: psycopg.Connection, size: int, root: bytes, frontier: bytes, note: str) -> tuple[object, ...] | None:
    return conn.execute(
        "select size, signed_size, stored from ledger.store_checkpoint('main', %s, %s, %s, %s)",
        [size, root, frontier, note],
    ).fetchone()


def test_the_writer_stores_a_checkpoint_by_the_function_once_and_never_backwards(conn: psycopg.Connection) -> None:
    root, frontier, note = signed_head(conn)
    conn.execute("set role counterfoil_writer")
    assert store(conn, 4, root, frontier, note) == (3, 0, False)
    assert store(conn, 3, root, frontier, note) == (3, 0, True)
    assert store(conn, 3, root, frontier, note) == (3, 3, False)
    assert store(conn, 2, root, frontier, note) == (3, 3, False)
    assert conn.execute("select size, signed_size from ledger.log_head").fetchall() == [(3, 3)]
    assert conn.execute("select size, note from ledger.checkpoints").fetchall() == [(3, note)]


@pytest.mark.parametrize(
    ("part", "forged"),
    [
        ("root", lambda value: sha256(value).digest()),
        ("frontier", lambda value: value[::-1]),
        ("frontier", lambda value: value[:32]),
        ("frontier", lambda value: value + value[:32]),
        ("note", lambda value: value.replace("o\n3", "p\n3")),
        ("note", lambda value: value.replace("\n3\n", "\n2\n")),
        ("note", lambda value: value[:6] + ("A" if value[6] != "A" else "B") + value[7:]),
        ("note", lambda value: ""),
    ],
)
def test_a_stray_checkpoint_is_refused_whatever_part_of_it_is_not_the_logs(
    conn: psycopg.Connection, part: str, forged: object
) -> None:
    root, frontier, note = signed_head(conn)
    given = {"root": root, "frontier": frontier, "note": note}
    conn.execute("set role counterfoil_writer")
    with pytest.raises(psycopg.errors.CheckViolation):
        store(conn, 3, **(given | {part: forged(given[part])}))  # type: ignore[operator,arg-type]
    assert conn.execute("select count(*) from ledger.checkpoints").fetchone() == (0,)
    assert conn.execute("select signed_size from ledger.log_head").fetchone() == (0,)


def test_peaks_that_no_tree_of_that_size_has_are_refused_though_they_agree_with_root_and_note(
    conn: psycopg.Connection,
) -> None:
    signed_head(conn)
    one, other = sha256(b"1").digest(), sha256(b"2").digest()
    root = sha256(b"\x01" + one + other).digest()
    (text,) = conn.execute("select encode(%s::bytea, 'base64')", [root]).fetchone() or ("",)
    conn.execute("set role counterfoil_writer")
    with pytest.raises(psycopg.errors.CheckViolation, match="has not these peaks"):
        store(conn, 2, root, one + other, f"o\n2\n{text}\n\n— o AAAA\n")


NUMBERED = [sha256(b"%d" % number).digest() for number in range(1_200)]


def note_of(tree: Frontier) -> str:
    return f"o\n{tree.size}\n{b64encode(tree.root()).decode()}\n\n— o AAAA\n"


def long_book(conn: psycopg.Connection, size: int, signed_size: int) -> None:
    """A book of `size` records, the first `signed_size` of them under a checkpoint."""
    rows = [("main", seq, "k", "now", leaf, b"{}") for seq, leaf in enumerate(NUMBERED[:size])]
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into ledger.records (book, seq, kind, recorded_at, leaf_hash, canonical) "
            "values (%s, %s, %s, %s, %s, %s)",
            rows,
        )
    tree = Frontier().extend(NUMBERED[:size])
    head = {
        "book": "main",
        "size": size,
        "signed_size": 0,
        "last_leaf": NUMBERED[size - 1],
        "frontier": tree.to_bytes(),
    }
    insert(conn, "log_head", SOUND["log_head"] | head)
    if signed_size:
        before = Frontier().extend(NUMBERED[:signed_size])
        assert store(conn, signed_size, before.root(), before.to_bytes(), note_of(before)) == (size, 0, True)


@pytest.mark.parametrize(
    ("size", "signed_size", "asked"),
    [
        pytest.param(7, 0, 4, id="of a short log"),
        pytest.param(8, 3, 7, id="all of it inside the head's one peak"),
        pytest.param(1_200, 0, 1_150, id="few records to the head"),
        pytest.param(1_200, 0, 1_136, id="as few to the head as are re-derived"),
        pytest.param(1_200, 500, 550, id="few records from the checkpoint before"),
        pytest.param(1_200, 500, 564, id="as few from it as are re-derived"),
        pytest.param(1_200, 0, 64, id="the first checkpoint of all"),
    ],
)
def test_a_checkpoint_below_the_head_is_held_against_the_records(
    conn: psycopg.Connection, size: int, signed_size: int, asked: int
) -> None:
    long_book(conn, size, signed_size)
    tree = Frontier().extend(NUMBERED[:asked])
    conn.execute("set role counterfoil_writer")
    for place in range(len(tree.peaks)):
        peaks = list(tree.peaks)
        peaks[place] = sha256(peaks[place]).digest()
        forged = Frontier(asked, tuple(peaks))
        with pytest.raises(psycopg.errors.CheckViolation, match="has another root"):
            store(conn, asked, forged.root(), forged.to_bytes(), note_of(forged))
    assert store(conn, asked, tree.root(), tree.to_bytes(), note_of(tree)) == (size, signed_size, True)


def test_far_from_both_ends_the_peaks_that_the_head_has_too_are_held(conn: psycopg.Connection) -> None:
    # The first 512 of 600 and of 900 are one peak of both; what is behind it is too far to be re-derived.
    long_book(conn, 900, 0)
    tree = Frontier().extend(NUMBERED[:600])
    conn.execute("set role counterfoil_writer")
    forged = Frontier(600, (sha256(tree.peaks[0]).digest(), *tree.peaks[1:]))
    with pytest.raises(psycopg.errors.CheckViolation, match="has another root"):
        store(conn, 600, forged.root(), forged.to_bytes(), note_of(forged))
    assert store(conn, 600, tree.root(), tree.to_bytes(), note_of(tree)) == (900, 0, True)


def test_a_record_that_is_gone_below_the_head_is_no_reason_to_store_a_checkpoint(conn: psycopg.Connection) -> None:
    long_book(conn, 8, 0)
    conn.execute("set session_replication_role = replica")
    conn.execute("delete from ledger.records where seq = 6")
    conn.execute("set role counterfoil_writer")
    tree = Frontier().extend(NUMBERED[:5])
    with pytest.raises(psycopg.errors.CheckViolation, match="has another root"):
        store(conn, 5, tree.root(), tree.to_bytes(), note_of(tree))


@pytest.mark.parametrize(
    ("role", "act"),
    [
        ("writer", "insert into ledger.checkpoints select 'main', 9, root, frontier, note from ledger.checkpoints"),
        ("writer", "update ledger.log_head set signed_size = size"),
        ("writer", "update ledger.log_head set origin = 'p'"),
        ("writer", "insert into ledger.log_head (book, origin, size, signed_size, last_leaf, frontier) "
         "select 'other', 'q', 1, 1, last_leaf, frontier from ledger.log_head"),
        ("writer", "delete from ledger.log_head"),
        ("reader", "select ledger.store_checkpoint('main', 1, '', '', '')"),
        ("dbt", "select ledger.store_checkpoint('main', 1, '', '', '')"),
        ("auditor", "select ledger.store_checkpoint('main', 1, '', '', '')"),
        ("dagster", "select ledger.store_checkpoint('main', 1, '', '', '')"),
    ],
)  # fmt: skip
def test_no_role_says_what_is_signed_but_by_the_function(conn: psycopg.Connection, role: str, act: str) -> None:
    signed_head(conn)
    conn.execute(sql.SQL("set role {}").format(sql.Identifier(f"counterfoil_{role}")))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(act)
