"""Bank statements: lines, totals, and what refuses a file."""

from __future__ import annotations

import re
from datetime import date

import orjson
import pytest

from ingest.contract.totals import failure
from ingest.formats import xml as xml_stream
from ledger_core.errors import InvalidInput


def _detail(amount: str | None = None, *, version: str = "02", end_to_end: str = "E2E", more: str = "") -> str:
    if amount is None:
        money = ""
    elif version == "02":
        money = f'<AmtDtls><TxAmt><Amt Ccy="EUR">{amount}</Amt></TxAmt></AmtDtls>'
    else:
        money = f'<Amt Ccy="EUR">{amount}</Amt>'
    return f"<TxDtls><Refs><EndToEndId>{end_to_end}</EndToEndId></Refs>{money}{more}</TxDtls>"


def _parties(version: str) -> str:
    if version == "08":
        return "<RltdPties><Dbtr><Pty><Nm>Payer</Nm></Pty></Dbtr><Cdtr><Pty><Nm>Payee</Nm></Pty></Cdtr></RltdPties>"
    return "<RltdPties><Dbtr><Nm>Payer</Nm></Dbtr><Cdtr><Nm>Payee</Nm></Cdtr></RltdPties>"


@pytest.mark.parametrize("version", ["02", "04", "08"])
def test_an_entry_reads_alike_in_every_version(read_statement, statement, entry, version):
    narrative = "<RmtInf><Ustrd>STRIPE</Ustrd><Ustrd>po_1</Ustrd></RmtInf>"
    detail = _detail("10.00", version=version, more=_parties(version) + narrative)
    read = read_statement(statement(entry(details=detail, nested_status=version != "02"), version=version))
    [line] = read.rows
    assert {name: line[name] for name in ("amount", "currency", "indicator", "status", "booked_on")} == {
        "amount": "10.00",
        "currency": "EUR",
        "indicator": "CRDT",
        "status": "BOOK",
        "booked_on": "2026-10-01",
    }
    assert line["end_to_end_id"] == "E2E"
    assert line["remittance"] == "STRIPE po_1"
    assert line["counterparty_name"] == "Payer"
    assert (line["statement_ordinal"], line["entry_ordinal"], line["detail_ordinal"]) == (1, 1, 0)
    assert all(total.passed for total in read.reader.control_totals)


def test_a_batch_with_amounts_is_one_line_for_each_detail(read_statement, statement, entry):
    details = _detail("4.00", end_to_end="A") + _detail("6.00", end_to_end="B")
    read = read_statement(statement(entry(details=details)))
    assert [(line["end_to_end_id"], line["amount"], line["detail_ordinal"]) for line in read.rows] == [
        ("A", "4.00", 1),
        ("B", "6.00", 2),
    ]


def test_a_batch_without_amounts_is_one_line_with_all_narratives(read_statement, statement, entry):
    details = "".join(_detail(more=f"<RmtInf><Ustrd>{text}</Ustrd></RmtInf>") for text in ("one", "two", "one"))
    [line] = read_statement(statement(entry(details=details))).rows
    assert (line["amount"], line["remittance"]) == ("10.00", "one / two")


def test_the_other_side_of_a_debit_is_the_creditor(read_statement, statement, entry):
    details = _detail(more=_parties("02"))
    [line] = read_statement(statement(entry(side="DBIT", details=details), closing="90.00")).rows
    assert line["counterparty_name"] == "Payee"


def test_the_other_side_of_a_reversed_credit_is_still_the_debtor(read_statement, statement, entry):
    reversed_credit = entry(side="DBIT", more="<RvslInd>true</RvslInd>", details=_detail(more=_parties("02")))
    read = read_statement(statement(reversed_credit, closing="90.00"))
    assert read.rows[0]["counterparty_name"] == "Payer"
    assert all(total.passed for total in read.reader.control_totals)


def test_an_entry_that_is_the_sum_of_its_details_less_charges_agrees(read_statement, statement, entry):
    charges = '<Chrgs><Amt Ccy="EUR">0.50</Amt><CdtDbtInd>DBIT</CdtDbtInd></Chrgs>'
    read = read_statement(statement(entry(more=charges, details=_detail("4.50") + _detail("6.00"))))
    [total] = [total for total in read.reader.control_totals if total.name == "entry_details"]
    assert total.passed


def _charged(amount: str, charge: str, side: str = "DBIT") -> str:
    record = f'<Chrgs><Rcrd><Amt Ccy="EUR">{charge}</Amt><CdtDbtInd>{side}</CdtDbtInd></Rcrd></Chrgs>'
    return _detail(amount, more=record)


def test_details_that_a_charge_was_taken_from_become_lines_of_what_moved(read_statement, statement, entry):
    details = _charged("4.50", "0.20") + _charged("6.00", "0.30")
    read = read_statement(statement(entry(details=details)))
    assert [(line["amount"], line["indicator"]) for line in read.rows] == [("4.30", "CRDT"), ("5.70", "CRDT")]
    assert [orjson.loads(line["extra"])["amount_before_charges"] for line in read.rows] == ["4.50", "6.00"]
    assert all(total.passed for total in read.reader.control_totals)


def test_details_that_are_net_of_their_charges_stay_as_they_are(read_statement, statement, entry):
    read = read_statement(statement(entry(details=_charged("4.30", "0.20") + _charged("5.70", "0.30"))))
    assert [line["amount"] for line in read.rows] == ["4.30", "5.70"]


def test_a_debit_and_its_charge_are_taken_together(read_statement, statement, entry):
    details = _charged("4.50", "0.50") + _detail("5.00")
    read = read_statement(statement(entry(side="DBIT", details=details), closing="90.00"))
    assert [(line["amount"], line["indicator"]) for line in read.rows] == [("5.00", "DBIT"), ("5.00", "DBIT")]


def test_a_charge_larger_than_its_detail_turns_it_round(read_statement, statement, entry):
    details = _charged("0.20", "0.50") + _charged("10.00", "0.30", "CRDT")
    read = read_statement(statement(entry(details=details)))
    assert [(line["amount"], line["indicator"]) for line in read.rows] == [("0.30", "DBIT"), ("10.30", "CRDT")]


def test_an_entry_that_is_not_the_sum_of_its_details_fails_its_total(read_statement, statement, entry):
    read = read_statement(statement(entry(details=_detail("4.00") + _detail("5.00"))))
    [total] = [total for total in read.reader.control_totals if total.name == "entry_details"]
    assert not total.passed
    assert "line 2: the entry is not the sum of its 2 details." in read.reader.warnings


def test_opening_and_booked_entries_make_the_closing_balance(read_statement, statement, entry):
    pending = entry("7.00", status="PDNG", booked=None)
    read = read_statement(statement(entry() + pending, closing="110.00"))
    assert [(total.name, total.passed) for total in read.reader.control_totals] == [("balance", True)]


def test_a_missing_entry_fails_the_balance(read_statement, statement, entry):
    [total] = read_statement(statement(entry(), closing="115.00")).reader.control_totals
    assert (total.name, total.expected, total.actual, total.passed) == ("balance", "115.00", "110.00", False)


def test_an_overdrawn_account_balances_too(read_statement, statement, entry):
    read = read_statement(statement(entry("30.00", side="DBIT"), opening="-5.00", closing="-35.00"))
    assert read.reader.control_totals[0].passed


def test_the_banks_own_count_is_held_against_the_entries(read_statement, statement, entry):
    summary = "<TxsSummry><TtlNtries><NbOfNtries>2</NbOfNtries></TtlNtries></TxsSummry>"
    read = read_statement(statement(entry(), summary=summary))
    assert [total.name for total in read.reader.control_totals if not total.passed] == ["summary_entries"]


def test_one_file_may_hold_several_statements(read_statement, statement, entry):
    read = read_statement(statement(entry(), entry()))
    assert [each["statement_id"] for each in read.statements] == ["S1", "S2"]
    assert [line["statement_ordinal"] for line in read.rows] == [1, 2]
    assert read.ordinals == [1, 2]


def test_a_statement_without_entries_is_a_quiet_day(read_statement, statement):
    read = read_statement(statement("", closing="100.00"))
    assert (read.reader.read, len(read.statements)) == (0, 1)
    assert read.reader.last_on == date(2026, 10, 1)


def test_pages_are_kept(read_statement, statement, entry):
    pages = "<MsgPgntn><PgNb>2</PgNb><LastPgInd>false</LastPgInd></MsgPgntn>"
    [page] = read_statement(statement(entry(), pages=pages)).statements
    assert (page["page"], page["is_last_page"]) == ("2", "false")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"amount": "ten"}, "bad_amount"),
        ({"amount": "-1.00"}, "bad_amount"),
        ({"amount": "1.001"}, "bad_amount"),
        ({"currency": "USD"}, "bad_currency"),
        ({"side": "CREDIT"}, "bad_side"),
        ({"status": "MAYBE"}, "bad_status"),
        ({"booked": "2026-13-01"}, "bad_date"),
        ({"booked": None}, "empty"),
        ({"more": f"<AddtlNtryInf>{'x' * 40_000}</AddtlNtryInf>"}, "too_long"),
    ],
)
def test_a_bad_entry_is_put_aside_whole_with_its_line(read_statement, statement, entry, given, code):
    read = read_statement(statement(entry() + "\n" + entry(**given)))
    assert read.faults == [(3, code)]
    assert (read.reader.read, read.reader.accepted) == (2, 1)


def test_a_card_number_in_a_narrative_is_masked(read_statement, statement, entry):
    narrative = "<RmtInf><Ustrd>card 4242424242424242</Ustrd></RmtInf>"
    read = read_statement(statement(entry(details=_detail(more=narrative))))
    [row] = read.reader.quarantined
    assert row.code == "card_number"
    assert "4242424242424242" not in row.raw
    assert read.reader.cards == {"4242424242424242"}


def test_what_has_no_column_is_kept_in_extra(read_statement, statement, entry):
    details = _detail(more="<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>")
    [line] = read_statement(statement(entry(details=details))).rows
    assert orjson.loads(line["extra"])["return_reason"] == "AC04"


def test_a_cut_file_is_refused_with_its_line(read_statement, statement, entry):
    text = statement(entry() + "\n" + entry())
    with pytest.raises(InvalidInput, match=r"bank.xml:3: the file stops being XML here.*fetch it again"):
        read_statement(text[:-60])


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("camt.052.001.02", "an intraday report"),
        ("camt.054.001.02", "a notification without balances"),
        ("camt.053.001.14", "read are camt.053.001.02 to camt.053.001.13"),
        ("pain.001.001.03", "a statement is a camt.053 Document"),
    ],
)
def test_another_message_is_called_by_its_name(read_statement, statement, message, said):
    with pytest.raises(InvalidInput, match=said):
        read_statement(statement("").replace("camt.053.001.02", message))


@pytest.mark.parametrize("envelope", ["BizMsgEnvlp", "bank:Message"])
def test_a_document_is_read_in_its_envelope(read_statement, statement, entry, envelope):
    document = statement(entry()).split("?>")[1].strip()
    header = '<AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.02"><BizMsgIdr>B1</BizMsgIdr></AppHdr>'
    wrapped = f'<{envelope} xmlns:bank="urn:bank">{header}{document}</{envelope}>'
    assert len(read_statement(wrapped).rows) == 1
    with pytest.raises(InvalidInput, match="root element is"):
        read_statement(wrapped.replace("Document", "Letter"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("<Id>S1</Id>", "", "statement 1 lacks Stmt/Id"),
        ("<IBAN>DE02100500000054540402</IBAN>", "", "lacks Stmt/Acct/Id"),
        ("<Ccy>EUR</Ccy>", "<Ccy>EUX</Ccy>", "no ISO 4217 currency"),
        ("<ElctrncSeqNb>1<", "<ElctrncSeqNb>one<", "Stmt/ElctrncSeqNb is no number"),
        ('<Amt Ccy="EUR">100.00<', '<Amt Ccy="EUR">much<', "Stmt/Bal/Amt is no amount"),
    ],
)
def test_a_statement_that_is_ill_formed_refuses_the_file(read_statement, statement, before, after, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        read_statement(statement("").replace(before, after))
    assert caught.value.line == 2


def test_a_file_without_statement_is_refused(read_statement, statement):
    with pytest.raises(InvalidInput, match="holds no statement"):
        read_statement(statement())


def test_a_document_type_is_refused(read_statement, statement):
    bomb = '<!DOCTYPE Document [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]>'
    with pytest.raises(InvalidInput, match="declares a document type"):
        read_statement(statement("").replace("<Document", f"{bomb}<Document", 1))


def test_entities_that_multiply_are_refused_for_the_declaration_that_makes_them(read_statement, statement):
    layers = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
    bomb = f'<!-- a --><?b c?>\n<!DOCTYPE Document [<!ENTITY l0 "aaaaaaaaaa">{layers}]>'
    with pytest.raises(InvalidInput, match="declares a document type") as caught:
        read_statement(statement("<x>&l9;</x>").replace("<Document", f"{bomb}<Document", 1))
    assert caught.value.line == 3


def test_an_entity_from_nowhere_is_refused(read_statement, statement, entry):
    with pytest.raises(InvalidInput, match="stops being XML"):
        read_statement(statement(entry(more="<AddtlNtryInf>&secret;</AddtlNtryInf>")))


@pytest.mark.parametrize(
    ("encoding", "codec", "said"),
    [
        ("UTF-8", "utf-8-sig", "Zażółć"),
        ("US-ASCII", "ascii", "Zazolc"),
        ("ISO-8859-1", "iso8859-1", "Crédit à Zürich"),
        ("iso-8859-2", "iso8859-2", "Zażółć"),
        ("ISO-8859-15", "iso8859-15", "5 €"),
        ("windows-1252", "cp1252", "Crédit “5 €”"),
        ("windows-1251", "cp1251", "Страйп"),
        ("UTF-16", "utf-16", "Crédit 水"),
        ("UTF-16", "utf-16-le", "Crédit 水"),
        ("UTF-16BE", "utf-16-be", "Crédit 水"),
        ("Shift_JIS", "shift_jis", "ストライプ表"),
        ("EUC-JP", "euc_jp", "ストライプ"),
    ],
)
def test_a_declared_encoding_is_read(read_statement, statement, entry, encoding, codec, said, monkeypatch):
    monkeypatch.setattr(xml_stream, "BLOCK_BYTES", 61)
    text = statement(entry(more=f"<AddtlNtryInf>{said}</AddtlNtryInf>")).replace('"UTF-8"', f'"{encoding}"')
    [line] = read_statement(text.encode(codec)).rows
    assert line["additional_info"] == said


@pytest.mark.parametrize("encoding", ["UTF-32", "UTF-7", "EBCDIC-CP-US", "x-unknown"])
def test_an_encoding_that_is_not_read_is_refused_by_name(read_statement, statement, encoding):
    text = statement("").replace('encoding="UTF-8"', f'encoding="{encoding}"')
    data = text.encode("utf-32") if encoding == "UTF-32" else text.encode()
    with pytest.raises(InvalidInput, match=f"encoded as {encoding.upper()}; read are UTF-8"):
        read_statement(data)


def test_a_declaration_that_the_bytes_contradict_is_refused(read_statement, statement, entry):
    with pytest.raises(InvalidInput, match="says that it is encoded as UTF-16, and its bytes are not"):
        read_statement(statement("").replace('"UTF-8"', '"UTF-16"'))
    text = statement(entry(more="<AddtlNtryInf>Zażółć</AddtlNtryInf>")).replace('"UTF-8"', '"Shift_JIS"')
    with pytest.raises(InvalidInput, match=r"bank.xml:\d: a byte is no character in shift_jis"):
        read_statement(text.encode("iso8859-2"))


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be"])
def test_a_document_type_is_refused_in_every_encoding(read_statement, statement, codec):
    bomb = '<!DOCTYPE Document [<!ENTITY a "aaaaaaaaaa">]>'
    text = statement("").replace("<Document", f"{bomb}<Document", 1).replace('"UTF-8"', '"UTF-16"')
    with pytest.raises(InvalidInput, match="declares a document type"):
        read_statement(text.encode(codec))


def test_latin_1_under_a_false_declaration_is_refused(read_statement, statement, entry):
    data = statement(entry(more="<AddtlNtryInf>é</AddtlNtryInf>")).encode("latin-1")
    with pytest.raises(InvalidInput, match="stops being XML"):
        read_statement(data)


def test_too_deep_a_file_is_refused(read_statement, statement, entry):
    deep = "<x>" * 300 + "</x>" * 300
    with pytest.raises(InvalidInput, match=r"deeper than 256 levels \(MAX_DEPTH\)"):
        read_statement(statement(entry(more=deep)))


def test_too_long_a_text_is_refused_with_the_limit(read_statement, statement, entry):
    with pytest.raises(InvalidInput, match=r"more than 10000000 bytes \(MAX_TEXT_BYTES\)") as caught:
        read_statement(statement(entry(more=f"<AddtlNtryInf>{'x' * 10_000_001}</AddtlNtryInf>")))
    assert "libxml" not in str(caught.value).lower()
    assert "XML_PARSE" not in str(caught.value)


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        ("OPBD", r"no opening balance \(OPBD\), so"),
        ("CLBD", r"no closing balance \(CLBD\), so"),
        ("BD<", r"no opening balance \(OPBD\) and no closing balance \(CLBD\), so"),
    ],
)
def test_a_statement_without_a_balance_says_which_one(read_statement, statement, entry, cut, said):
    text = statement(entry()).replace(cut, cut.replace("BD", "XX"))
    [total] = [each for each in read_statement(text).reader.control_totals if not each.passed]
    assert re.search(said, failure(total))


def test_an_entry_without_end_is_refused_with_the_limit(read_statement, statement, entry, monkeypatch):
    monkeypatch.setattr(xml_stream, "BLOCK_BYTES", 1_024)
    monkeypatch.setattr(xml_stream, "MAX_ELEMENT_BYTES", 4_096)
    with pytest.raises(InvalidInput, match=r"more than 4096 bytes without the end of an entry \(MAX_ELEMENT_BYTES\)"):
        read_statement(statement(entry(more="<x>" + "<y/>" * 4_000 + "</x>")))
