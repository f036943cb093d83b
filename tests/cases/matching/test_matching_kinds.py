"""Kinds of what companies, providers and banks do, each a company of one book: what the run says of each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

pytestmark = pytest.mark.integration

Told = tuple[str, str, int]
"""Class, leg and amount of a break."""


@dataclass(frozen=True)
class Kind:
    """How a company is made, and the breaks that are right of it; amounts `None` where only the class counts."""

    name: str
    make: Callable[[Any], None]
    right: Callable[[Any], list[tuple[str, str, int | None]]]


KINDS: list[Kind] = []


def kind(*right: tuple[str, str, int | None]) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    def register(make: Callable[[Any], None]) -> Callable[[Any], None]:
        KINDS.append(Kind(make.__name__, make, lambda _case: list(right)))
        return make

    return register


def sale_and_payout(case: Any, name: str = "alpha01", net: int = 9680, *, day: int = 0) -> str:
    """One charge with a fee, paid out by itself."""
    case.item(f"{name}x", net + 320, fee=320, day=day, payout=name)
    return case.payout(name, net, day=day + 1, arrives=day + 3)


def beside(case: Any) -> None:
    """Another payout, above zero: with it a report shows which sign it gives to payouts."""
    case.line(4825, f"STRIPE {sale_and_payout(case, 'beside1', 4825)}", day=3)


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


@pytest.fixture(scope="module")
def answers(
    open_book: Callable[..., Any], make_case: Callable[..., Any]
) -> Iterator[dict[str, tuple[list[Told], list[Any]]]]:
    """One run over a company of every kind: its breaks, and what is left on its accounts in transit."""
    cases = []
    for number, each in enumerate(KINDS, start=1):
        case = make_case(number=number)
        each.make(case)
        cases.append(case)
    with open_book(cases) as book:
        book.load()
        result = book.reconcile(date(2026, 3, 27))
        assert "bridge_residual" not in {reason["kind"] for reason in result.reasons}
        yield {
            each.name: (
                sorted((found.break_class, found.leg, found.amount_minor) for found in book.breaks(case)),
                book.rows(
                    "select key, residue_minor from analytics.fct_clearing_residue"
                    " where role = 'in_transit' and ledger_account = :account and entries > 1",
                    account=case.code("transit"),
                ),
            )
            for each, case in zip(KINDS, cases, strict=True)
        }


@pytest.mark.parametrize("each", KINDS, ids=lambda each: each.name)
def test_a_run_says_what_is_right(answers: dict[str, tuple[list[Told], list[Any]]], each: Kind) -> None:
    found, _in_transit = answers[each.name]
    right = each.right(None)
    told = [
        (name, leg, None if any(r[:2] == (name, leg) and r[2] is None for r in right) else amount)
        for name, leg, amount in found
    ]
    assert sorted(told, key=str) == sorted(right, key=str)
    assert all(amount != 0 for _, _, amount in found), "no break is of nothing"


def test_what_stands_in_transit_under_a_payout_is_one_key(answers: dict[str, tuple[list[Told], list[Any]]]) -> None:
    assert answers["a_payout_in_transit_is_known_by_its_external_id"][1] == []
