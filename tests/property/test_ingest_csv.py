"""Invariants of reading CSV, over generated files: nothing lost, nothing invented, nothing but a clear refusal."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contract.row_checks import all_pass, checks_for, first_fault
from ingest.formats.csv import records as csv_records
from ingest.formats.csv.reader import CsvReader
from ingest.formats.csv.records import read_chunks
from ingest.landing.copy_text import encode_rows
from ingest.sources.stripe_report.contract import CONTRACT, PAYOUT_RECONCILIATION
from ingest.sources.stripe_report.parse import parse
from ledger_core.errors import InvalidInput

HEADER = "automatic_payout_id,balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,description"
NAMES = HEADER.split(",")

plain = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
amounts = st.one_of(
    st.sampled_from(["", "1", "-1.5", "0.00", "1.234", "1e3", "nan", "12345678901234567", "1,2", " 1", "１"]),
    st.decimals(min_value=-1000, max_value=1000, places=2).map(str),
)
cells = {
    "automatic_payout_id": st.sampled_from(["", "po_1"]),
    "balance_transaction_id": st.sampled_from(["", "txn_1"]),
    "created_utc": st.sampled_from(
        ["", "2026-10-01 10:00:00", "2026-02-30 10:00:00", "2026-10-01", "2026-10-01 25:00:00"]
    ),
    "currency": st.sampled_from(["usd", "JPY", "kwd", "", "zzz", "US", "ß"]),
    "gross": amounts,
    "fee": amounts,
    "net": amounts,
    "reporting_category": st.sampled_from(["charge", ""]),
    "description": plain,
}
good = st.tuples(st.integers(0, 10**6), st.integers(0, 10**4), st.sampled_from(["usd", "EUR", "jpy"]), plain).map(
    lambda row: _good_row(*row)
)


def _good_row(gross: int, fee: int, currency: str, description: str) -> list[str]:
    return [
        "po_1",
        "txn_1",
        "2026-10-01 10:00:00",
        currency,
        str(gross),
        str(fee),
        str(gross - fee),
        "charge",
        description,
    ]


def _file(rows: list[list[str]]) -> bytes:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows([NAMES, *rows])
    return sink.getvalue().encode()


def _read(data: bytes) -> CsvReader | InvalidInput:
    """Return the exhausted reader, or the refusal; anything else is a fault."""
    try:
        reader = parse(io.BytesIO(data), name="f")
        list(reader.batches())
    except InvalidInput as error:
        return error
    return reader


@given(st.lists(st.lists(plain, min_size=2, max_size=4), max_size=20), st.integers(1, 200))
def test_records_survive_any_cutting_into_blocks(rows, block_bytes):
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows(rows)
    data = sink.getvalue().encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_records, "BLOCK_BYTES", block_bytes)
        chunks = list(read_chunks(io.BytesIO(data), name="f", delimiter=","))
    assert [row for chunk in chunks for row in chunk.rows] == list(csv.reader(io.StringIO(data.decode())))
    text = data.decode().split("\n")
    for chunk in chunks:
        for index, record in enumerate(chunk.records):
            assert text[chunk.line_of(index) - 1] == record.split("\n")[0]


@given(st.lists(st.fixed_dictionaries(cells).map(lambda row: list(row.values())), min_size=1, max_size=30))
def test_checks_over_columns_agree_with_checks_of_each_row(rows):
    checks = checks_for(CONTRACT, PAYOUT_RECONCILIATION, {name: place for place, name in enumerate(NAMES)})
    faults = [first_fault(checks, row) for row in rows]
    assert all_pass(checks, list(zip(*rows, strict=True))) == (not any(faults))


@given(st.lists(st.one_of(good, st.fixed_dictionaries(cells).map(lambda row: list(row.values()))), max_size=30))
def test_accepted_and_quarantined_are_what_was_read(rows):
    reader = parse(io.BytesIO(_file(rows)), name="f")
    stored = [row for batch in reader.batches() for row in batch.rows]
    assert reader.read == len(rows) == reader.accepted + len(reader.quarantined)
    assert reader.accepted == len(stored)


@given(st.lists(good, max_size=10), st.data())
def test_a_file_cut_anywhere_is_refused_or_read_as_far_as_it_goes(rows, data):
    whole = _file(rows)
    outcome = _read(whole[: data.draw(st.integers(0, len(whole)))])
    if isinstance(outcome, InvalidInput):
        assert outcome.line
        assert outcome.remedy
    else:
        assert outcome.read == outcome.accepted + len(outcome.quarantined) <= len(rows)


@given(st.lists(good, min_size=1, max_size=5), st.data())
def test_any_byte_changed_is_read_or_refused_and_nothing_else(rows, data):
    damaged = bytearray(_file(rows))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    outcome = _read(bytes(damaged))
    if isinstance(outcome, InvalidInput):
        assert outcome.line
    else:
        assert outcome.read == outcome.accepted + len(outcome.quarantined)


@given(st.lists(good, min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_the_order_of_columns_does_not_matter(rows, dice):
    order = list(range(len(NAMES)))
    dice.shuffle(order)
    turned = io.StringIO()
    csv.writer(turned, lineterminator="\n").writerows([[row[place] for place in order] for row in [NAMES, *rows]])
    straight = [row for batch in parse(io.BytesIO(_file(rows)), name="f").batches() for row in batch.rows]
    shuffled = [
        row for batch in parse(io.BytesIO(turned.getvalue().encode()), name="f").batches() for row in batch.rows
    ]
    assert shuffled == straight


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(st.text(max_size=8), min_size=width, max_size=width))))
def test_copy_text_reads_back_as_what_was_written(rows):
    unescape = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}
    back = []
    for line in encode_rows(rows):
        fields = []
        for field in line.split("\t"):
            out, place = "", 0
            while place < len(field):
                if field[place] == "\\":
                    out += unescape[field[place : place + 2]]
                    place += 2
                else:
                    out += field[place]
                    place += 1
            fields.append(out)
        back.append(fields)
    assert back == rows
