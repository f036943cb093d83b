"""What Stripe's events become: entries made of balance transactions, once for each fact, in whatever order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.inbox.conftest import Inbox, event

pytestmark = pytest.mark.integration

CLEARING, FEES, SALES = "assets:psp:stripe:clearing:usd", "expenses:processing-fees:usd", "revenue:sales:usd"
TRANSIT, REFUNDS = "assets:in-transit:stripe:usd", "revenue:refunds:usd"
DISPUTES, COSTS = "assets:disputes:usd", "expenses:disputes:usd"
CHARGED = [("debit", CLEARING, 9_680), ("debit", FEES, 320), ("credit", SALES, 10_000)]
REFUNDED = [("debit", REFUNDS, 10_000), ("credit", CLEARING, 10_000)]
WITHDRAWN = [("debit", DISPUTES, 10_000), ("debit", COSTS, 1_500), ("credit", CLEARING, 11_500)]


def test_a_charge_becomes_an_entry_that_names_it_for_ever(inbox: Inbox) -> None:
    charge = inbox.stripe.charge("ch_1")
    inbox.deliver(event("charge.succeeded", charge), traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01")
    assert inbox.drain() == ["posted"]
    (entry,) = inbox.entries()
    assert inbox.moves() == [CHARGED]
    assert entry.draft.external_id == "stripe:default:ch_1:charge_captured"
    assert entry.draft.metadata["reference"] == "ch_1"
    assert entry.draft.metadata["trace_id"] == "ab" * 16
    assert entry.draft.effective_at.isoformat() == "2026-01-02T00:00:00+00:00"
    assert [str(each) for each in inbox.rows("entry_ids")[0]] == [entry.id]


def test_amounts_are_those_of_the_api_and_never_of_the_event(inbox: Inbox) -> None:
    charge = inbox.stripe.charge("ch_1")
    lie = {**charge, "amount": 1, "balance_transaction": {"amount": 1, "fee": 0, "net": 1}}
    inbox.deliver(event("charge.succeeded", lie))
    assert (inbox.drain(), inbox.moves()) == (["posted"], [CHARGED])


def test_two_event_objects_for_one_fact_are_one_entry(inbox: Inbox) -> None:
    charge = inbox.stripe.charge("ch_1")
    for id, created in (("evt_a", 10), ("evt_b", 10), ("evt_c", 11)):
        inbox.deliver(event("charge.succeeded", charge, id=id, created=created))
    inbox.deliver(event("charge.captured", charge))
    assert sorted(inbox.drain()) == ["duplicate", "duplicate", "posted", "posted"]
    assert inbox.moves() == [CHARGED]


def test_a_charge_without_its_balance_transaction_waits_for_it(inbox: Inbox) -> None:
    charge = inbox.stripe.charge("ch_1")
    known, charge["balance_transaction"] = charge["balance_transaction"], None
    inbox.deliver(event("charge.succeeded", charge))
    assert (inbox.drain(), inbox.entries()) == (["retried"], [])
    assert inbox.rows("attempts, reason") == [(1, "the charge has no balance transaction yet")]
    charge["balance_transaction"] = known
    inbox.deliver(event("charge.updated", charge))
    assert inbox.drain() == ["posted"]
    inbox.make_due()
    assert (inbox.drain(), inbox.moves()) == (["posted"], [CHARGED])


def test_an_older_version_of_an_object_is_superseded(inbox: Inbox) -> None:
    charge = inbox.stripe.charge("ch_1")
    inbox.deliver(event("charge.updated", {**charge, "description": "new"}, created=20))
    assert inbox.drain() == ["posted"]
    asked = len(inbox.stripe.asked)
    inbox.deliver(event("charge.updated", {**charge, "description": "old"}, created=19))
    assert inbox.drain() == ["superseded"]
    assert len(inbox.stripe.asked) == asked
    inbox.deliver(event("charge.updated", {**charge, "description": "of the same second"}, created=20))
    assert (inbox.drain(), len(inbox.entries())) == (["posted"], 1)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [({"captured": False}, "ignored"), ({"status": "failed"}, "ignored"), ({"status": "pending"}, "ignored")],
)
def test_a_charge_that_moved_nothing_is_let_be(inbox: Inbox, changes: dict[str, Any], outcome: str) -> None:
    charge = inbox.stripe.charge("ch_1", **changes)
    inbox.deliver(event("charge.succeeded", charge))
    assert (inbox.drain(), inbox.entries()) == ([outcome], [])


def test_a_partial_capture_is_posted_as_what_was_captured_once_the_rest_was_taken_back(inbox: Inbox) -> None:
    charge = inbox.stripe.charge("ch_1", amount_captured=4_000)
    inbox.deliver(event("charge.captured", charge))
    assert inbox.drain() == ["retried"]
    inbox.stripe.transaction("txn_2", -6_000, source="ch_1", reporting_category="partial_capture_reversal")
    inbox.make_due()
    assert inbox.drain() == ["posted"]
    assert inbox.moves() == [[("debit", CLEARING, 3_680), ("debit", FEES, 320), ("credit", SALES, 4_000)]]


def test_a_partial_capture_that_was_settled_as_one_is_posted_at_once(inbox: Inbox) -> None:
    charge = inbox.stripe.charge("ch_1", amount=20_000, amount_captured=10_000)
    inbox.stripe.transaction("txn_ch_1", 11_111, 320, source="ch_1", exchange_rate=1.11105)
    inbox.deliver(event("charge.captured", charge))
    assert inbox.drain() == ["posted"]
    assert inbox.moves()[0][2] == ("credit", SALES, 11_111)


def test_a_refund_its_returned_fee_and_its_failure(inbox: Inbox) -> None:
    inbox.deliver(event("refund.created", inbox.stripe.refund("re_1")))
    assert (inbox.drain(), inbox.moves()) == (["posted"], [REFUNDED])
    inbox.deliver(event("refund.created", inbox.stripe.refund("re_2", fee=-47)))
    assert inbox.drain() == ["posted"]
    assert inbox.moves()[1] == [("debit", REFUNDS, 10_000), ("credit", FEES, 47), ("credit", CLEARING, 9_953)]
    back = inbox.stripe.transaction("txn_f", 10_000, source="re_1", reporting_category="refund_failure")
    failed = inbox.stripe.refund("re_1", status="failed", failure_balance_transaction=back)
    inbox.deliver(event("refund.failed", failed))
    assert inbox.drain() == ["posted"]
    assert inbox.moves()[2:] == [[("debit", CLEARING, 10_000), ("credit", REFUNDS, 10_000)]]
    assert len(inbox.rows("entry_ids")[2]) == 2


def test_a_payout_that_failed_is_posted_with_its_return_whichever_event_comes_first(inbox: Inbox) -> None:
    back = inbox.stripe.transaction("txn_f", 9_680, source="po_1", reporting_category="payout_reversal")
    payout = inbox.stripe.payout("po_1", status="failed", failure_balance_transaction=back)
    inbox.deliver(event("payout.failed", payout))
    inbox.deliver(event("payout.paid", {**payout, "status": "paid"}))
    assert inbox.drain() == ["posted", "posted"]
    there = [("debit", TRANSIT, 9_680), ("credit", CLEARING, 9_680)]
    assert inbox.moves() == [there, [("debit", CLEARING, 9_680), ("credit", TRANSIT, 9_680)]]


def test_a_payout_out_of_the_bank_stands_on_the_other_side(inbox: Inbox) -> None:
    inbox.deliver(event("payout.paid", inbox.stripe.payout("po_1", amount=-500)))
    assert inbox.drain() == ["posted"]
    assert inbox.moves() == [[("credit", TRANSIT, 500), ("debit", CLEARING, 500)]]


@pytest.mark.parametrize("apart", [False, True])
def test_a_dispute_of_one_or_of_two_balance_transactions(inbox: Inbox, apart: bool) -> None:
    api = inbox.stripe
    if apart:
        of = [api.transaction("txn_1", -10_000, source="dp_1", reporting_category="dispute"),
              api.transaction("txn_2", -1_500, source="dp_1", reporting_category="fee")]  # fmt: skip
    else:
        of = [api.transaction("txn_1", -10_000, 1_500, source="dp_1", reporting_category="dispute")]
    inbox.deliver(event("charge.dispute.funds_withdrawn", api.dispute("dp_1", *of)))
    assert (inbox.drain(), inbox.moves()) == (["posted"], [WITHDRAWN])
    back = api.transaction("txn_3", 10_000, -1_500, source="dp_1", reporting_category="dispute_reversal")
    inbox.deliver(event("charge.dispute.funds_reinstated", api.dispute("dp_1", *of, back, status="won")))
    assert inbox.drain() == ["posted"]
    assert inbox.moves()[1:] == [[("debit", CLEARING, 11_500), ("credit", COSTS, 1_500), ("credit", DISPUTES, 10_000)]]


def test_a_dispute_that_is_lost_leaves_nothing_receivable(inbox: Inbox) -> None:
    api = inbox.stripe
    of = api.transaction("txn_1", -10_000, 1_500, source="dp_1", reporting_category="dispute")
    inbox.deliver(event("charge.dispute.closed", api.dispute("dp_1", of, status="lost")))
    assert inbox.drain() == ["posted"]
    assert inbox.moves() == [WITHDRAWN, [("debit", COSTS, 10_000), ("credit", DISPUTES, 10_000)]]


def test_a_dispute_in_two_currencies_is_a_dead_letter_that_says_so(inbox: Inbox) -> None:
    api = inbox.stripe
    of = [api.transaction("txn_1", -10_000, source="dp_1", reporting_category="dispute"),
          api.transaction("txn_2", -9_000, source="dp_1", reporting_category="dispute", currency="eur")]  # fmt: skip
    inbox.deliver(event("charge.dispute.funds_withdrawn", api.dispute("dp_1", *of)))
    assert inbox.drain() == ["dead"]
    assert "was settled in EUR, USD" in inbox.rows("reason")[0]


def test_an_event_of_a_connected_account_is_fetched_for_it(inbox: Inbox) -> None:
    charge = inbox.stripe.charge("ch_1")
    inbox.deliver(event("charge.succeeded", charge, account="acct_77"))
    assert inbox.drain() == ["posted"]
    (_, query, headers), *_ = inbox.stripe.asked
    assert headers["stripe-account"] == "acct_77"
    assert headers["stripe-version"] == "2025-09-30.clover"
    assert list(query.values()) == [["balance_transaction"]]


def test_another_type_moves_no_money_and_asks_nobody(inbox: Inbox) -> None:
    inbox.deliver(event("customer.created", {"id": "cus_1", "object": "customer"}))
    assert (inbox.drain(), inbox.stripe.asked) == (["ignored"], [])


@pytest.mark.parametrize("told", [{"amount": 1.5}, {"net": 7}, {"currency": "xxx"}, {"amount": True}])
def test_a_balance_transaction_that_is_none_is_a_dead_letter(inbox: Inbox, told: dict[str, Any]) -> None:
    charge = inbox.stripe.charge("ch_1")
    inbox.stripe.transactions["txn_ch_1"].update(told)
    inbox.deliver(event("charge.succeeded", charge))
    assert (inbox.drain(), inbox.entries()) == (["dead"], [])


def test_what_stands_with_other_amounts_is_never_passed_over(inbox: Inbox) -> None:
    charge = inbox.stripe.charge("ch_1")
    inbox.deliver(event("charge.succeeded", charge))
    inbox.drain()
    inbox.stripe.transaction("txn_ch_1", 10_000, 321, source="ch_1")
    inbox.deliver(event("charge.updated", charge))
    assert inbox.drain() == ["dead"]
    assert "moves other amounts" in inbox.rows("reason")[1]
    assert len(inbox.entries()) == 1


def test_an_object_that_stripe_does_not_have_is_a_dead_letter_at_once(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", {"id": "ch_nobody", "object": "charge"}))
    inbox.deliver(event("charge.succeeded", {"id": "../v1/x", "object": "charge"}))
    assert inbox.drain() == ["dead", "dead"]
    assert len(inbox.stripe.asked) == 1
    assert json.dumps(inbox.rows("attempts")) == "[1, 1]"
