"""Siblings in which both legs have a part: payouts that fail, reports of them, what else an account may hold."""

from __future__ import annotations

from tests.cases.matching.conftest import companies
from tests.cases.siblings.keeping import paid, sibling


@sibling()
def a_payout_fails_in_a_newer_report(case):
    payout = paid(case)
    failed = dict(case.payouts[0]) | {"payout_status": "failed"}
    case.payout("later01", 1000, day=8, arrives=9, booked=False)
    case.entry(
        f"stripe:{case.id('txn', 'polater01')}",
        net=-1000,
        other="transit",
        reference=case.id("txn", "polater01"),
        day=8,
    )
    case.item("rev1", 9680, category="payout_reversal", day=7, source_id=payout)
    case.report("payouts_later.csv", [failed, case.payouts.pop()], companies.PAYOUT_COLUMNS)
    case.line(1000, f"STRIPE {case.id('po', 'later01')}", day=9)


@sibling()
def two_payouts_of_one_amount_are_named(case):
    for name in ("alpha01", "beta001"):
        case.line(9680, f"STRIPE {paid(case, name)}", day=3)


@sibling((), (("ambiguous", "B", None),) * 2)
def two_payouts_of_one_amount_one_is_named(case):
    amount = case.cents(51)
    first, _ = paid(case, net=amount), paid(case, "beta001", amount)
    case.line(amount, "STRIPE", day=3)
    case.line(amount, f"STRIPE {first}", day=3)


@sibling((("payout_missing_at_bank", "B", 9680),))
def a_line_that_is_not_the_providers_pays_nobody(case):
    paid(case)
    case.line(9680, "RENT", party="Landlord", day=3)


@sibling()
def the_provider_is_named_by_its_bank_alone(case):
    payout = paid(case)
    case.line(9680, payout, party=None, info="STRIPE TECHNOLOGY EUROPE", day=3)


@sibling(
    (("payout_missing_at_bank", "B", 9680), ("unexpected_bank_debit", "B", 9680)),
    (("payout_returned", "B", 9680), ("payout_missing_at_bank", "B", 9680)),
)
def a_payout_is_taken_instead_of_given(case):
    case.line(-9680, f"STRIPE {paid(case)}", day=3)


@sibling()
def a_payout_comes_back_before_it_came(case):
    payout = paid(case, status="failed")
    case.item("rev1", 9680, category="payout_reversal", day=2, source_id=payout)
    case.line(-9680, f"STRIPE {payout} RETURN", day=3)
    case.line(9680, f"STRIPE {payout}", day=3)


@sibling()
def an_entry_under_the_payout_intent_and_one_under_the_charge(case):
    for name in ("one", "two"):
        case.item(name, 5000, booked=False, payment_intent_id=case.id("pi", "shared"))
    case.entry(f"shop:c{case.number}-1", net=5000, reference=case.id("ch", "one"))
    case.entry(f"shop:c{case.number}-2", net=5000, reference=case.id("pi", "shared"))


@sibling()
def orders_of_three_parcels(case):
    for place, amount in enumerate((5000, 5000, 7000)):
        case.item(f"p{place}", amount, booked=False, order_id=f"order-{case.number}")
        case.entry(f"shop:c{case.number}-{place}", net=amount, reference=f"order-{case.number}")


@sibling((("duplicate_ledger", "A", 5000),))
def an_order_of_two_parcels_booked_once_too_often(case):
    for place in range(2):
        case.item(f"p{place}", 5000, booked=False, order_id=f"order-{case.number}")
    for place in range(3):
        case.entry(f"shop:c{case.number}-{place}", net=5000, reference=f"order-{case.number}")


@sibling()
def equal_orders_with_fees(case):
    for place in range(2):
        case.item(f"p{place}", 5000, fee=120, booked=False, order_id=f"order-{case.number}")
        case.entry(f"shop:c{case.number}-{place}", net=4880, fee=120, reference=f"order-{case.number}")


@sibling(
    (("fee_mismatch", "A", None),),
    (("ambiguous", "A", 0),),
    (("ambiguous", "A", 120),),
    (("fee_mismatch", "A", None),) * 2,
)
def equal_orders_one_without_its_fee(case):
    for place in range(2):
        case.item(f"p{place}", 5000, fee=120, booked=False, order_id=f"order-{case.number}")
    case.entry(f"shop:c{case.number}-0", net=4880, fee=120, reference=f"order-{case.number}")
    case.entry(f"shop:c{case.number}-1", net=4880, fee=0, reference=f"order-{case.number}")


@sibling()
def two_equal_disputes_of_one_charge_come_back(case):
    case.item("ch1", 10_000)
    for name, net, fee, category in (
        ("d1", -10_000, 0, "dispute"),
        ("d2", 10_000, 0, "dispute_reversal"),
        ("d3", -10_000, 0, "dispute"),
        ("d4", 10_000, 0, "dispute_reversal"),
    ):
        case.item(name, net, fee=fee, category=category, charge_id=case.id("ch", "ch1"), booked=False)
        case.entry(f"shop:{name}-{case.number}", net=net, reference=case.id("ch", "ch1"))


@sibling((("amount_mismatch", "A", None),), (("missing_in_ledger", "A", 61),))
def a_tax_of_a_charge_is_booked_nowhere(case):
    case.item("ch1", 10_000, fee=320)
    case.item("tax1", -61, category="tax", booked=False)


@sibling()
def a_negative_payout_goes_back_and_is_collected_again(case):
    case.item("r1", -700, category="refund", payout="neg1")
    payout = case.payout("neg1", -700, arrives=3)
    for amount, day in ((-700, 3), (700, 4), (-700, 8)):
        case.line(amount, f"STRIPE {payout}", day=day)


@sibling((("unexpected_bank_credit", "B", -25),), (("amount_mismatch", "B", -25),), (("ambiguous", "B", -25),))
def interest_comes_with_a_payout(case):
    payout = paid(case)
    case.line(9680, f"STRIPE {payout}", day=3)
    case.line(25, f"STRIPE INTEREST {payout}", day=4)


@sibling()
def an_instant_payout_without_a_status_goes_back_without_its_fee(case):
    case.item("x", 10_000, fee=320, payout="alpha01")
    payout = case.payout("alpha01", 9680, fee=97, arrives=1, status="")
    case.item("rev1", 9583, category="payout_reversal", day=4, source_id=payout)


@sibling((("payout_missing_at_bank", "B", 9583),))
def an_instant_payout_without_a_status_goes_back_in_part(case):
    case.item("x", 10_000, fee=320, payout="alpha01")
    payout = case.payout("alpha01", 9680, fee=97, arrives=1, status="")
    case.item("rev1", 500, category="payout_reversal", day=4, source_id=payout)


@sibling((("batch_sum_mismatch", "B", 500),))
def a_payout_holds_more_than_its_items(case):
    case.item("x", 10_000, fee=320, payout="alpha01")
    payout = case.payout("alpha01", 10_180, arrives=3)
    case.line(10_180, f"STRIPE {payout}", day=3)
