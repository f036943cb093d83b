"""Kinds of entries and items: summaries of payouts, fees, taxes and parts."""

from __future__ import annotations

from typing import Any

from tests.cases.matching.kinds import beside, kind

# Summaries


def payout_of(case: Any, *gross: int, fee: int = 300, booked: bool = False) -> int:
    """Charges of one payout that nobody books one by one; return their net."""
    for place, amount in enumerate(gross):
        is_charge = amount > 0
        category = "charge" if is_charge else "refund"
        case.item(f"i{place}", amount, fee=fee if is_charge else 0, category=category, payout="sum0001", booked=booked)
    return sum(gross) - fee * sum(amount > 0 for amount in gross)


@kind()
def equal_summaries_of_a_payout_add_up(case):
    net = payout_of(case, 10_000, 10_000, 10_000, 10_000)
    for day in range(2):
        case.entry(f"shop:c{case.number}-{day}", net=net // 2, fee=600, day=day, reference=case.id("po", "sum0001"))
    case.line(net, case.payout("sum0001", net, arrives=3), day=3)


@kind()
def three_equal_summaries_stand_beside_the_payouts_own_entry(case):
    net = payout_of(case, 10_000, 10_000, 10_000)
    for part in range(3):
        case.entry(f"shop:c{case.number}-{part}", net=net // 3, fee=300, reference=case.id("po", "sum0001"))
    case.line(net, case.payout("sum0001", net, arrives=3, reference=case.id("po", "sum0001")), day=3)


@kind()
def summaries_by_kind_stand_beside_the_payout(case):
    net = payout_of(case, 10_000, 10_000, -2500)
    payout = case.payout("sum0001", net, arrives=3, reference=case.id("po", "sum0001"))
    case.entry(f"shop:c{case.number}-sales", net=19_400, fee=600, reference=payout)
    case.entry(f"shop:c{case.number}-refunds", net=-2500, reference=payout)
    case.line(net, payout, day=3)


@kind()
def refunds_are_by_chance_the_payouts_amount(case):
    net = payout_of(case, 10_000, -5000, fee=0)
    payout = case.payout("sum0001", net, arrives=3, reference=case.id("po", "sum0001"))
    case.entry(f"shop:c{case.number}-sales", net=10_000, reference=payout)
    case.entry(f"shop:c{case.number}-refunds", net=-5000, reference=payout)
    case.line(net, payout, day=3)


@kind()
def summaries_of_a_negative_payout_add_up(case):
    beside(case)
    net = payout_of(case, 1000, -2500, fee=0)
    payout = case.payout("sum0001", net, arrives=3, reference=case.id("po", "sum0001"))
    case.entry(f"shop:c{case.number}-sales", net=1000, reference=payout)
    case.entry(f"shop:c{case.number}-refunds", net=-2500, reference=payout)
    case.line(net, payout, day=3)


@kind(("duplicate_ledger", "A", 9700))
def a_summary_booked_twice_is_a_duplicate(case):
    net = payout_of(case, 10_000)
    payout = case.payout("sum0001", net, arrives=3)
    for copy in range(2):
        case.entry(f"shop:c{case.number}-{copy}", net=net, fee=300, reference=payout)
    case.line(net, payout, day=3)


@kind(("duplicate_ledger", "A", -16_900))
def the_payouts_entry_booked_twice_beside_summaries_is_the_duplicate(case):
    net = payout_of(case, 10_000, 10_000, -2500)
    payout = case.payout("sum0001", net, arrives=3, reference=case.id("po", "sum0001"))
    case.entry(f"again:c{case.number}", net=-net, other="transit", reference=payout)
    case.entry(f"shop:c{case.number}-sales", net=19_400, fee=600, reference=payout)
    case.entry(f"shop:c{case.number}-refunds", net=-2500, reference=payout)
    case.line(net, payout, day=3)


@kind()
def a_summary_stands_beside_items_booked_alone(case):
    case.item("alone", 5000, fee=100, payout="sum0001")
    net = payout_of(case, 10_000, 10_000)
    payout = case.payout("sum0001", net + 4900, arrives=3)
    case.entry(f"shop:c{case.number}-rest", net=net, fee=600, reference=payout)
    case.line(net + 4900, payout, day=3)


# Fees, taxes, parts


@kind()
def a_tax_row_is_booked_as_a_fee(case):
    transaction = case.item("tax1", -210, category="tax", booked=False)
    case.entry(f"stripe:{transaction}", net=-210, fee=210, reference=transaction)


@kind()
def a_fee_row_is_booked_elsewhere(case):
    transaction = case.item("fee1", -210, category="fee", booked=False)
    case.entry(f"stripe:{transaction}", net=-210, other="other", reference=transaction)


@kind()
def a_fee_is_booked_in_an_entry_of_its_own(case):
    transaction = case.item("chg1", 10_000, fee=320, booked=False)
    case.entry(f"stripe:{transaction}", net=10_000, reference=transaction)
    case.entry(f"fee:{transaction}", net=-320, fee=320, reference=transaction)


@kind()
def an_item_is_booked_in_two_parts(case):
    transaction = case.item("chg1", 10_000, booked=False)
    for part, amount in enumerate((6000, 4000)):
        case.entry(f"part:{transaction}:{part}", net=amount, reference=transaction)


@kind()
def one_entry_books_two_charges_of_one_payment(case):
    for name, amount in (("chg1", 6000), ("chg2", 4000)):
        case.item(name, amount, booked=False, payment_intent_id=case.id("pi", "both"))
    case.entry(f"shop:c{case.number}", net=10_000, reference=case.id("pi", "both"))


@kind(("duplicate_ledger", "A", 6000), ("amount_mismatch", "A", -4000))
def two_equal_parts_are_still_a_duplicate(case):
    transaction = case.item("chg1", 10_000, booked=False)
    for part in range(2):
        case.entry(f"part:{transaction}:{part}", net=6000, reference=transaction)


@kind()
def an_adjustment_names_the_reference_of_an_entry_known_by_its_external_id(case):
    transaction = case.item("adj1", 10_000, fee=320, booked=False)
    case.entry(f"stripe:{transaction}", net=9580, fee=320)
    case.entry(f"shop:adjust-{case.number}", net=100, reference=transaction, corrects=f"stripe:{transaction}")


@kind(("missing_at_psp", "A", 100), ("amount_mismatch", "A", -100))
def an_adjustment_with_another_reference_stands_alone(case):
    transaction = case.item("adj1", 10_000, fee=320, booked=False)
    case.entry(f"stripe:{transaction}", net=9580, fee=320)
    case.entry(
        f"shop:adjust-{case.number}", net=100, reference=case.id("txn", "other"), corrects=f"stripe:{transaction}"
    )


@kind()
def an_item_that_moves_nothing_is_missing_nowhere(case):
    case.item("zero1", 0, booked=False)
    case.item("zero2", 320, fee=320, booked=False)


@kind()
def a_payout_in_transit_is_known_by_its_external_id(case):
    case.item("alpha01x", 10_000, fee=320, payout="alpha01")
    payout = case.payout("alpha01", 9680, booked=False)
    case.entry(f"stripe:{payout}", net=-9680, other="transit", day=1)
    case.receipt("r1", 9680, reference=payout)
    case.line(9680, payout, day=3)
