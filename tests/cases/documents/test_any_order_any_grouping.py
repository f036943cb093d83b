"""Whatever order the documents land in and however they are grouped, the same rows come of them."""

from __future__ import annotations

import random

import pytest

pytestmark = pytest.mark.integration
COMPANIES, ORDERS = 14, 3


def documents_of(dice: random.Random, item, payout, report) -> list[tuple[str, str]]:
    """Make the reports of a small company: windows over its items as they stood when each was made, with what providers
    do: overlap, repeat, correct, put off, contradict."""
    items = [
        {"number": number, "day": dice.randint(1, 12), "net": dice.randint(-900, 2_000), "payout": f"po_{number % 3}"}
        for number in range(dice.randint(3, 9))
    ]
    made = []
    for number in range(dice.randint(2, 6)):
        first = dice.randint(1, 10)
        last = first + dice.choice((0, 2, 2, 6))
        rows = []
        for each in items:
            if first <= each["day"] <= last and dice.random() < 0.9:
                net = each["net"] + (100 if dice.random() < 0.1 else 0)
                settled = dice.random() < 0.6
                rows.append(
                    item(
                        each["number"],
                        each["day"],
                        f"{net / 100:.2f}",
                        payout=each["payout"] if settled else "",
                        paid=each["day"] + 2 if settled and dice.random() < 0.7 else None,
                        currency=dice.choice(("eur", "eur", "usd")) if dice.random() < 0.1 else "eur",
                    )
                )
        dice.shuffle(rows)
        made.append(report(*rows, name=dice.choice(("report.csv", f"{number}.csv"))))
    for number in range(dice.randint(1, 4)):
        day, sign = dice.randint(3, 14), dice.choice((1, 1, -1))
        rows = [
            payout(
                f"po_{each}",
                day + each,
                f"{sign * dice.randint(1, 3) * 10}.00",
                payout_status=dice.choice(("paid", "failed", "in_transit", "")),
            )
            for each in range(dice.randint(1, 3))
        ]
        made.append(report(*rows, name=f"payouts_{number % 2}.csv"))
    return made


def test_the_same_documents_give_the_same_rows(books, item, payout, report):
    for company in range(COMPANIES):
        dice = random.Random(company)
        made = documents_of(dice, item, payout, report)
        for order in range(ORDERS):
            shuffled = list(made)
            random.Random((company, order).__hash__()).shuffle(shuffled)
            while shuffled:
                taken = dice.randint(1, len(shuffled))
                books.land(f"c{company} {order}", *shuffled[:taken])
                del shuffled[:taken]
    tables = books.run()
    for model, accounts in tables.items():
        for company in range(COMPANIES):
            first, *others = [accounts.get(f"c{company} {order}", []) for order in range(ORDERS)]
            for rows in others:
                assert rows == first, (model, company)
    assert sum(len(rows) for rows in tables["int_psp_items"].values()) > COMPANIES * ORDERS
    assert tables["int_landing_findings"], "no company whose documents contradict each other was made"
