"""What PayPal's settlement report says of a row, what its footers prove, and which rows nobody can vouch for."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from random import Random

import pytest

from ingest.sources.paypal_stl.contract import CONTRACT, EVENTS
from ingest.sources.paypal_stl.parse import StlReader, parse
from ledger_core.errors import InvalidInput
from tests.unit.ingest.paypal_report import COLUMNS, SECTION, Row, report, row, section, written

AUD = row("5678", "T0006", ("CR", "5200"), ("DR", "225"), currency="AUD", Invoice_ID="2444.1")
REFUND = row("6899", "T1107", ("DR", "134"), ("CR", "47"), currency="GBP", PayPal_Reference_ID="99900")


def read(text: str) -> StlReader:
    reader = parse(io.BytesIO(text.encode()), name="STL-20260106.R.A.00.9.CSV")
    reader.rows = [  # type: ignore[attr-defined]
        dict(zip(batch.columns, values, strict=True)) for batch in reader.batches() for values in batch.rows
    ]
    assert reader.read == reader.accepted + len(reader.quarantined)
    return reader


def fault(*rows: Row) -> tuple[str, str] | None:
    aside = read(report(section(rows))).quarantined
    return (aside[0].code, aside[0].reason) if aside else None


def totals(text: str) -> dict[tuple[str, str], bool]:
    return {(each.name, each.subject): each.passed for each in read(text).control_totals}


def test_a_row_lands_as_it_came_with_where_it_stood() -> None:
    [found] = read(report(section([AUD]))).rows  # type: ignore[attr-defined]
    assert found["transaction_id"] == "5678"
    assert found["invoice_id"] == "2444.1"
    assert (found["gross_side"], found["gross_amount"], found["gross_currency"]) == ("CR", "5200", "AUD")
    assert (found["fee_side"], found["fee_amount"], found["fee_currency"]) == ("DR", "225", "AUD")
    assert found["completed_at"] == "2026/01/06 10:00:00 -0800"
    assert found["selected_on"] == "2026-01-06"
    place = (found["section"], found["section_from"], found["section_to"], found["section_account"])
    assert place == ("1", *SECTION)
    assert "consumer_id" not in found


def test_fields_are_quoted_or_not_and_a_byte_order_mark_is_no_field() -> None:
    text = report(section([AUD]))
    quoted = "\n".join(
        ",".join(f'"{field}"' if number % 2 else field for number, field in enumerate(line.split(",")))
        for line in text.splitlines()
    )
    assert read("\ufeff" + quoted + "\n").rows == read(text).rows  # type: ignore[attr-defined]


def test_columns_are_found_by_name_in_any_order_of_each_section() -> None:
    shuffled = list(COLUMNS)
    Random(7).shuffle(shuffled)
    plain = read(report(section([AUD]), section([REFUND])))
    mixed = read(report(section([AUD], columns=shuffled), section([REFUND])))
    assert mixed.rows == plain.rows  # type: ignore[attr-defined]
    assert [found["section"] for found in mixed.rows] == ["1", "2"]  # type: ignore[attr-defined]


def test_a_section_of_other_columns_is_refused() -> None:
    fewer = [name for name in COLUMNS if name != "Store ID"]
    with pytest.raises(InvalidInput, match="other columns than the one before it"):
        read(report(section([AUD]), section([REFUND], columns=fewer)))


def test_an_unknown_column_is_kept_and_a_missing_one_is_named() -> None:
    more = read(report(section([AUD | {"Loyalty Card Number": "77"}], columns=(*COLUMNS, "Loyalty Card Number"))))
    assert more.warnings == ["column Loyalty Card Number is unknown: kept in extra."]
    assert more.rows[0]["extra"] == '{"Loyalty Card Number":"77"}'  # type: ignore[attr-defined]
    fewer = [name for name in COLUMNS if name != "Gross Transaction Amount"]
    with pytest.raises(InvalidInput, match="the header lacks Gross Transaction Amount"):
        read(report(section([AUD], columns=fewer)))


def test_amounts_are_hundredths_of_every_currency() -> None:
    yen = row("J1", "T0006", ("CR", "10000"), currency="JPY")
    assert fault(yen, row("U1", "T0006", ("CR", "10000")), row("K1", "T0006", ("CR", "12345"), currency="KWD")) is None
    code, reason = fault(row("J2", "T0006", ("CR", "10050"), currency="JPY")) or ("", "")
    assert code == "bad_amount"
    assert "digits below the minor unit of JPY" in reason


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Transaction Debit or Credit": "C"}, "bad_side"),
        ({"Transaction Debit or Credit": ""}, "bad_side"),
        ({"Gross Transaction Amount": "-5200"}, "bad_amount"),
        ({"Gross Transaction Amount": "52.00"}, "bad_amount"),
        ({"Gross Transaction Amount": ""}, "empty"),
        ({"Gross Transaction Currency": "aud"}, "bad_currency"),
        ({"Fee Debit or Credit": ""}, "bad_side"),
        ({"Fee Currency": "USD"}, "two_currencies"),
        ({"Transaction Completion Date": "2026/02/30 10:00:00 -0800"}, "bad_date"),
        ({"Transaction Completion Date": "2026-01-06 10:00:00"}, "bad_date"),
        ({"Transaction Completion Date": "2026/01/06 10:00:00 +1500"}, "bad_date"),
        ({"Transaction ID": ""}, "empty"),
        ({"Custom Field": "paid by 4111 1111 1111 1111"}, "card_number"),
    ],
)
def test_a_row_nobody_can_vouch_for_is_put_aside_alone(changes: Row, code: str) -> None:
    reader = read(report(section([AUD | changes, REFUND])))
    assert [each.code for each in reader.quarantined] == [code]
    assert [found["transaction_id"] for found in reader.rows] == ["6899"]  # type: ignore[attr-defined]
    # The line is the file's: behind RH, FH, SH and CH.
    assert reader.quarantined[0].line == 5


def test_a_fee_of_nothing_needs_neither_side_nor_currency() -> None:
    assert fault(AUD | {"Fee Debit or Credit": "", "Fee Amount": "0", "Fee Currency": ""}) is None


@pytest.mark.parametrize("width", [-3, -1, 1, 5])
def test_a_row_of_another_width_is_put_aside(width: int) -> None:
    fields: Sequence[str] = [AUD.get(name, "") for name in COLUMNS]
    fields = fields[:width] if width < 0 else [*fields, *[""] * width]
    text = report([("SH", *SECTION), ("CH", *COLUMNS), ("SB", *fields)])
    assert [each.code for each in read(text).quarantined] == ["width"]


FOOTERS = (
    ("SF", "AUD", "5200", "0", "0", "225", "CR", "1000", "CR", "5975"),
    ("SF", "GBP", "0", "134", "47", "0", "CR", "500", "CR", "413"),
    ("SC", "2"),
)
REPORT_FOOTERS = (*(("RF", *fields) for _, *fields in FOOTERS[:2]), ("RC", "2"), ("FF", "2"))


def test_a_whole_report_proves_itself() -> None:
    found = totals(report(section([AUD, REFUND], *FOOTERS), behind=REPORT_FOOTERS))
    names = ("gross_credits", "gross_debits", "fee_credits", "fee_debits", "balance")
    assert found == {
        **{
            (name, f"{of} {currency}"): True
            for name in names
            for of in ("section 1", "report")
            for currency in ("AUD", "GBP")
        },
        ("count", "section 1"): True,
        ("count", "report"): True,
    }


@pytest.mark.parametrize(
    ("place", "value", "failed"),
    [(2, "5300", "gross_credits"), (3, "1", "gross_debits"), (4, "1", "fee_credits"), (5, "224", "fee_debits"),
     (9, "5974", "balance"), (7, "1001", "balance")],
)  # fmt: skip
def test_a_sum_that_the_rows_do_not_make_fails_by_its_name(place: int, value: str, failed: str) -> None:
    footer = list(FOOTERS[0])
    footer[place] = value
    found = totals(report(section([AUD, REFUND], footer, *FOOTERS[1:]), behind=REPORT_FOOTERS))
    assert [name for name, passed in found.items() if not passed] == [(failed, "section 1 AUD")]


def test_either_sum_of_fees_may_come_first() -> None:
    turned = [*FOOTERS[0][:4], "225", "0", *FOOTERS[0][6:]]
    assert all(totals(report(section([AUD, REFUND], turned, *FOOTERS[1:]), behind=REPORT_FOOTERS)).values())


def test_a_balance_holds_with_what_is_not_available() -> None:
    footer = [*FOOTERS[0][:6], "CR", "1000", "CR", "1000", "DR", "100", "CR", "4875"]
    found = totals(report(section([AUD, REFUND], footer, *FOOTERS[1:]), behind=REPORT_FOOTERS))
    assert found["balance", "section 1 AUD"]


def test_a_count_that_is_off_and_a_currency_without_a_footer_fail() -> None:
    found = totals(report(section([AUD, REFUND], FOOTERS[0], ("SC", "3"))))
    assert not found["count", "section 1"]
    assert not found["footer", "section 1 GBP"]


def test_a_footer_that_cannot_be_read_fails() -> None:
    found = totals(report(section([AUD], ("SF", "AUD", "many", "0", "0", "225"), ("SC", "1"))))
    assert not found["footer", "section 1 AUD"]


def test_a_row_put_aside_makes_the_sums_of_its_section_fail_and_counts() -> None:
    bad = AUD | {"Transaction Debit or Credit": "?"}
    found = totals(report(section([bad, REFUND], *FOOTERS), behind=REPORT_FOOTERS))
    assert found["count", "section 1"]
    assert not found["gross_credits", "section 1 AUD"]


def test_a_report_cut_anywhere_is_refused_or_fails_a_total() -> None:
    whole = report(section([AUD, REFUND], *FOOTERS), behind=REPORT_FOOTERS)
    assert read(whole).accepted == 2
    for end in range(1, len(whole) - 1):
        try:
            reader = read(whole[:end])
        except InvalidInput:
            continue
        # All but the last line break, or the number of rows cut short.
        assert whole[:end].rstrip().split("\n")[-1].startswith("FF"), whole[:end]
        assert reader.accepted == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (written([("SH", *SECTION), ("SB", "1", "2")]), "a row stands before the column header"),
        (written([("SH", "yesterday", "today", "me"), ("CH", *COLUMNS)]), "begins or ends at 'yesterday'"),
        (written([("SH", "2026/13/40 00:00:00 -0800", SECTION[1], "me"), ("CH", *COLUMNS)]), "which is no time"),
        (report([*section([AUD]), ("XX", "1")]), "a record begins with 'XX'"),
        (report([*section([AUD]), ("SC", "two")]), "a count of rows is 'two'"),
        ("Date,Name,Amount\n2026-01-06,me,1.00\n", "a record begins with 'Date'"),
        (report(section([AUD]), behind=()), "ends before its footer"),
    ],
)
def test_what_is_no_settlement_report_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(text)


def test_a_report_without_its_frame_is_read_by_its_sections() -> None:
    reader = read(written(section([AUD, REFUND], *FOOTERS)))
    assert all(each.passed for each in reader.control_totals)
    assert reader.facts.document_at == datetime(2026, 1, 7, 7, 59, 59, tzinfo=UTC)


def test_a_document_is_as_new_as_its_making_and_covers_its_sections_days() -> None:
    later = ("2026/01/08 00:00:00 -0800", "2026/01/09 23:59:59 -0800", "OTHER")
    facts = read(report(section([AUD]), section([], place=later))).facts
    assert facts.document_at == datetime(2026, 1, 7, 12, 0, tzinfo=UTC)
    assert (facts.selected_from, facts.selected_to) == (date(2026, 1, 6), date(2026, 1, 9))


def test_a_quiet_day_covers_itself() -> None:
    reader = read(report(section([], ("SC", "0")), behind=(("RC", "0"), ("FF", "0"))))
    assert (reader.read, reader.warnings) == (0, ["the report has no rows."])
    assert reader.facts.selected_from == reader.facts.selected_to == date(2026, 1, 6)
    assert all(each.passed for each in reader.control_totals)


def test_every_code_has_the_form_of_one_and_none_is_payments_but_by_its_group() -> None:
    assert all(code.startswith("T") and code[1:].isdecimal() and len(code) == 5 for code in EVENTS)
    assert {code[:3] for code, event in EVENTS.items() if event == "charge"} == {"T00", "T30"}
    assert {code for code, event in EVENTS.items() if event == "payout"} >= {"T0400", "T0401", "T0403"}
    assert CONTRACT.events == EVENTS
