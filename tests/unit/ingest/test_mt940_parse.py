"""MT940: statements, entries, pages, totals, and what refuses a file."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.formats.accounts import account_of
from ingest.formats.mt940 import fields as fields_module
from ingest.sources.mt940 import parse as parse_module
from ingest.sources.mt940.parse import parse
from ledger_core.errors import InvalidInput
from tests.unit.ingest.bank_reads import Read, extra

HEAD = ":20:STARTUMS\n:25:DE02100500000054540402\n:28C:00007/00001\n"


def read_of(data: str | bytes) -> Read:
    return Read(parse, data)


def statement(*entries: str, opening: str = "C260930EUR100,", closing: str = "C261001EUR110,", head: str = HEAD) -> str:
    body = "".join(f"{each}\n" for each in entries)
    return f"{head}:60F:{opening}\n{body}:62F:{closing}\n-\n"


def entry(line: str = "2610011001C10,NTRFNONREF") -> dict[str, Any]:
    [row] = read_of(statement(f":61:{line}")).lines
    return row


@pytest.mark.parametrize(
    ("line", "amount", "side", "currency"),
    [
        ("2610011001C1234,NTRFX", "1234,", "C", "EUR"),
        ("2610011001D0,5NTRFX", "0,5", "D", "EUR"),
        ("2610011001C000000000010,00NTRFX", "000000000010,00", "C", "EUR"),
        ("2610011001C500NTRFX", "500", "C", "EUR"),
        ("2610011001C1,234NTRFX", "1,234", "C", "KWD"),
        ("2610011001C1234,NTRFX", "1234,", "C", "JPY"),
    ],
)
def test_an_amount_stands_as_it_came(line, amount, side, currency):
    read = read_of(statement(f":61:{line}", opening=f"C260930{currency}0,", closing=f"C261001{currency}0,"))
    assert read.faults == []
    [row] = read.lines
    assert (row["amount"], row["indicator"], row["currency"]) == (amount, side, currency)


def test_digits_below_the_minor_unit_are_put_aside():
    read = read_of(
        statement(":61:2610011001C1,5NTRFX", ":61:2610011001C2,0NTRFX", opening="C260930JPY0,", closing="C261001JPY2,")
    )
    assert read.faults == [(5, "bad_amount")]
    assert read.totals == {"balance 1:STARTUMS": True}


@pytest.mark.parametrize(
    ("mark", "side", "closing"),
    [
        ("C", "C", "C261001EUR110,"),
        ("D", "D", "C261001EUR90,"),
        ("RC", "D", "C261001EUR90,"),
        ("RD", "C", "C261001EUR110,"),
    ],
)
def test_a_reversed_credit_moves_money_out_and_a_reversed_debit_in(mark, side, closing):
    read = read_of(statement(f":61:2610011001{mark}10,NTRFX", closing=closing))
    [row] = read.lines
    assert (row["mark"], row["indicator"]) == (mark, side)
    assert read.totals == {"balance 1:STARTUMS": True}


@pytest.mark.parametrize("mark", ["EC", "ED"])
def test_what_is_announced_moves_no_balance(mark):
    read = read_of(statement(f":61:2610011001{mark}10,NTRFX", closing="C261001EUR100,"))
    assert read.lines[0]["mark"] == mark
    assert read.totals == {"balance 1:STARTUMS": True}


@pytest.mark.parametrize(("line", "mark", "funds"), [("CR10,", "C", "R"), ("RCR10,", "RC", "R"), ("DN10,", "D", "N")])
def test_the_letter_of_the_currency_after_the_mark_is_no_part_of_it(line, mark, funds):
    row = entry(f"2610011001{line}NTRFX")
    assert (row["mark"], row["funds_code"], row["amount"]) == (mark, funds, "10,")


@pytest.mark.parametrize(
    ("valued", "entered", "booked"),
    [
        ("261231", "0101", "2027-01-01"),
        ("270102", "1231", "2026-12-31"),
        ("261001", "1001", "2026-10-01"),
        ("240228", "0229", "2024-02-29"),
    ],
)
def test_a_day_of_entry_has_the_year_in_which_it_is_nearest(valued, entered, booked):
    assert entry(f"{valued}{entered}C10,NTRFX")["booked_on"] == booked


def test_the_thirtieth_of_february_is_the_last_of_its_days():
    assert entry("2602300302C10,NTRFX")["value_on"] == "2026-02-28"
    assert entry("2402300302C10,NTRFX")["value_on"] == "2024-02-29"


def test_an_entry_without_a_day_of_its_own_has_none():
    assert entry("261001C10,NTRFX")["booked_on"] == ""


@pytest.mark.parametrize("line", ["2613011001C10,NTRFX", "2610019901C10,NTRFX", "2610010229C10,NTRFX"])
def test_a_day_that_the_calendar_lacks_is_put_aside(line):
    read = read_of(statement(f":61:{line}", ":61:2610011001C10,NTRFY"))
    assert read.faults == [(5, "bad_date")]
    assert [row["customer_reference"] for row in read.lines] == ["Y"]


@pytest.mark.parametrize("line", ["nonsense", "2610011001X10,NTRFX", "2610011001C,NTRFX", ""])
def test_a_line_that_is_none_is_put_aside_with_its_narrative_and_the_balance_tells(line):
    read = read_of(statement(f":61:{line}", ":86:rent", closing="C261001EUR110,"))
    assert read.faults == [(5, "bad_line")]
    assert read.reader.quarantined[0].raw == f":61:{line}\n:86:rent"
    assert (read.reader.read, read.reader.accepted) == (1, 0)
    assert read.totals == {"balance 1:STARTUMS": False}


def test_a_line_broken_in_its_middle_is_one():
    assert entry("2610011001CR\n10,00N062NONREF")["type"] == "N062"


def test_references_stand_before_and_after_two_slashes_and_the_rest_on_a_line_below():
    row = entry("2610011001C10,NTRFINV-7 2026//BANK9\n/OCMT/USD11,/")
    assert (row["type"], row["customer_reference"], row["bank_reference"]) == ("NTRF", "INV-7 2026", "BANK9")
    assert row["supplementary"] == "/OCMT/USD11,/"
    assert extra(row)["references"] == ["INV-7 2026", "BANK9"]


@pytest.mark.parametrize("pointer", ["KREF+", "EREF"])
def test_a_word_that_points_into_the_narrative_is_no_reference(pointer):
    assert "references" not in extra(entry(f"2610011001C10,NTRF{pointer}"))


@pytest.mark.parametrize(
    "bank", ["2610011001D9,N192NONREF", "261001D10,20NTRF", "261001D3,03NOV NONREF", "261001C1,11NGT TMG"]
)
def test_types_of_other_banks_are_read(bank):
    assert entry(bank)["type"][0] == "N"


def test_several_statements_of_a_file_are_told_apart():
    read = read_of(statement(":61:2610011001C10,NTRFA") + statement(":61:2610011001D10,NTRFB", closing="C261001EUR90,"))
    assert [(row["statement_ordinal"], row["customer_reference"]) for row in read.lines] == [("1", "A"), ("2", "B")]
    assert read.totals == {"balance 1:STARTUMS": True, "balance 2:STARTUMS": True}


def page(number: str, opening: str, closing: str, line: str = "2610011001C10,NTRFX", day: str = "261001") -> str:
    return f":20:S\n:25:123\n:28C:{number}\n:60{opening}\n:61:{line}\n:62{closing}\n-\n"


def test_pages_of_a_statement_have_their_numbers_and_the_day_with_which_it_ends():
    read = read_of(
        page("4/1", "F:C260930EUR0,", "M:C261001EUR10,")
        + page("4/2", "M:C261001EUR10,", "M:C261002EUR20,")
        + page("4/3", "M:C261002EUR20,", "F:C261003EUR30,")
        + page("5/1", "F:C261003EUR30,", "F:C261004EUR40,")
    )
    found = [(row["sequence"], row["page"], row["is_last_page"], row["ends_on"]) for row in read.statements]
    assert found == [
        ("4", "1", "false", "2026-10-03"),
        ("4", "2", "false", "2026-10-03"),
        ("4", "3", "true", "2026-10-03"),
        ("5", "1", "true", "2026-10-04"),
    ]


def test_pages_without_numbers_are_counted():
    read = read_of(page("4", "F:C260930EUR0,", "M:C261001EUR10,") + page("4", "M:C261001EUR10,", "F:C261001EUR20,"))
    assert [row["page"] for row in read.statements] == ["1", "2"]


def test_a_later_page_alone_is_no_first_one():
    read = read_of(page("4", "M:C260930EUR0,", "F:C261001EUR10,"))
    assert [row["page"] for row in read.statements] == ["2"]


def test_pages_of_two_accounts_do_not_end_each_other():
    other = page("4/1", "F:C260930EUR0,", "F:C261009EUR10,").replace(":25:123", ":25:456")
    read = read_of(page("4/1", "F:C260930EUR0,", "M:C261001EUR10,") + other)
    assert [row["ends_on"] for row in read.statements] == ["", "2026-10-09"]


def test_a_page_of_another_statement_does_not_end_the_one_before_it():
    read = read_of(page("4/1", "F:C260930EUR0,", "M:C261001EUR10,") + page("9/2", "M:C261001EUR10,", "F:C261009EUR20,"))
    assert [row["ends_on"] for row in read.statements] == ["", "2026-10-09"]


@pytest.mark.parametrize(
    ("written", "number", "number_of_page"),
    [
        ("00007/00001", "7", "1"),
        ("27/01", "27", "1"),
        ("0", "", "1"),
        ("00000/00", "", "1"),
        ("167619/1", "167619", "1"),
    ],
)
def test_number_and_page_are_read_without_their_zeros(written, number, number_of_page):
    [row] = read_of(statement(head=f":20:S\n:25:123\n:28C:{written}\n", closing="C261001EUR100,")).statements
    assert (row["sequence"], row["page"]) == (number, number_of_page)


@pytest.mark.parametrize(
    ("written", "account"),
    [
        ("NL69INGB0123456789EUR", "NL69INGB0123456789"),
        ("NL69 INGB 0123 4567 89", "NL69INGB0123456789"),
        ("10050000/54540402", "DE02100500000054540402"),
        ("/PL29114010810000267002001002", "PL29114010810000267002001002"),
        ("29114010810000267002001002", "PL29114010810000267002001002"),
        ("BANKNL2A/NL69INGB0123456789", "NL69INGB0123456789"),
        # With its currency it has the check digits of an IBAN, and not the length of one.
        ("DE16302739770000000076EUR", "DE16302739770000000076"),
        ("1291.99.348EUR", "1291.99.348"),
        ("50880050/0194774600888", "50880050/0194774600888"),
        ("BPHKPLPK/320000546101", "BPHKPLPK/320000546101"),
        ("517852257", "517852257"),
    ],
)
def test_an_account_is_the_same_in_every_writing(written, account):
    assert account_of(written) == account


def test_a_statement_in_the_envelope_of_swift_says_by_whom_and_when_it_was_made():
    blocks = "{1:F01COMPDEFFAXXX0000000000}{2:O9402015261001BANKDEFFAXXX00000000002610012016N}{4:"
    message = statement(closing="C261001EUR100,").removesuffix("-\n")
    read = read_of(f"\x01{blocks}\r\n{message}-}}{{5:{{CHK:0}}}}\x03")
    [row] = read.statements
    assert row["created_at"] == "2026-10-01T20:15:00"
    assert extra(row)["servicer"] == "BANKDEFF"
    assert read.reader.warnings == []


def test_messages_follow_each_other_on_the_line_of_an_end():
    block = "{1:F01BANKCHBEAXXX0000000000}{2:I940X}{4:"
    message = statement(closing="C261001EUR100,").removesuffix("-\n")
    read = read_of(f"{block}\n{message}-}}{block}{message}-}}\n")
    assert len(read.statements) == 2
    assert extra(read.statements[1])["servicer"] == "BANKCHBE"


def test_what_banks_put_around_a_message_is_passed_over():
    message = statement(":61:2610011001C10,NTRFX", ":86:text").removesuffix("-\n")
    read = read_of(f"BANKNL2A\n940\nBANKNL2A\n{message}-XXX\nBANKNL2A\n940\nBANKNL2A\n{message}-\n")
    assert len(read.statements) == 2
    assert [row["remittance"] for row in read.lines] == ["text", "text"]


def test_several_narratives_of_an_entry_are_one():
    read = read_of(statement(":61:2610011001C10,NTRFX", ":86:STRIPE payout", ":86:po_1ABC"))
    assert read.lines[0]["remittance"] == "STRIPE payout po_1ABC"


def test_a_narrative_after_the_balances_is_of_the_statement():
    read = read_of(statement().replace("-\n", ":64:C261001EUR90,\n:86:Thank you\n-\n").replace("EUR110", "EUR100"))
    assert read.lines == []
    assert extra(read.statements[0]) == {"available": ["C261001EUR90,"], "text": ["Thank you"]}


@pytest.mark.parametrize("text", ["/SUM/1/1/5,/15,/", "D000001C000001D5,C15,"])
def test_what_a_bank_counts_is_held_against_its_entries(text):
    entries = (":61:2610011001C15,NTRFX", ":61:2610011001D5,NTRFX")
    right = read_of(statement(*entries).replace("-\n", f":86:{text}\n-\n"))
    assert len(right.totals) == 4
    assert all(right.totals.values())
    wrong = read_of(statement(entries[0], closing="C261001EUR115,").replace("-\n", f":86:{text}\n-\n"))
    assert [name.split()[0] for name, passed in wrong.totals.items() if not passed] == [
        "summary_entries",
        "summary_debits",
    ]


def test_umlauts_are_read_in_the_encodings_of_banks():
    text = statement(":61:2610011001C10,NTRFX", ":86:Müller GmbH für Öl")
    for encoding in ("utf-8", "latin-1", "windows-1252"):
        assert read_of(text.encode(encoding)).lines[0]["remittance"] == "Müller GmbH für Öl"


def test_a_byte_of_another_encoding_is_refused_with_its_line():
    text = statement(":61:2610011001C10,NTRFX", ":86:for\nMüller").encode("cp850")
    with pytest.raises(InvalidInput, match=r"0x81 is neither UTF-8 nor WINDOWS-1252.*iconv") as caught:
        read_of(text)
    assert caught.value.line == 7


def test_a_zero_byte_is_refused_with_its_line():
    with pytest.raises(InvalidInput, match="zero byte") as caught:
        read_of(statement(":86:a\0b"))
    assert caught.value.line == 5


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_line_break_is_one(newline):
    read = read_of(statement(":61:2610011001C10,NTRFX", ":86:one\ntwo").replace("\n", newline))
    assert read.lines[0]["remittance"] == "one two"


def test_a_file_that_ends_inside_a_statement_is_refused():
    with pytest.raises(
        InvalidInput, match=r"before the closing balance \(:62F:\) of statement 2: it was cut"
    ) as caught:
        read_of(statement() + HEAD + ":60F:C260930EUR100,\n:61:2610011001C10,NTRFX\n")
    assert caught.value.line == 7


def test_a_file_that_ends_inside_an_envelope_is_refused():
    with pytest.raises(InvalidInput, match="it was cut"):
        read_of("{1:F01BANKDEFFAXXX0000000000}{2:I940X}{4:\n" + statement().removesuffix("-\n"))


def test_a_last_statement_without_the_end_that_others_have_is_warned_of():
    assert read_of(statement() + statement().removesuffix("-\n")).reader.warnings == [
        "the last statement has no end ('-'), as others of the file have: it may have been cut."
    ]
    assert read_of(statement().removesuffix("-\n")).reader.warnings == []


def test_a_statement_in_the_middle_without_its_closing_balance_proves_nothing():
    read = read_of(statement().replace(":62F:C261001EUR110,\n", "") + statement(closing="C261001EUR100,"))
    assert read.totals == {"balance 1:STARTUMS": False, "balance 2:STARTUMS": True}
    assert read.statements[0]["closing_amount"] == ""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("hello\n", "holds no statement"),
        (":25:123\n:60F:C260930EUR1,\n", ":25: stands outside a statement"),
        (":20:S\n:60F:C260930EUR1,\n:62F:C261001EUR1,\n", "statement 1 lacks :25:"),
        (":20:S\n:25:1\n:61:2610011001C10,NTRFX\n", "entry before its opening balance"),
        (statement(opening="C260930EUR"), "is no balance"),
        (statement(opening="X260930EUR1,"), "is no balance"),
        (statement(opening="C261301EUR1,"), "is no balance"),
        (statement(opening="C260930XXX1,"), "'XXX' in :60F: is no ISO 4217 currency"),
        (statement(closing="C261001USD1,"), "opens in EUR and closes in USD"),
        (statement(closing="C261001EUR1,234"), ":62F:"),
        (statement(head=":20:S\n:25:1\n:28C:A7\n"), "in :28C: is no number and page"),
        (statement().replace("-\n", ":61:2610011001C10,NTRFX\n"), ":61: stands after the closing balance"),
        ("{1:F01BANKDEFFAXXX0000000000}{2:O9422015261001BANKDEFFAXXX0}{4:\n", "MT942, an intraday report"),
        (":20:S\n:25:1\n:28C:1\n:34F:EUR0,\n:13D:2610011200+0200\n", "MT942, an intraday report"),
    ],
)
def test_what_is_no_statement_is_refused_with_its_line(data, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        read_of(data)
    assert caught.value.line
    assert caught.value.remedy


def test_bounds_are_held(monkeypatch):
    monkeypatch.setattr(fields_module, "MAX_FIELD_BYTES", 1_000)
    monkeypatch.setattr("ingest.formats.plain_text.BLOCK_BYTES", 100)
    with pytest.raises(InvalidInput, match="MAX_FIELD_BYTES") as caught:
        read_of(statement(":61:2610011001C10,NTRFX", ":86:" + "x" * 1_100))
    assert caught.value.line == 6
    monkeypatch.undo()
    monkeypatch.setattr(parse_module, "MAX_STATEMENTS", 1)
    with pytest.raises(InvalidInput, match="MAX_STATEMENTS"):
        read_of(statement() * 2)


def test_a_text_longer_than_any_field_is_put_aside():
    assert read_of(statement(":61:2610011001C10,NTRFX", ":86:" + "x " * 20_000)).faults == [(5, "too_long")]


def test_fields_over_the_border_of_blocks_are_whole(monkeypatch):
    whole = statement(*(":61:2610011001C1,NTRFX\n:86:STRIPE payout\nof the day" for _ in range(10)))
    expected = read_of(whole).lines
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr("ingest.formats.plain_text.BLOCK_BYTES", size)
        assert read_of(whole.replace("\n", "\r\n")).lines == expected
        bad = statement(":61:2610011001C10,NTRFX", ":86:one\ntwo", ":61:nonsense").replace("\n", "\r\n")
        assert read_of(bad).faults == [(8, "bad_line")]
