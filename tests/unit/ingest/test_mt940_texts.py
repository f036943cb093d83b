"""MT940: card numbers are masked wherever a text was cut, and a file covers its days."""

from __future__ import annotations

from datetime import date

import pytest

from tests.unit.ingest.test_mt940_parse import read_of, statement

CARD = "4111111111111111"


@pytest.mark.parametrize(
    ("narrative", "masked"),
    [
        (f"paid with {CARD}", "paid with ************1111"),
        (f"166?00KARTE?20SVWZ+{CARD} paid", "166?00KARTE?20SVWZ+************1111 paid"),
        ("166?20SVWZ+PAID WITH CARD 4111111?21111111111 today", "166?20SVWZ+PAID WITH CARD *******?*******1111 today"),
    ],
)
def test_a_card_number_is_masked_also_where_a_text_was_cut(narrative, masked):
    read = read_of(statement(":61:2610011001C10,NTRFX", f":86:{narrative}"))
    assert read.faults == [(5, "card_number")]
    assert read.reader.quarantined[0].raw == f":61:2610011001C10,NTRFX\n:86:{masked}"
    assert read.reader.cards


def test_a_card_number_over_the_end_of_a_line_is_masked_with_the_line_break_of_the_file():
    text = "x" * 50 + " " + CARD
    data = statement(":61:2610011001C10,NTRFX", f":86:{text[:61]}\n{text[61:]}").replace("\n", "\r\n")
    read = read_of(data)
    assert read.faults == [(5, "card_number")]
    [card] = read.reader.cards
    assert card in data
    assert "\r\n" in card


def test_an_account_number_is_no_card():
    assert read_of(statement(":61:2610011001C10,NTRFX", f":86:166?20SVWZ+text?31{CARD}")).faults == []


def test_days_are_those_of_entries_and_of_balances():
    read = read_of(statement(":61:2609290929C10,NTRFX"))
    assert (read.reader.first_on, read.reader.last_on) == (date(2026, 9, 29), date(2026, 10, 1))
    assert read.statements[0]["entered_from"] == "2026-09-29"
