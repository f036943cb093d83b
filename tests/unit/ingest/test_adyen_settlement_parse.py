"""What Adyen's settlement report says of a row, and which rows nobody can vouch for."""

from __future__ import annotations

import io
import re
from random import Random
from typing import Any

import pytest

from ingest.contract.vocabulary import Purpose
from ingest.sources.adyen_settlement.contract import CLAIMS, CONTRACT, EVENTS, ITEMS
from ingest.sources.adyen_settlement.parse import SettlementReader, parse
from ledger_core.errors import InvalidInput
from tests.unit.ingest.adyen_report import STANDARD, Row, line, payment, payout, report


def read(*rows: Row, columns: Any = None, text: str | None = None, zone: str | None = None) -> SettlementReader:
    data = report(rows, columns) if text is None else text
    reader = parse(io.BytesIO(data.encode()), name="batch_7.csv")
    reader.zone = zone
    reader.rows = [  # type: ignore[attr-defined]
        dict(zip(batch.columns, row, strict=True)) for batch in reader.batches() for row in batch.rows
    ]
    assert reader.read == reader.accepted + len(reader.quarantined)
    return reader


def fault(*rows: Row, zone: str | None = None) -> tuple[str, str] | None:
    """Return code and reason of what is wrong with the first row that is put aside."""
    aside = read(*rows, zone=zone).quarantined
    return (aside[0].code, aside[0].reason) if aside else None


def test_the_thirty_standard_columns_are_all_known_and_stored() -> None:
    reader = read(payment())
    assert len(STANDARD) == 30
    assert reader.warnings == []
    assert reader.rows[0]["gross_credit_gc"] == "10.00"
    assert reader.rows[0]["reserved10"] == ""
    assert reader.rows[0]["extra"] == "{}"


def test_every_column_that_can_be_added_is_known() -> None:
    reader = read(payment(), columns=[column.shown for column in ITEMS.columns])
    assert reader.warnings == []
    assert set(reader.rows[0]) == {column.name for column in ITEMS.stored} | {"extra"}


def test_columns_are_found_by_name_in_any_order() -> None:
    rows, shuffled = [payment(1), payment(2, "5.00", "-0.50")], list(STANDARD)
    Random(7).shuffle(shuffled)
    assert read(*rows, columns=shuffled).rows == read(*rows).rows


@pytest.mark.parametrize(
    ("known", "heading"),
    [("TimeZone", "Time Zone"), ("Psp Reference", "PSP Reference"), ("Net Debit (NC)", "net debit nc")],
)
def test_a_heading_is_known_by_its_letters(known: str, heading: str) -> None:
    text = report([payment()]).replace(known, heading, 1)
    assert read(text=text).accepted == 1


def test_a_byte_order_mark_is_no_part_of_the_first_heading() -> None:
    assert read(text="\ufeff" + report([payment()])).accepted == 1


def test_an_unknown_column_is_kept_and_warned_of() -> None:
    reader = read(payment() | {"Cashback Level": "gold"})
    assert reader.warnings == ["column Cashback Level is unknown: kept in extra."]
    assert reader.rows[0]["extra"] == '{"Cashback Level":"gold"}'


def test_what_names_persons_is_not_stored() -> None:
    reader = read(payment(metadata="buyer=anna@example.com") | {"Shopper Email": "anna@example.com"})
    assert "anna" not in str(reader.rows)
    aside = read(payment(metadata="anna", net_currency="eur") | {"Shopper Name": "Anna"})
    assert len(aside.quarantined) == 1
    assert "nna" not in aside.quarantined[0].raw


def test_a_card_number_in_a_text_puts_its_row_aside_and_one_in_a_reference_is_a_reference() -> None:
    assert fault(payment(reserved4="4242424242424242")) is not None
    reader = read(payment(reserved4="4242424242424242"))
    assert reader.cards == {"4242424242424242"}
    assert "424242424242424" not in reader.quarantined[0].raw
    assert fault(payment(psp_reference="4242424242424242", modification_reference="4242424242424242")) is None


@pytest.mark.parametrize("column", ["Batch Number", "TimeZone", "Net Credit (NC)", "Psp Reference"])
def test_a_header_without_a_mandatory_column_is_refused_by_its_name_at_adyen(column: str) -> None:
    with pytest.raises(InvalidInput, match=rf"lacks {column.replace('(', '.').replace(')', '.')}") as caught:
        read(payment(), columns=[name for name in STANDARD if name != column])
    assert caught.value.line == 1


def test_a_column_under_two_headings_is_a_column_twice() -> None:
    with pytest.raises(InvalidInput, match="names TimeZone twice"):
        read(text=report([payment()]).replace("Reserved4", "Time Zone", 1))


def test_an_amount_has_no_sign_of_its_own() -> None:
    assert fault(payment() | {"Net Credit (NC)": "-9.76"}) == (
        "bad_amount",
        "column Net Credit (NC): '-9.76' has a sign, and its side stands beside it.",
    )


def test_of_debit_and_credit_one_is_filled() -> None:
    assert fault(payment() | {"Net Debit (NC)": "9.76"}) == (
        "bad_side",
        "columns Net Debit (NC) and Net Credit (NC) are both filled: '9.76' and '9.76'.",
    )
    assert fault(payment() | {"Net Credit (NC)": ""}) is not None
    assert fault(payment() | {"Gross Debit (GC)": "0.00"}) is None


@pytest.mark.parametrize(
    "row",
    [
        payment(1, "10.00", "9.76", commission_nc="0.24"),
        # The blended commission, or the parts of it.
        payment(2, "10.00", "9.76", commission_nc="", markup_nc="0.02", scheme_fees_nc="0.02", interchange_nc="0.20"),
        # Off by the cent that rounding takes.
        payment(3, "10.00", "9.77", commission_nc="0.24"),
        # A converted payment: 5.35 EUR at 1.0656568 is 5.70 USD.
        payment(4, "5.35", "5.43", net_currency="USD", exchange_rate="1.0656568", commission_nc="0.27"),
        # Parts of a cent.
        payment(
            5, "10.00", "9.85", commission_nc="", markup_nc="0.13", scheme_fees_nc="0.0081", interchange_nc="0.0123"
        ),
        # Yen have no minor unit and dinars three.
        payment(6, "1000", "964", gross_currency="JPY", net_currency="JPY", commission_nc="36"),
        payment(7, "10.000", "9.753", gross_currency="KWD", net_currency="KWD", commission_nc="0.247"),
        # A fee above the payment turns the net round: 10 rupees are 0.11, and 0.14 are taken.
        payment(8, "10.00", "-0.03", gross_currency="INR", exchange_rate="0.011", commission_nc="0.14"),
        payment(9, "-1.00", "-3.00", type="Chargeback", commission_nc="", markup_nc="2.00"),
        # Of a fee given back with a refund.
        payment(10, "-1.00", "-0.89", type="Refunded", commission_nc="-0.11"),
        payment(11, "10.00", "9.76", commission_nc="", payment_fees_nc="0.24"),
        payment(12, "10.00", "9.66", commission_nc="0.24", dcc_markup_nc="0.10"),
        payment(13, "", "1.75", type="PaymentCost", exchange_rate=""),
        # The payout's amount is another balance's: here stands what it cost.
        payment(14, "-50.00", "-0.30", type="BPPaidOut", commission_nc="", markup_nc="0.30"),
        line("Fee", "-1.80", "Transaction Fees October 2026"),
        payout("5.00"),
    ],
    ids=lambda row: f"{row['Type']} {row['Gross Currency']} {row['Net Credit (NC)'] or row['Net Debit (NC)']}",
)
def test_what_adyen_computes_is_accepted(row: Row) -> None:
    assert fault(row) is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (payment(1, "10.00", "9.50", commission_nc="0.24"), r"10.00 - 0.24 is not 9.50 EUR, but off by 0.26"),
        (payment(2, "10.00", "9.78", commission_nc="0.24"), r"off by -0.02; 0.01 is allowed"),
        (payment(3, "1000", "962", gross_currency="JPY", net_currency="JPY", commission_nc="36"), r"off by 2; 1 is"),
        (payment(4, "10.000", "9.755", gross_currency="KWD", net_currency="KWD", commission_nc="0.247"), r"0.001 is"),
        # On the wrong side.
        (payment(5, "-10.00", "9.76", commission_nc="0.24"), "does not hold"),
        (payment(6, "5.35", "5.43", net_currency="USD", exchange_rate="", commission_nc="0.27"), "Rate is empty, and"),
        (payment(7, "10.00", "9.76", gross_currency=""), "Gross Currency is empty"),
        (payment(8, "10.00", "10.00", type="BPPaidOut", commission_nc=""), "does not hold"),
    ],
)  # fmt: skip
def test_a_row_whose_amounts_do_not_hold_together_is_put_aside(row: Row, said: str) -> None:
    found = fault(row)
    assert found is not None
    assert found[0] == "identity"
    assert re.search(said, found[1]), found[1]


def test_a_rate_is_a_number() -> None:
    assert fault(payment(exchange_rate="1,07")) == (
        "bad_rate",
        "column Exchange Rate: '1,07' is not a rate such as 1.0656568.",
    )


def test_a_fee_may_be_finer_than_the_minor_unit_and_a_net_may_not() -> None:
    assert fault(payment(1, "10.00", "9.7600")) is None
    found = fault(payment(1, "10.00", "9.7612"))
    assert found is not None
    assert "Net Credit (NC): '9.7612' has digits below the minor unit of EUR" in found[1]


@pytest.mark.parametrize(
    ("label", "at", "day"),
    [
        ("PST", "2026-01-05 16:30:00", "2026-01-06"),
        ("PDT", "2026-07-05 16:59:59", "2026-07-05"),
        ("PDT", "2026-07-05 17:00:00", "2026-07-06"),
        ("CET", "2026-01-05 00:30:00", "2026-01-04"),
        ("CEST", "2026-07-05 01:30:00", "2026-07-04"),
        ("GMT", "2026-01-05 00:00:00", "2026-01-05"),
        ("UTC", "2026-01-05 23:59:59", "2026-01-05"),
        ("BST", "2026-07-05 00:30:00", "2026-07-04"),
        ("AEST", "2026-07-05 09:30:00", "2026-07-04"),
        ("AEDT", "2026-01-05 10:30:00", "2026-01-04"),
        ("GMT+08:00", "2026-01-05 07:30:00", "2026-01-04"),
        ("-03:30", "2026-01-05 21:00:00", "2026-01-06"),
        ("Europe/Amsterdam", "2026-07-05 01:30:00", "2026-07-04"),
        ("Europe/Amsterdam", "2026-01-05 01:30:00", "2026-01-05"),
        ("America/Argentina/Buenos_Aires", "2026-01-05 21:30:00", "2026-01-06"),
    ],
)
def test_days_are_in_utc_whatever_zone_stands_beside_the_time(label: str, at: str, day: str) -> None:
    reader = read(payment(creation_date=at, timezone=label))
    assert str(reader.first_on) == str(reader.last_on) == day


def test_each_row_is_read_in_its_own_zone() -> None:
    reader = read(
        payment(1, creation_date="2026-10-06 00:30:00", timezone="CEST"),
        payment(2, creation_date="2026-10-05 23:00:00", timezone="PDT"),
    )
    assert (str(reader.first_on), str(reader.last_on)) == ("2026-10-05", "2026-10-06")
    assert str(reader.facts.document_at) == "2026-10-06 06:00:00+00:00"


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("XYZ", "'XYZ' is no time zone that is known here"),
        ("Mars/Olympus", "is no time zone"),
        ("Europe/Nowhere", "is no time zone"),
        ("../../etc/passwd", "is no time zone"),
        ("GMT+25:00", "is no time zone"),
        ("CST", "CST is the time of several zones.*COUNTERFOIL_INGEST__TIME_ZONES.*America/Chicago"),
        ("IST", "IST is the time of several zones.*Asia/Kolkata"),
        ("AST", "AST is the time of several zones"),
    ],
)
def test_a_time_whose_zone_nobody_can_tell_is_put_aside(label: str, said: str) -> None:
    found = fault(payment(timezone=label))
    assert found is not None
    assert found[0] == "bad_zone"
    assert re.search(said, found[1]), found[1]


def test_the_setting_says_which_of_several_zones_a_label_is() -> None:
    row = payment(creation_date="2026-01-05 02:30:00", timezone="IST")
    assert str(read(row, zone="Asia/Kolkata").first_on) == "2026-01-04"
    assert str(read(row, zone="Europe/Dublin").first_on) == "2026-01-05"
    assert fault(row, zone="America/Chicago") is not None, "no such label there"
    # A label of one zone is that, whatever is set.
    assert (
        str(read(payment(creation_date="2026-01-05 20:00:00", timezone="PST"), zone="Asia/Kolkata").first_on)
        == "2026-01-06"
    )


def test_a_report_with_booking_dates_covers_the_days_of_booking() -> None:
    booked = {"booking_date": "2026-10-06 23:30:00", "booking_date_timezone": "PDT"}
    reader = read(
        payment(1, creation_date="2026-05-01 10:00:00", **booked),
        payment(2, creation_date="2026-10-05 10:00:00", booking_date="2026-10-06 10:00:00", booking_date_timezone=""),
    )
    facts = reader.facts
    assert (str(facts.selected_from), str(facts.selected_to)) == ("2026-10-06", "2026-10-07")
    assert str(facts.document_at) == "2026-10-07 06:30:00+00:00"
    assert facts.time_zone_said_by == "columns"


def test_a_row_without_a_booking_date_among_others_counts_by_its_creation() -> None:
    facts = read(
        payment(1, booking_date="2026-10-06 10:00:00", booking_date_timezone="CEST"),
        payment(2, creation_date="2026-10-02 00:30:00", booking_date=""),
    ).facts
    assert (str(facts.selected_from), str(facts.selected_to)) == ("2026-10-01", "2026-10-06")


DOCUMENTED = [
    "Settled",
    "SettledBulk",
    "SettledInstallment",
    "SettledExternally",
    "SettledExternallyWithInfo",
    "Refunded",
    "RefundedBulk",
    "RefundedInstallment",
    "RefundedReversed",
    "RefundedExternally",
    "RefundedExternallyWithInfo",
    "Chargeback",
    "ChargebackExternally",
    "ChargebackExternallyWithInfo",
    "ChargebackReversed",
    "ChargebackReversedExternallyWithInfo",
    "SecondChargeback",
    "Fee",
    "MiscCosts",
    "InvoiceDeduction",
    "DepositCorrection",
    "BalanceTransfer",
    "MerchantPayout",
    "InternalCompanyPayout",
    "ReserveAdjustment",
    "MatchedStatement",
    "ManualCorrected",
    "AuthorisationSchemeFee",
    "BankInstructionReturned",
    "EPAPaid",
    "PaymentCost",
    "SettleCost",
    "PaidOut",
    "PaidOutReversed",
    "BPPaidOut",
    "MerchantPayin",
    "MerchantPayinReversed",
    "AcquirerPayout",
    "XASTransfer",
]


@pytest.mark.parametrize("type_", DOCUMENTED)
def test_a_documented_type_means_something(type_: str) -> None:
    assert EVENTS[type_]


def test_a_type_that_nobody_knows_lands_as_it_is() -> None:
    assert "UnmatchedSettledExternallyWithInfo" not in CONTRACT.events
    assert fault(payment(type="UnmatchedSettledExternallyWithInfo")) is None


@pytest.mark.parametrize(
    ("field", "text", "purposes"),
    [
        ("counterparty_name", "ADYEN N.V.", {Purpose.OWNERSHIP}),
        ("counterparty_name", "Deutsche Adyenstein GmbH", set()),
        ("remittance", "Adyen payout", {Purpose.OWNERSHIP}),
        ("remittance", "TX2342222277XT BATCH 2, KONTOREU", {Purpose.OWNERSHIP, Purpose.PAYOUT_REFERENCE}),
        # Cut where the bank's line ends.
        ("remittance", "/REMI/TX23422222", {Purpose.PAYOUT_REFERENCE}),
        ("additional_info", "EREF: TX2342222277XT", {Purpose.PAYOUT_REFERENCE}),
        ("remittance", "STX2342222277XTRA batch 2", set()),
        ("remittance", "TXT message, tx of the month", set()),
    ],
)
def test_a_bank_line_is_adyens_by_its_name_or_the_number_of_a_transfer(
    field: str, text: str, purposes: set[Purpose]
) -> None:
    found = {
        claim.purpose for claim in CLAIMS if claim.field == field and re.search(claim.pattern, text, re.IGNORECASE)
    }
    assert found == purposes


def test_a_time_at_the_end_of_the_calendar_is_put_aside_and_stops_nothing() -> None:
    found = fault(payment(creation_date="9999-12-31 23:59:59", timezone="PST"))
    assert found is not None
    assert found[0] == "bad_date"
