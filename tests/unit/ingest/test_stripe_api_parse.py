"""Swept documents, bytes in and rows out."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest

from ingest.sources.stripe_api.contract import CONTRACT, TYPES
from ingest.sources.stripe_api.documents import document, read_page
from ingest.sources.stripe_api.parse import ObjectReader, parse
from ingest.sources.stripe_report.contract import EVENTS as CATEGORIES
from ledger_core.errors import InvalidInput

ASKED = {"url": "/v1/balance_transactions", "created": {"gte": 1_790_812_800, "lt": 1_790_899_200}}
HEADING = '{"object":"list","url":"/v1/balance_transactions","created":{"gte":1790812800,"lt":1790899200},"count":1}\n'
ITEM = '{"id":"txn_1","created":1790812801,"currency":"usd","amount":100,"fee":3,"net":97,"type":"charge"}\n'


def read(text: str | bytes) -> tuple[ObjectReader, list[dict[str, Any]]]:
    """Return the reader of a document and its rows, by column."""
    reader = parse(io.BytesIO(text.encode() if isinstance(text, str) else text), name="f.jsonl")
    rows = [dict(zip(batch.columns, row, strict=True)) for batch in reader.batches() for row in batch.rows]
    return reader, rows


def page(objects: list[dict[str, Any]], **more: Any) -> str:
    return json.dumps({"object": "list", "data": objects, "has_more": False, **more}, indent=2)


def item(**more: Any) -> str:
    return json.dumps({**json.loads(ITEM), **more}) + "\n"


def test_a_document_says_what_was_asked_and_what_came() -> None:
    reader, rows = read(HEADING + ITEM)
    assert [(row["id"], row["amount"], row["net"], row["payout"]) for row in rows] == [("txn_1", "100", "97", "")]
    assert (reader.read, reader.accepted, len(reader.quarantined)) == (1, 1, 0)
    assert [(total.name, total.passed) for total in reader.control_totals] == [("objects", True)]
    facts = reader.facts
    assert str(facts.document_at) == "2026-10-02 00:00:00+00:00"
    assert (str(facts.selected_from), str(facts.selected_to)) == ("2026-10-01", "2026-10-01")
    assert (str(reader.first_on), str(reader.last_on)) == ("2026-10-01", "2026-10-01")


def test_a_window_in_which_nothing_happened_is_a_document_too() -> None:
    reader, rows = read(HEADING.replace('"count":1', '"count":0'))
    assert (rows, reader.read, reader.first_on) == ([], 0, None)
    assert reader.control_totals[0].passed


def test_a_document_that_lost_a_line_fails_its_total() -> None:
    reader, _ = read(HEADING.replace('"count":1', '"count":2') + ITEM)
    (total,) = reader.control_totals
    assert (total.expected, total.actual, total.passed) == ("2", "1", False)


def test_each_part_names_its_payout() -> None:
    part = HEADING.replace('"count"', '"payout":"po_{}","count"')
    second = ITEM.replace("txn_1", "txn_2")
    reader, rows = read(part.replace("{}", "1") + ITEM + part.replace("{}", "2") + second)
    assert [(row["id"], row["payout"]) for row in rows] == [("txn_1", "po_1"), ("txn_2", "po_2")]
    assert [(total.subject, total.passed) for total in reader.control_totals] == [("po_1", True), ("po_2", True)]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"net": 98}, "identity"),
        ({"amount": 1.5}, "bad_amount"),
        ({"amount": None}, "empty"),
        ({"currency": "USD"}, "bad_currency"),
        ({"currency": "usx"}, "bad_currency"),
        ({"created": "soon"}, "bad_date"),
        ({"available_on": -1}, "bad_date"),
        ({"id": ""}, "empty"),
        ({"type": None}, "empty"),
        ({"description": "4111 1111 1111 1111"}, "card_number"),
        ({"later": {"note": "4111111111111111"}}, "card_number"),
        ({"description": "x" * 40_000}, "too_long"),
        ({"description": "\0"}, "bad_text"),
    ],
)
def test_an_object_that_cannot_be_is_put_aside(members: dict[str, Any], code: str) -> None:
    reader, rows = read(HEADING.replace('"count":1', '"count":2') + item(**members) + ITEM)
    assert [row["id"] for row in rows] == ["txn_1"]
    assert [(each.code, each.line) for each in reader.quarantined] == [(code, 2)]
    assert reader.read == reader.accepted + len(reader.quarantined) == 2
    assert reader.control_totals[0].passed
    assert "4111" not in reader.quarantined[0].raw


@pytest.mark.parametrize("line", ["{", "[]", "7", '"text"', "[" * 100_000, '{"a":NaN'])
def test_a_line_that_is_no_object_is_put_aside(line: str) -> None:
    reader, rows = read(HEADING + line + "\n")
    assert ([each.code for each in reader.quarantined], rows) == (["bad_json"], [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ITEM, "names no list"),
        ("\n", "names no list"),
        (HEADING.replace("balance_transactions", "charges"), "names no list"),
        (HEADING.replace('"gte":1790812800,', ""), "does not say between which times"),
        (HEADING.replace('"count":1', '"count":-1'), "does not say between which times"),
        (HEADING + ITEM[:-1], "was cut"),
        (HEADING + HEADING.replace("balance_transactions", "payouts"), "goes on with /v1/payouts"),
        (HEADING + " " * (4 * 1024 * 1024) + "\n", "MAX_LINE_BYTES"),
    ],
)
def test_a_file_that_is_no_document_is_refused_with_a_remedy(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        read(text)
    assert caught.value.remedy
    assert caught.value.file == "f.jsonl"


def test_numbers_stay_the_text_that_the_api_wrote() -> None:
    body = page([{"id": "a", "created": 1}]).replace('"created": 1', '"created": 1, "exchange_rate": 1.1050')
    assert '"exchange_rate": 1.1050' in read_page(body).objects[0].line
    _, rows = read(HEADING + ITEM.replace('"fee"', '"exchange_rate":0.10000000000000000001,"new":[1.50],"fee"'))
    assert rows[0]["exchange_rate"] == "0.10000000000000000001"
    assert rows[0]["extra"] == '{"new":"[1.50]"}'


def test_whose_data_it_is_stays_out_of_the_rows() -> None:
    source = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "billing_details": {"name": "Jane Doe"}}
    _, (row,) = read(HEADING + item(source=source))
    assert (row["source"], row["source_object"], row["source_payment_intent"]) == ("ch_1", "charge", "pi_1")
    assert "Jane" not in str(row)


def test_a_source_that_was_not_written_out_is_its_id() -> None:
    _, rows = read(HEADING.replace('"count":1', '"count":2') + item(source="ch_1") + item(id="txn_2", source=None))
    assert [(row["source"], row["source_object"]) for row in rows] == [("ch_1", ""), ("", "")]


def test_however_pages_are_cut_ordered_and_repeated_the_document_is_the_same() -> None:
    chance = random.Random(11)
    objects = [{"id": f"t{n}", "created": n // 3, "text": 'a "{[,\\ \\n b'} for n in range(60)]
    expected = document([(ASKED, read_page(page(objects)).objects)])
    assert expected.count(b"\n") == 61
    for _ in range(50):
        mixed = chance.sample(objects, k=60) + chance.choices(objects, k=20)
        size = chance.randint(1, 80)
        pages = [page(mixed[start : start + size], has_more=True) for start in range(0, 80, size)]
        found = [each for body in pages for each in read_page(body).objects]
        assert document([(ASKED, found)]) == expected


def test_an_object_that_changed_while_it_was_listed_counts_as_it_was_seen_last() -> None:
    found = read_page(
        page([{"id": "a", "created": 1, "status": status} for status in ("pending", "available")])
    ).objects
    assert b"available" in document([(ASKED, found)])
    assert b"pending" not in document([(ASKED, found)])


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", '{"data":{}}', '{"data":[1]}', '{"data":[{"id":"a"}]}', '{"data":[{"id":1,"created":1}]}'],
)
def test_an_answer_that_is_no_list_is_an_error(body: str) -> None:
    with pytest.raises(InvalidInput, match="no list of objects"):
        read_page(body)


def test_every_type_and_every_category_has_a_meaning_and_the_category_says_it() -> None:
    assert len(TYPES) == 50
    assert set(CONTRACT.events) == set(TYPES) | set(CATEGORIES)
    assert {name: CONTRACT.events[name] for name in CATEGORIES} == CATEGORIES
    shared = set(TYPES) & set(CATEGORIES)
    assert {name for name in shared if TYPES[name] != CATEGORIES[name]} == set()
