"""Posting through the real sequencer, Postgres and signing proxy: what callers are told, and when."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from api.reversals import reverse
from ledger_core.actor import Actor
from ledger_core.book.ledger import Ledger
from ledger_core.errors import (
    AccountNotOpen,
    AlreadyReversed,
    CurrencyMismatch,
    DuplicateExternalId,
    InFlight,
    InsufficientFunds,
    KeyReused,
    ReferenceNotFound,
    Refused,
    UnbalancedEntry,
    UnknownAccount,
)
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountChange, AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.merkle import verify_inclusion
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.ports import Answer, Ask, Declined, Posted, RecordDraft, Unchanged
from ledger_core.reading import balances
from ledger_core.reading.entries import get_entry, list_entries
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

ACTOR = Actor(subject="tester")
MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)

CHART = (
    AccountDraft(code="assets:bank", type="asset", currency="USD", normal_balance="debit", overdraft="forbidden"),
    AccountDraft(code="assets:psp", type="asset", currency="USD", normal_balance="debit"),
    AccountDraft(code="assets:card", type="asset", currency="USD", normal_balance="debit", overdraft="50"),
    AccountDraft(code="assets:psp:eur", type="asset", currency="EUR", normal_balance="debit"),
    AccountDraft(code="revenue:sales", type="revenue", currency="USD", normal_balance="credit"),
)


@pytest.fixture
def ledger(runtime: Runtime) -> Ledger:
    made = runtime.ledger()
    assert isinstance(made, Ledger)
    apply_accounts(made, CHART, Ask(actor=ACTOR))
    return made


def entry(
    external_id: str,
    amount: int = 100,
    *,
    debit: str = "assets:psp",
    credit: str = "revenue:sales",
    currency: str = "USD",
    **more: object,
) -> EntryDraft:
    return EntryDraft(
        effective_at=MONDAY,
        external_id=external_id,
        description="a sale",
        postings=(
            PostingDraft(account=debit, direction="debit", amount_minor=amount, currency=currency),
            PostingDraft(account=credit, direction="credit", amount_minor=amount, currency=currency),
        ),
        **more,  # type: ignore[arg-type]
    )


def errors(answer: Answer) -> list[str | None]:
    return [type(item.error).__name__ if isinstance(item, Declined) else None for item in answer.items]


def test_every_posted_entry_is_proven_by_the_checkpoint_that_came_with_it(ledger: Ledger) -> None:
    answer = ledger.append([entry(f"sale:{n}") for n in range(700)], Ask(actor=ACTOR))
    assert answer.checkpoint is not None
    checkpoint = parse_checkpoint(parse_note(answer.checkpoint).text)
    assert (checkpoint.origin, checkpoint.size) == (ledger.origin, answer.size)
    for item in answer.posted:
        assert verify_inclusion(item.leaf_hash, item.seq, answer.size, answer.inclusion(item), checkpoint.root)
    seqs = [item.seq for item in answer.posted]
    assert seqs == list(range(seqs[0], seqs[0] + 700))
    times = [item.recorded_at for item in answer.posted]
    assert all(later > earlier for earlier, later in itertools.pairwise(times))


def test_a_bad_item_never_spoils_its_neighbours(ledger: Ledger) -> None:
    frozen = AccountDraft(code="assets:frozen", type="asset", currency="USD", normal_balance="debit")
    apply_accounts(ledger, [frozen], Ask(actor=ACTOR))
    ledger.append([AccountChange(code="assets:frozen", status="frozen")], Ask(actor=ACTOR), atomic=True)
    missing = "01890000-0000-7000-8000-000000000000"
    unbalanced = EntryDraft(
        effective_at=MONDAY,
        external_id="bad:5",
        description="",
        postings=(
            PostingDraft(account="assets:psp", direction="debit", amount_minor=1, currency="USD"),
            PostingDraft(account="revenue:sales", direction="credit", amount_minor=2, currency="USD"),
        ),
    )
    answer = ledger.append(
        [
            entry("good:1"),
            entry("bad:1", debit="assets:none"),
            entry("bad:2", debit="assets:frozen"),
            entry("bad:3", debit="assets:psp:eur"),
            entry("bad:4", reverses=missing),
            unbalanced,
            entry("bad:6", 10, debit="revenue:sales", credit="assets:bank"),
            entry("good:1", 5),
            entry("good:2"),
        ],
        Ask(actor=ACTOR),
    )
    assert errors(answer) == [
        None,
        UnknownAccount.__name__,
        AccountNotOpen.__name__,
        CurrencyMismatch.__name__,
        ReferenceNotFound.__name__,
        UnbalancedEntry.__name__,
        InsufficientFunds.__name__,
        DuplicateExternalId.__name__,
        None,
    ]
    assert [item.seq for item in answer.posted] == [answer.posted[0].seq, answer.posted[0].seq + 1]


def test_funds_count_the_items_before_in_the_same_batch(ledger: Ledger) -> None:
    draw = {"debit": "revenue:sales", "credit": "assets:bank"}
    answer = ledger.append(
        [
            entry("f:1", 60, **draw),
            entry("f:2", 100, debit="assets:bank"),
            entry("f:3", 60, **draw),
            entry("f:4", 60, **draw),
            entry("f:5", 40, **draw),
        ],
        Ask(actor=ACTOR),
    )
    assert errors(answer) == ["InsufficientFunds", None, None, "InsufficientFunds", None]
    card = {"debit": "revenue:sales", "credit": "assets:card"}
    answer = ledger.append([entry("c:1", 50, **card), entry("c:2", 1, **card)], Ask(actor=ACTOR))
    assert errors(answer) == [None, "InsufficientFunds"]


def test_an_atomic_group_falls_together_and_leaves_no_trace(ledger: Ledger, runtime: Runtime) -> None:
    with pytest.raises(InsufficientFunds) as caught:
        ledger.append(
            [entry("g:1", debit="assets:bank"), entry("g:2", 101, debit="revenue:sales", credit="assets:bank")],
            Ask(actor=ACTOR, key="group"),
            atomic=True,
        )
    assert caught.value.context["index"] == 1
    with runtime.engine.connect() as connection:
        assert get_entry(connection, "main", "g:1") is None
        assert balances.balance(connection, "main", "assets:bank").debits == 0
    answer = ledger.append(
        [entry("g:1", debit="assets:bank"), entry("g:2", 100, debit="revenue:sales", credit="assets:bank")],
        Ask(actor=ACTOR, key="group"),
        atomic=True,
    )
    assert errors(answer) == [None, None]


def test_a_repeated_key_gets_the_same_answer_and_another_body_is_refused(ledger: Ledger) -> None:
    entries = [entry("k:1"), entry("k:2", debit="assets:none"), entry("k:3")]
    first = ledger.append(entries, Ask(actor=ACTOR, key="key-1"))
    ledger.append([entry("between")], Ask(actor=ACTOR))
    again = ledger.append(entries, Ask(actor=ACTOR, key="key-1"))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.posted == first.posted
    assert str(again.items[1].error) == str(first.items[1].error)  # type: ignore[union-attr]
    assert (again.checkpoint, again.size) == (first.checkpoint, first.size)
    assert [again.inclusion(item) for item in again.posted] == [first.inclusion(item) for item in first.posted]
    with pytest.raises(KeyReused):
        ledger.append([entry("k:9")], Ask(actor=ACTOR, key="key-1"))
    assert not ledger.append([entry("k:9")], Ask(actor=ACTOR, key="key-1", route="other")).replayed


def test_a_request_of_several_batches_is_repeated_as_one(ledger: Ledger) -> None:
    entries = [entry(f"many:{n}") for n in range(2_300)]
    first = ledger.append(entries, Ask(actor=ACTOR, key="many"))
    again = ledger.append(entries, Ask(actor=ACTOR, key="many"))
    assert again.replayed
    assert again.items == first.items
    assert (again.checkpoint, again.size) == (first.checkpoint, first.size)
    root = parse_checkpoint(parse_note(again.checkpoint or "").text).root
    for item in (again.posted[0], again.posted[1_500], again.posted[-1]):
        assert verify_inclusion(item.leaf_hash, item.seq, again.size, again.inclusion(item), root)


def test_refusals_are_not_stored_under_their_key(ledger: Ledger) -> None:
    assert errors(ledger.append([entry("r:1", debit="assets:new")], Ask(actor=ACTOR, key="r"))) == ["UnknownAccount"]
    new = AccountDraft(code="assets:new", type="asset", currency="USD", normal_balance="debit")
    apply_accounts(ledger, [new], Ask(actor=ACTOR))
    assert errors(ledger.append([entry("r:1", debit="assets:new")], Ask(actor=ACTOR, key="r"))) == [None]


def test_a_hundred_callers_with_one_key_make_one_entry(ledger: Ledger, runtime: Runtime) -> None:
    barrier = threading.Barrier(100)

    def post(_: int) -> Answer | InFlight:
        barrier.wait()
        try:
            return ledger.append([entry("once")], Ask(actor=ACTOR, key="once"))
        except InFlight as error:
            return error

    with ThreadPoolExecutor(100) as pool:
        outcomes = list(pool.map(post, range(100)))
    answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    assert sum(not answer.replayed for answer in answers) == 1
    assert len({answer.posted[0].id for answer in answers}) == 1
    with runtime.engine.connect() as connection:
        assert len(list_entries(connection, "main")) == 1


def test_an_external_id_protects_for_ever_and_says_whether_it_is_the_same(ledger: Ledger) -> None:
    first = ledger.append([entry("x:1")], Ask(actor=ACTOR)).posted[0]
    same, other = ledger.append([entry("x:1"), entry("x:1", 5)], Ask(actor=ACTOR)).items
    for item, identical in ((same, True), (other, False)):
        assert isinstance(item, Declined)
        assert isinstance(item.error, DuplicateExternalId)
        assert (item.error.entry_id, item.error.identical) == (first.id, identical)
    fresh, twin = ledger.append([entry("x:2"), entry("x:2")], Ask(actor=ACTOR)).items
    assert isinstance(fresh, Posted)
    assert isinstance(twin, Declined)
    assert isinstance(twin.error, DuplicateExternalId)
    assert (twin.error.entry_id, twin.error.identical) == (fresh.id, True)


def test_an_entry_is_reversed_once_and_a_reversal_may_be_reversed(ledger: Ledger, runtime: Runtime) -> None:
    sale = ledger.append([entry("sale")], Ask(actor=ACTOR)).posted[0]
    undone = reverse(ledger, runtime.engine, sale.id, actor=ACTOR, now=runtime.clock(), key="undo").posted[0]
    assert reverse(ledger, runtime.engine, sale.id, actor=ACTOR, now=runtime.clock(), key="undo").replayed
    for item in (
        reverse(ledger, runtime.engine, sale.id, actor=ACTOR, now=runtime.clock()).items[0],
        reverse(ledger, runtime.engine, sale.id, actor=ACTOR, now=runtime.clock(), external_id="again").items[0],
    ):
        assert isinstance(item, Declined)
        assert isinstance(item.error, AlreadyReversed)
    reverse(ledger, runtime.engine, undone.id, actor=ACTOR, now=runtime.clock())
    twice = ledger.append([entry("s"), entry("a1", corrects=sale.id), entry("a2", corrects=sale.id)], Ask(actor=ACTOR))
    assert errors(twice) == [None, None, None]
    with runtime.engine.connect() as connection:
        found = get_entry(connection, "main", sale.id)
        assert found is not None
        assert found.reversed_by == undone.id
        assert balances.balance(connection, "main", "assets:psp").amount_minor == 400


def test_two_reversals_in_one_batch_are_one(ledger: Ledger) -> None:
    sale = ledger.append([entry("sale")], Ask(actor=ACTOR)).posted[0]
    undo = {"debit": "revenue:sales", "credit": "assets:psp", "reverses": sale.id}
    answer = ledger.append([entry("u:1", **undo), entry("u:2", **undo)], Ask(actor=ACTOR))  # type: ignore[arg-type]
    assert errors(answer) == [None, "AlreadyReversed"]


def test_accounts_change_only_where_postings_do_not_rely_on_them(ledger: Ledger, runtime: Runtime) -> None:
    applied = apply_accounts(ledger, CHART, Ask(actor=ACTOR))
    assert (applied.created, applied.changed, applied.unchanged) == (0, 0, 5)
    with pytest.raises(Refused):
        apply_accounts(
            ledger,
            [AccountDraft(code="assets:psp", type="asset", currency="EUR", normal_balance="debit")],
            Ask(actor=ACTOR),
        )
    answer = ledger.append(
        [AccountChange(code="assets:psp", metadata={"role": "clearing"}, overdraft="900")],
        Ask(actor=ACTOR),
        atomic=True,
    )
    assert isinstance(answer.items[0], Posted)
    again = ledger.append(
        [AccountChange(code="assets:psp", metadata={"role": "clearing"})], Ask(actor=ACTOR), atomic=True
    )
    assert again.items == (Unchanged(code="assets:psp"),)
    ledger.append([entry("before closing")], Ask(actor=ACTOR))
    with pytest.raises(Refused):
        ledger.append([AccountChange(code="assets:psp", status="closed")], Ask(actor=ACTOR), atomic=True)
    ledger.append([AccountChange(code="assets:card", status="closed")], Ask(actor=ACTOR), atomic=True)
    with pytest.raises(AccountNotOpen):
        ledger.append([AccountChange(code="assets:card", status="open")], Ask(actor=ACTOR), atomic=True)
    with runtime.engine.connect() as connection:
        versions = connection.execute(
            text("select count(*) from ledger.account_versions where code = 'assets:psp'")
        ).scalar_one()
    assert versions == 2


def test_a_dry_run_says_what_posting_would_say_and_writes_nothing(ledger: Ledger, runtime: Runtime) -> None:
    ledger.append([entry("d:1")], Ask(actor=ACTOR))
    refusal = ledger.dry_run(entry("d:1"))
    assert refusal is not None
    assert isinstance(refusal.error, DuplicateExternalId)
    assert refusal.error.identical
    assert ledger.dry_run(entry("d:2", debit="assets:none")) is not None
    assert ledger.dry_run(entry("d:2")) is None
    with runtime.engine.connect() as connection:
        assert get_entry(connection, "main", "d:2") is None


def test_other_kinds_of_records_join_the_same_log(ledger: Ledger, runtime: Runtime) -> None:
    body = {
        "closed_on": "2026-11-22", "segment": 1, "first_seq": 0, "next_seq": 5,
        "manifest_sha256": "00" * 32, "uri": "file:///x",
    }  # fmt: skip
    posted = ledger.append([RecordDraft(kind="export", body=body)], Ask(actor=ACTOR, key="e0"), atomic=True).only
    assert (
        ledger.append([RecordDraft(kind="export", body=body)], Ask(actor=ACTOR, key="e0"), atomic=True).only == posted
    )
    with pytest.raises(Refused):
        ledger.append([RecordDraft(kind="export", body=body)], Ask(actor=ACTOR), atomic=True)
    with runtime.engine.connect() as connection:
        assert connection.execute(text("select segment, seq from ledger.exports")).one() == (1, posted.seq)


def test_the_clock_may_stand_still_or_go_back(ledger: Ledger, runtime: Runtime) -> None:
    last = ledger.append([entry("t:1")], Ask(actor=ACTOR)).posted[0]
    slow = Ledger(
        engine=runtime.engine,
        signer=runtime.signer,
        settings=runtime.settings,
        book="main",
        kinds=runtime.kinds,
        clock=lambda: datetime(2020, 1, 1, tzinfo=UTC),
    )
    try:
        first, second = slow.append([entry("t:2"), entry("t:3")], Ask(actor=ACTOR)).posted
    finally:
        slow.close()
    assert first.recorded_at == last.recorded_at + timedelta(microseconds=1)
    assert second.recorded_at == last.recorded_at + timedelta(microseconds=2)
