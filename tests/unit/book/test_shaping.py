"""Requests are made of drafts as every release made them: what an older one stored under a key is known again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.book.kinds import Kinds
from ledger_core.book.posting.requests import Request
from ledger_core.book.shaping import MAX_DRAFTS, requests_of
from ledger_core.errors import InvalidInput, NotCanonical
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountChange, AccountDraft, AccountOpening
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Answer, Ask, Draft, RecordDraft
from ledger_core.settings import MAX_BATCH_BYTES

ME = Actor(subject="tester")
KEYED = Ask(actor=ME, key="k")


def entry(number: int, metadata: dict[str, str] | None = None, reverses: str | None = None) -> EntryDraft:
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC),
        external_id=f"order:{number}",
        description="Café" if number == 2 else "",
        postings=(
            PostingDraft(account="assets:cash", direction="debit", amount_minor=500, currency="USD"),
            PostingDraft(account="revenue:sales", direction="credit", amount_minor=500, currency="USD"),
        ),
        metadata=metadata or {},
        reverses=reverses,
    )


def account(code: str, metadata: Any = None) -> AccountDraft:
    return AccountDraft(
        code=code,
        type="asset",
        currency="USD",
        normal_balance="debit",
        overdraft="forbidden",
        metadata={"b": "2", "a": "1"} if metadata is None else metadata,
    )


def requests(drafts: Sequence[Draft], ask: Ask = KEYED, *, atomic: bool = True) -> list[Request]:
    return list(requests_of(Kinds(), drafts, ask, atomic=atomic))


def identity(request: Request) -> tuple[str, str]:
    assert request.fingerprint is not None
    return request.route, request.fingerprint.hex()


EXPORT = {
    "closed_on": "2026-10-31",
    "segment": 1,
    "first_seq": 0,
    "next_seq": 10,
    "manifest_sha256": "a" * 64,
    "uri": "file:///archive",
}
RUN = {"manifest": {"days": ["2026-10-31"]}}
EARLIER = "0198c1f4-0000-7000-8000-000000000001"


# Computed by the code of release 0.1.0 (355b1df), whose keys stand in databases.
@pytest.mark.parametrize(
    ("drafts", "route", "fingerprint"),
    [
        ([entry(1)], "journal-entries", "3494377556a832dd0feb1006ae34e365a335f9b76203042f2fbe28751e6fa985"),
        (
            [entry(1, {"z": "1", "a": "2"}), entry(2, None, EARLIER)],
            "journal-entries",
            "8f0096ef860ad32eb020c3091b136b03b019b8cbbc26609bec840737b553fd46",
        ),
        ([account("assets:a")], "accounts", "e85334c8b942ce68f4aafd5684d1cb509f8748ba5200aabc8311789c0e511b7f"),
        (
            [account("assets:a"), account("assets:b")],
            "accounts",
            "b230bdd3938f7a2eef23400a21e0167afc54803db4e5067393da63a0c7451084",
        ),
        (
            [AccountOpening(account=account("assets:a"))],
            "accounts/open",
            "886f5d2e1252fe81d8270b9a3c7ba6ef535a04a2b39d63b7228053995dc4bfda",
        ),
        (
            [AccountChange(code="assets:a", status="frozen")],
            "accounts/change",
            "c7da45793210657f18cf4e99fb57249556c82dde0ede3583f2143a21dd107d47",
        ),
        (
            [AccountChange(code="assets:a", overdraft="allowed", metadata={}, expected_seq=7)],
            "accounts/change",
            "fe021b3a1d17940aa089aa0a2c3fea2b1696e8008110b24533a49e18cb3dd7ec",
        ),
        (
            [RecordDraft(kind="export", body=EXPORT)],
            "records/export",
            "7ff80c084caadaf52dc161428a4292fd9a1456a7a6094c11b70870836d8ccfac",
        ),
        (
            [RecordDraft(kind="reconciliation_run", body=RUN)],
            "records/reconciliation_run",
            "9d93be505e8613fd31d0c285e9b74db90aecaef924e06e207ca4778e995ce102",
        ),
    ],
)
def test_a_key_that_the_first_release_stored_is_known_again(drafts: list[Draft], route: str, fingerprint: str) -> None:
    (request,) = requests(drafts)
    assert identity(request) == (route, fingerprint)


def test_the_parts_of_many_entries_are_known_again() -> None:
    whole = "60d423c5a8ecf0c7f6202f7bec7fd87c029ba89d0ffdcedc4ee55dd077dc0d5b"
    parts = requests([entry(number) for number in range(1_001)], Ask(actor=ME, key="k", route="file"), atomic=False)
    assert [identity(part) for part in parts] == [("file", whole), ("file#1", whole)]


def test_the_parts_of_a_large_chart_are_known_again() -> None:
    seen: list[tuple[str, str]] = []

    class Noting:
        def append(self, drafts: Sequence[Draft], ask: Ask, *, atomic: bool) -> Answer:
            seen.extend(identity(request) for request in requests(drafts, ask, atomic=atomic))
            return Answer(items=(), replayed=False, checkpoint=None, size=0)

    apply_accounts(Noting(), [account(f"assets:{number}") for number in range(1_001)], KEYED)  # type: ignore[arg-type]
    assert seen == [
        ("accounts", "74f0fc7b2ce7d760f106b105d328b7ab2d219786515d86bb62781fb1a377ef7b"),
        ("accounts#1", "9f3e8f25993874ef4cb0a6b2210270595bd8c4585281944763098467a0e3d78d"),
    ]


def test_a_group_of_several_kinds_has_a_scope_of_its_own() -> None:
    (request,) = requests([entry(1), account("assets:a")])
    assert request.route == "records"


def test_a_part_has_no_more_bytes_than_a_batch_and_says_how_many() -> None:
    bulky = {f"k{number}": "x" * 500 for number in range(60)}
    drafts = [entry(number, bulky) for number in range(600)]
    parts = requests(drafts, Ask(actor=ME), atomic=False)
    assert [part.bytes for part in parts] == [sum(len(item.body) for item in part.items) for part in parts]
    assert len(parts) > 2
    assert sum(len(part.items) for part in parts) == 600
    weight = len(parts[0].items[0].body)
    assert all(MAX_BATCH_BYTES - 2 * weight < part.bytes <= MAX_BATCH_BYTES for part in parts[:-1])
    with pytest.raises(InvalidInput, match="atomic group"):
        requests(drafts, Ask(actor=ME), atomic=True)


def test_more_drafts_than_a_call_takes_are_refused_at_once() -> None:
    with pytest.raises(InvalidInput, match="10,000 are the most"):
        requests_of(Kinds(), [entry(1)] * (MAX_DRAFTS + 1), KEYED, atomic=False)


def test_a_kind_that_nobody_brought_is_refused_before_the_first_part_is_queued() -> None:
    drafts = [*(entry(number) for number in range(1_000)), RecordDraft(kind="parcel", body={})]
    with pytest.raises(InvalidInput, match="parcel"):
        requests_of(Kinds(), drafts, Ask(actor=ME, route="file"), atomic=False)


@pytest.mark.parametrize("metadata", [{"a": "\0"}, {"A B": "x"}, {"a": "\ud800"}, {"a": 1.5}])
@pytest.mark.parametrize("ask", [KEYED, Ask(actor=ME)])
def test_an_account_that_no_record_could_hold_is_refused_before_it_is_queued(ask: Ask, metadata: Any) -> None:
    wanted = account("assets:a", metadata)
    for draft in (wanted, AccountOpening(account=wanted), AccountChange(code="assets:a", metadata=metadata)):
        with pytest.raises(NotCanonical):
            requests([draft], ask)


def test_a_record_of_the_wrong_shape_is_refused_before_it_is_queued_and_names_no_place_in_a_group() -> None:
    with pytest.raises(InvalidInput) as refused:
        requests([RecordDraft(kind="export", body={})], Ask(actor=ME))
    assert refused.value.context == {}


def test_what_is_private_counts_when_a_call_is_cut_into_batches() -> None:
    private = {f"n{number}": "x" * 8_000 for number in range(8)}
    drafts = [replace(entry(number), private=private) for number in range(100)]
    parts = requests(drafts, atomic=False)
    assert sum(len(part.items) for part in parts) == 100
    assert len(parts) == 2
    assert all(64_000 * len(part.items) < part.bytes <= MAX_BATCH_BYTES for part in parts)
    with pytest.raises(InvalidInput):
        requests(drafts)
