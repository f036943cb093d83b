"""Somebody holds a book's head and does not let go: who waits is told who it is, and the book goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text

from ledger_core.actor import Actor
from ledger_core.book.posting.head import _WRITERS
from ledger_core.book.posting.holder import LOCK_TIMEOUT_SECONDS, STOPPED_SECONDS
from ledger_core.book.sequencer.link import Link
from ledger_core.errors import DependencyError
from ledger_core.evidence.check.checker import check_book
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask, LedgerPort
from ledger_core.runtime import Runtime
from ledger_core.settings import Settings

pytestmark = pytest.mark.integration

ME = Actor(subject="tester")
CHART = [AccountDraft(code=code, type="asset", currency="USD", normal_balance="debit") for code in "ab"]

# Posts one entry, and stops itself as soon as it is told where: a machine that sleeps, a debugger, a full disk of logs.
STOPPER = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from ledger_core.actor import Actor
from ledger_core.book.sequencer import threads
from ledger_core.errors import DependencyError
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings

home, url, where = sys.argv[1:4]
owner = threads.Sequencer
ours = getattr(owner, where)
stopped = []


def stopping(self, *given):
    done = ours(self, *given)
    if not stopped:
        stopped.append(True)
        print("stopped", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    return done


entry = EntryDraft(
    effective_at=datetime(2026, 11, 23, tzinfo=UTC), external_id="stopped", description="",
    postings=tuple(
        PostingDraft(account=code, direction=side, amount_minor=1, currency="USD")
        for code, side in (("a", "debit"), ("b", "credit"))
    ),
)
with open_runtime(Settings(home_path=Path(home), database_url=url, env="test", actor="stopper")) as runtime:
    ledger = runtime.ledger()
    setattr(owner, where, stopping)
    ask = Ask(actor=Actor(subject="stopper"), key="stopped")
    try:
        ledger.append([entry], ask)
        print("answered", flush=True)
    except DependencyError as error:
        print("told:", error.message, flush=True)
    answer = ledger.append([entry], ask)
    print("posted", answer.only.seq, flush=True)
"""


def entry(external_id: str) -> EntryDraft:
    sides = (("a", "debit"), ("b", "credit"))
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id,
        description="",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=1, currency="USD") for code, side in sides
        ),
    )


@pytest.fixture
def ledger(runtime: Runtime) -> LedgerPort:
    made = runtime.ledger()
    apply_accounts(made, CHART, Ask(actor=ME))
    return made


HOLDS = {
    "the queue of writers": f"select pg_advisory_xact_lock(hashtextextended('main', {_WRITERS}))",
    "the head's row": "select 1 from ledger.log_head where book = 'main' for update",
    "the head's table": "lock table ledger.log_head in exclusive mode",
}


@pytest.mark.parametrize("what", HOLDS)
def test_whoever_holds_the_head_is_named_to_those_who_wait(ledger: LedgerPort, runtime: Runtime, what: str) -> None:
    url = runtime.database_url.replace("+psycopg", "")
    with psycopg.connect(url, application_name="somebody's shell") as holder:
        holder.execute(HOLDS[what])
        started = time.monotonic()
        with pytest.raises(DependencyError) as told:
            ledger.append([entry("waits")], Ask(actor=ME, key="waits"))
        assert time.monotonic() - started < LOCK_TIMEOUT_SECONDS + 5
        assert told.value.context["holder_pid"] == holder.info.backend_pid
        assert told.value.context["holder_application"] == "somebody's shell"
        assert re.search(
            rf"process {holder.info.backend_pid} .*somebody's shell.*idle in transaction.* since 20\d\d-",
            str(told.value),
        )
        # A stranger's session is nothing that this software ends.
        assert holder.execute("select 1").fetchone() == (1,)
    assert len(ledger.append([entry("waits")], Ask(actor=ME, key="waits")).posted) == 1


@pytest.mark.parametrize(
    "where", ["_admit", "_publish"], ids=["between two statements", "in the middle of a copy of rows"]
)
def test_a_writer_that_stopped_in_its_batch_does_not_stop_the_book(
    ledger: LedgerPort, runtime: Runtime, settings: Settings, where: str
) -> None:
    stopper = subprocess.Popen(
        [sys.executable, "-c", STOPPER, str(settings.home), settings.database_url or "", where],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert stopper.stdout is not None
        assert stopper.stdout.readline() == "stopped\n"
        deadline = time.monotonic() + STOPPED_SECONDS + 3 * LOCK_TIMEOUT_SECONDS
        told = []
        while True:
            try:
                ledger.append([entry("neighbour")], Ask(actor=ME, key="neighbour"))
                break
            except DependencyError as error:
                told.append(str(error))
                assert time.monotonic() < deadline, told
        assert told
        assert "application 'counterfoil'" in told[0]
        os.kill(stopper.pid, signal.SIGCONT)
        rest, _ = stopper.communicate(timeout=60)
        # What it had begun was never kept; it is told so, and its key finds that nothing stands.
        assert rest.startswith("told: the database")
        assert rest.splitlines()[-1].startswith("posted ")
    finally:
        stopper.kill()
        stopper.wait()
    report = check_book(runtime, "main")
    assert report.sound
    assert report.counts["entries"] == 2


def test_a_session_of_the_sequencer_lets_go_by_itself_and_one_of_a_reader_may_take_its_time(engine: Engine) -> None:
    """What the server does when a writer's machine is gone and nobody waits who would notice."""
    link = Link(engine)
    names = ("lock_timeout", "idle_in_transaction_session_timeout", "tcp_keepalives_idle", "tcp_keepalives_count")
    try:
        conn = link.open()
        assert [conn.execute(f"show {name}").fetchone() for name in names] == [("5s",), ("10s",), ("10",), ("4",)]
    finally:
        link.close()
    with engine.connect() as connection:
        assert connection.execute(text("show idle_in_transaction_session_timeout")).scalar_one() == "0"
        assert connection.execute(text("show tcp_keepalives_idle")).scalar_one() == "10"
