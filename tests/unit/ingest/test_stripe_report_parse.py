"""Stripe's reports: what is read, what is put aside, what refuses the file."""

from __future__ import annotations

from datetime import date

import orjson
import pytest

from ingest.contract.rows import MAX_QUARANTINED_ROWS
from ingest.contract.vocabulary import MAX_FIELD_CHARS
from ingest.formats.csv import records as csv_records
from ledger_core.errors import InvalidInput


def test_values_are_kept_exactly_as_they_came(read_report, header, report_row):
    read = read_report(
        f"{header}\n{report_row(currency='USD', gross='25', fee='.95', net='24.05')}\n".replace(",.95", ",0.950")
    )
    assert read.rows[0]["gross"] == "25"
    assert read.rows[0]["fee"] == "0.950"
    assert read.rows[0]["currency"] == "USD"
    assert read.reader.first_on == read.reader.last_on == date(2026, 10, 1)


def test_columns_are_found_by_name_in_any_order(read_report, header, report_row):
    straight = read_report(f"{header}\n{report_row()}\n")
    turned = read_report(
        ",".join(reversed(header.split(","))) + "\n" + ",".join(reversed(report_row().split(","))) + "\n"
    )
    assert turned.rows == straight.rows


def test_the_header_tells_the_reports_apart(read_report):
    payouts = (
        "payout_id,effective_at_utc,currency,balance_transaction_id,gross,fee,net,reporting_category,"
        "payout_expected_arrival_date\npo_1,2026-10-02 00:00:00,jpy,txn_1,5000,0,5000,payout,2026-10-05\n"
    )
    assert read_report(payouts).reader.record_type.name == "payouts"


def test_itemized_7_is_read_by_its_column_names(read_report, header, report_row):
    read = read_report(f"{header},payout_reference_token,withheld_tax\n{report_row()},TOKEN1,0.10\n")
    assert read.rows[0]["payout_reference_token"] == "TOKEN1"
    assert read.rows[0]["withheld_tax"] == "0.10"
    assert read.reader.warnings == []


def test_columns_that_name_persons_are_not_stored(read_report, header, report_row):
    read = read_report(f"{header},payment_metadata[buyer_email]\n{report_row()},b@example.com\n")
    assert "example.com" not in str(read.rows)
    assert read.reader.warnings == ["column payment_metadata[buyer_email] names persons: not stored in the clear."]


def test_an_unknown_column_is_kept_with_a_warning_and_metadata_without(read_report, header, report_row):
    read = read_report(f"{header},payment_metadata[order],novelty\n{report_row()},o-1,new\n")
    assert orjson.loads(read.rows[0]["extra"]) == {"payment_metadata[order]": "o-1", "novelty": "new"}
    assert read.reader.warnings == ["column novelty is unknown: kept in extra."]


def test_a_missing_mandatory_column_refuses_the_file_and_is_named(read_report, header, report_row):
    with pytest.raises(
        InvalidInput, match=r"report.csv:1: the header lacks net, which payout_reconciliation.itemized.5"
    ):
        read_report(f"{header.replace(',net,', ',nett,')}\n{report_row()}\n")


def test_another_report_is_refused_with_what_would_be_read(read_report):
    with pytest.raises(InvalidInput, match=r"no report of stripe_report has this header.*payouts.itemized.3"):
        read_report("category,description,net_amount,currency\nstarting_balance,,1.00,usd\n")


def test_a_column_named_twice_refuses_the_file(read_report, header, report_row):
    with pytest.raises(InvalidInput, match="names net twice"):
        read_report(f"{header},net\n{report_row()},1\n")


def test_semicolons_are_recognised(read_report, header):
    with pytest.raises(InvalidInput, match="separated by semicolons"):
        read_report(header.replace(",", ";") + "\n")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"created_utc": "2026-02-30 10:00:00"}, "bad_date"),
        ({"created_utc": "01.10.2026 10:00"}, "bad_date"),
        ({"created_utc": ""}, "empty"),
        ({"currency": "usdt"}, "bad_currency"),
        ({"currency": "xyz"}, "bad_currency"),
        ({"gross": "1e3"}, "bad_amount"),
        ({"gross": "NaN"}, "bad_amount"),
        ({"gross": "25.001", "net": "24.051"}, "bad_amount"),
        ({"currency": "jpy", "gross": "25.5", "fee": "0", "net": "25.5"}, "bad_amount"),
        ({"gross": "٢٥.00"}, "bad_amount"),
        ({"gross": "1" * 16}, "bad_amount"),
        ({"gross": "24", "fee": "0", "net": "23.05"}, "identity"),
        ({"balance_transaction_id": ""}, "empty"),
        ({"description": "x" * (MAX_FIELD_CHARS + 1)}, "too_long"),
    ],
)
def test_a_bad_value_puts_its_row_aside_with_the_line(read_report, header, report_row, values, code):
    read = read_report(f"{header}\n{report_row(1)}\n{report_row(2, **values)}\n{report_row(3)}\n")
    assert read.faults == [(3, code)]
    assert read.ordinals == [1, 3]
    assert (read.reader.read, read.reader.accepted) == (3, 2)


@pytest.mark.parametrize(
    "values",
    [
        {"currency": "JPY", "gross": "2500", "fee": "90", "net": "2410"},
        {"currency": "jpy", "gross": "2500.00", "fee": "90.00", "net": "2410.00"},
        {"currency": "KWD", "gross": "2.500", "fee": "0.125", "net": "2.375"},
        {"currency": "inr", "gross": "1.00", "fee": "3.20", "net": "-2.20"},
        {"reporting_category": "something_new"},
        {"automatic_payout_id": ""},
    ],
)
def test_rare_but_right_rows_are_accepted(read_report, header, report_row, values):
    assert read_report(f"{header}\n{report_row(**values)}\n").reader.accepted == 1


def test_the_limit_of_a_field_is_named(read_report, header, report_row):
    read = read_report(f"{header}\n{report_row(description='x' * 40_000)}\n")
    assert "the limit is 32768 characters (MAX_FIELD_CHARS)" in read.reader.quarantined[0].reason


def test_a_row_of_another_width_is_put_aside_without_what_may_name_persons(read_report, header, report_row):
    read = read_report(f"{header}\n{report_row(1)},one,more\n{report_row(2)}\n")
    assert read.faults == [(2, "width")]
    assert "example.com" not in read.reader.quarantined[0].raw


def test_a_quarantined_row_keeps_no_personal_column(read_report, header, report_row):
    read = read_report(f"{header}\n{report_row(gross='x')}\n")
    kept = orjson.loads(read.reader.quarantined[0].raw)
    assert kept["gross"] == "x"
    assert "customer_email" not in kept


def test_quoted_line_breaks_keep_the_line_numbers_right(read_report, header, report_row):
    long = report_row(1, description='"two\nlines, and ""quotes"""')
    read = read_report(f"{header}\n{long}\n\n{report_row(2, gross='x')}\n")
    assert read.rows[0]["description"] == 'two\nlines, and "quotes"'
    assert read.faults == [(5, "bad_amount")]


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(read_report, header, report_row):
    text = f"{header}\n{report_row(1)}\n{report_row(2)}\n"
    assert read_report(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()).rows == read_report(text).rows


def test_a_file_cut_inside_a_row_is_refused(read_report, header, report_row):
    text = f"{header}\n{report_row(1)}\n{report_row(2)}\n"
    with pytest.raises(InvalidInput, match=r"report.csv:3: the file ends in the middle of a row"):
        read_report(text[:-40])


def test_a_file_cut_inside_quotes_is_refused_with_the_line_that_opened_them(read_report, header, report_row):
    text = "\n".join([header, report_row(1), report_row(2, description='"open'), report_row(3), ""])
    with pytest.raises(InvalidInput, match=r"report.csv:3: the record that starts here does not end before the file"):
        read_report(text)


def test_a_quote_that_never_closes_is_found_within_the_limit(read_report, header, report_row, monkeypatch):
    monkeypatch.setattr(csv_records, "MAX_RECORD_BYTES", 4_096)
    monkeypatch.setattr(csv_records, "BLOCK_BYTES", 1_024)
    rows = "\n".join(report_row(number) for number in range(100))
    with pytest.raises(InvalidInput, match=r"report.csv:2: .*within 4096 bytes \(MAX_RECORD_BYTES\)"):
        read_report("\n".join([header, report_row(description='"open'), rows, ""]))


def test_a_last_row_without_line_break_is_accepted_with_a_warning(read_report, header, report_row):
    read = read_report(f"{header}\n{report_row()}")
    assert read.reader.accepted == 1
    assert "has no line break" in read.reader.warnings[0]


def test_a_zero_byte_refuses_the_file_with_its_line(read_report, header, report_row):
    with pytest.raises(InvalidInput, match=r"report.csv:3: a zero byte"):
        read_report("\n".join([header, report_row(), report_row(description="a\0b"), ""]))


def test_latin_1_refuses_the_file_with_its_line(read_report, header, report_row):
    with pytest.raises(InvalidInput, match=r"report.csv:2: byte 0xe9 is not UTF-8"):
        read_report(f"{header}\n{report_row(description='café')}\n".encode("latin-1"))


def test_a_header_alone_is_a_quiet_day(read_report, header):
    read = read_report(f"{header}\n")
    assert (read.reader.read, read.reader.warnings) == (0, ["the report has no rows."])


def test_a_file_of_bad_rows_is_refused_with_the_limit(read_report, header, report_row):
    rows = "\n".join([report_row(gross="x")] * (MAX_QUARANTINED_ROWS + 1))
    with pytest.raises(
        InvalidInput, match=r"report.csv:2: more than 10000 rows are unreadable \(MAX_QUARANTINED_ROWS\)"
    ):
        read_report(f"{header}\n{rows}\n")


def test_a_card_number_in_free_text_is_masked_and_its_row_put_aside(read_report, header, report_row):
    read = read_report(f"{header}\n{report_row(description='paid with 4242 4242 4242 4242')}\n{report_row(2)}\n")
    [row] = read.reader.quarantined
    assert row.code == "card_number"
    assert "4242 4242" not in row.raw
    assert "**** **** **** 4242" in row.raw
    assert read.reader.cards == {"4242 4242 4242 4242"}


def test_a_number_in_an_id_column_is_no_card(read_report, header, report_row):
    read = read_report(
        f"{header},payment_metadata[order_id]\n{report_row(balance_transaction_id='4242424242424242')},4111111111111111\n"
    )
    assert read.reader.accepted == 1
    assert read.reader.cards == set()


def test_a_card_number_in_a_row_out_of_shape_is_masked_wherever_it_stands(read_report, header, report_row):
    read = read_report(f"{header}\n{report_row(description='a, 4242424242424242')}\n{report_row(2)}\n")
    assert read.faults == [(2, "width")]
    assert "4242424242424242" not in read.reader.quarantined[0].raw
    assert read.reader.cards == {"4242424242424242"}


def test_a_bare_quote_spoils_its_own_rows_alone(read_report, header, report_row):
    rows = [report_row(1), report_row(2, description='5" pipe'), report_row(3, description='6" pipe'), report_row(4)]
    read = read_report("\n".join([header, *rows]) + "\n")
    assert read.faults == [(3, "bad_csv")]
    assert [row["balance_transaction_id"] for row in read.rows] == ["txn_1", "txn_4"]
