"""Siblings of entries and items: references, corrections, fees and taxes, documents."""

from __future__ import annotations

from tests.cases.matching.conftest import companies
from tests.cases.siblings.keeping import sibling

# References that are used more than once


@sibling()
def two_equal_refunds_of_one_charge(case):
    case.item("ch1", 10_000, fee=320)
    for number in (1, 2):
        case.item(f"r{number}", -2500, category="refund", charge_id=case.id("ch", "ch1"), booked=False)
        case.entry(f"shop:c{case.number}-{number}", net=-2500, day=number, reference=case.id("ch", "ch1"))


@sibling((("missing_in_ledger", "A", 2500),), (("ambiguous", "A", 2500),))
def one_of_two_equal_refunds_is_booked(case):
    case.item("ch1", 10_000, fee=320)
    for number in (1, 2):
        case.item(f"r{number}", -2500, category="refund", charge_id=case.id("ch", "ch1"), booked=False)
    case.entry(f"shop:c{case.number}-1", net=-2500, day=1, reference=case.id("ch", "ch1"))


@sibling((("duplicate_ledger", "A", -2500),))
def two_equal_refunds_are_booked_three_times(case):
    case.item("ch1", 10_000, fee=320)
    for number in (1, 2):
        case.item(f"r{number}", -2500, category="refund", charge_id=case.id("ch", "ch1"), booked=False)
    for number in (1, 2, 3):
        case.entry(f"shop:c{case.number}-{number}", net=-2500, day=number, reference=case.id("ch", "ch1"))


@sibling()
def a_dispute_is_lost_and_won_again(case):
    case.item("ch1", 10_000, booked=False)
    case.item("dp1", -10_000, fee=1500, category="dispute", charge_id=case.id("ch", "ch1"), booked=False, day=2)
    case.item("dp2", 10_000, category="dispute_reversal", charge_id=case.id("ch", "ch1"), booked=False, day=9)
    for number, (net, fee) in enumerate(((10_000, 0), (-11_500, 1500), (10_000, 0))):
        case.entry(f"shop:c{case.number}-{number}", net=net, fee=fee, day=3 * number, reference=case.id("ch", "ch1"))


@sibling()
def an_order_number_comes_again_after_a_year(case):
    for number, (amount, day) in enumerate(((10_000, -362), (7000, 2))):
        case.item(f"i{number}", amount, day=day, order_id=f"order-{case.number}", booked=False)
        case.entry(f"shop:c{case.number}-{number}", net=amount, day=day, reference=f"order-{case.number}")


@sibling()
def an_order_number_comes_again_after_a_year_with_the_amount(case):
    for number, day in enumerate((-362, 2)):
        case.item(f"i{number}", 10_000, day=day, order_id=f"order-{case.number}", booked=False)
        case.entry(f"shop:c{case.number}-{number}", net=10_000, day=day, reference=f"order-{case.number}")


# Entries that change entries


@sibling()
def a_correction_is_corrected(case):
    transaction = case.item("adj1", 10_000, fee=320, booked=False)
    case.entry(f"stripe:{transaction}", net=9580, fee=320, reference=transaction)
    case.entry(f"shop:adj-{case.number}-1", net=150, reference=transaction, corrects=f"stripe:{transaction}")
    case.entry(f"shop:adj-{case.number}-2", net=-50, reference=transaction, corrects=f"stripe:{transaction}")


@sibling()
def a_correction_brings_the_fee(case):
    transaction = case.item("adj1", 10_000, fee=320, booked=False)
    case.entry(f"stripe:{transaction}", net=10_000, reference=transaction)
    case.entry(f"shop:adj-{case.number}", net=-320, fee=320, reference=transaction, corrects=f"stripe:{transaction}")


@sibling()
def a_correction_takes_an_entry_back_whole(case):
    case.entry(f"shop:wrong-{case.number}", net=5000, reference=f"wrong-{case.number}")
    case.entry(
        f"shop:adj-{case.number}", net=-5000, reference=f"wrong-{case.number}", corrects=f"shop:wrong-{case.number}"
    )


@sibling()
def an_entry_is_dated_ahead(case):
    case.entry(f"shop:ahead-{case.number}", net=5000, day=9000, reference=f"ahead-{case.number}")


# Fees and taxes


@sibling()
def a_tax_of_a_charge_has_an_entry_of_its_own(case):
    case.item("ch1", 10_000, fee=320)
    case.item("tax1", -61, category="tax", source_id=case.id("ch", "ch1"), booked=False)
    case.entry(f"shop:tax-{case.number}", net=-61, fee=61, reference=case.id("ch", "ch1"))


@sibling()
def fee_and_tax_of_a_month_are_one_entry(case):
    for name, amount, category in (("fee1", -1000, "fee"), ("tax1", -210, "tax")):
        case.item(name, amount, category=category, source_id=f"fees_{case.number}", booked=False)
    case.entry(f"shop:fees-{case.number}", net=-1210, fee=1210, reference=f"fees_{case.number}")


@sibling((), (("fee_mismatch", "A", 210), ("missing_in_ledger", "A", 210)))
def a_fee_is_booked_with_the_payout(case):
    case.item("ch1", 10_000, payout="alpha01")
    case.item("fee1", -210, category="fee", payout="alpha01", booked=False)
    payout = case.payout("alpha01", 9790, arrives=3, booked=False)
    case.entry(f"stripe:{payout}", net=-10_000, fee=210, other="transit", reference=payout, day=1)
    case.line(9790, f"STRIPE {payout}", day=3)


@sibling()
def a_dispute_and_its_fee_are_one_entry(case):
    _dispute(case, fee=1500)


@sibling()
def a_dispute_and_its_fee_are_one_entry_on_other_accounts(case):
    _dispute(case, fee=0)


@sibling((("ambiguous", "A", 0),))
def a_dispute_and_a_part_of_its_fee_are_one_entry(case):
    _dispute(case, fee=1499)


def _dispute(case, *, fee):
    case.item("d1", -3000, category="dispute", source_id=f"dp_{case.number}", booked=False)
    case.item("d2", -1500, category="fee", source_id=f"dp_{case.number}", booked=False)
    case.entry(f"shop:dp-{case.number}", net=-4500, fee=fee, reference=f"dp_{case.number}")


@sibling((("fee_mismatch", "A", None),))
def a_fee_is_booked_a_cent_short(case):
    transaction = case.item("ch1", 10_000, fee=320, booked=False)
    case.entry(f"stripe:{transaction}", net=9680, fee=319, reference=transaction)


@sibling()
def nothing_moves_in_any_kind(case):
    for category in ("charge", "refund", "fee", "tax", "dispute", "topup", "payout_reversal", "other_adjustment"):
        case.item(f"zero{category}", 0, category=category, booked=False)
    case.item("in1", 1000, payout="zero001")
    case.item("out1", -1000, category="refund", payout="zero001")
    case.payout("zero001", 0, arrives=3)


# Fees as large as the payment


@sibling((("fee_mismatch", "A", -45),))
def a_fee_is_more_than_the_payment_and_nobody_books_it(case):
    transaction = case.item("n1", 30, fee=45, booked=False)
    case.entry(f"stripe:{transaction}", net=30, reference=transaction)


@sibling((("fee_mismatch", "A", -30),))
def a_fee_is_the_whole_payment_and_nobody_books_it(case):
    transaction = case.item("n1", 30, fee=30, booked=False)
    case.entry(f"stripe:{transaction}", net=30, reference=transaction)


@sibling((("fee_mismatch", "A", -45), ("duplicate_ledger", "A", 30)))
def a_fee_is_more_than_the_payment_which_is_booked_twice(case):
    transaction = case.item("n1", 30, fee=45, booked=False)
    for number in range(2):
        case.entry(f"shop:{number}-{case.number}", net=30, reference=transaction)


@sibling()
def a_refund_gives_back_more_fee_than_money_and_is_booked_so(case):
    case.item("n1", -30, fee=-45, category="refund")


@sibling((("amount_mismatch", "A", None),))
def one_of_an_order_moved_nothing_and_the_other_is_booked_short(case):
    case.item("n1", 50, fee=5, booked=False, order_id=f"order-{case.number}")
    case.item("n2", 30, fee=30, booked=False, order_id=f"order-{case.number}")
    case.entry(f"shop:{case.number}", net=40, reference=f"order-{case.number}")


@sibling()
def a_summary_leaves_out_what_moved_nothing(case):
    _summary(case, fee=320)


@sibling()
def a_summary_holds_what_moved_nothing(case):
    _summary(case, fee=350)


def _summary(case, *, fee):
    case.item("s1", 10_000, fee=320, payout="alpha01", booked=False)
    case.item("s2", 30, fee=30, payout="alpha01", booked=False)
    payout = case.payout("alpha01", 9680, arrives=3)
    case.entry(f"shop:sum-{case.number}", net=9680, fee=fee, reference=payout)
    case.line(9680, f"STRIPE {payout}", day=3)


@sibling()
def two_that_moved_nothing_share_a_charge(case):
    for number, amount in enumerate((30, 20)):
        case.item(f"z{number}", amount, fee=amount, charge_id=case.id("ch", "z"), booked=False)
    case.entry(f"shop:zero-{case.number}", net=0, fee=30, reference=case.id("ch", "z"))
    case.entries[-1]["postings"] += [case._posting("clearing", amount) for amount in (30, -30)]


# Documents


@sibling()
def a_newer_report_amends_an_item(case):
    transaction = case.item("am1", 10_000, booked=False)
    case.entry(f"stripe:{transaction}", net=9000, reference=transaction)
    later = dict(case.items[0]) | {"gross": "90.00", "net": "90.00"}
    case.item("later", 500, day=5)
    case.report("amended.csv", [later, case.items.pop()])


@sibling((("amount_mismatch", "A", 1000),))
def a_newer_report_amends_an_item_and_nobody_books_it(case):
    case.item("am1", 10_000)
    later = dict(case.items[0]) | {"gross": "90.00", "net": "90.00"}
    case.item("later", 500, day=5)
    case.report("amended.csv", [later, case.items.pop()])


@sibling()
def an_item_moves_to_another_payout(case):
    case.item("moved", 1000, payout="alpha01")
    moved = dict(case.items[0]) | {"automatic_payout_id": case.id("po", "beta001")}
    case.item("stays", 2000, payout="alpha01")
    case.item("late", 3000, payout="beta001", day=5)
    case.report("later.csv", [moved, case.items.pop()])
    case.line(2000, f"STRIPE {case.payout('alpha01', 2000, arrives=3)}", day=3)
    case.line(4000, f"STRIPE {case.payout('beta001', 4000, day=6, arrives=8)}", day=8)


@sibling()
def a_report_has_a_header_alone(case):
    case.report("empty_items.csv", [])
    case.report("empty_payouts.csv", [], companies.PAYOUT_COLUMNS)


@sibling((("missing_at_psp", "A", 10_000),), (), reasons=("report_missing", "rows_put_aside"))
def a_row_is_put_aside(case):
    case.item("good", 500, day=5)
    case.item("bad", 10_000)
    case.items[-1]["net"] = "1.00"


@sibling()
def a_row_put_aside_comes_again_well(case):
    case.item("good", 500, day=5)
    case.item("bad", 10_000)
    well = dict(case.items[-1])
    case.items[-1]["net"] = "1.00"
    case.report("again.csv", [well, case.items[0]])


@sibling()
def a_provider_never_came(case):
    case.entry(f"stripe:{case.id('txn', 'lost')}", net=10_000, reference=case.id("txn", "lost"))


@sibling((("unexpected_bank_credit", "B", -9680),))
def only_a_bank_came(case):
    case.line(9680, f"STRIPE {case.id('po', 'alpha01')}", day=3)


@sibling((("unclassified_type", "A", 0),))
def an_unlisted_kind_of_nothing_says_nothing(case):
    case.item("x1", 0, category="moon_surcharge", booked=False)
