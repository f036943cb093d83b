"""The ledger behind its API, as the command line and the close use it with COUNTERFOIL_LEDGER_URL set."""

import itertools
import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ledger_core.actor import Actor
from ledger_core.base.processes import free_port
from ledger_core.client.http_ledger import HttpLedger
from ledger_core.errors import (
    AlreadyReversed,
    DependencyError,
    DuplicateExternalId,
    InvalidInput,
    KeyReused,
    NotFound,
    Refused,
    Unauthenticated,
)
from ledger_core.files.chart import apply_accounts
from ledger_core.files.entries import post_file
from ledger_core.journal.accounts import AccountChange, account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft, entry_as_json
from ledger_core.ports import Ask, Declined, Posted, RecordDraft

pytestmark = pytest.mark.integration

ME = Actor(subject="tester")
CLEARING, SALES = "assets:psp:stripe:clearing:usd", "revenue:sales:usd"
_numbers = itertools.count()


def draft(amount: int = 100, *, external_id: str = "", credit: str = SALES) -> EntryDraft:
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id or f"http:{uuid.uuid4().hex}:{next(_numbers)}",
        description="a sale",
        postings=(
            PostingDraft(account=CLEARING, direction="debit", amount_minor=amount, currency="USD"),
            PostingDraft(account=credit, direction="credit", amount_minor=amount, currency="USD"),
        ),
        metadata={"reference": "ré"},
    )


@pytest.fixture
def ledger(api):
    opened = over_http(api, api.url, api.token())
    yield opened
    opened.close()


def over_http(api, url: str, token: str) -> HttpLedger:
    return HttpLedger(api.settings.model_copy(update={"ledger_url": url, "ledger_token": token}), "main")


def test_entries_are_posted_refused_and_repeated_as_by_the_library(ledger):
    sent = [draft(), draft(credit="revenue:none"), draft()]
    sent.append(sent[0])
    answer = ledger.append(sent, Ask(actor=ME, key="k1"))
    first, unknown, third, again = answer.items
    assert isinstance(first, Posted)
    assert first.entry == sent[0]
    assert isinstance(third, Posted)
    assert first.seq < third.seq < answer.size
    assert answer.checkpoint is not None
    assert isinstance(unknown, Declined)
    assert "revenue:none" in unknown.error.message
    assert isinstance(again, Declined)
    assert isinstance(again.error, DuplicateExternalId)
    assert (again.error.entry_id, again.error.identical) == (first.id, True)
    repeated = ledger.append(sent, Ask(actor=ME, key="k1"))
    assert repeated.replayed
    assert [item.id for item in repeated.posted] == [first.id, third.id]
    with pytest.raises(KeyReused):
        ledger.append([draft()], Ask(actor=ME, key="k1"))


def test_an_atomic_group_falls_together(ledger):
    with pytest.raises(Refused):
        ledger.append([kept := draft(), draft(credit="revenue:none")], Ask(actor=ME), atomic=True)
    assert len(ledger.append([kept], Ask(actor=ME), atomic=True).posted) == 1


def test_more_than_one_batch_is_posted_whole_also_from_another_thread(ledger):
    sent = [draft() for _ in range(1_200)]
    assert len(ledger.append(sent, Ask(actor=ME)).posted) == 1_200
    [submission] = ledger.submit(sent[:2], Ask(actor=ME))
    assert all(item.error.identical for item in submission.future.result(30).items)


def test_a_file_is_posted_over_http_and_posted_twice_stands(api, ledger, tmp_path):
    path = tmp_path / "entries.jsonl"
    path.write_text("".join(json.dumps(entry_as_json(draft())) + "\n" for _ in range(5)))
    done = [post_file(ledger, api.runtime.engine, path, actor=ME) for _ in range(2)]
    assert [(each.posted, each.identical) for each in done] == [(5, 0), (0, 5)]


def test_accounts_are_opened_changed_and_left_alone(ledger):
    code = f"assets:{uuid.uuid4().hex}"
    made = account_draft(code=code, type="asset", currency="USD")
    changed = account_draft(code=code, type="asset", currency="USD", metadata={"role": "clearing"})
    counts = [apply_accounts(ledger, [each], Ask(actor=ME)) for each in (made, made, changed, made)]
    assert [(each.created, each.changed, each.unchanged) for each in counts] == [
        (1, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 0),
    ]  # fmt: skip
    with pytest.raises(InvalidInput):
        apply_accounts(ledger, [account_draft(code=code, type="asset", currency="EUR")], Ask(actor=ME))
    ledger.append([AccountChange(code=code, status="frozen")], Ask(actor=ME), atomic=True)
    with pytest.raises(NotFound):
        ledger.append([AccountChange(code="assets:none", status="frozen")], Ask(actor=ME), atomic=True)


def test_an_entry_is_reversed_once(ledger):
    sale = draft()
    posted = ledger.append([sale], Ask(actor=ME)).only
    assert ledger.append([_undoing(posted.id, sale)], Ask(actor=ME)).only.entry.reverses == posted.id
    with pytest.raises(AlreadyReversed):
        ledger.append([_undoing(posted.id, sale)], Ask(actor=ME)).only  # noqa: B018


def _undoing(entry_id: str, sale: EntryDraft) -> EntryDraft:
    other = {"debit": "credit", "credit": "debit"}
    swapped = tuple(replace(posting, direction=other[posting.direction]) for posting in sale.postings)
    return replace(sale, external_id=f"undo:{uuid.uuid4().hex}", postings=swapped, reverses=entry_id)


def test_a_group_of_several_kinds_is_refused_and_says_where_to_append_it(ledger):
    group = [draft(), AccountChange(code=SALES, metadata={})]
    with pytest.raises(InvalidInput) as caught:
        ledger.append(group, Ask(actor=ME), atomic=True)
    assert "where the ledger runs" in caught.value.remedy


def test_a_record_of_another_kind_is_appended_once_a_key(ledger):
    body = {"manifest": {"run_id": "x"}}
    posted = ledger.append(
        [RecordDraft(kind="reconciliation_run", body=body)], Ask(actor=ME, key="run:1"), atomic=True
    ).only
    again = ledger.append([RecordDraft(kind="reconciliation_run", body=body)], Ask(actor=ME, key="run:1"), atomic=True)
    assert again.replayed
    assert (again.posted[0].id, again.posted[0].seq) == (posted.id, posted.seq)


def test_a_dry_run_says_what_posting_would(ledger):
    assert ledger.dry_run(draft()) is None
    refused = ledger.dry_run(draft(credit="revenue:none"))
    assert refused is not None
    assert refused.error.pointer == "/postings/1/account"


def test_a_wrong_token_and_nobody_at_the_address_are_told_apart(api):
    stranger = over_http(api, api.url, "nonsense")
    with pytest.raises(Unauthenticated) as caught:
        stranger.append([draft()], Ask(actor=ME))
    assert caught.value.remedy
    stranger.close()
    nobody = over_http(api, f"http://127.0.0.1:{free_port()}", "nonsense")
    with pytest.raises(DependencyError) as away:
        nobody.append([draft()], Ask(actor=ME))
    assert away.value.remedy
    nobody.close()
