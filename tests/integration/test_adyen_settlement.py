"""A company that is paid through Adyen, from its settlement reports to items that match and payouts at the bank."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from expectations.model import Scope
from expectations.suites import all_suites
from ledger_core.runtime import Runtime
from tests.integration.adyen_company import AS_OF, Company
from tests.unit.ingest.adyen_report import line, payment, payout

pytestmark = pytest.mark.integration


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    folder = tmp_path / "company"
    folder.mkdir()
    return Company(runtime, folder)


def test_a_month_of_adyen_matches_to_the_minor_unit(company: Company) -> None:
    """Every kind of row of the documentation at once, booked as its company would: nothing is left over."""
    company.report(
        payment(1, "10.00", "9.76"),
        # Parts of a cent, in the parts of the fee.
        payment(2, "10.00", "9.85", commission_nc="", scheme_fees_nc="0.1381", interchange_nc="0.0123"),
        # Converted: 20.00 USD at 0.92 are 18.40 EUR.
        payment(3, "20.00", "17.90", gross_currency="USD", exchange_rate="0.92", commission_nc="0.50"),
        # A fee above the payment: 10 rupees.
        payment(4, "10.00", "-0.03", gross_currency="INR", exchange_rate="0.011", commission_nc="0.14"),
        payment(1, "-3.00", "-2.89", type="Refunded", modification_reference="9900000000000101"),
        payment(2, "-10.00", "-15.00", type="Chargeback", modification_reference="9900000000000102"),
        payment(2, "10.00", "10.00", type="ChargebackReversed", modification_reference="9900000000000103"),
        # Two instalments that say the same are two payments.
        payment(5, "4.00", "3.90", type="SettledInstallment"),
        payment(5, "4.00", "3.90", type="SettledInstallment"),
        # Rounded by a cent: the fee is what lies between gross and net.
        payment(8, "10.00", "9.77", commission_nc="0.24"),
        # What a card payout cost; its amount left another balance.
        payment(9, "-50.00", "-0.30", type="BPPaidOut", commission_nc="0.30"),
        # Converted, with the fee as one sum: 9.226 less 0.304.
        payment(
            10, "10", "8.92", gross_currency="USD", exchange_rate="0.9226", commission_nc="", payment_fees_nc="0.304"
        ),
        line("Fee", "-1.80", "Transaction Fees October 2026"),
        line("ReserveAdjustment", "-5.00", "Reserve 2026-10"),
        payout("48.98"),
        payment(6, "1000", "964", gross_currency="JPY", net_currency="JPY", merchant_account="KontorAsia"),
        payout("964", merchant="KontorAsia", transfer="TX1000000008XT", net_currency="JPY"),
        payment(7, "10.000", "9.753", gross_currency="KWD", net_currency="KWD", merchant_account="KontorAsia"),
        payout("9.753", merchant="KontorAsia", transfer="TX1000000009XT", net_currency="KWD"),
    )  # fmt: skip
    company.books("9900000000000001", "10.00", "0.24")
    company.books("order-2", "10.00", "0.15")
    company.books("8800000000000003", "18.40", "0.50")
    company.books("9900000000000004", "0.11", "0.14")
    company.books("9900000000000101", "-3.00", "-0.11")
    company.books("9900000000000102", "-10.00", "5.00")
    company.books("9900000000000103", "10.00")
    company.books("9900000000000005", "4.00", "0.10")
    company.books("9900000000000005", "4.00", "0.10")
    company.books("KontorEU:7:Fee::Transaction Fees October 2026", "-1.80", other="fees")
    company.books("Reserve 2026-10", "-5.00")
    company.books("order-8", "10.00", "0.23")
    company.books("order-9", "0.00", "0.30")
    company.books("order-10", "9.22", "0.30")
    company.books("KontorEU:7:EUR", "-48.98", other="in_transit")
    company.books("9900000000000006", "1000", "36", currency="JPY")
    company.books("TX1000000008XT", "-964", currency="JPY", other="in_transit")
    company.books("9900000000000007", "10.000", "0.247", currency="KWD")
    company.books("KontorAsia:7:KWD", "-9.753", currency="KWD", other="in_transit")
    company.statement(("48.98", "TX1000000007XT BATCH 7, KONTOREU"))
    company.statement(("964", "ADYEN tx1000000008xt"), currency="JPY")
    company.statement(("9.753", "Batch 7, KontorAsia TX1000000009XT"), currency="KWD", party="Deutsche Bank AG")
    result = company.reconcile()
    assert company.breaks() == set()
    assert (result.verdict, result.reasons) == ("reconciled", ())
    items = company.items()
    assert items["KontorEU:7:Settled:8800000000000003:9900000000000003"] == ["EUR", 1840, 50, 1790, "charge"]
    assert items["KontorEU:7:BPPaidOut:8800000000000009:9900000000000009"] == ["EUR", -30, 0, -30, "fee"]
    matched = company.rows("select count(*) from analytics.fct_matches where leg = 'B' and is_equal")
    assert matched == [(3,)]


def test_a_batch_over_two_files_adds_up_once_both_have_come(company: Company) -> None:
    company.books("order-1", "10.00", "0.24")
    company.books("order-2", "10.00", "0.24")
    company.books("TX1000000007XT", "-19.52", other="in_transit")
    company.statement(("19.52", "TX1000000007XT"))
    company.report(payment(1), payout("19.52"), name="second.csv")
    later = date(2026, 10, 30)
    short = company.reconcile(to=later)
    assert short.verdict == "incomplete"
    [reason] = [reason for reason in short.reasons if reason["kind"] == "control_total"]
    assert reason["subject"] == "second.csv: batch KontorEU:7:EUR"
    assert ("batch_sum_mismatch", "B", "KontorEU:7:EUR", 976) in company.breaks()
    company.entries.clear()
    company.report(payment(2), name="first.csv")
    whole = company.reconcile(to=later)
    assert (whole.verdict, whole.reasons) == ("reconciled", ())
    assert company.breaks() == set()


def test_a_report_made_again_says_the_same_whatever_its_order_columns_and_landing(company: Company) -> None:
    rows = [
        payment(1),
        payment(2, "4.00", "3.90", type="SettledInstallment"),
        payment(2, "5.00", "4.90", type="SettledInstallment"),
        line("Fee", "-1.80", "Fees"),
        line("Fee", "-1.80", "Fees"),
        line("Fee", "-0.20", "Fees"),
        payout("14.76"),
    ]
    booked = {"booking_date": "2026-10-06 09:00:00", "booking_date_timezone": "CEST"}
    again = [row | {"Booking Date": booked["booking_date"], "Booking Date TimeZone": "CEST"} for row in reversed(rows)]
    company.report(*again, name="made-again.csv")
    company.report(*rows, name="first.csv")
    company.report(*reversed(rows), name="turned.csv")
    result = company.reconcile()
    items = company.items()
    assert {key: amounts[3] for key, amounts in items.items()} == {
        "KontorEU:7:Settled:8800000000000001:9900000000000001": 976,
        "KontorEU:7:SettledInstallment:8800000000000002:9900000000000002": 390,
        "KontorEU:7:SettledInstallment:8800000000000002:9900000000000002:2": 490,
        "KontorEU:7:Fee::Fees": -20,
        "KontorEU:7:Fee::Fees:2": -180,
        "KontorEU:7:Fee::Fees:3": -180,
        "KontorEU:7:MerchantPayout::TX1000000007XT batch 7, KontorEU": -1476,
    }
    assert company.rows("select count(*) from analytics.int_psp_items where is_amended or is_contradicted") == [(0,)]
    assert "item_conflict" not in {reason["kind"] for reason in result.reasons}
    assert company.rows("select payout_id, net_minor::bigint from analytics.int_psp_payouts") == [
        ("KontorEU:7:EUR", 1476)
    ]


def test_merchant_accounts_of_one_report_have_batches_of_their_own(company: Company) -> None:
    """Both paid out batch 7 on one day with one amount: each line meets its own."""
    other = {"merchant_account": "KontorUS"}
    landed = company.report(
        payment(1), payout("9.76"), payment(2, **other), payout("9.76", merchant="KontorUS", transfer="TX1000000008XT"),
        account="Kontor",
    )  # fmt: skip
    assert {total.subject for total in landed.control_totals if total.name == "batch"} == {
        "KontorEU:7:EUR",
        "KontorUS:7:EUR",
    }
    for reference in ("order-1", "order-2"):
        company.books(reference, "10.00", "0.24")
    for merchant in ("KontorEU", "KontorUS"):
        company.books(f"{merchant}:7:EUR", "-9.76", other="in_transit")
    company.statement(("9.76", "BATCH 7, KONTORUS"), ("9.76", "TX1000000007XT batch 7"))
    result = company.reconcile()
    assert (result.verdict, company.breaks()) == ("reconciled", set())
    assert company.rows("select distinct account from analytics.int_psp_items") == [("Kontor",)]
    met = company.rows("select psp_key, bank_key from analytics.fct_matches where leg = 'B' order by 1")
    assert [psp for psp, _ in met] == ["KontorEU:7:EUR", "KontorUS:7:EUR"]


def test_a_payout_that_the_bank_sent_back_is_paid_out_with_the_next_batch(company: Company) -> None:
    back = line("BankInstructionReturned", "9.76", "TX1000000007XT batch 7, KontorEU", batch_number="8")
    company.report(payment(1), payout("9.76"))
    company.report(
        payment(2, batch_number="8"), back, payout("19.52", batch="8", transfer="TX1000000008XT"), name="batch_8.csv"
    )
    for reference in ("order-1", "order-2"):
        company.books(reference, "10.00", "0.24")
    company.books("KontorEU:7:MerchantPayout::TX1000000007XT batch 7, KontorEU", "-9.76", other="in_transit")
    company.books("KontorEU:8:BankInstructionReturned::TX1000000007XT batch 7, KontorEU", "9.76", other="in_transit")
    company.books("KontorEU:8:EUR", "-19.52", other="in_transit")
    company.statement(("9.76", "TX1000000007XT"), ("-9.76", "RETURN TX1000000007XT"), ("19.52", "TX1000000008XT"))
    result = company.reconcile()
    assert (result.verdict, result.reasons, company.breaks()) == ("reconciled", (), set())
    expected = company.rows("select payout_id, is_expected_at_bank from analytics.int_psp_payouts order by 1")
    assert expected == [("KontorEU:7:EUR", False), ("KontorEU:8:EUR", True)]


def test_what_differs_gets_its_class(company: Company) -> None:
    company.report(
        payment(1),
        payment(2),
        payment(3, type="Teleported"),
        payment(4, "20.00", "17.90", gross_currency="USD", exchange_rate="0.92", commission_nc="0.50"),
        line("Fee", "-1.80", "Fees"),
        payout("45.38"),
    )
    company.books("order-1", "10.00", "0.25")
    company.books("order-2", "11.00", "0.24")
    company.books("order-3", "10.00", "0.24")
    company.books("order-4", "18.40", "0.50")
    company.books("order-5", "1.00")
    company.books("KontorEU:7:EUR", "-45.38", other="in_transit")
    company.statement(("45.28", "TX1000000007XT"))
    company.reconcile(to=date(2026, 10, 30))
    assert {(name, leg, amount) for name, leg, _, amount in company.breaks()} == {
        ("fee_mismatch", "A", 1),
        ("amount_mismatch", "A", 100),
        ("unclassified_type", "A", 0),
        ("missing_in_ledger", "A", 180),
        ("missing_at_psp", "A", 100),
        ("amount_mismatch", "B", 10),
    }


def test_a_row_put_aside_is_missed_until_a_corrected_report_brings_it(company: Company) -> None:
    company.books("order-1", "10.00", "0.24")
    company.books("order-2", "10.00", "0.24")
    company.books("TX1000000007XT", "-19.52", other="in_transit")
    company.statement(("19.52", "TX1000000007XT"))
    landed = company.report(payment(1), payment(2, timezone="IST"), payout("19.52"))
    assert [reason for _, reason in landed.quarantined_rows] == [
        "column Creation Date: IST is the time of several zones. Set COUNTERFOIL_INGEST__TIME_ZONES to that of the "
        'account, such as {"adyen_settlement": "Asia/Calcutta"}; known are Asia/Calcutta, Asia/Jerusalem, '
        "Asia/Kolkata, Europe/Dublin."
    ]
    short = company.reconcile()
    assert {reason["kind"] for reason in short.reasons} == {"rows_put_aside", "control_total"}
    company.entries.clear()
    # Alone in a file of its own, which replaces nothing: found again by all that makes its id.
    assert company.report(payment(2), name="corrected.csv").supersedes == ()
    whole = company.reconcile()
    assert (whole.verdict, whole.reasons) == ("reconciled", ())


def test_what_was_too_little_to_pay_out_goes_over_to_the_next_batch(company: Company) -> None:
    company.report(payment(1, "-3.00", "-3.20", type="Refunded"), line("BalanceTransfer", "3.20", "to batch 8"))
    company.report(
        payment(2, batch_number="8"), line("BalanceTransfer", "-3.20", "from batch 7", batch_number="8"),
        payout("6.56", batch="8"), name="batch_8.csv",
    )  # fmt: skip
    company.books("9900000000000001", "-3.00", "0.20")
    company.books("to batch 8", "3.20")
    company.books("from batch 7", "-3.20")
    company.books("order-2", "10.00", "0.24")
    company.books("KontorEU:8:EUR", "-6.56", other="in_transit")
    company.statement(("6.56", "TX1000000007XT"))
    result = company.reconcile()
    assert (result.verdict, result.reasons, company.breaks()) == ("reconciled", (), set())


def test_an_item_stands_on_the_day_of_its_booking_in_utc(company: Company) -> None:
    company.report(
        payment(1, creation_date="2026-10-06 00:30:00", timezone="CEST"),
        payment(2, creation_date="2026-10-05 17:30:00", timezone="PDT"),
        payment(
            3, creation_date="2026-05-01 10:00:00", booking_date="2026-10-06 23:30:00", booking_date_timezone="PDT"
        ),
    )
    company.reconcile()
    assert company.rows("select charge_id, booked_on from analytics.int_psp_items order by 1") == [
        ("8800000000000001", date(2026, 10, 5)),
        ("8800000000000002", date(2026, 10, 6)),
        ("8800000000000003", date(2026, 10, 7)),
    ]


def test_a_batch_that_is_booked_as_one_entry_matches_its_lines(company: Company) -> None:
    company.report(
        payment(1),
        payment(2),
        payment(3, "-3.00", "-3.00", type="Refunded"),
        line("Fee", "-1.80", "Fees"),
        payout("14.72"),
    )
    company.books("KontorEU:7:EUR", "17.00", "2.28")
    company.books("KontorEU:7:EUR", "-14.72", other="in_transit")
    company.statement(("14.72", "TX1000000007XT"))
    result = company.reconcile()
    assert (result.verdict, result.reasons, company.breaks()) == ("reconciled", (), set())


def test_a_batch_below_zero_is_taken_from_the_bank(company: Company) -> None:
    company.report(payment(1, "-5.00", "-5.10", type="Refunded"), payout("-5.10"))
    company.books("9900000000000001", "-5.00", "0.10")
    company.books("KontorEU:7:EUR", "5.10", other="in_transit")
    company.statement(("-5.10", "SEPA DIRECT DEBIT TX1000000007XT"))
    result = company.reconcile()
    assert (result.verdict, result.reasons, company.breaks()) == ("reconciled", (), set())
    assert company.rows("select net_minor::bigint, is_expected_at_bank from analytics.int_psp_payouts") == [
        (-510, True)
    ]


def test_the_suite_of_the_source_finds_a_type_that_nobody_knows(company: Company) -> None:
    company.report(payment(1), payment(2, type="Teleported"), payout("19.52"))
    scope = Scope(book="main", first=date(2026, 10, 1), last=AS_OF)
    suite = next(each for each in all_suites() if each.name == "adyen_settlement")
    queries = {batch.name: scope.fill(batch.query) for batch in suite.batches}
    unknown = company.rows(f"select type from ({queries['items']}) as rows where not is_known_type")
    assert unknown == [("Teleported",)]
    assert company.rows(queries["rates"]) == [("EUR", 1, None)]


def test_a_row_that_a_newer_report_of_its_day_takes_back_counts_no_more(company: Company) -> None:
    before = payment(3, creation_date="2026-10-04 12:00:00")
    company.report(before, payment(1), payment(2), name="first.csv")
    again = company.report(payment(1), payout("19.52"), name="again.csv")
    assert len(again.supersedes) == 1
    company.books("order-1", "10.00", "0.24")
    company.books("order-3", "10.00", "0.24")
    company.books("KontorEU:7:EUR", "-19.52", other="in_transit")
    company.statement(("19.52", "TX1000000007XT"))
    result = company.reconcile()
    assert (result.verdict, result.reasons, company.breaks()) == ("reconciled", (), set())
    assert len(company.items()) == 3


def test_a_refund_is_found_by_the_name_that_the_company_gave_it(company: Company) -> None:
    company.report(
        payment(1),
        payment(1, "-3.00", "-3.00", type="Refunded", modification_merchant_reference="refund-1"),
        payout("6.76"),
    )
    company.books("order-1", "10.00", "0.24")
    company.books("refund-1", "-3.00")
    company.books("KontorEU:7:EUR", "-6.76", other="in_transit")
    company.statement(("6.76", "TX1000000007XT"))
    result = company.reconcile()
    assert (result.verdict, result.reasons, company.breaks()) == ("reconciled", (), set())


def test_a_payout_that_came_back_and_went_again_within_its_batch_is_one(company: Company) -> None:
    back = line("BankInstructionReturned", "9.76", "TX1000000007XT batch 7, KontorEU")
    company.report(payment(1), payout("9.76"), back, payout("9.76", transfer="TX1000000008XT"))
    company.books("order-1", "10.00", "0.24")
    for reference, amount in (("TX1000000007XT", "-9.76"), ("TX1000000007XT", "9.76"), ("TX1000000008XT", "-9.76")):
        company.books(reference, amount, other="in_transit")
    company.statement(("9.76", "TX1000000007XT"), ("-9.76", "RETURN TX1000000007XT"), ("9.76", "TX1000000008XT"))
    result = company.reconcile()
    assert (result.verdict, result.reasons, company.breaks()) == ("reconciled", (), set())
    assert company.rows("select net_minor::bigint, is_expected_at_bank from analytics.int_psp_payouts") == [(976, True)]
