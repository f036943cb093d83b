"""Siblings of payouts and bank lines: what comes back, the other way, names."""

from __future__ import annotations

from tests.cases.siblings.keeping import EQUAL_EVERYWHERE, paid, sibling

# What comes back


@sibling((("payout_returned", "B", 500),))
def a_failed_payout_goes_back_with_a_fee_of_the_bank(case):
    payout = paid(case, status="failed")
    case.item("rev1", 9680, category="payout_reversal", day=7, source_id=payout)
    case.line(9680, f"STRIPE {payout}", day=3)
    case.line(-10180, f"STRIPE {payout} RETURN", day=4)


@sibling((("payout_returned", "B", 500),))
def a_failed_payout_goes_back_and_the_fee_is_a_line_of_its_own(case):
    payout = paid(case, status="failed")
    case.item("rev1", 9680, category="payout_reversal", day=7, source_id=payout)
    case.line(9680, f"STRIPE {payout}", day=3)
    case.line(-9680, f"STRIPE {payout} RETURN", day=4)
    case.line(-500, f"STRIPE RETURN FEE {payout}", day=4)


@sibling((("payout_returned", "B", -300),))
def a_failed_collection_comes_back_with_interest(case):
    case.item("r1", -700, category="refund", payout="neg1")
    payout = case.payout("neg1", -700, arrives=3, status="failed")
    case.item("rev1", -700, category="payout_reversal", day=7, source_id=payout)
    case.line(-700, f"STRIPE {payout}", day=3)
    case.line(1000, f"STRIPE {payout} RETURN", day=4)


@sibling((("unexpected_bank_credit", "B", -9680),))
def a_failed_payout_came_and_stayed(case):
    payout = paid(case, status="failed")
    case.item("rev1", 9680, category="payout_reversal", day=7, source_id=payout)
    case.line(9680, f"STRIPE {payout}", day=3)


@sibling()
def a_returned_payout_is_paid_again_under_a_new_id(case):
    payout = paid(case, status="failed")
    case.item("rev1", 9680, category="payout_reversal", day=7, source_id=payout)
    case.line(9680, f"STRIPE {payout}", day=3)
    case.line(-9680, f"STRIPE {payout} RETURN", day=4)
    case.line(9680, f"STRIPE {case.payout('again01', 9680, day=8, arrives=9)}", day=9)


@sibling()
def two_payouts_go_back_in_one_line(case):
    names = []
    for name, net in (("alpha01", 9680), ("beta001", 4825)):
        names.append(paid(case, name, net, status="failed"))
        case.item(f"rev{name}", net, category="payout_reversal", day=7, source_id=names[-1])
        case.line(net, f"STRIPE {names[-1]}", day=3)
    case.line(-9680 - 4825, f"STRIPE RETURN {names[0]} {names[1]}", day=5)


@sibling((("unexpected_bank_credit", "B", -9680),), (("ambiguous", "B", -9680),))
def a_payout_is_paid_twice(case):
    payout = paid(case)
    case.line(9680, f"STRIPE {payout}", day=3)
    case.line(9680, f"STRIPE {payout}", day=4)


@sibling()
def a_canceled_payout_never_comes(case):
    payout = paid(case, status="canceled")
    case.item("rev1", 9680, category="payout_reversal", day=2, source_id=payout)


@sibling()
def a_payout_is_on_its_way(case):
    case.item("x", 10_000, fee=320, day=23, payout="alpha01")
    case.payout("alpha01", 9680, day=24, arrives=27, status="in_transit")


@sibling()
def a_payout_waits_to_leave(case):
    case.item("x", 10_000, fee=320, day=23, payout="alpha01")
    case.payout("alpha01", 9680, day=24, arrives=27, status="pending")


# The other way


@sibling()
def a_top_up_goes_back(case):
    amount = case.cents(41)
    case.item("top1", amount, category="topup", source_id=case.id("tu", 1))
    case.item("top2", -amount, category="topup_reversal", source_id=case.id("tu", 1), day=2)
    case.line(-amount, "TOP UP STRIPE", day=1)
    case.line(amount, "TOP UP STRIPE RETURN", day=3)


@sibling((("unexpected_bank_debit", "B", 700),), (("ambiguous", "B", 700),))
def a_negative_payout_is_collected_twice(case):
    case.item("r1", -700, category="refund", payout="neg1")
    payout = case.payout("neg1", -700, arrives=3)
    case.line(-700, f"STRIPE {payout}", day=3)
    case.line(-700, f"STRIPE {payout}", day=4)


@sibling((("payout_missing_at_bank", "B", -700),))
def a_negative_payout_is_never_collected(case):
    case.item("r1", -700, category="refund", payout="neg1")
    case.payout("neg1", -700, arrives=3)
    paid(case, "beta001", 4825)
    case.line(4825, f"STRIPE {case.id('po', 'beta001')}", day=3)


@sibling()
def a_negative_payout_stands_alone(case):
    case.item("r1", -700, category="refund", payout="neg1")
    payout = case.payout("neg1", -700, arrives=3)
    case.line(-700, f"STRIPE {payout}", day=3)


@sibling()
def only_fees_at_the_provider(case):
    for number in range(3):
        transaction = case.item(f"f{number}", -500 - number, category="fee", booked=False)
        case.entry(f"stripe:{transaction}", net=-500 - number, other="other", reference=transaction)


@sibling()
def fees_alone_are_collected_from_the_bank(case):
    transaction = case.item("f1", -500, category="fee", payout="neg1", booked=False)
    case.entry(f"stripe:{transaction}", net=-500, fee=500, reference=transaction)
    case.line(-500, f"STRIPE {case.payout('neg1', -500, arrives=3)}", day=3)


# Names


@sibling()
def half_an_id_stands_beside_a_whole_one(case):
    first, second = paid(case), paid(case, "beta001", 4825)
    case.line(4825, f"STRIPE {first[:9]} {second}", day=3)
    case.line(9680, f"STRIPE {first}", day=3)


@sibling((("payout_missing_at_bank", "B", 9680),))
def half_an_id_pays_nothing_beside_a_whole_one(case):
    first, second = paid(case), paid(case, "beta001", 4825)
    case.line(4825, f"STRIPE {first[:9]} {second}", day=3)


@sibling()
def a_text_runs_from_field_to_field(case):
    case.line(9680, f"EREF+{paid(case)}SVWZ+Auszahlung ABWA+STRIPE", day=3)


@sibling()
def a_line_of_zero_names_a_payout(case):
    payout = paid(case)
    case.line(0, f"STRIPE ADVICE {payout}", day=2)
    case.line(9680, f"STRIPE {payout}", day=3)


@sibling((("payout_missing_at_bank", "B", 9680),), (("amount_mismatch", "B", 9680),))
def a_line_of_zero_pays_nothing(case):
    case.line(0, f"STRIPE ADVICE {paid(case)}", day=3)


@sibling()
def a_line_of_zero_names_nobody(case):
    case.line(0, "STRIPE INFORMATION", day=3)


@sibling()
def one_payout_in_three_lines_two_named(case):
    payout = paid(case)
    for part, day in ((5000, 3), (3000, 4), (1680, 5)):
        case.line(part, f"STRIPE {payout}", day=day)


@sibling((("ambiguous", "B", 680),), (("amount_mismatch", "B", 680),))
def one_payout_in_two_lines_of_three(case):
    payout = paid(case)
    case.line(5000, f"STRIPE {payout}", day=3)
    case.line(4000, f"STRIPE {payout}", day=4)


@sibling()
def two_lines_pay_three_payouts_crosswise(case):
    one, two, three = (paid(case, f"n{place}yy", 1000 * place) for place in (1, 2, 3))
    case.line(1500, f"STRIPE {one} {two}", day=3)
    case.line(4500, f"STRIPE {two} {three}", day=3)


@sibling((("ambiguous", "B", None), ("ambiguous", "B", None)))
def equal_amounts_at_two_accounts_the_first(case):
    paid(case, net=EQUAL_EVERYWHERE)
    case.line(EQUAL_EVERYWHERE, "STRIPE", day=3)


@sibling((("ambiguous", "B", None), ("ambiguous", "B", None)))
def equal_amounts_at_two_accounts_the_second(case):
    paid(case, net=EQUAL_EVERYWHERE)
    case.line(EQUAL_EVERYWHERE, "STRIPE", day=3)


@sibling()
def a_line_pays_payouts_of_two_accounts_the_first(case):
    case.line(9680 + 4825, f"STRIPE {paid(case)} po_c{case.number + 1:04}beta001", day=3)


@sibling()
def a_line_pays_payouts_of_two_accounts_the_second(case):
    paid(case, "beta001", 4825)


@sibling((("ambiguous", "B", 9680 + 4825 - 100),), (("ambiguous", "B", 100),))
def a_line_pays_less_than_the_two_payouts_that_it_names(case):
    case.line(9680 + 4825 - 100, f"STRIPE {paid(case)} {paid(case, 'beta001', 4825)}", day=3)


@sibling()
def an_instant_payout_keeps_its_fee(case):
    case.item("x", 10_000, fee=320, payout="alpha01")
    payout = case.payout("alpha01", 9680, fee=97, arrives=1, booked=False)
    case.entry(f"stripe:{payout}", net=-9680, fee=97, other="transit", reference=payout, day=1)
    case.line(9583, f"STRIPE {payout}", day=1)
