"""In which sign a report writes its payouts, what of one meets the ledger and what the bank, and what it pays out."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest

pytestmark = pytest.mark.integration


def test_a_payout_is_read_by_what_the_whole_of_the_files_says(books, item, payout, report):
    sale, refund = (
        item("a", 1, "97.00", payout="po_1"),
        item("r", 2, "-30.00", reporting_category="refund", payout="po_2"),
    )
    turned = {"po_1": -9700, "po_2": 3000}
    signs = {"paid": 1, "balance": -1}
    expected: dict[str, dict[str, int]] = {}

    def amount(minor: int) -> str:
        return f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02}"

    # A payout and a collection, one of them alone, the collection the larger: in either sign, items before or after.
    for word, sign in signs.items():
        for which in (("po_1", "po_2"), ("po_1",), ("po_2",)):
            wanted = {name: -turned[name] for name in which}
            rows = [payout(name, 6 + place, amount(sign * wanted[name])) for place, name in enumerate(which)]
            itemised = report(*[row for row in (sale, refund) if row["automatic_payout_id"] in which], name="items.csv")
            for order, documents in enumerate(permutations([itemised, report(*rows, name="payouts.csv")])):
                account = f"{word} {len(expected)} {order}"
                for document in documents:
                    books.land(account, document)
                expected[account] = wanted
        # Without items: most of the money, a fee, or what the account's other report says.
        rows = [payout("po_1", 6, amount(sign * 9700)), payout("po_2", 7, amount(-sign * 3000))]
        books.land(f"{word} bare", report(*rows))
        expected[f"{word} bare"] = {"po_1": 9700, "po_2": -3000}
        books.land(f"{word} elsewhere", report(sale, name="i.csv"), report(rows[0]), report(rows[1], name="late.csv"))
        expected[f"{word} elsewhere"] = expected[f"{word} bare"]
    # Two sums of which the larger is the collection: the items outweigh the majority.
    large = item("l", 2, "-300.00", reporting_category="refund", payout="po_2")
    books.land("outweighed", report(payout("po_1", 6, "97.00"), payout("po_2", 7, "-300.00")), report(sale, large))
    expected["outweighed"] = {"po_1": 9700, "po_2": -30000}
    books.land("instant", report(payout("po_1", 6, "-90.90", gross="-90.00", fee="0.90")))
    books.land("instant as paid", report(payout("po_1", 6, "90.90", gross="90.00", fee="-0.90")))
    books.land("instant net", report(payout("po_1", 6, "90.00", gross="90.90", fee="0.90")))
    instant = {"instant", "instant as paid", "instant net"}
    expected |= {account: {"po_1": 9090} for account in instant}
    tables = books.run(as_of=date(2026, 10, 31))
    payouts, items = tables["int_psp_payouts"], tables["int_psp_items"]
    assert {a: {row["payout_id"]: row["net_minor"] for row in payouts[a]} for a in expected} == expected
    for account, rows in payouts.items():
        moved = {row["psp_transaction_id"]: row["net_minor"] for row in items[account] if row["event"] == "payout"}
        assert moved == {row["psp_transaction_id"]: -row["net_minor"] for row in rows}, account
        for row in rows:
            assert row["bank_minor"] == (9000 if account in instant else row["net_minor"]), account
    # The rows inside an earlier cut are read as the file is.
    cut = books.run(as_of=date(2026, 10, 6))["int_psp_payouts"]
    for account, rows in cut.items():
        for row in rows:
            assert row["net_minor"] == expected[account][row["payout_id"]], account


def test_the_items_of_a_payout_add_up_with_the_reversals_that_it_pays_out_again(books, item, payout, report):
    failed = payout("po_1", 6, "58.00", payout_status="failed")
    back = payout("po_1", 9, "-58.00", reporting_category="payout_reversal", balance_transaction_id="txn_rev")
    again = payout("po_2", 12, "87.00")
    items = [
        item("a", 4, "58.00", payout="po_1"),
        item("b", 9, "29.00", payout="po_2"),
        item("rev", 9, "58.00", payout="po_2", reporting_category="payout_reversal", source_id="po_1"),
    ]
    documents = [report(*items, name="items.csv"), report(failed, {**back, "payout_status": "failed"}, again)]
    orders = list(permutations(documents))
    for number, order in enumerate(orders):
        for document in order:
            books.land(f"again {number}", document)
    # Paid out again alone, with nothing else in the payout; and a reversal that nothing has paid out yet.
    alone = {**items[2], "automatic_payout_id": "po_3"}
    books.land("alone", report(items[0], alone, name="items.csv"), report(failed, payout("po_3", 12, "58.00")))
    books.land("waiting", report(items[0], {**items[2], "automatic_payout_id": ""}, name="i.csv"), report(failed))
    # A payout in the itemised report itself, of either side, moves the balance as it says.
    own = item("p", 5, "-97.00", reporting_category="payout", source_id="po_1", payout="po_1")
    collects = item("q", 6, "30.00", reporting_category="payout", source_id="po_2", payout="po_2")
    books.land("itemised payouts", report(own, collects))
    for word, net in (("paid", "-58.00"), ("balance", "58.00")):
        books.land(f"reversal alone {word}", report({**back, "gross": net, "net": net}))
    tables = books.run()
    for word in ("paid", "balance"):
        assert [row["net_minor"] for row in tables["int_psp_items"][f"reversal alone {word}"]] == [5800]
    settled = tables["int_payout_items"]
    for number in range(len(orders)):
        sums: dict[str, int] = {}
        for row in settled[f"again {number}"]:
            sums[row["payout_id"]] = sums.get(row["payout_id"], 0) + row["net_minor"]
        assert sums == {"po_1": 5800, "po_2": 8700}
        expected = {
            row["payout_id"]: row["is_expected_at_bank"] for row in tables["int_psp_payouts"][f"again {number}"]
        }
        assert expected == {"po_1": False, "po_2": True}
    assert [(row["payout_id"], row["net_minor"]) for row in settled["alone"]] == [("po_1", 5800), ("po_3", 5800)]
    assert [row["payout_id"] for row in settled["waiting"]] == ["po_1"]
    moved = {row["psp_transaction_id"]: row["net_minor"] for row in tables["int_psp_items"]["itemised payouts"]}
    assert moved == {"txn_p": -9700, "txn_q": 3000}
