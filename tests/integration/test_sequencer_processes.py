"""Several processes at one book, and processes that die between the two transactions."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ledger_core.actor import Actor
from ledger_core.book.ledger import Ledger
from ledger_core.errors import DependencyError
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.log.record import parse_record
from ledger_core.ports import Ask
from ledger_core.reading import balances
from ledger_core.reading.heads import checkpoint_at, read_head
from ledger_core.runtime import Runtime
from ledger_core.settings import Settings

pytestmark = pytest.mark.integration

ACTOR = Actor(subject="tester")
CHART = [
    AccountDraft(code="assets:psp", type="asset", currency="USD", normal_balance="debit"),
    AccountDraft(code="revenue:sales", type="revenue", currency="USD", normal_balance="credit"),
]

POSTER = '''
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from ledger_core.actor import Actor
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask
from ledger_core.settings import Settings
from ledger_core.book.ledger import Ledger
from ledger_core.runtime import open_runtime

home, url, name, count, batch, hang = sys.argv[1:7]


class HangingSigner:
    """A proxy whose answer never comes."""

    def __init__(self, real):
        self.latest, self.close = real.latest, real.close

    def sign_checkpoint(self, **asked):
        print("signing", flush=True)
        time.sleep(3600)


def entry(number):
    sides = (("assets:psp", "debit"), ("revenue:sales", "credit"))
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC), external_id=f"{name}:{number}", description="",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=1, currency="USD") for code, side in sides
        ),
    )


settings = Settings(home_path=Path(home), database_url=url, env="test", actor=name)
with open_runtime(settings) as runtime:
    ledger = runtime.ledger()
    if hang == "hang":
        ledger = Ledger(
            engine=runtime.engine, signer=HangingSigner(runtime.signer), settings=settings, book="main",
            kinds=runtime.kinds, clock=runtime.clock,
        )
    for start in range(0, int(count), int(batch)):
        answer = ledger.append(
            [entry(number) for number in range(start, start + int(batch))],
            Ask(actor=Actor(subject=name), key=f"{name}{start}"),
        )
        assert len(answer.posted) == int(batch) or answer.replayed
print("done", flush=True)
'''


@pytest.fixture
def ledger(runtime: Runtime) -> Ledger:
    made = runtime.ledger()
    assert isinstance(made, Ledger)
    apply_accounts(made, CHART, Ask(actor=ACTOR))
    return made


def entry(external_id: str) -> EntryDraft:
    sides = (("assets:psp", "debit"), ("revenue:sales", "credit"))
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id,
        description="",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=1, currency="USD") for code, side in sides
        ),
    )


def poster(settings: Settings, name: str, count: int, batch: int, hang: bool = False) -> subprocess.Popen[str]:
    url = settings.database_url or ""
    arguments = [str(settings.home), url, name, str(count), str(batch), "hang" if hang else "sign"]
    return subprocess.Popen(
        [sys.executable, "-c", POSTER, *arguments],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )


def assert_one_unbroken_log(runtime: Runtime) -> int:
    """Re-hash the whole log from its bytes; return its size."""
    with runtime.engine.connect() as connection:
        head = read_head(connection, "main")
        frontier, prev, last_time = Frontier(), bytes(32), ""
        roots = {}
        rows = connection.execute(
            text("select leaf_hash, canonical from ledger.records where book = 'main' order by seq")
        )
        for row in rows:
            record = parse_record(bytes(row.canonical))
            leaf = bytes(row.leaf_hash)
            assert (record.seq, record.prev) == (frontier.size, prev)
            assert record.recorded_at > last_time
            frontier = frontier.extend([leaf])
            prev, last_time = leaf, record.recorded_at
            roots[frontier.size] = frontier.root()
        assert (frontier.size, frontier.to_bytes(), prev) == (head.size, head.frontier.to_bytes(), head.last_leaf)
        assert head.signed_size == head.size
        notes = connection.execute(text("select size, note from ledger.checkpoints")).all()
        for size, note in notes:
            checkpoint = parse_checkpoint(parse_note(note).text)
            assert (checkpoint.size, checkpoint.root) == (size, roots[size])
        trial = balances.trial_balance(connection, "main")
        assert trial.balanced
        entries = connection.execute(text("select count(*) from ledger.entries")).scalar_one()
        assert trial.lines[0].debits == entries
    return head.size


def test_two_processes_write_one_unbroken_log(ledger: Ledger, runtime: Runtime, settings: Settings) -> None:
    both = [poster(settings, name, 600, 20) for name in ("one", "two")]
    for process in both:
        assert process.wait(timeout=120) == 0
        assert process.stdout is not None
        process.stdout.close()
    ledger.append([], Ask(actor=ACTOR))
    assert assert_one_unbroken_log(runtime) == 1 + len(CHART) + 1_200


def test_a_process_killed_before_the_signature_loses_and_doubles_nothing(
    ledger: Ledger, runtime: Runtime, settings: Settings
) -> None:
    dying = poster(settings, "kill", 50, 50, hang=True)
    assert dying.stdout is not None
    assert dying.stdout.readline() == "signing\n"
    with runtime.engine.connect() as connection:
        head = read_head(connection, "main")
        assert head.signed_size < head.size
        root = head.frontier.root()
    dying.send_signal(signal.SIGKILL)
    dying.wait(timeout=10)
    dying.stdout.close()
    heir = poster(settings, "kill", 50, 50)
    assert heir.wait(timeout=60) == 0
    assert heir.stdout is not None
    heir.stdout.close()
    with runtime.engine.connect() as connection:
        checkpoint = checkpoint_at(connection, "main", head.size)
        assert checkpoint is not None
        assert checkpoint.root == root
    assert assert_one_unbroken_log(runtime) == head.size


def test_opening_a_book_has_a_tail_signed_that_somebody_left(
    ledger: Ledger, runtime: Runtime, settings: Settings
) -> None:
    dying = poster(settings, "left", 10, 10, hang=True)
    assert dying.stdout is not None
    assert dying.stdout.readline() == "signing\n"
    dying.kill()
    dying.wait(timeout=10)
    dying.stdout.close()
    opened = Ledger.open(runtime, "main")
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with runtime.engine.connect() as connection:
                head = read_head(connection, "main")
            if head.signed_size == head.size:
                return
            time.sleep(0.02)
        raise AssertionError("the tail was not signed")
    finally:
        opened.close()


def test_a_lost_connection_is_answered_and_the_next_request_finds_a_new_one(
    ledger: Ledger, runtime: Runtime, engine: Engine
) -> None:
    ledger.append([entry("before")], Ask(actor=ACTOR))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as superuser:
        superuser.execute(
            text(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        )
    with pytest.raises(DependencyError):
        ledger.append([entry("during")], Ask(actor=ACTOR, key="during"))
    assert len(ledger.append([entry("during")], Ask(actor=ACTOR, key="during")).posted) == 1
    runtime.engine.dispose()
    assert assert_one_unbroken_log(runtime) == 1 + len(CHART) + 2
