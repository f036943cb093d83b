"""BAI2: records, continuations, type codes, totals of every level, and what refuses a file."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ingest.formats.bai2 import records as records_module
from ingest.formats.bai2.details import side_of
from ingest.sources.bai2 import parse as parse_module
from ingest.sources.bai2.parse import parse
from ledger_core.errors import InvalidInput
from tests.unit.ingest.bank_reads import Read, extra

HEAD = "01,BANK,US,261002,0200,7,,,2/"
GROUP = "02,US,BANK,1,261001,2400,USD,2/"
ACCOUNT = "03,0123456789,,010,10000,,,015,11000,,/"
DETAIL = "16,165,1000,0,B1,C1,STRIPE"


def read_of(data: str | bytes) -> Read:
    return Read(parse, data)


def report(*details: str, account: str = ACCOUNT, group: str = GROUP, head: str = HEAD, total: int = 22_000) -> str:
    """Return a file of one account around `details`, each one record or several."""
    records = [account, *details]
    physical = sum(each.count("\n") + 1 for each in records) + 1
    body = "\n".join(records)
    return (
        f"{head}\n{group}\n{body}\n49,{total},{physical}/\n98,{total},1,{physical + 2}/\n99,{total},1,{physical + 4}/\n"
    )


def detail(record: str) -> dict[str, Any]:
    [row] = read_of(report(record)).lines
    return row


def test_a_report_is_read_whole_and_proves_itself():
    read = read_of(report(DETAIL))
    assert read.failed == []
    assert [total.name for total in read.reader.control_totals] == [
        *("account_total", "account_records", "balance", "group_total", "group_accounts", "group_records"),
        *("file_total", "file_groups", "file_records"),
    ]
    [row], [stated] = read.lines, read.statements
    assert (row["amount"], row["indicator"], row["currency"], row["booked_on"]) == ("1000", "C", "USD", "2026-10-01")
    assert (row["bank_reference"], row["customer_reference"], row["remittance"]) == ("B1", "C1", "STRIPE")
    assert (stated["account"], stated["opening_amount"], stated["closing_amount"]) == ("0123456789", "10000", "11000")
    assert (stated["created_at"], stated["as_of_on"]) == ("2026-10-02T02:00:00", "2026-10-01")
    assert (read.reader.first_on, read.reader.last_on) == (date(2026, 10, 1), date(2026, 10, 1))


@pytest.mark.parametrize(
    ("code", "side"),
    [
        ("100", "C"), ("165", "C"), ("399", "C"), ("400", "D"), ("495", "D"), ("699", "D"), ("706", "C"), ("721", "C"),
        ("760", "D"), ("827", "C"), ("828", "D"), ("890", ""), ("920", "C"), ("959", "C"), ("960", "D"), ("999", "D"),
        ("010", None), ("701", None), ("900", None), ("919", None), ("830", None),
    ],
)  # fmt: skip
def test_a_type_code_says_the_side(code, side):
    assert side_of(code) == side


def test_debits_stand_in_the_sums_without_a_sign():
    account = "03,1,,010,10000,,,015,9000,,,100,500,1,,400,1500,1,/"
    read = read_of(report("16,165,500,0,,,/", "16,495,1500,0,,,/", account=account, total=23_000))
    assert read.failed == []


def test_a_balance_below_zero_carries_its_sign_in_the_sums():
    account = "03,1,,010,-500,,,015,+500,,/"
    assert read_of(report("16,165,1000,0,,,/", account=account, total=1_000)).failed == []


@pytest.mark.parametrize(
    ("account", "failed"),
    [
        ("03,1,,010,10000,,,015,11000,,,100,999,1,,400,0,0,/", ["account_total", "summary_credits"]),
        ("03,1,,010,10000,,,015,11000,,,100,1000,2,,400,0,0,/", ["summary_credits_items"]),
        (
            "03,1,,010,10000,,,015,11000,,,100,1000,1,,400,5,1,/",
            ["account_total", "summary_debits", "summary_debits_items"],
        ),
        ("03,1,,010,10000,,,015,11001,,,100,1000,1,,/", ["account_total", "balance"]),
    ],
)
def test_a_sum_that_is_wrong_is_told_by_its_name(account, failed):
    assert read_of(report(DETAIL, account=account, total=23_000)).failed == failed


@pytest.mark.parametrize(
    ("wrong", "failed"),
    [
        ("49,22001,3/", ["account_total", "group_total"]),
        ("49,22000,4/", ["account_records"]),
        ("98,22001,1,5/", ["group_total", "file_total"]),
        ("98,22000,2,5/", ["group_accounts"]),
        ("98,22000,1,6/", ["group_records"]),
        ("99,22001,1,7/", ["file_total"]),
        ("99,22000,2,7/", ["file_groups"]),
        ("99,22000,1,8/", ["file_records"]),
    ],
)
def test_every_number_of_a_trailer_is_held(wrong, failed):
    lines = report(DETAIL).splitlines()
    place = next(place for place, line in enumerate(lines) if line[:2] == wrong[:2])
    lines[place] = wrong
    assert read_of("\n".join(lines) + "\n").failed == failed


@pytest.mark.parametrize(
    ("group", "account", "currency"),
    [
        ("02,US,BANK,1,261001,2400,,2/", "03,1,,/", "USD"),
        ("02,US,BANK,1,261001,2400,CAD,2/", "03,1,,/", "CAD"),
        ("02,US,BANK,1,261001,2400,CAD,2/", "03,1,JPY,/", "JPY"),
        ("02,US,BANK,1,261001,2400,,2/", "03,1,KWD,/", "KWD"),
    ],
)
def test_the_currency_is_the_accounts_else_the_groups_else_dollars(group, account, currency):
    read = read_of(report("16,165,1234,0,,,/", group=group, account=account, total=1_234))
    assert [row["currency"] for row in (*read.lines, *read.statements)] == [currency] * 2


@pytest.mark.parametrize(
    ("funds", "value_on", "availability"),
    [
        ("0", "", None),
        ("1", "", None),
        ("", "", None),
        ("Z", "", None),
        ("S,1,2,997", "", ["1", "2", "997"]),
        ("S,,2,998", "", ["", "2", "998"]),
        ("V,261003,", "2026-10-03", ["261003", ""]),
        ("V,260230,1200", "2026-02-28", ["260230", "1200"]),
        ("V,,", "", ["", ""]),
        ("D,2,0,400,1,600", "", ["2", "0", "400", "1", "600"]),
        ("D,0", "", ["0"]),
    ],
)
def test_every_funds_type_is_read_and_what_follows_stays_in_its_place(funds, value_on, availability):
    row = detail(f"16,165,1000,{funds},B1,C1,text, with commas/and/slashes")
    assert (row["bank_reference"], row["customer_reference"]) == ("B1", "C1")
    assert row["remittance"] == "text, with commas/and/slashes"
    assert row["value_on"] == value_on
    assert extra(row).get("availability") == availability


def test_funds_types_of_summaries_are_read():
    account = "03,1,,010,10000,,,015,11000,,,190,7,4,0,110,8,15,D,2,0,3,1,5,115,9,,S,1,2,6,072,1,,V,261001,,074,2,,/"
    read = read_of(report(DETAIL, account=account, total=22_027))
    assert read.failed == []
    codes = [(each["type_code"], each["amount"]) for each in extra(read.statements[0])["summaries"]]
    assert codes == [
        *(("010", "10000"), ("015", "11000"), ("190", "7"), ("110", "8"), ("115", "9"), ("072", "1"), ("074", "2")),
    ]


@pytest.mark.parametrize(
    "record",
    [
        "16,165,1000,0,B1,C1/\n88,text",
        "16,165,1000,0,B1/\n88,C1,text/",
        "16,165/\n88,1000/\n88,0/\n88,B1/\n88,C1/\n88,text",
        "16,165,1000,0,B1,C1,text/",
        "16,165,1000,0,B1,C1,/\n88,text",
    ],
)
def test_a_record_may_be_continued_at_any_field(record):
    read = read_of(report(record))
    assert read.failed == []
    [row] = read.lines
    assert (row["amount"], row["bank_reference"], row["customer_reference"], row["remittance"]) == (
        "1000", "B1", "C1", "text",
    )  # fmt: skip


def test_the_availability_of_a_detail_may_be_continued():
    row = detail("16,165,1000,D/\n88,2,0,400/\n88,1,600,B1,C1,text")
    assert (row["bank_reference"], row["remittance"]) == ("B1", "text")


def test_the_text_of_several_records_is_parted_by_blanks():
    assert (
        detail("16,165,1000,0,,,STRIPE PAYOUT\n88,po_1ABC/\n88,THANK YOU")["remittance"]
        == "STRIPE PAYOUT po_1ABC THANK YOU"
    )


def test_a_text_that_filled_its_record_goes_on_in_the_next_without_a_blank():
    head = "01,BANK,US,261002,0200,7,40,,2/"
    first = "16,165,1000,0,,,STRIPE PAYOUT OF po_1ABC"
    assert len(first) == 40
    [row] = read_of(report(f"{first}\n88,DEF THE DAY", head=head)).lines
    assert row["remittance"] == "STRIPE PAYOUT OF po_1ABCDEF THE DAY"


def test_a_field_that_filled_its_record_goes_on_in_the_next():
    head = "01,BANK,US,261002,0200,7,40,,2/"
    first = "16,165,1000,0,REFERENCE-OF-THE-BANK-012"
    [row] = read_of(report(f"{first:0<40}\n88,345,C1,text", head=head)).lines
    assert row["bank_reference"] == "REFERENCE-OF-THE-BANK-0120345".replace("0120", "012" + "0" * (40 - len(first)))
    assert row["customer_reference"] == "C1"


def test_records_of_a_stated_length_need_no_line_breaks():
    head = "01,BANK,US,261002,0200,7,48,,2/"
    whole = report(DETAIL, head=head)
    blocks = "".join(f"{line:<48}" for line in whole.splitlines())
    for written in (blocks, f"{blocks}\n"):
        assert read_of(written).lines == read_of(whole).lines
        assert read_of(written).failed == []


def test_records_are_padded_with_blanks_and_the_last_may_lack_its_line_break():
    padded = "".join(f"{line:<80}\r\n" for line in report(DETAIL).splitlines()).rstrip()
    assert read_of(padded).failed == []
    assert read_of(padded).lines == read_of(report(DETAIL)).lines


def test_a_line_that_something_broke_is_more_of_its_text_and_no_record():
    read = read_of(report(DETAIL).replace("STRIPE", "STRIPE\npayout of the day"))
    assert read.lines[0]["remittance"] == "STRIPE payout of the day"
    assert read.failed == []
    assert "line 5 begins with no record code" in read.reader.warnings[0]


def test_a_remark_moves_nothing_and_is_kept():
    read = read_of(report(DETAIL, "16,890,,,,,NOT MONEY/"))
    assert read.failed == []
    assert (read.lines[1]["amount"], read.lines[1]["indicator"], read.lines[1]["remittance"]) == ("", "", "NOT MONEY")


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ("16,010,1000,0,,,/", "bad_type"),
        ("16,900,1000,0,,,/", "bad_type"),
        ("16,ABC,1000,0,,,/", "bad_type"),
        ("16,165,-1000,0,,,/", "bad_amount"),
        ("16,165,10.00,0,,,/", "bad_amount"),
        ("16,165,,0,,,/", "bad_amount"),
        ("16,165,9223372036854775808,0,,,/", "bad_amount"),
        ("16,890,5,0,,,/", "bad_amount"),
        ("16,165,1000,X,,,/", "bad_funds"),
        ("16,165,1000,D,many,,,/", "bad_funds"),
        ("16,165,1000,V,261301,,,,/", "bad_date"),
    ],
)
def test_a_detail_that_cannot_be_read_is_put_aside_and_the_others_land(record, code):
    read = read_of(report(DETAIL, record))
    assert read.faults == [(5, code)]
    assert read.reader.quarantined[0].raw == record
    assert (read.reader.read, read.reader.accepted, len(read.lines)) == (2, 1, 1)


def test_what_is_put_aside_still_counts_in_the_sums_of_its_trailers():
    read = read_of(report("16,165,1000,X,,,/"))
    assert (read.faults, read.failed) == ([(4, "bad_funds")], ["balance"])


@pytest.mark.parametrize(
    ("time", "made"),
    [
        ("2400", "T23:59:59"),
        ("9999", "T23:59:59"),
        ("0000", "T00:00:00"),
        ("0829", "T08:29:00"),
        ("", ""),
        ("2460", ""),
    ],
)
def test_the_end_of_a_day_is_no_other_day(time, made):
    head = f"01,BANK,US,261002,{time},7,,,2/"
    assert read_of(report(DETAIL, head=head)).statements[0]["created_at"] == f"2026-10-02{made}"


@pytest.mark.parametrize(
    ("group", "said", "remedy"),
    [
        ("02,US,BANK,2,261001,,,2/", "deletes what was sent before", "correction"),
        ("02,US,BANK,4,261001,,,2/", "is for testing only", "update"),
        ("02,US,BANK,1,261001,,,3/", "the day that is not over", "previous day"),
        ("02,US,BANK,9,261001,,,2/", "is no group status", "again"),
        ("02,US,BANK,1,261301,,,2/", "is no day", "again"),
        ("02,US,BANK,1,261001,,XXX,2/", "is no ISO 4217 currency", "again"),
    ],
)
def test_a_group_that_must_not_count_refuses_the_file(group, said, remedy):
    with pytest.raises(InvalidInput, match=said) as caught:
        read_of(report(DETAIL, group=group))
    assert caught.value.line == 2
    assert remedy in (caught.value.remedy or "")


@pytest.mark.parametrize("status", ["", "1", "3"])
@pytest.mark.parametrize("modifier", ["", "1", "2", "4"])
def test_updates_and_corrections_of_days_that_are_over_count(status, modifier):
    read = read_of(report(DETAIL, group=f"02,US,BANK,{status},261001,,,{modifier}/"))
    assert (read.statements[0]["group_status"], read.statements[0]["as_of_modifier"]) == (status, modifier)


def test_an_account_that_comes_twice_for_a_day_has_two_statements():
    body = f"{ACCOUNT}\n{DETAIL}\n49,22000,3/\n"
    read = read_of(f"{HEAD}\n{GROUP}\n{body}{body}98,44000,2,8/\n99,44000,1,10/\n")
    assert read.failed == []
    assert [row["statement_id"] for row in read.statements] == ["BANK", "BANK/2"]


def test_a_correction_in_the_same_file_is_the_statement_that_it_corrects():
    body = f"{ACCOUNT}\n{DETAIL}\n49,22000,3/\n98,22000,1,5/\n"
    read = read_of(f"{HEAD}\n{GROUP}\n{body}{GROUP.replace(',1,', ',3,', 1)}\n{body}99,44000,2,12/\n")
    assert [row["statement_id"] for row in read.statements] == ["BANK", "BANK"]


def test_several_files_in_one_are_read():
    read = read_of(report(DETAIL) + report(DETAIL).replace("0123456789", "99"))
    assert read.failed == []
    assert [(row["statement_ordinal"]) for row in read.lines] == ["1", "2"]


@pytest.mark.parametrize(
    ("data", "said", "line"),
    [
        ("hello\n", "begins with no record code", 1),
        ("88,more\n", "stands before the first record", 1),
        (f"{GROUP}\n", "02 stands where none may: a file begins with 01", 1),
        (f"{HEAD}\n{ACCOUNT}\n", "03 stands where none may: a file is open", 2),
        (f"{HEAD}\n{GROUP}\n{DETAIL}\n", "16 stands where none may: a group is open", 3),
        (f"{HEAD}\n{GROUP}\n{ACCOUNT}\n{GROUP}\n", "02 stands where none may: an account is open", 4),
        (f"{HEAD}\n{GROUP}\n{ACCOUNT}\n{DETAIL}\n", r"before the trailer \(49\)", 3),
        (f"{HEAD}\n{GROUP}\n{ACCOUNT}\n49,21000,2/\n", r"before the trailer \(98\)", 2),
        (f"{HEAD}\n{GROUP}\n{ACCOUNT}\n49,21000,2/\n98,21000,1,4/\n", r"before the trailer \(99\)", 1),
        (f"{HEAD}\n99,0,0,2/\n", r"holds no account \(03\)", 1),
        (f"{HEAD}\n{GROUP}\n{ACCOUNT}\n49,x,2/\n", "states no total", 4),
        (HEAD.replace(",2/", ",3/") + "\n", "version '3'; read is version 2", 1),
        (HEAD.replace("261002", "261302") + "\n", "no day on which a file was made", 1),
        (f"{HEAD}\n{GROUP}\n03,,,/\n", "names no account", 3),
        (f"{HEAD}\n{GROUP}\n03,1,,XYZ,5,,/\n", "'XYZ' is no type code", 3),
        (f"{HEAD}\n{GROUP}\n03,1,,010,5.0,,/\n", "'5.0' is no amount of type 010", 3),
        (f"{HEAD}\n{GROUP}\n03,1,,100,5,many,/\n", "'many' is no number of items", 3),
        (f"{HEAD}\n{GROUP}\n03,1,,010,5,,Q/\n", "'Q' is no funds type", 3),
        (f"{HEAD}\n{GROUP}\n03,1,XXX,/\n", "no ISO 4217 currency", 3),
        (f"{HEAD}\n{GROUP}\n{ACCOUNT}\n{DETAIL}\0\n", "zero byte", 4),
    ],
)
def test_what_is_no_report_is_refused_with_its_line(data, said, line):
    with pytest.raises(InvalidInput, match=said) as caught:
        read_of(data)
    assert caught.value.line == line
    assert caught.value.remedy


def test_bounds_are_held(monkeypatch):
    monkeypatch.setattr(records_module, "MAX_RECORD_CHARS", 1_000)
    with pytest.raises(InvalidInput, match="MAX_RECORD_CHARS") as caught:
        read_of(report(DETAIL + "\n88,more text".ljust(120, "x") * 20))
    assert caught.value.line == 4
    monkeypatch.undo()
    monkeypatch.setattr(parse_module, "MAX_STATEMENTS", 0)
    with pytest.raises(InvalidInput, match="MAX_STATEMENTS"):
        read_of(report(DETAIL))
    monkeypatch.undo()
    assert read_of(report(DETAIL + "\n88,x".ljust(2_000, "x") * 20)).faults == [(4, "too_long")]


def test_records_over_the_border_of_blocks_are_whole(monkeypatch):
    whole = report(*("16,165,100,0,B,C,STRIPE\n88,payout" for _ in range(10)))
    expected = read_of(whole).lines
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr("ingest.formats.plain_text.BLOCK_BYTES", size)
        assert read_of(whole.replace("\n", "\r\n")).lines == expected
