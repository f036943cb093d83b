"""What one caller sends spoils nothing of another's: what is too large, what cannot be, what blocks a name for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from api.reversals import reverse
from ledger_core.actor import Actor
from ledger_core.book.posting.head import _WRITERS
from ledger_core.errors import (
    AlreadyReversed,
    Conflict,
    InsufficientFunds,
    InvalidInput,
    NotAllowed,
    NotFound,
    Refused,
)
from ledger_core.evidence.check.checker import Code, check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountChange, AccountOpening, account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.kinds import MAX_BODY_BYTES, Accepted, Kind
from ledger_core.log.shapes import shape
from ledger_core.ports import Ask, Declined, Draft, Posted, RecordDraft
from ledger_core.reading import balances
from ledger_core.reading.entries import get_entry
from ledger_core.reading.heads import read_head
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings

pytestmark = pytest.mark.integration

ME = Actor(subject="tester")
CHART = [
    account_draft(code="assets:cash", type="asset", currency="USD"),
    account_draft(code="revenue:sales", type="revenue", currency="USD"),
]
CARD = "4111111111111111"


class Moody(Kind):
    """A room's kind whose rows are refused in the most various words."""

    def project(self, conn: Any, book: str, accepted: Sequence[tuple[int, Accepted]]) -> None:
        for _, each in accepted:
            said = each.item.members["word"]
            for error in (NotAllowed, NotFound, Conflict, InvalidInput):
                if said == error.__name__:
                    raise error("not so")
            if said == "too large a number":
                conn.execute("select cast(%s as integer)", [2**40])
            if said == "no such table":
                conn.execute("select * from nowhere")


MOODY = Moody(name="moody", shape=shape("word"), scope="room:write")
LONG = Kind(name="l" * 63, shape=shape("word"), scope="room:write")


@pytest.fixture
def house(settings: Settings) -> Iterator[Runtime]:
    with open_runtime(settings, kinds=[MOODY, LONG]) as runtime:
        apply_accounts(runtime.ledger(), CHART, Ask(actor=ME))
        yield runtime


def sale(external_id: str, amount: int = 5, *, back: bool = False, **more: Any) -> EntryDraft:
    sides = ("credit", "debit") if back else ("debit", "credit")
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id,
        description=more.pop("description", ""),
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=amount, currency="USD")
            for code, side in zip(("assets:cash", "revenue:sales"), sides, strict=True)
        ),
        **more,
    )


def on(code: str, entry: EntryDraft) -> EntryDraft:
    """Return `entry` with its first posting on `code`."""
    return replace(entry, postings=(replace(entry.postings[0], account=code), entry.postings[1]))


@contextmanager
def one_batch(runtime: Runtime) -> Iterator[None]:
    """Keep the writer busy meanwhile: what is submitted becomes one batch."""
    with runtime.engine.begin() as connection:
        connection.execute(
            text("select pg_advisory_xact_lock(hashtextextended('main', :writers))"), {"writers": _WRITERS}
        )
        runtime.ledger().submit([sale("first in line", 1)], Ask(actor=ME))
        waiting = text("select exists (select from pg_locks where locktype = 'advisory' and not granted)")
        deadline = time.monotonic() + 60
        while not connection.execute(waiting).scalar_one():
            assert time.monotonic() < deadline, "no writer wants to write"
            time.sleep(0.02)
        yield


def spoiled(runtime: Runtime, spoiler: Sequence[Draft], *, atomic: bool = False) -> Any:
    """Send `spoiler` between two sales, all in one batch; return its future once the sales are posted."""
    ledger = runtime.ledger()
    with one_batch(runtime):
        (before,) = ledger.submit([sale("before")], Ask(actor=ME))
        future = None
        try:
            (asked,) = ledger.submit(spoiler, Ask(actor=ME), atomic=atomic)
            future = asked.future
        except InvalidInput:
            pass
        (after,) = ledger.submit([sale("after")], Ask(actor=ME))
    for neighbour in (before, after):
        assert len(neighbour.future.result(30).posted) == 1
    assert ledger.fault is None
    return future


LARGE = {f"m{number}": "x" * 8_000 for number in range(9)}
"""72,000 bytes: more than any record holds."""


@pytest.mark.parametrize("atomic", [False, True], ids=["each by itself", "a group"])
@pytest.mark.parametrize(
    "spoiler",
    [
        [account_draft(code="a:large", type="asset", currency="USD", metadata=LARGE)],
        [AccountOpening(account=account_draft(code="a:large", type="asset", currency="USD", metadata=LARGE))],
        [AccountChange(code="assets:cash", metadata=LARGE)],
        [sale("large", metadata=LARGE)],
        [sale("large", description="x" * 66_000)],
        [RecordDraft(kind="moody", body={"word": "x" * 66_000})],
        [RecordDraft(kind="security_event", body={"word": "x" * 66_000})],
        [sale("in a group"), sale("large", metadata=LARGE)],
    ],
    ids=["account", "opening", "change", "entry", "description", "room's record", "record", "second of two"],
)
def test_what_no_record_could_hold_is_refused_and_spoils_nothing(
    house: Runtime, spoiler: Sequence[Draft], atomic: bool
) -> None:
    future = spoiled(house, spoiler, atomic=atomic)
    if future is not None:
        if atomic:
            with pytest.raises(InvalidInput, match="the record has"):
                future.result(30)
        else:
            last = future.result(30).items[-1]
            assert isinstance(last, Declined)
            assert isinstance(last.error, InvalidInput)
    assert check_book(house, "main").sound


def test_a_change_that_makes_an_account_too_large_is_refused_alone_and_leaves_it_as_it_was(house: Runtime) -> None:
    """What else stands in the account is known only under the lock."""
    ledger = house.ledger()
    code = "a:" + "long" * 49
    apply_accounts(ledger, [account_draft(code=code, type="liability", currency="USD")], Ask(actor=ME))
    room = MAX_BODY_BYTES - 140
    metadata = {f"m{number}": "x" * 7_000 for number in range(9)}
    metadata["n"] = "x" * (room - len(str(metadata).replace(" ", "")) - len(code) - len(ME.subject))
    answer = ledger.append(
        [
            sale("e:1"),
            AccountChange(code=code, metadata=metadata),
            sale("e:2"),
            AccountChange(code=code, status="frozen"),
        ],
        Ask(actor=ME),
    )
    assert [type(item).__name__ for item in answer.items] == ["Posted", "Declined", "Posted", "Posted"]
    refused = answer.items[1]
    assert isinstance(refused, Declined)
    assert "the record has" in refused.error.message
    with house.engine.connect() as connection:
        stored = connection.execute(text("select status, metadata from ledger.accounts where code = :c"), {"c": code})
        assert stored.one() == ("frozen", {})
    assert check_book(house, "main").sound


def test_the_largest_body_that_is_taken_fits_its_record_whatever_its_kind_is_called(house: Runtime) -> None:
    house.ledger("b" * 63)
    ledger = house.ledger("b" * 63)
    around = len('{"actor":{"role":"","subject":"tester"},"word":""}')
    word = "x" * (MAX_BODY_BYTES - around - len(ME.role))
    assert len(ledger.append([RecordDraft(kind=LONG.name, body={"word": word})], Ask(actor=ME)).posted) == 1
    with pytest.raises(InvalidInput, match="the record has"):
        ledger.append([RecordDraft(kind=LONG.name, body={"word": word + "xxxxxxxx"})], Ask(actor=ME), atomic=True)


@pytest.mark.parametrize(
    "word", ["NotAllowed", "NotFound", "Conflict", "InvalidInput", "too large a number", "no such table"]
)
def test_whatever_a_rooms_rows_are_refused_with_only_their_request_falls(house: Runtime, word: str) -> None:
    future = spoiled(house, [RecordDraft(kind="moody", body={"word": word})], atomic=True)
    with pytest.raises(Exception, match=r"not so|passed every check"):
        future.result(30)
    assert check_book(house, "main").sound


# Names that the product makes.


def test_nobody_else_may_choose_the_name_of_a_reversal(house: Runtime) -> None:
    ledger = house.ledger()
    first, second = ledger.append([sale("e:1"), sale("e:2")], Ask(actor=ME)).posted
    squats = [
        sale(f"reversal:{first.id}"),
        sale("reversal:"),
        sale("reversal:None"),
        sale(f"reversal:{first.id}:2"),
        sale(f"reversal:{first.id}", corrects=first.id),
        sale(f"reversal:{first.id}", back=True, reverses=second.id),
    ]
    for item in ledger.append(squats, Ask(actor=ME)).items:
        assert isinstance(item, Declined)
        assert (type(item.error), item.error.pointer) == (InvalidInput, "/external_id")
    undone = reverse(ledger, house.engine, first.id, actor=ME, now=house.clock()).only
    again = reverse(ledger, house.engine, first.id, actor=ME, now=house.clock()).items[0]
    assert isinstance(again, Declined)
    assert isinstance(again.error, AlreadyReversed)
    assert undone.id in again.error.message


def test_a_name_that_an_earlier_release_let_somebody_choose_blocks_no_reversal(
    house: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = house.ledger()
    first = ledger.append([sale("e:1")], Ask(actor=ME)).only
    with monkeypatch.context() as earlier:
        earlier.setattr("ledger_core.book.kinds.journal_entry.prepare.check_external_id", lambda draft: None)
        squatter = ledger.append([sale(f"reversal:{first.id}")], Ask(actor=ME)).only
    undone = reverse(ledger, house.engine, first.id, actor=ME, now=house.clock(), key="k").only
    assert undone.id != squatter.id
    assert reverse(ledger, house.engine, first.id, actor=ME, now=house.clock(), key="k").only.id == undone.id
    with house.engine.connect() as connection:
        found = get_entry(connection, "main", first.id)
    assert found is not None
    assert found.reversed_by == undone.id
    again = reverse(ledger, house.engine, first.id, actor=ME, now=house.clock()).items[0]
    assert isinstance(again, Declined)
    assert isinstance(again.error, AlreadyReversed)


def test_an_entry_with_a_card_number_of_an_earlier_release_can_be_reversed(
    house: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = house.ledger()
    with monkeypatch.context() as earlier:
        earlier.setattr("ledger_core.book.kinds.journal_entry.prepare.refuse_cards", lambda texts: None)
        old = sale(f"old:{CARD}", metadata={"note": f"paid by {CARD}", CARD: "name"})
        first = ledger.append([old], Ask(actor=ME)).only
    undone = reverse(ledger, house.engine, first.id, actor=ME, now=house.clock()).only
    assert CARD.encode() not in undone.canonical
    assert undone.entry is not None
    assert undone.entry.metadata == {"note": "paid by ************1111"}


# Limits of accounts.


def test_a_limit_that_an_account_is_past_already_is_refused_and_changes_nothing(house: Runtime) -> None:
    ledger = house.ledger()
    ledger.append([sale("e:1", 5, back=True)], Ask(actor=ME))
    for overdraft in ("forbidden", "4"):
        with pytest.raises(InsufficientFunds) as refused:
            ledger.append([AccountChange(code="assets:cash", overdraft=overdraft)], Ask(actor=ME), atomic=True)
        assert refused.value.pointer == "/overdraft"
        assert "stands at -0.05 USD" in refused.value.message
    # A chart says the same by the same words.
    tight = account_draft(code="assets:cash", type="asset", currency="USD", overdraft="forbidden")
    assert isinstance(ledger.append([tight], Ask(actor=ME)).items[0], Declined)
    assert isinstance(ledger.append([AccountChange(code="assets:cash", overdraft="5")], Ask(actor=ME)).items[0], Posted)
    mended = [sale("e:2", 5), AccountChange(code="assets:cash", overdraft="forbidden"), sale("e:3", 1, back=True)]
    posted, changed, drawn = ledger.append(mended, Ask(actor=ME)).items
    assert isinstance(posted, Posted)
    assert isinstance(changed, Posted)
    assert isinstance(drawn, Declined)
    assert check_book(house, "main").sound


def test_a_check_re_derives_that_no_account_was_drawn_below_its_limit(
    house: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = house.ledger()
    ledger.append([sale("e:1", 3), AccountChange(code="assets:cash", overdraft="forbidden")], Ask(actor=ME))
    with monkeypatch.context() as broken:
        broken.setattr("ledger_core.book.kinds.journal_entry.judge._check_funds", lambda item, accounts: None)
        drawn = ledger.append([sale("e:2", 2, back=True), sale("e:3", 2, back=True)], Ask(actor=ME)).posted
    # Up again, though not to nothing: that draws it nowhere.
    ledger.append([sale("e:4", 1)], Ask(actor=ME))
    report = check_book(house, "main")
    found = [finding for finding in report.findings if finding.code is Code.OVERDRAWN]
    assert [finding.seq for finding in found] == [drawn[1].seq]
    assert "drawn to -1" in found[0].detail
    assert {finding.code for finding in report.findings} == {Code.OVERDRAWN}


# Exports.


def export(**members: Any) -> RecordDraft:
    body = {
        "closed_on": "2026-11-22", "segment": 1, "first_seq": 0, "next_seq": 3, "manifest_sha256": "0" * 64,
        "uri": "file:///x", **members,
    }  # fmt: skip
    return RecordDraft(kind="export", body=body)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"segment": 0}, "/body/segment"),
        ({"segment": 2}, "/body/segment"),
        ({"segment": 10**15}, "/body/segment"),
        ({"first_seq": 1}, "/body/first_seq"),
        ({"next_seq": 0}, "/body/next_seq"),
        ({"next_seq": 4}, "/body/next_seq"),
        ({"next_seq": 10**15}, "/body/next_seq"),
        ({"closed_on": "20261122"}, "/body/closed_on"),
        ({"closed_on": "2026-W47-7"}, "/body/closed_on"),
        ({"closed_on": "2026-11-31"}, "/body/closed_on"),
        ({"closed_on": ""}, "/body/closed_on"),
        ({"closed_on": "2026-11-22T00:00:00"}, "/body/closed_on"),
        ({"uri": "file:///\0"}, None),
    ],
)
def test_an_export_that_is_not_the_next_segment_is_refused_and_exporting_goes_on(
    house: Runtime, members: dict[str, Any], pointer: str | None
) -> None:
    ledger = house.ledger()
    with pytest.raises((Refused, InvalidInput)) as refused:
        ledger.append([export(**members)], Ask(actor=ME), atomic=True)
    if pointer is not None:
        assert refused.value.pointer == pointer
    days = [date(2026, 11, 22), date(2026, 11, 23)]
    made = [export_segment(house, closed_on=day, book="main") for day in days]
    assert [(result.segment, result.created) for result in made] == [(1, True), (2, True)]
    assert made[0].next_seq == made[1].first_seq


def test_a_record_below_the_signature_alone_can_be_exported(house: Runtime) -> None:
    with house.engine.connect() as connection:
        signed_size = read_head(connection, "main").signed_size
    with pytest.raises(Refused, match="what is signed"):
        house.ledger().append([sale("e:1"), export(next_seq=signed_size + 1)], Ask(actor=ME), atomic=True)


def test_a_key_that_somebody_used_for_a_record_does_not_stop_the_exporter(house: Runtime) -> None:
    taken = export(next_seq=4)
    with pytest.raises(Refused):
        house.ledger().append([taken], Ask(actor=ME, key="export/1"), atomic=True)
    event = RecordDraft(kind="security_event", body={"word": "x"})
    house.ledger().append([event], Ask(actor=ME, route="records/export", key="export/1"), atomic=True)
    assert export_segment(house, closed_on=date(2026, 11, 22), book="main").created


# Memory.


def test_codes_that_nobody_has_are_not_kept_without_end(house: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger_core.book.posting.accounts.MAX_MISSING_CODES", 100)
    ledger = house.ledger()
    state = ledger._sequencer._writer.planner._state  # type: ignore[attr-defined]
    for batch in range(6):
        unknown = []
        for number in range(50):
            draft = sale(f"e:{batch}:{number}")
            unknown.append(
                replace(draft, postings=(replace(draft.postings[0], account=f"x:{batch}:{number}"), draft.postings[1]))
            )
        assert not ledger.append(unknown, Ask(actor=ME)).posted
        assert len(state.missing) <= 150
    assert len(ledger.append([sale("known")], Ask(actor=ME)).posted) == 1


def test_an_account_made_after_its_code_was_missed_is_found(house: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger_core.book.posting.accounts.MAX_MISSING_CODES", 0)
    ledger = house.ledger()
    draft = on("assets:new", sale("e:1"))
    made = account_draft(code="assets:new", type="asset", currency="USD")
    answer = ledger.append([draft, made, draft], Ask(actor=ME))
    assert [type(item).__name__ for item in answer.items] == ["Declined", "Posted", "Posted"]
    with house.engine.connect() as connection:
        assert balances.balance(connection, "main", "assets:new").debits == 5


# Card numbers: nothing that is signed can be unsaid.


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        (sale("e:1", description=f"paid by {CARD}."), "/description"),
        (sale("e:1", description="4111 1111 1111 1111"), "/description"),
        (sale("e:1", description="3782-822463-10005 amex"), "/description"),
        (sale(CARD), "/external_id"),
        (sale(f"card:{CARD}"), "/external_id"),
        (sale("e:1", metadata={"note": CARD}), "/metadata/note"),
        (sale("e:1", metadata={"a": "1", "note": "x\n6011000990139424"}), "/metadata/note"),
        (sale("e:1", metadata={CARD: "x"}), "/metadata/************1111"),
        (account_draft(code=f"assets:{CARD}:usd", type="asset", currency="USD"), "/code"),
        (account_draft(code="assets:4111-1111-1111-1111", type="asset", currency="USD"), "/code"),
        (account_draft(code="a:b", type="asset", currency="USD", metadata={"note": CARD}), "/metadata/note"),
        (account_draft(code="a:b", type="asset", currency="USD", metadata={CARD: ""}), "/metadata/************1111"),
        (AccountChange(code="assets:cash", metadata={"note": CARD}), "/metadata/note"),
        (RecordDraft(kind="security_event", body={"seen": ["a", {"by": f"hook {CARD}"}]}), "/body/seen/1/by"),
        (RecordDraft(kind="security_event", body={CARD: 1}), "/body/************1111"),
        (RecordDraft(kind="reconciliation_run", body={"manifest": {"note": CARD}}), "/body/manifest/note"),
        (RecordDraft(kind="moody", body={"word": CARD}), "/body/word"),
        (export(uri=f"file:///cards/{CARD}/x"), "/body/uri"),
    ],
)
def test_a_card_number_is_refused_wherever_it_stands_and_nothing_of_it_is_kept(
    house: Runtime, engine: Engine, draft: Draft, pointer: str
) -> None:
    ledger = house.ledger()
    with pytest.raises(InvalidInput, match="looks like a card number") as refused:
        ledger.append([draft], Ask(actor=ME, key="k"), atomic=True)
    assert refused.value.pointer == pointer
    declined, _ = ledger.append([draft, sale("neighbour")], Ask(actor=ME, key="l")).items
    assert isinstance(declined, Declined)
    dry = ledger.dry_run(draft)
    assert dry is not None
    assert dry.error.pointer == pointer
    said = " ".join(map(str, (refused.value, declined.error, dry.error)))
    kept = str(_everything(engine))
    for digits in (CARD, "4111 1111", "4111-1111", "822463", "6011000990139424"):
        assert digits not in said
        assert digits not in kept


@pytest.mark.parametrize("name", ["idempotency", "entries", "accounts", "records"])
def test_a_card_number_for_an_account_that_is_not_there_is_not_kept_with_the_refusal(
    house: Runtime, engine: Engine, name: str
) -> None:
    draft = on(CARD, sale("e:1"))
    items = house.ledger().append([draft, sale("e:2")], Ask(actor=ME, key="k")).items
    assert [type(item).__name__ for item in items] == ["Declined", "Posted"]
    with engine.connect() as connection:
        rows = connection.execute(text(f"select * from ledger.{name}")).all()
    assert CARD not in str(rows)


@pytest.mark.parametrize("key", [CARD, f"pay {CARD}", f"x:{CARD}", "4111 1111 1111 1111"])
def test_an_idempotency_key_with_a_card_number_is_refused_and_not_kept(
    house: Runtime, engine: Engine, key: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        house.ledger().append([sale("e:1")], Ask(actor=ME, key=key))
    assert refused.value.pointer == "/Idempotency-Key"
    assert key not in str(refused.value)
    assert key not in str(_everything(engine))


def test_what_only_looks_like_a_card_number_is_taken(house: Runtime) -> None:
    fine = [
        sale("order-4111111111111111"),
        sale("4111111111111112"),
        sale("1234567890123452"),
        sale("e:1", description="ref ABC4111111111111111 4111.1111111111111 0.4111111111111111"),
        sale("e:2", metadata={"reference": "txn_4111111111111111", "pan": "411111******1111"}),
        sale("e:3", 4_111_111_111_111_111),
        RecordDraft(kind="security_event", body={"amount": CARD, "net_minor": CARD, "total_amount": CARD}),
    ]
    answer = house.ledger().append(fine, Ask(actor=ME, key="411111111111111"))
    assert [type(item).__name__ for item in answer.items] == ["Posted"] * len(fine)


def _everything(engine: Engine) -> list[Any]:
    """Return every row of the tables that a post writes, its bytes as text."""
    with engine.connect() as connection:
        found: list[Any] = []
        for table in ("entries", "accounts", "account_versions", "idempotency", "exports"):
            found += connection.execute(text(f"select * from ledger.{table}")).all()
        found += connection.execute(text("select convert_from(canonical, 'UTF8') from ledger.records")).all()
    return found
