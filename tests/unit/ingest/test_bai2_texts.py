"""BAI2: what is recognised in a text, and that no card number stays in one."""

from __future__ import annotations

from ingest.formats.bai2.texts import read_text
from tests.unit.ingest.bank_reads import extra
from tests.unit.ingest.test_bai2_parse import detail, read_of, report

ACH = (
    "ORIG CO NAME:STRIPE           ORIG ID:1800948598 DESC DATE:261001 CO ENTRY DESCR:TRANSFER SEC:CCD "
    "TRACE#:091000010000001 EED:261001 IND ID:ST-A1B2C3 IND NAME:MY COMPANY"
)


def test_the_labels_of_the_ach_network_are_read():
    row = detail(f"16,165,1000,0,B1,C1,{ACH[:60]}\n88,{ACH[60:]}".replace("ORIG ID", "ORIG ID"))
    assert (row["counterparty_name"], row["company_id"]) == ("STRIPE", "1800948598")
    assert (row["individual_id"], row["trace_number"]) == ("ST-A1B2C3", "091000010000001")
    assert extra(row)["parties"] == ["STRIPE"]
    assert extra(row)["references"] == ["B1", "C1", "ST-A1B2C3", "091000010000001"]


def test_the_shorter_labels_of_another_bank_are_read():
    said = read_text(
        ["STRIPE           DES:TRANSFER   ID:ST-A1B2C3  INDN:MY COMPANY  CO ID:1800948598 CCD"], credit=True
    )
    assert (said.name, said.individual_id) == ("STRIPE", "ST-A1B2C3")
    assert said.company_id == "1800948598 CCD"


def test_lines_that_say_what_they_are_are_read():
    lines = [
        "ACH Credit",
        "EREF: po_1ABC",
        "REMI: payout of the day",
        "CRNM: Us Ltd",
        "DBNM: Stripe",
        "CREF: 7",
        "EREF: later",
    ]
    credit, debit = read_text(lines, credit=True), read_text(lines, credit=False)
    assert (credit.name, debit.name) == ("Stripe", "Us Ltd")
    assert (credit.end_to_end_id, credit.remittance) == ("po_1ABC", "ACH Credit payout of the day")
    assert credit.references == ["po_1ABC", "7"]


CARD = "4111111111111111"


def test_a_card_number_is_masked_and_its_row_put_aside():
    read = read_of(report(f"16,165,1000,0,B1,C1,paid with {CARD}"))
    assert read.faults == [(4, "card_number")]
    assert read.reader.quarantined[0].raw == "16,165,1000,0,B1,C1,paid with ************1111"
    assert read.reader.cards == {CARD}


def test_a_card_number_over_the_end_of_a_record_is_masked_as_the_file_has_it():
    head = "01,BANK,US,261002,0200,7,40,,2/"
    record = f"16,165,1000,0,,,paid with card {CARD[:9]}\n88,{CARD[9:]}"
    data = report(record, head=head).replace("\n", "\r\n")
    read = read_of(data)
    assert read.faults == [(4, "card_number")]
    [card] = read.reader.cards
    assert card in data
    assert "\r\n" in card


def test_references_are_no_cards():
    assert read_of(report(f"16,165,1000,0,{CARD},{CARD},text")).faults == []
