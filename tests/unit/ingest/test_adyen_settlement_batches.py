"""The sum by which a settlement batch proves itself whole."""

from __future__ import annotations

import io

import pytest

from ingest.sources.adyen_settlement import batches
from ingest.sources.adyen_settlement.parse import parse
from ledger_core.errors import InvalidInput
from tests.unit.ingest.adyen_report import Row, line, payment, payout, report


def totals(*rows: Row) -> dict[str, tuple[str | None, str | None, bool]]:
    reader = parse(io.BytesIO(report(rows).encode()), name="batch_7.csv")
    assert sum(len(batch.rows) for batch in reader.batches()) == reader.accepted
    return {
        each.subject: (each.expected, each.actual, each.passed)
        for each in reader.control_totals
        if each.name == "batch"
    }


def test_a_batch_that_is_whole_adds_up_to_its_payout() -> None:
    rows = [payment(1), payment(2, "-3.00", "-3.00", type="Refunded"), line("Fee", "-1.80", "Fees"), payout("4.96")]
    assert totals(*rows) == {"KontorEU:7:EUR": ("4.96", "4.96", True)}


def test_a_batch_that_lost_a_row_does_not_add_up() -> None:
    assert totals(payment(1), payment(2), payout("19.52")) == {"KontorEU:7:EUR": ("19.52", "19.52", True)}
    assert totals(payment(1), payout("19.52")) == {"KontorEU:7:EUR": ("19.52", "9.76", False)}
    # A row put aside is lost to the sum as well.
    assert totals(payment(1), payment(2, timezone="XYZ"), payout("19.52"))["KontorEU:7:EUR"][2] is False


def test_a_batch_without_its_payout_or_with_nothing_else_has_no_total() -> None:
    assert totals(payment(1), payment(2)) == {}
    assert totals(payout("9.76")) == {}
    # What was too little to pay out goes over to the next batch.
    assert totals(payment(1, "1.00", "-0.50"), line("BalanceTransfer", "0.50", "to batch 8")) == {}


def test_two_batches_two_accounts_and_two_currencies_are_summed_by_themselves() -> None:
    assert totals(
        payment(1), payout("9.76"),
        payment(2, batch_number="8"), payout("9.76", batch="8"),
        payment(3, "5.00", "4.90", merchant_account="KontorUS"), payout("4.90", merchant="KontorUS"),
        payment(4, "1000", "964", gross_currency="JPY", net_currency="JPY"), payout("964", net_currency="JPY"),
    ) == {
        "KontorEU:7:EUR": ("9.76", "9.76", True),
        "KontorEU:8:EUR": ("9.76", "9.76", True),
        "KontorUS:7:EUR": ("4.90", "4.90", True),
        "KontorEU:7:JPY": ("964", "964", True),
    }  # fmt: skip


def test_a_payout_that_came_back_within_its_batch_counts_against_it() -> None:
    back = line("BankInstructionReturned", "9.76", "TX1XT batch 7, KontorEU")
    assert totals(payment(1), payout("9.76"), back, payout("9.76", transfer="TX2XT"))["KontorEU:7:EUR"] == (
        "19.52", "19.52", True,
    )  # fmt: skip


def test_a_batch_that_adyen_takes_from_the_bank_adds_up_too() -> None:
    assert totals(payment(1, "-5.00", "-5.00", type="Refunded"), payout("-5.00")) == {
        "KontorEU:7:EUR": ("-5.00", "-5.00", True)
    }


def test_a_file_of_more_batches_than_there_can_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BATCHES", 2)
    with pytest.raises(InvalidInput, match="more than 2 batches"):
        totals(*(payment(number, batch_number=str(number)) for number in range(3)))
