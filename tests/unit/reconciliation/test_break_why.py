"""Why there is a break: one sentence, made of the evidence and of nothing else."""

from __future__ import annotations

import pytest

from reconciliation.breaks.break_classes import break_classes
from reconciliation.breaks.why import MOST_TOLD, why_of

LEDGER = {
    "side": "ledger", "reference": "txn_1", "external_id": "shop:1", "ledger_account": "assets:psp", "currency": "USD",
    "gross_minor": "10000", "fee_minor": "320", "net_minor": "9680", "on": "2026-10-01",
}  # fmt: skip
PSP = {
    "side": "psp", "balance_transaction": "txn_1", "type": "charge", "currency": "USD", "gross_minor": "10000",
    "fee_minor": "300", "net_minor": "-9700", "on": "2026-10-02",
}  # fmt: skip
PAYOUT = {
    "side": "payout", "payout": "po_1", "balance_transaction": "txn_9", "currency": "JPY", "net_minor": "50000",
    "on": "2026-10-03", "expected_on": "2026-10-05",
}  # fmt: skip
BANK = {"side": "bank", "reference": None, "bank_account": "DE00", "currency": "USD", "amount_minor": "1", "on": None}


@pytest.mark.parametrize(
    ("name", "evidence", "sentence"),
    [
        (
            "missing_in_ledger", [PSP],
            "the provider has it, the books do not: -97.00 USD at the provider on 2026-10-02 (txn_1)",
        ),
        (
            "amount_mismatch", [LEDGER, {**PSP, "gross_minor": "-9400"}],
            "same item, another amount: 96.80 USD in the ledger on 2026-10-01 (shop:1), "
            "-97.00 USD at the provider on 2026-10-02 (txn_1)",
        ),
        (
            "fee_mismatch", [LEDGER, PSP],
            "the fee charged is not the fee booked: a fee of 3.20 USD in the ledger on 2026-10-01 (shop:1), "
            "a fee of 3.00 USD at the provider on 2026-10-02 (txn_1)",
        ),
        (
            "payout_missing_at_bank", [PAYOUT],
            "paid out, never arrived: 50000 JPY paid out on 2026-10-03 (po_1)",
        ),
        (
            "amount_mismatch", [{**PAYOUT, "bank_minor": "49000"}, BANK],
            "same item, another amount: 49000 JPY paid out on 2026-10-03 (po_1), 0.01 USD at the bank",
        ),
        (
            "unexpected_bank_credit", [{**BANK, "reference": "STRIPE"}],
            "arrived, never paid out: 0.01 USD at the bank (STRIPE)",
        ),
        ("missing_at_psp", [], "the books have it, the provider does not"),
        ("of_an_older_rule", [BANK], "Of an older rule: 0.01 USD at the bank"),
        ("amount_mismatch", [{"side": "till", "currency": "USD"}, {}], "same item, another amount: till"),
        ("amount_mismatch", [{**BANK, "currency": "XBT"}], "same item, another amount: 1 XBT at the bank"),
        (
            "duplicate_ledger", [LEDGER, {**LEDGER, "fee_minor": "1"}],
            "one item, more than one entry: 96.80 USD in the ledger on 2026-10-01 (shop:1), "
            "96.80 USD in the ledger on 2026-10-01 (shop:1)",
        ),
        ("fee_mismatch", [BANK], "the fee charged is not the fee booked: 0.01 USD at the bank"),
        ("missing_at_psp", [{**LEDGER, "external_id": None}],
         "the books have it, the provider does not: 96.80 USD in the ledger on 2026-10-01 (txn_1)"),
    ],
)  # fmt: skip
def test_a_sentence_tells_what_the_class_means_and_how_each_side_stands(name, evidence, sentence) -> None:
    assert why_of(name, evidence) == sentence


@pytest.mark.parametrize("name", sorted(break_classes()))
def test_every_class_has_a_sentence_of_its_own(name: str) -> None:
    assert why_of(name, [BANK]).startswith(f"{break_classes()[name].meaning}: ")
    assert break_classes()[name].meaning


def test_a_group_of_many_is_told_by_its_first_and_the_rest_is_counted() -> None:
    several = [{**LEDGER, "external_id": f"shop:{number}"} for number in range(1_500)]
    exactly, more = why_of("duplicate_ledger", several[:MOST_TOLD]), why_of("duplicate_ledger", several)
    assert "shop:2)" in exactly
    assert "more" not in exactly.partition(": ")[2]
    assert more == f"{exactly}, and 1,497 more"
