"""Records that are durable and not signed: somebody has them signed, in order, whatever became of the writer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text

from ledger_core.actor import Actor
from ledger_core.book.ledger import Ledger
from ledger_core.book.sequencer import notary, tail
from ledger_core.book.sequencer.checkpoints import covering_checkpoint
from ledger_core.errors import DependencyError, IntegrityError, LedgerBehind, SignerBehind
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.merkle import Frontier
from ledger_core.ports import Answer, Ask
from ledger_core.reading.heads import Head, read_head
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

ACTOR = Actor(subject="tester")
CHART = tuple(
    AccountDraft(code=code, type=kind, currency="USD", normal_balance=side)
    for code, kind, side in (("assets:psp", "asset", "debit"), ("revenue:sales", "revenue", "credit"))
)


def entry(external_id: str) -> EntryDraft:
    sides = (("assets:psp", "debit"), ("revenue:sales", "credit"))
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, 8, tzinfo=UTC),
        external_id=external_id,
        description="a sale",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=100, currency="USD") for code, side in sides
        ),
    )


class Signer:
    """The real proxy; may be away, and says what it was asked."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.away = False
        self.asked: list[tuple[int, int]] = []

    def latest(self, origin: str) -> str | None:
        found: str | None = self.real.latest(origin)
        return found

    def close(self) -> None:
        self.real.close()

    def sign_checkpoint(self, **asked: Any) -> str:
        if self.away:
            raise DependencyError("the signing proxy is away.")
        self.asked.append((asked["old"].size, asked["old"].size + len(asked["leaves"])))
        found: str = self.real.sign_checkpoint(**asked)
        return found


Make = Callable[..., Ledger]


@pytest.fixture
def signer(runtime: Runtime) -> Signer:
    return Signer(runtime.signer)


@pytest.fixture
def make(runtime: Runtime) -> Iterator[Make]:
    """Make another process' library of the same book, without looking at it as opening does."""
    made: list[Ledger] = []

    def build(signer: object) -> Ledger:
        made.append(
            Ledger(
                engine=runtime.engine, signer=signer, settings=runtime.settings, book="main", kinds=runtime.kinds,  # type: ignore[arg-type]
                clock=runtime.clock,
            )
        )  # fmt: skip
        return made[-1]

    yield build
    for ledger in made:
        ledger.close()


@pytest.fixture
def ledger(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    # It would have signed in time what a test says nobody has signed.
    monkeypatch.setattr(tail, "LOOK_SECONDS", 3600.0)
    made = runtime.ledger()
    assert isinstance(made, Ledger)
    apply_accounts(made, CHART, Ask(actor=ACTOR))
    return made


def head(runtime: Runtime) -> Head:
    with runtime.engine.connect() as connection:
        return read_head(connection, "main")


def sizes(runtime: Runtime) -> list[int]:
    with runtime.engine.connect() as connection:
        return list(connection.execute(text("select size from ledger.checkpoints order by size")).scalars())


def await_signed(runtime: Runtime, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (found := head(runtime)).signed_size < found.size:
        assert time.monotonic() < deadline, f"{found.size - found.signed_size} records were never signed"
        time.sleep(0.02)


def left_unsigned(ledger: Ledger, make: Make, runtime: Runtime, signer: Signer) -> int:
    """Leave a tail of three records as a process does that dies between its two transactions; return the size."""
    gone = Signer(signer.real)
    gone.away = True  # for good: the dead do not try again
    dying = make(gone)
    dying.append([entry(f"left:{number}") for number in range(3)], Ask(actor=ACTOR, wait=False))
    dying._sequencer._tail.drain()
    found = head(runtime)
    assert found.signed_size == found.size - 3
    return found.size


def test_what_is_durable_after_a_lost_commit_is_signed_without_another_post(
    ledger: Ledger, make: Make, runtime: Runtime, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make(signer)
    mine.append([entry("a:0")], Ask(actor=ACTOR))
    writer = mine._sequencer._writer
    write = writer.write

    def lose_the_answer(*given: Any, **named: Any) -> Any:
        write(*given, **named)
        raise psycopg.OperationalError("the connection was lost: server closed it unexpectedly")

    before = head(runtime).size
    monkeypatch.setattr(writer, "write", lose_the_answer)
    with pytest.raises(DependencyError, match="went away"):
        mine.append([entry("a:1")], Ask(actor=ACTOR, key="a1"))
    assert head(runtime).size == before + 1, "it is durable"
    await_signed(runtime, 10)
    monkeypatch.setattr(writer, "write", write)
    again = mine.append([entry("a:1")], Ask(actor=ACTOR, key="a1"))
    assert again.replayed
    assert again.checkpoint is not None


def test_a_tail_that_a_killed_process_left_is_signed_by_whoever_is_idle(
    ledger: Ledger, make: Make, runtime: Runtime, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "LOOK_SECONDS", 0.2)
    idle = make(runtime.signer)
    idle.append([entry("idle:0")], Ask(actor=ACTOR))
    left_unsigned(ledger, make, runtime, signer)
    await_signed(runtime, 10)


@pytest.mark.parametrize("steps", [[3], [2, 1], [1, 1, 1]], ids=str)
def test_a_tail_that_somebody_left_is_signed_before_the_first_write(
    ledger: Ledger,
    make: Make,
    runtime: Runtime,
    signer: Signer,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[int],
) -> None:
    left = left_unsigned(ledger, make, runtime, signer)
    monkeypatch.setattr(notary, "MAX_LEAVES", steps[0])
    ours = Signer(runtime.signer)
    answer = make(ours).append([entry("next:0")], Ask(actor=ACTOR))
    assert [new - old for old, new in ours.asked] == [*steps, 1], "the tail alone, first"
    assert ours.asked[-1] == (left, left + 1)
    assert left in sizes(runtime)
    assert answer.size == left + 1


def test_while_a_tail_cannot_be_signed_nothing_is_written_behind_it(
    ledger: Ledger, make: Make, runtime: Runtime, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_unsigned(ledger, make, runtime, signer)
    signer.away = True
    with pytest.raises(DependencyError):
        make(signer).append([entry("next:0")], Ask(actor=ACTOR))
    assert head(runtime).size == left


def test_a_tail_longer_than_one_request_is_signed_in_steps(
    ledger: Ledger, make: Make, runtime: Runtime, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notary, "MAX_LEAVES", 4)
    first = head(runtime).size
    ours = Signer(runtime.signer)
    mine = make(ours)
    answer = mine.append([entry(f"many:{number}") for number in range(11)], Ask(actor=ACTOR, key="many"))
    assert ours.asked == [(first, first + 4), (first + 4, first + 8), (first + 8, first + 11)]
    assert answer.size == first + 11
    mine.append([entry("one")], Ask(actor=ACTOR))
    again = mine.append([entry(f"many:{number}") for number in range(11)], Ask(actor=ACTOR, key="many"))
    assert (again.replayed, again.size, again.checkpoint) == (True, answer.size, answer.checkpoint)


def test_the_checkpoint_of_an_answer_covers_its_last_record(ledger: Ledger, runtime: Runtime) -> None:
    """Each entry alone has a checkpoint of its own: one record short, or one too far, names another one."""
    answers: list[Answer] = [ledger.append([entry(f"c:{n}")], Ask(actor=ACTOR, key=f"c{n}")) for n in range(4)]
    pooled = runtime.engine.raw_connection()
    conn: Any = pooled.driver_connection
    for number, answer in enumerate(answers):
        covers = answer.posted[0].seq + 1
        assert answer.size == covers
        assert covering_checkpoint(conn, "main", covers) == (covers, answer.checkpoint)
        again = ledger.append([entry(f"c:{number}")], Ask(actor=ACTOR, key=f"c{number}"))
        assert (again.replayed, again.size, again.checkpoint) == (True, answer.size, answer.checkpoint)
    assert covering_checkpoint(conn, "main", answers[-1].size + 1) is None
    pooled.close()


# A database, or a proxy, that went back in time.


def roll_back(runtime: Runtime, size: int) -> None:
    """Put the database where it stood at `size`, as a restore from a backup would, past the triggers."""
    superuser = create_engine(runtime.database_url)
    with superuser.begin() as connection:
        connection.execute(text("set session_replication_role = replica"))
        for table in ("postings", "entries", "records"):
            connection.execute(text(f"delete from ledger.{table} where seq >= {size}"))
        connection.execute(text(f"delete from ledger.checkpoints where size > {size}"))
        rows = connection.execute(text("select leaf_hash from ledger.records order by seq")).scalars()
        leaves = [bytes(row) for row in rows]
        signed = connection.execute(text("select coalesce(max(size), 0) from ledger.checkpoints")).scalar_one()
        connection.execute(
            text(
                "update ledger.log_head set size = :size, signed_size = :signed, last_leaf = :leaf, frontier = :peaks"
            ),
            {"size": size, "signed": signed, "leaf": leaves[-1], "peaks": Frontier().extend(leaves).to_bytes()},
        )
    superuser.dispose()


def test_nothing_is_written_to_a_database_that_went_back_under_a_running_process(
    ledger: Ledger, runtime: Runtime
) -> None:
    answer = ledger.append([entry(f"b:{n}") for n in range(3)], Ask(actor=ACTOR))
    roll_back(runtime, answer.size - 1)
    with pytest.raises(LedgerBehind) as caught:
        ledger.append([entry("b:9")], Ask(actor=ACTOR))
    assert caught.value.context == {"size": answer.size - 1, "signed_size": answer.size}
    assert "docs/runbooks/failed-check.md" in str(caught.value)
    assert head(runtime).size == answer.size - 1, "the lock was taken, and the batch kept out"
    with pytest.raises(LedgerBehind):
        ledger.append([entry("b:10")], Ask(actor=ACTOR))
    assert ledger.fault is not None


def test_a_log_that_somebody_rewrote_before_its_signature_came_stops_the_book_by_name(
    ledger: Ledger, make: Make, runtime: Runtime, signer: Signer
) -> None:
    signer.away = True
    mine = make(signer)
    mine.append([entry(f"r:{number}") for number in range(3)], Ask(actor=ACTOR, wait=False))
    superuser = create_engine(runtime.database_url)
    with superuser.begin() as connection:
        connection.execute(text("update ledger.log_head set frontier = sha256(frontier) || substr(frontier, 33)"))
    superuser.dispose()
    signer.away = False
    deadline = time.monotonic() + 30
    while mine.fault is None:
        assert time.monotonic() < deadline, "a checkpoint of another tree was stored"
        time.sleep(0.02)
    with pytest.raises(IntegrityError, match="does not hold what was signed"):
        mine.append([entry("r:9")], Ask(actor=ACTOR))
    assert head(runtime).signed_size < head(runtime).size


def test_nothing_is_written_to_a_database_that_went_back_before_the_process_began(
    ledger: Ledger, make: Make, runtime: Runtime
) -> None:
    answer = ledger.append([entry(f"b:{n}") for n in range(3)], Ask(actor=ACTOR))
    ledger.close()
    roll_back(runtime, answer.size - 2)
    with pytest.raises(LedgerBehind):
        make(runtime.signer).append([entry("b:9")], Ask(actor=ACTOR))
    assert head(runtime).size == answer.size - 2


class Forgetful:
    """A proxy whose memory is that of an earlier day."""

    def __init__(self, note: str | None) -> None:
        self.note = note

    def latest(self, origin: str) -> str | None:
        return self.note

    def close(self) -> None:
        pass

    def sign_checkpoint(self, **asked: Any) -> str:
        raise AssertionError("nothing is asked of it")


@pytest.mark.parametrize("memory", ["older", "none"])
def test_nothing_is_written_while_the_proxy_knows_less_than_it_signed(
    ledger: Ledger, make: Make, runtime: Runtime, memory: str
) -> None:
    first = ledger.append([entry("f:0")], Ask(actor=ACTOR))
    ledger.append([entry("f:1")], Ask(actor=ACTOR))
    size = head(runtime).size
    with pytest.raises(SignerBehind, match="knows") as caught:
        make(Forgetful(first.checkpoint if memory == "older" else None)).append([entry("f:2")], Ask(actor=ACTOR))
    assert isinstance(caught.value, IntegrityError)
    assert "docs/runbooks/signing-state.md" in str(caught.value)
    assert head(runtime).size == size
