"""What banks write into `:86:`, by subfields, by codes between slashes, and as they like."""

from __future__ import annotations

import pytest

from ingest.formats.mt940.narrative import read_narrative, read_ns, unbroken


def test_subfields_are_read_at_whatever_column_a_line_ends():
    text = (
        "166?00GUTSCHRIFT?100399?20EREF+po_1ABCDEFGHIJKLMNOPQRS?21TUVWX?22S\n"
        "VWZ+STRIPE payout of the d?23ay?30PBNKDEFF100?31DE42100100100043921\n"
        "105?32Stripe Payments Europe Limi?33ted"
    )
    said = read_narrative(text, credit=True)
    assert (said.code, said.posting_text) == ("166", "GUTSCHRIFT")
    assert said.end_to_end_id == "po_1ABCDEFGHIJKLMNOPQRSTUVWX"
    assert said.remittance == "STRIPE payout of the day"
    assert (said.bic, said.account) == ("PBNKDEFF100", "DE42100100100043921105")
    assert said.name == "Stripe Payments Europe Limited"
    assert said.parties == ["Stripe Payments Europe Limited"]


def test_keywords_glued_to_each_other_are_told_apart():
    said = read_narrative("166?20EREF+po_1XKREF+K7MREF+M8CRED+DE98ZZZ09999999999SVWZ+Payout", credit=True)
    assert (said.end_to_end_id, said.instruction_id, said.mandate_id) == ("po_1X", "K7", "M8")
    assert (said.creditor_id, said.remittance) == ("DE98ZZZ09999999999", "Payout")


def test_what_follows_a_reference_in_a_subfield_of_its_own_is_none_of_it():
    said = read_narrative("159?00RETOURE?20EREF+TFNR 40005?21MTLG:no reason?22given", credit=True)
    assert (said.end_to_end_id, said.remittance) == ("TFNR 40005", "MTLG:no reason given")


def test_a_remittance_goes_on_in_the_subfields_from_sixty():
    said = read_narrative("166?20SVWZ+one?29two?60three?63four?61five", credit=True)
    assert said.remittance == "one two three four five"


def test_both_ways_of_joining_are_texts():
    cut = "166?20SVWZ+a full subfield here  po?21_1ABCDEF"
    assert "po _1ABCDEF" in " ".join(read_narrative(cut, credit=True).texts)
    full = "166?20SVWZ+a full subfield herepo?21_1ABCDEF"
    texts = read_narrative(full, credit=True).texts
    assert texts[0].endswith("herepo_1ABCDEF")
    assert texts[1].endswith("herepo _1ABCDEF")


@pytest.mark.parametrize("separator", [">", "<", "~", "^"])
def test_other_separators_are_known(separator):
    text = f"000{separator}100987654321\n{separator}20HUUR {separator}21KANTOOR{separator}310390123456"
    said = read_narrative(text, credit=True)
    assert (said.code, said.remittance, said.account) == ("000", "HUUR KANTOOR", "0390123456")


def test_a_question_mark_of_the_text_is_text():
    assert read_narrative("166?20SVWZ+why? because?21of it", credit=True).remittance == "why? because of it"


def test_whom_a_payment_acts_for_is_a_party_of_the_other_side_alone():
    text = "166?20ABWA+Stripe?21ABWE+Us Ltd?32Bank"
    assert read_narrative(text, credit=True).parties == ["Bank", "Stripe"]
    assert read_narrative(text, credit=False).parties == ["Bank", "Us Ltd"]
    assert read_narrative(text, credit=False, reversal=True).parties == ["Bank", "Stripe", "Us Ltd"]


def test_codes_between_slashes_are_read_over_the_ends_of_lines():
    text = (
        "/EREF/01-01-2026 12:00 0030000987654321/BENM//NAME/CONTRA ACCOUN\nT HOLDER/REMI/Reference 2026/ISDT/2026-07-11"
    )
    said = read_narrative(text, credit=True)
    assert said.end_to_end_id == "01-01-2026 12:00 0030000987654321"
    assert (said.name, said.remittance) == ("CONTRA ACCOUNT HOLDER", "Reference 2026")
    assert said.extra["isdt"] == "2026-07-11"


ING = "/EREF/E1//CNTP/NL08INGB0000001234/INGBNL2A/Stripe/Amsterdam//REMI/USTD//po_1ABC/"
ABN = "/TRTP/SEPA OVERBOEKING/IBAN/NL08INGB0000001234/BIC/INGBNL2A/NAME/Stripe/REMI/po_1ABC/EREF/E1"
RABO = "/EREF/E1/ORDP/Stripe/REMI/STRD/CUR/RF18539007547034/"


@pytest.mark.parametrize(
    ("text", "name", "account", "remittance", "reference"),
    [
        (ING, "Stripe", "NL08INGB0000001234", "po_1ABC", ""),
        (ABN, "Stripe", "NL08INGB0000001234", "po_1ABC", ""),
        (RABO, "Stripe", "", "STRD/CUR/RF18539007547034", "RF18539007547034"),
        ("/EREF/E1/ULTD/Stripe/REMI/a/b", "Stripe", "", "a/b", ""),
    ],
)
def test_each_bank_names_the_same_by_its_own_codes(text, name, account, remittance, reference):
    said = read_narrative(text, credit=True)
    assert said.end_to_end_id == "E1"
    assert (said.name, said.account, said.remittance) == (name, account, remittance)
    assert said.structured_reference == reference


@pytest.mark.parametrize("code", ["MARF", "MREF"])
def test_mandate_and_creditor_of_a_debit_are_kept(code):
    said = read_narrative(f"/{code}/M1/CSID/NL99ZZZ999999999999/REMI/x", credit=False)
    assert (said.mandate_id, said.creditor_id) == ("M1", "NL99ZZZ999999999999")


def test_free_text_stays_as_it_is():
    said = read_narrative("GIRO 428428 KPN\nINCL. 1,44 BTW", credit=True)
    assert said.remittance == "GIRO 428428 KPN INCL. 1,44 BTW"
    assert (said.name, said.code, said.parties) == ("", "", [])


def test_a_full_line_goes_on_in_the_next_and_another_ended():
    full = "x" * 65
    assert unbroken(f"{full}yz\nend") == f"{full}yzend"
    assert unbroken("short\nline") == "short line"
    assert read_narrative(f"{full}\nend", credit=True).texts == [f"{full}end", f"{full} end"]


def test_a_word_at_the_end_of_a_full_line_is_a_word_in_one_of_the_texts():
    text = "/REMI/" + "payout of the day by Stripe Payments Europe, po_1ABCDEF".rjust(59, ".") + "\nThank you"
    texts = read_narrative(text, credit=True).texts
    assert any("po_1ABCDEF Thank" in each for each in texts)


def test_lines_by_number_are_read():
    said = read_ns("01STRIPE\n02po_1ABC\n15Stripe Payments\n16Europe\n3310918001\n340000004279070017")
    assert (said.remittance, said.name) == ("STRIPE po_1ABC", "Stripe Payments Europe")
    assert (said.bic, said.account) == ("10918001", "0000004279070017")
