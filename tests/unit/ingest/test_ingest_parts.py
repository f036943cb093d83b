"""The small parts: cards, encryption, COPY text, sniffing, contracts against tables."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import ingest
from ingest.contract.cards import find_cards, mask, mask_bytes, may_hold_cards
from ingest.contract.vocabulary import CLAIMED_FIELDS, Claim, Purpose, SourceKind
from ingest.ddl import create_tables
from ingest.formats.sniffing import refuse_strangers
from ingest.landing.copy_text import encode_rows
from ingest.landing.land import land
from ingest.sources import contracts, find_source, source_names
from ingest.sources.camt053.contract import CONTRACT as CAMT053
from ingest.sources.stripe_report.contract import CONTRACT as STRIPE_REPORT
from ledger_core.base.encryption import CHUNK_BYTES, decrypt, encrypt
from ledger_core.errors import IntegrityError, InvalidInput

KEY = bytes(range(32))


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242",
        "card 4242 4242 4242 4242 ok",
        "4242-4242-4242-4242",
        "(5555555555554444)",
        "amex 3782 822463 10005.",
        "378282246310005",
        "6011111111111117",
        "6200000000000005",
        "4222222222222",
    ],
)
def test_a_card_number_is_found(text):
    assert len(find_cards(text)) == 1
    assert may_hold_cards([text])


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",  # fails Luhn
        "9242424242424248",  # nobody's range
        "order_4242424242424242",
        "inv-4242424242424242",
        "42424242424242424242424242",
        "0.4242424242424242",
        "4242424242424242x",
        "2026-10-01 10:11:12",
        "DE02100500000054540402",
    ],
)
def test_what_only_looks_like_a_card_number_is_left_alone(text):
    assert find_cards(text) == []


def test_masking_leaves_the_last_four_and_the_length():
    assert mask("4242 4242 4242 4242") == "**** **** **** 4242"


@pytest.mark.parametrize("cut", range(1, 40))
def test_bytes_are_masked_across_the_borders_of_chunks(cut):
    data = b"before 4242424242424242 and 4242424242424242 after"
    seen: set[str] = set()
    chunks = [data[:cut], data[cut:]]
    assert b"".join(mask_bytes(chunks, {"4242424242424242"}, seen=seen)) == data.replace(
        b"4242424242424242", b"************4242"
    )
    assert seen == {"4242424242424242"}


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_encrypted_bytes_come_back(size):
    sink, data = io.BytesIO(), b"x" * size
    written = encrypt([data], sink, key=KEY, file_id="f")
    assert written.size_bytes == size
    assert b"".join(decrypt(io.BytesIO(sink.getvalue()), key=KEY, file_id="f")) == data


@pytest.mark.parametrize("attack", ["flip", "cut", "cut_chunk", "swap_file", "swap_chunks", "empty"])
def test_changed_ciphertext_is_noticed(attack):
    sink = io.BytesIO()
    encrypt([b"x" * (2 * CHUNK_BYTES + 5)], sink, key=KEY, file_id="f")
    data, file_id = bytearray(sink.getvalue()), "f"
    head, chunk = len(b"counterfoil raw 1\n"), CHUNK_BYTES + 16 + 4
    if attack == "flip":
        data[100] ^= 1
    elif attack == "cut":
        del data[-1:]
    elif attack == "cut_chunk":
        del data[head + 2 * chunk :]
    elif attack == "swap_file":
        file_id = "g"
    elif attack == "swap_chunks":
        first, second = data[head : head + chunk], data[head + chunk : head + 2 * chunk]
        data[head : head + 2 * chunk] = second + first
    else:
        del data[head:]
    with pytest.raises(IntegrityError):
        list(decrypt(io.BytesIO(bytes(data)), key=KEY, file_id=file_id))


def test_copy_text_escapes_what_would_end_a_field_or_a_row():
    assert encode_rows([("a\tb", "c\nd", "e\\f", "\r"), ("", "x", "y", "z")]) == [
        "a\\tb\tc\\nd\te\\\\f\t\\r",
        "\tx\ty\tz",
    ]
    assert encode_rows([(None, 1)]) == ["\\N\t1"]
    assert encode_rows([("\\N",)]) == ["\\\\N"]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"", "the file is empty"),
        (b"\x1f\x8b\x08", "compressed.*gunzip"),
        (b"PK\x03\x04", "zip.*unzip"),
        ("a,b\n".encode("utf-16"), "encoded as UTF-16"),
        ("a,b\n".encode("utf-16-le"), "encoded as UTF-16LE"),
        ("a,b\n".encode("utf-32"), "encoded as UTF-32"),
        (b"%PDF-1.7", "looks like PDF"),
        (b"<!DOCTYPE html><html>", "looks like HTML.*login or error page"),
        (b"<?xml version='1.0'?>", "looks like XML.*ingest camt053"),
        (b'{"error": 1}', "looks like JSON"),
        (b":20:STARTUMS\n", "looks like MT940.*ingest mt940"),
        (b"\r\n:20:STARTUMS\r\n", "looks like MT940"),
        (b"\x01{1:F01BANKDEFFAXXX0000000000}{2:I940X}{4:\r\n:20:X\r\n", "looks like MT940"),
        (b"BANKNL2A\n940\nBANKNL2A\n:20:X\n:25:1\n", "looks like MT940"),
        (b"0000 01BANKNL2AXXXX00001\n0000 01BANKNL2AXXXX00001\n940 00\n:20:X\n", "looks like MT940"),
        (b":940:\n:20:X\n", "looks like MT940"),
        (b"01,BANK,US,261002,0200,7,,,2/\n02,", "looks like BAI2.*ingest bai2"),
    ],
)
def test_a_stranger_is_called_by_its_name(head, said):
    with pytest.raises(InvalidInput, match=f"(?s){said}"):
        refuse_strangers(head, name="f.csv", contract=STRIPE_REPORT, known=contracts().values())


def test_a_report_given_as_a_statement_is_sent_to_its_source():
    with pytest.raises(InvalidInput, match="ingest stripe_report"):
        refuse_strangers(b"payout_id,currency\n", name="f", contract=CAMT053, known=contracts().values())


@pytest.mark.parametrize("head", [b"01,a,b,c\n", b"id,note\n1,see :20:\n", b"time\n12:20:30\n"])
def test_a_report_with_some_of_their_signs_is_no_statement(head):
    refuse_strangers(head, name="f", contract=STRIPE_REPORT, known=contracts().values())


@pytest.mark.parametrize("head", [b"\x89\x04\x11abc", b"\xd0\xcf\x11\xe0" + bytes(400)])
def test_rubbish_is_not_called_a_report(head):
    with pytest.raises(InvalidInput, match="looks like binary data"):
        refuse_strangers(head, name="f", contract=CAMT053, known=contracts().values())


def test_an_empty_folder_is_no_landing(tmp_path):
    with pytest.raises(InvalidInput, match="no file here to ingest") as caught:
        land(_NoDatabase(), source="camt053", paths=[tmp_path])
    assert caught.value.file == str(tmp_path)


@pytest.mark.parametrize("account", ["", "a b", "acct_1\n", "x" * 65, "acct/1", "é"])
def test_an_account_that_cannot_be_named_is_refused(account, tmp_path):
    with pytest.raises(InvalidInput, match=r"--account.*1 to 64 letters"):
        land(_NoDatabase(), source="camt053", paths=[tmp_path], account=account)


class _NoDatabase:
    """What `land` looks at before it opens a transaction."""

    settings = SimpleNamespace(ingest=SimpleNamespace(provider_account="default"))

    @staticmethod
    def clock():
        return None


@pytest.mark.parametrize("contract", contracts().values(), ids=lambda contract: contract.source)
def test_the_frozen_tables_are_those_of_the_contract(contract):
    scripts = sorted((Path(ingest.__file__).parent / "migrations" / "sql").glob("*.sql"))
    frozen = "\n".join(script.read_text() for script in scripts)
    assert create_tables(contract) in frozen, "the contract changed: write a migration that adds the column"


def test_claims_are_expressions_over_texts_that_bank_lines_have():
    assert {column.name for column in CAMT053.record_type("lines").stored} >= CLAIMED_FIELDS
    for contract in contracts().values():
        for claim in contract.claims:
            assert re.compile(claim.pattern)


def test_a_bank_is_no_provider_and_claims_nothing():
    assert (CAMT053.kind, CAMT053.provider, CAMT053.claims) == (SourceKind.BANK, None, ())
    with pytest.raises(AssertionError, match="a bank is no provider"):
        replace(CAMT053, provider="bank")
    with pytest.raises(AssertionError, match="a bank claims nothing"):
        replace(CAMT053, claims=STRIPE_REPORT.claims)
    with pytest.raises(AssertionError, match="no such text"):
        replace(STRIPE_REPORT, claims=(Claim(field="memo", pattern="x"),))


def test_payouts_are_claimed_and_striped_shirts_are_not():
    by_field = {
        claim.field: re.compile(claim.pattern, re.IGNORECASE)
        for claim in STRIPE_REPORT.claims
        if claim.purpose is Purpose.OWNERSHIP
    }
    assert by_field["counterparty_name"].search("STRIPE PAYMENTS EUROPE")
    assert by_field["remittance"].search("STRIPE-PO_1ABCDEF")
    assert not by_field["remittance"].search("Striped shirts, po_12")
    assert not by_field["counterparty_name"].search("Pinstripe Ltd")


def test_sources_are_found_by_their_packages():
    assert {"camt053", "stripe_report"} <= set(source_names())
    assert find_source("camt053").contract is CAMT053
    with pytest.raises(InvalidInput, match=f"Use one of: {', '.join(source_names())}"):
        find_source("paypal")


def said_of(source):
    page = Path(ingest.__file__).parents[1] / "docs" / "formats" / "sources" / f"{source}.md"
    return set(re.findall(r"`([^`]+)`", page.read_text()))


@pytest.mark.parametrize("contract", contracts().values(), ids=lambda contract: contract.source)
def test_the_page_of_a_source_names_every_report_and_what_a_csv_must_have(contract):
    for record_type in contract.record_types:
        wanted = set(record_type.reports)
        if contract.format == "csv":
            wanted |= {*record_type.mandatory, record_type.name}
        assert wanted <= said_of(contract.source)


def test_the_page_on_statements_names_every_total():
    said = said_of("camt053")
    assert {"balance", "entry_details", "summary_entries", "summary_credits", "summary_debits", "rows"} <= said
