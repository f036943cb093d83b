"""A signer that is away, and a database that went back in time: nothing is acknowledged that is not signed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, text

from ledger_core.actor import Actor
from ledger_core.book.ledger import Ledger
from ledger_core.book.posting.requests import Request
from ledger_core.book.sequencer import tail
from ledger_core.errors import DependencyError, DuplicateExternalId, IntegrityError, SignatureLate
from ledger_core.files.chart import AppliedAccounts, apply_accounts
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.merkle import Frontier
from ledger_core.ports import Answer, Ask, Declined
from ledger_core.reading.entries import get_entry
from ledger_core.reading.heads import read_head
from ledger_core.runtime import Runtime
from ledger_core.settings.rooms import LedgerSettings

pytestmark = pytest.mark.integration

ACTOR = Actor(subject="tester")
CHART = tuple(
    AccountDraft(code=code, type=kind, currency="USD", normal_balance=side)
    for code, kind, side in (("assets:psp", "asset", "debit"), ("revenue:sales", "revenue", "credit"))
)


def entry(external_id: str) -> EntryDraft:
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, 8, tzinfo=UTC),
        external_id=external_id,
        description="a sale",
        postings=(
            PostingDraft(account="assets:psp", direction="debit", amount_minor=100, currency="USD"),
            PostingDraft(account="revenue:sales", direction="credit", amount_minor=100, currency="USD"),
        ),
    )


@pytest.fixture
def ledger(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    # An idle process of the book signs what others leave: here it would do so while a test says that nobody does.
    monkeypatch.setattr(tail, "LOOK_SECONDS", 3600.0)
    made = runtime.ledger()
    assert isinstance(made, Ledger)
    apply_accounts(made, CHART, Ask(actor=ACTOR))
    return made


class AbsentSigner:
    """A proxy that can be sent away; otherwise the real one."""

    def __init__(self, real: object) -> None:
        self.real = real
        self.away = False

    def latest(self, origin: str) -> str | None:
        return self.real.latest(origin)  # type: ignore[attr-defined, no-any-return]

    def close(self) -> None:
        self.real.close()  # type: ignore[attr-defined]

    def sign_checkpoint(self, **asked: object) -> str:
        if self.away:
            raise DependencyError("the signing proxy is away.")
        return self.real.sign_checkpoint(**asked)  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def signer(runtime: Runtime) -> AbsentSigner:
    return AbsentSigner(runtime.signer)


class GivingUp(Ledger):
    """Waits as long as it takes while its signer is there; while it is away, until only the signature is missing."""

    signer: AbsentSigner

    def _result(self, request: Request) -> Answer:
        waited = 0
        while True:
            try:
                return request.future.result(1.0)
            except FutureTimeout:
                waited += 1
                assert waited < 120, "neither an answer nor a reason"
                if self.signer.away and request.durable:
                    raise self._sequencer.overdue(request) from None


@pytest.fixture
def tail_seconds() -> float:
    """How long a record may be unsigned before nothing is posted any more."""
    return 600.0


@pytest.fixture
def mine(ledger: Ledger, runtime: Runtime, signer: AbsentSigner, tail_seconds: float) -> Iterator[Ledger]:
    """Another process' library of the same book, with a signer that can go away."""
    limits = LedgerSettings(unsigned_tail_max_seconds=tail_seconds, unsigned_tail_max_records=10)
    settings = runtime.settings.model_copy(update={"ledger": limits})
    made = GivingUp(
        engine=runtime.engine, signer=signer, settings=settings, book="main", kinds=runtime.kinds, clock=runtime.clock
    )
    made.signer = signer
    yield made
    made.close()


@pytest.mark.parametrize("tail_seconds", [2.0])
def test_while_the_signer_is_away_nothing_is_acknowledged_and_the_tail_stays_bounded(
    mine: Ledger, signer: AbsentSigner, runtime: Runtime
) -> None:
    mine.append([entry("a:0")], Ask(actor=ACTOR))
    signer.away = True
    with pytest.raises(SignatureLate):
        mine.append([entry("a:1")], Ask(actor=ACTOR, key="a1"))
    with runtime.engine.connect() as connection:
        found = get_entry(connection, "main", "a:1")
        assert found is not None
        assert found.status == "pending"
        before = read_head(connection, "main").size
    threading.Event().wait(2.0)
    with pytest.raises(DependencyError) as caught:
        mine.append([entry("a:2")], Ask(actor=ACTOR, key="a2"))
    assert not isinstance(caught.value, SignatureLate)
    with runtime.engine.connect() as connection:
        assert read_head(connection, "main").size == before
    signer.away = False
    wait_until_signed(runtime)
    late = mine.append([entry("a:1")], Ask(actor=ACTOR, key="a1"))
    assert late.replayed
    assert late.posted[0].id == found.id
    assert not mine.append([entry("a:2")], Ask(actor=ACTOR, key="a2")).replayed


def test_nothing_is_said_to_stand_before_it_is_signed(mine: Ledger, signer: AbsentSigner, runtime: Runtime) -> None:
    signer.away = True
    fees = AccountDraft(code="expenses:fees", type="expense", currency="USD", normal_balance="debit")
    for _ in range(2):
        with pytest.raises(SignatureLate):
            mine.append([entry("s:1")], Ask(actor=ACTOR))
        with pytest.raises(SignatureLate):
            apply_accounts(mine, [fees], Ask(actor=ACTOR))
    # What was signed before is still said at once.
    assert apply_accounts(mine, CHART[:1], Ask(actor=ACTOR)) == AppliedAccounts(created=0, changed=0, unchanged=1)
    signer.away = False
    answer = mine.append([entry("s:1")], Ask(actor=ACTOR))
    declined = answer.items[0]
    assert isinstance(declined, Declined)
    assert isinstance(declined.error, DuplicateExternalId)
    assert declined.error.identical
    with runtime.engine.connect() as connection:
        holder = get_entry(connection, "main", "s:1")
        head = read_head(connection, "main")
    assert holder is not None
    assert holder.seq < answer.size <= head.signed_size
    assert apply_accounts(mine, [fees], Ask(actor=ACTOR)) == AppliedAccounts(created=0, changed=0, unchanged=1)


def test_a_database_behind_the_proxy_refuses_to_be_written(ledger: Ledger, runtime: Runtime) -> None:
    ledger.append([entry(f"b:{n}") for n in range(3)], Ask(actor=ACTOR))
    with runtime.engine.connect() as connection:
        head = read_head(connection, "main")
    ledger.close()
    roll_back(runtime, head.size - 1)
    again = Ledger(
        engine=runtime.engine,
        signer=runtime.signer,
        settings=runtime.settings,
        book="main",
        kinds=runtime.kinds,
        clock=runtime.clock,
    )
    try:
        with pytest.raises(IntegrityError) as caught:
            again.append([entry("b:9")], Ask(actor=ACTOR))
        assert "went back in time" in str(caught.value)
        with pytest.raises(IntegrityError):
            again.append([entry("b:10")], Ask(actor=ACTOR))
    finally:
        again.close()


def test_a_database_that_goes_back_under_a_running_process_is_noticed(ledger: Ledger, runtime: Runtime) -> None:
    answer = ledger.append([entry(f"b:{n}") for n in range(3)], Ask(actor=ACTOR))
    roll_back(runtime, answer.size - 1)
    with pytest.raises(IntegrityError):
        ledger.append([entry("b:9")], Ask(actor=ACTOR))
    kept = [path.read_text() for path in (runtime.home / "security" / "main").iterdir()]
    assert ['"reason": "ledger_behind"' in event for event in kept] == [True], "for whoever can record it"


def wait_until_signed(runtime: Runtime) -> None:
    for _ in range(3_000):
        with runtime.engine.connect() as connection:
            head = read_head(connection, "main")
        if head.signed_size == head.size:
            return
        threading.Event().wait(0.02)
    raise AssertionError("the tail was not signed within a minute")


def roll_back(runtime: Runtime, size: int) -> None:
    """Put the database where it stood at `size`, as a restore from a backup would, past the triggers."""
    superuser = create_engine(runtime.database_url)
    with superuser.begin() as connection:
        connection.execute(text("set session_replication_role = replica"))
        for table in ("postings", "entries", "records"):
            connection.execute(text(f"delete from ledger.{table} where seq >= {size}"))
        connection.execute(text(f"delete from ledger.checkpoints where size > {size}"))
        leaves = [
            bytes(row[0]) for row in connection.execute(text("select leaf_hash from ledger.records order by seq"))
        ]
        signed = connection.execute(text("select coalesce(max(size), 0) from ledger.checkpoints")).scalar_one()
        connection.execute(
            text(
                "update ledger.log_head set size = :size, signed_size = :signed, last_leaf = :leaf, frontier = :peaks"
            ),
            {
                "size": size,
                "signed": signed,
                "leaf": leaves[-1],
                "peaks": Frontier().extend(leaves).to_bytes(),
            },
        )
    superuser.dispose()
