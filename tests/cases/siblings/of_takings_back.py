"""Siblings of what others take back: partial captures, failures, disputes won; booked as one, one by one, or not."""

from __future__ import annotations

from tests.cases.siblings.keeping import sibling


def _charge(case, *back, fees=(), payouts=(None, None), category="partial_capture_reversal"):
    """A charge of 100.00 that nobody booked, and the items that take of it back."""
    charge = case.id("ch", "ch1")
    transaction = case.item("ch1", 10_000, fee=320, booked=False, payout=payouts[0])
    for number, amount in enumerate(back, start=1):
        fee = fees[number - 1] if fees else 0
        case.item(
            f"back{number}", -amount, fee=fee, category=category, source_id=charge, charge_id=charge, booked=False,
            day=number, payout=payouts[1],
        )  # fmt: skip
    return transaction


def _book(case, *amounts, reference, fee=320):
    for number, amount in enumerate(amounts):
        case.entry(f"shop:c{case.number}-{number}", net=amount, fee=0 if number else fee, reference=reference)


@sibling()
def a_partial_capture_is_booked_as_captured(case):
    _book(case, 5680, reference=_charge(case, 4000))


@sibling()
def a_partial_capture_is_booked_under_its_charge(case):
    _charge(case, 4000)
    _book(case, 5680, reference=case.id("ch", "ch1"))


@sibling()
def a_partial_capture_is_taken_back_with_a_part_of_the_fee(case):
    _book(case, 5800, reference=_charge(case, 4000, fees=(-120,)), fee=200)


@sibling()
def a_partial_capture_is_taken_back_in_parts(case):
    _book(case, 5680, reference=_charge(case, 2500, 1500))


@sibling()
def a_partial_capture_is_settled_by_one_payout(case):
    _book(case, 5680, reference=_charge(case, 4000, payouts=("alpha01", "alpha01")))
    case.line(5680, f"STRIPE {case.payout('alpha01', 5680, arrives=3)}", day=3)


@sibling()
def a_partial_capture_is_settled_by_two_payouts(case):
    _book(case, 5680, reference=_charge(case, 4000, payouts=("alpha01", "alpha02")))
    case.item("more1", 9000, payout="alpha02")
    for name, net in (("alpha01", 9680), ("alpha02", 5000)):
        case.line(net, f"STRIPE {case.payout(name, net, arrives=3)}", day=3)


@sibling()
def a_partial_capture_is_told_by_another_report(case):
    transaction = _charge(case, 4000)
    case.report("later.csv", [case.items.pop()])
    _book(case, 5680, reference=transaction)


@sibling()
def a_partial_capture_is_booked_one_by_one(case):
    _charge(case, 4000)
    _book(case, 9680, -4000, reference=case.id("ch", "ch1"))


@sibling((("missing_in_ledger", "A", 4000),))
def what_was_not_captured_is_forgotten(case):
    _book(case, 9680, reference=_charge(case, 4000))


@sibling((("missing_in_ledger", "A", 4000),))
def what_was_not_captured_of_a_charge_in_parts_is_forgotten(case):
    _book(case, 5000, 4680, reference=_charge(case, 4000))


@sibling((("amount_mismatch", "A", -3999), ("missing_in_ledger", "A", 4000)))
def a_partial_capture_is_booked_a_cent_too_high(case):
    _book(case, 5681, reference=_charge(case, 4000))


@sibling((("duplicate_ledger", "A", 5680),))
def a_partial_capture_is_booked_twice(case):
    transaction = _charge(case, 4000)
    for number in (1, 2):
        case.entry(f"shop:c{case.number}-{number}", net=5680, fee=320, reference=transaction)


@sibling()
def a_payment_fails_and_its_fee_is_booked(case):
    _charge(case, 10_000, category="charge_failure")
    _book(case, -320, reference=case.id("ch", "ch1"))


@sibling((("missing_in_ledger", "A", -9680), ("missing_in_ledger", "A", 10_000)))
def a_payment_fails_that_nobody_booked(case):
    _charge(case, 10_000, category="charge_failure")


@sibling()
def a_dispute_is_won_and_its_fee_is_booked(case):
    for name, amount, fee, category in (("dp1", -10_000, 1500, "dispute"), ("dp2", 10_000, 0, "dispute_reversal")):
        case.item(
            name, amount, fee=fee, category=category, source_id=case.id("dp", "1"), charge_id=case.id("ch", "x"),
            booked=False,
        )  # fmt: skip
    case.entry(f"shop:c{case.number}", net=-1500, fee=1500, reference=case.id("dp", "1"))


@sibling()
def a_refund_fails_in_part(case):
    for name, amount, category in (("r1", -5000, "refund"), ("r2", 2000, "refund_failure")):
        case.item(
            name, amount, category=category, source_id=case.id("re", "1"), charge_id=case.id("ch", "x"), booked=False
        )
    case.entry(f"shop:c{case.number}", net=-3000, reference=case.id("re", "1"))


@sibling((("missing_in_ledger", "A", 2500),))
def a_refund_fails_in_part_beside_one_that_is_forgotten(case):
    a_refund_fails_in_part(case)
    case.item("other", -2500, category="refund", charge_id=case.id("ch", "x"), booked=False)


@sibling()
def a_top_up_is_taken_back_in_part(case):
    for name, amount, category in (("t1", 5000, "topup"), ("t2", -2000, "topup_reversal")):
        case.item(name, amount, category=category, source_id=case.id("tu", "1"), booked=False)
    case.entry(f"shop:c{case.number}", net=3000, reference=case.id("tu", "1"))
