"""Whatever valid files and entries come together, a run ends with a verdict that explains every unit.

Companies are drawn at random, two hundred to a book and a run; a run that fails is halved until one company is left,
and its seed is named. dbt's own tests are part of each run, so its grains and identities hold as well.
`COUNTERFOIL_CASES` sets how many are tried.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from random import Random
from typing import Any

import pytest

from ledger_core.errors import CounterfoilError

pytestmark = [pytest.mark.integration, pytest.mark.timeout(7200)]

CASES = int(os.environ.get("COUNTERFOIL_CASES", "200"))
CASES_A_RUN = 200
AS_OF = date(2026, 3, 27)
VERDICTS = {"incomplete", "breaks", "reconciled_with_pending", "reconciled"}
AMOUNTS = (1, 100, 500, 500, 2500, 9999, 9999, 120_000)
"""Few, so that twins and sums that agree by chance are common."""
CATEGORIES = (
    "charge", "charge", "charge", "refund", "fee", "tax", "dispute", "topup", "payout_reversal", "moon_surcharge",
)  # fmt: skip


def draw(case: Any, chance: Random) -> None:
    """Make a company of anything that files and entries may say."""
    case.currency = chance.choice(["EUR", "EUR", "USD", "JPY", "KWD"])
    case.unsaid = frozenset(chance.sample(["number", "opening", "closing"], chance.choice([0, 0, 0, 1, 2])))
    payouts = [f"p{number}" for number in range(chance.randint(0, 4))]
    for number in range(chance.randint(0, 8)):
        _draw_item(case, chance, number, payouts)
    nets = {payout: _draw_payout(case, chance, payout) for payout in payouts}
    for _ in range(chance.randint(0, 6)):
        _draw_line(case, chance, nets)
    for number in range(chance.randint(0, 4)):
        _draw_entry(case, chance, number, payouts)


def _draw_item(case: Any, chance: Random, number: int, payouts: list[str]) -> None:
    category = chance.choice(CATEGORIES)
    amount = chance.choice(AMOUNTS) * (-1 if category in {"refund", "fee", "tax", "dispute"} else 1)
    columns = {}
    if chance.random() < 0.3:
        columns["payment_intent_id"] = case.id("pi", chance.randint(0, 2))
    if chance.random() < 0.3:
        columns["order_id"] = f"order-{chance.randint(0, 3)}"
    if chance.random() < 0.2:
        columns["payout_reference_token"] = chance.choice(["ST-SHARED-TOKEN", f"ST-{case.number:04}-{number}"])
    if category == "payout_reversal" and payouts:
        columns["source_id"] = case.id("po", chance.choice(payouts))
    case.item(
        number,
        amount if chance.random() < 0.95 else 0,
        fee=chance.choice([0, 0, 30, amount]) if category == "charge" else 0,
        day=chance.randint(0, 10),
        category=category,
        payout=chance.choice([*payouts, None]) if payouts else None,
        booked=chance.random() < 0.7,
        **columns,
    )


def _draw_payout(case: Any, chance: Random, name: str) -> int:
    net = chance.choice(AMOUNTS) * chance.choice([1, 1, 1, -1])
    if chance.random() < 0.05:
        net = 0
    case.payout(
        name,
        net,
        day=chance.randint(0, 12),
        arrives=chance.randint(0, 20),
        status=chance.choice(["paid", "paid", "paid", "failed", "canceled", "in_transit"]),
        booked=chance.random() < 0.8,
        reference=chance.choice([None, case.id("po", name)]),
    )
    return net


def _draw_line(case: Any, chance: Random, nets: dict[str, int]) -> None:
    named = chance.sample(sorted(nets), chance.randint(0, min(3, len(nets))))
    amount = sum(nets[name] for name in named) if chance.random() < 0.6 else 0
    amount = (amount or chance.choice(AMOUNTS)) * chance.choice([1, 1, 1, -1])
    texts = [case.id("po", name) for name in named if chance.random() < 0.8]
    texts = [chance.choice([text, text.upper().replace("_", "-"), text[:6], "ST SHARED TOKEN"]) for text in texts]
    case.line(
        amount,
        *chance.choice([["STRIPE", *texts], [" ".join(["STRIPE", *texts])], texts]),
        day=chance.randint(0, 20),
        party=chance.choice(["Stripe Payments", "Stripe Payments", None, "Landlord"]),
        end_to_end=chance.choice([None, None, "STRIPE", "NOTPROVIDED", f"E2E-{chance.randint(0, 2)}"]),
    )


def _draw_entry(case: Any, chance: Random, number: int, payouts: list[str]) -> None:
    ids = [item["balance_transaction_id"] for item in case.items] + [item["source_id"] for item in case.items]
    references = [*ids, *(case.id("po", payout) for payout in payouts), f"order-{chance.randint(0, 3)}", None]
    earlier = [entry["external_id"] for entry in case.entries]
    amount = chance.choice(AMOUNTS) * chance.choice([1, 1, -1])
    case.entry(
        f"shop:c{case.number}-{number}",
        net=amount,
        fee=chance.choice([0, 0, 30]),
        day=chance.randint(0, 12),
        reference=chance.choice(references),
        other=chance.choice(["sales", "transit", "other"]),
        corrects=chance.choice(earlier) if earlier and chance.random() < 0.3 else None,
    )


@pytest.fixture
def failing(open_book: Callable[..., Any], make_case: Callable[..., Any]) -> Callable[[list[int]], str | None]:
    """Return a function that says what is wrong with a run over the companies of some seeds; None if nothing is."""

    def run(seeds: list[int]) -> str | None:
        cases = []
        for number, seed in enumerate(seeds, start=1):
            case = make_case(number=number)
            draw(case, Random(seed))
            cases.append(case)
        with open_book(cases) as book:
            book.load()
            try:
                result = book.reconcile(AS_OF)
            except CounterfoilError as error:
                return str(error)
            residuals = [reason for reason in result.reasons if reason["kind"] == "bridge_residual"]
            if result.verdict not in VERDICTS or residuals:
                return f"{result.verdict}: {residuals}"
            return None

    return run


def culprit(failing: Callable[[list[int]], str | None], seeds: list[int], why: str) -> str:
    """Halve `seeds` while a half fails by itself; name what is left."""
    while len(seeds) > 1:
        middle = len(seeds) // 2
        for half in (seeds[:middle], seeds[middle:]):
            wrong = failing(half)
            if wrong:
                seeds, why = half, wrong
                break
        else:
            break
    return f"seeds {seeds}: {why}"


@pytest.mark.parametrize("first", range(0, CASES, CASES_A_RUN))
def test_any_mixture_of_valid_input_ends_with_a_verdict(failing: Callable[[list[int]], str | None], first: int) -> None:
    seeds = list(range(first, min(first + CASES_A_RUN, CASES)))
    wrong = failing(seeds)
    assert wrong is None, culprit(failing, seeds, wrong or "")


def test_a_run_that_fails_is_halved_to_the_one_that_fails_it() -> None:
    def failing(seeds: list[int]) -> str | None:
        return "37" if 37 in seeds else None

    assert culprit(failing, list(range(50)), "37") == "seeds [37]: 37"
