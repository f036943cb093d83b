"""Kinds of payouts and bank lines: references, groups, what came back, amounts and days, direction."""

from __future__ import annotations

from typing import Any

from tests.cases.matching.kinds import beside, kind, sale_and_payout

# References


@kind()
def the_id_stands_in_its_own_form(case):
    case.line(9680, f"STRIPE {sale_and_payout(case)}", day=3)


@kind()
def a_hyphen_stands_for_the_underscore(case):
    case.line(9680, f"STRIPE {sale_and_payout(case).replace('_', '-').upper()}", day=3)


@kind()
def a_blank_stands_for_the_underscore(case):
    case.line(9680, f"STRIPE {sale_and_payout(case).replace('_', ' ')}", day=3)


@kind()
def nothing_stands_for_the_underscore(case):
    case.line(9680, f"STRIPE {sale_and_payout(case).replace('_', '')}", day=3)


@kind()
def a_slash_and_points_stand_in_the_id(case):
    payout = sale_and_payout(case)
    case.line(9680, f"STRIPE {payout[:5].replace('_', '/')}.{payout[5:9]}.{payout[9:]}", day=3)


@kind()
def the_id_is_cut_where_the_bank_wraps_its_text(case):
    payout = sale_and_payout(case)
    case.line(9680, f"STRIPE PAYOUT {payout[:7]}", f"{payout[7:]} THANK YOU", day=3)


@kind()
def the_id_is_cut_in_three(case):
    payout = sale_and_payout(case)
    case.line(9680, f"STRIPE {payout[:4]}", payout[4:9], payout[9:], day=3)


@kind()
def the_provider_promised_a_reference_with_hyphens(case):
    case.item("tok", 10_000, fee=320, payout="tok01", payout_reference_token=f"ST-H7K2-{case.number:04}-M9")
    case.payout("tok01", 9680, arrives=3)
    case.line(9680, f"STRIPE ST H7K2/{case.number:04}M9", day=3)


@kind()
def the_promised_reference_is_the_end_to_end_id(case):
    case.item("tok", 10_000, fee=320, payout="tok01", payout_reference_token=f"ST.{case.number:04}.Q4Z8")
    case.payout("tok01", 9680, arrives=3)
    case.line(9680, "STRIPE", end_to_end=f"ST-{case.number:04}-Q4Z8", day=3)


@kind(("payout_missing_at_bank", "B", 9680), ("unexpected_bank_credit", "B", -9680))
def half_an_id_of_another_names_nobody(case):
    payout = sale_and_payout(case)
    case.line(9680, f"STRIPE {payout}9", end_to_end=f"{payout}9", day=3)


# One line and several payouts, several lines and one payout


def two_payouts(case: Any) -> tuple[str, str]:
    return sale_and_payout(case, "alpha01", 9680), sale_and_payout(case, "beta001", 4825)


@kind()
def one_line_pays_two_payouts(case):
    first, second = two_payouts(case)
    case.line(9680 + 4825, f"STRIPE {first} {second}", day=3)


@kind()
def one_line_pays_three_payouts(case):
    names = [sale_and_payout(case, f"n{number}", 1000 + number) for number in range(3)]
    case.line(3003, "STRIPE " + " ".join(names), day=3)


@kind()
def two_lines_pay_one_payout(case):
    payout = sale_and_payout(case)
    case.line(9000, f"STRIPE {payout}", day=3)
    case.line(680, f"STRIPE {payout}", day=4)


@kind()
def one_debit_collects_two_negative_payouts(case):
    beside(case)
    for number in (1, 2):
        case.item(f"r{number}", -700 * number, category="refund", payout=f"neg{number}")
        case.payout(f"neg{number}", -700 * number, arrives=3)
    case.line(-2100, f"STRIPE {case.id('po', 'neg1')} {case.id('po', 'neg2')}", day=3)


@kind(("ambiguous", "B", 100))
def a_line_that_names_two_and_pays_less_has_both_at_stake(case):
    first, second = two_payouts(case)
    case.line(9680 + 4825 - 100, f"STRIPE {first} {second}", day=3)


@kind(("unexpected_bank_credit", "B", -300))
def what_comes_on_top_under_the_same_name_is_unexpected(case):
    payout = sale_and_payout(case)
    case.line(9680, f"STRIPE {payout}", day=3)
    case.line(300, f"STRIPE {payout}", day=4)


# What came back


@kind()
def a_payout_that_failed_came_and_went_back(case):
    payout = sale_and_payout(case)
    case.payouts[-1]["payout_status"] = "failed"
    case.item("rev1", 9680, category="payout_reversal", day=7)
    case.line(9680, f"STRIPE {payout}", day=3)
    case.line(-9680, f"STRIPE {payout} RETURN", day=4)


@kind(("payout_returned", "B", 9680))
def a_payout_went_back_and_the_provider_says_paid(case):
    payout = sale_and_payout(case)
    case.line(9680, f"STRIPE {payout}", day=3)
    case.line(-9680, f"STRIPE {payout} RETURN", day=4)


@kind()
def a_payout_came_went_back_and_came_again(case):
    payout = sale_and_payout(case)
    case.line(9680, f"STRIPE {payout}", day=3)
    case.line(-9680, f"STRIPE {payout} RETURN", day=4)
    case.line(9680, f"STRIPE {payout}", day=7)


@kind()
def a_failed_payout_that_never_came_is_paid_again(case):
    sale_and_payout(case)
    case.payouts[-1]["payout_status"] = "failed"
    case.item("rev1", 9680, category="payout_reversal", day=4)
    case.line(9680, f"STRIPE {case.payout('again01', 9680, day=7, arrives=8)}", day=8)


@kind(("payout_returned", "B", -700))
def a_collection_came_back(case):
    beside(case)
    case.item("r1", -700, category="refund", payout="neg1")
    payout = case.payout("neg1", -700, arrives=3)
    case.line(-700, f"STRIPE {payout}", day=3)
    case.line(700, f"STRIPE {payout} RETURN", day=4)


# Without a reference


@kind()
def a_line_without_a_reference_meets_by_amount_and_day(case):
    amount = case.cents(31)
    sale_and_payout(case, net=amount)
    case.line(amount, "STRIPE", day=3)


@kind(*[("ambiguous", "B", None)] * 4)
def equal_payouts_that_nobody_names_are_ambiguous(case):
    amount = case.cents(32)
    for name in ("alpha01", "beta001"):
        sale_and_payout(case, name, amount)
        case.line(amount, "STRIPE", day=3)


@kind(*[("ambiguous", "B", None)] * 3)
def one_line_for_two_equal_payouts_is_ambiguous(case):
    amount = case.cents(33)
    for name in ("alpha01", "beta001"):
        sale_and_payout(case, name, amount)
    case.line(amount, "STRIPE", day=3)


# Direction


@kind()
def a_top_up_explains_the_debit(case):
    amount = case.cents(34)
    case.item("top1", amount, category="topup", source_id=case.id("tu", 1))
    case.line(-amount, "TOP UP", party="STRIPE PAYMENTS EUROPE", end_to_end=f"TOPUP-{case.number}", day=1)


@kind(("unexpected_bank_debit", "B", 5100))
def a_debit_that_nothing_asks_for_is_a_debit(case):
    case.line(-5100, "STRIPE", end_to_end=f"OWN_c{case.number:04}", day=1)


@kind(("unexpected_bank_credit", "B", -1200), ("unexpected_bank_credit", "B", -1700))
def two_credits_of_one_reference_are_two_breaks(case):
    for amount, day in ((1200, 1), (1700, 2)):
        case.line(amount, "STRIPE", end_to_end=f"STRIPE_c{case.number:04}", day=day)


@kind(("unexpected_bank_credit", "B", -1200), ("unexpected_bank_credit", "B", -1200))
def two_equal_credits_of_one_day_and_reference_are_two_breaks(case):
    for _ in range(2):
        case.line(1200, "STRIPE", end_to_end=f"STRIPE_c{case.number:04}", day=1)
