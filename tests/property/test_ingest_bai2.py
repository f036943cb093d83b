"""Invariants of reading BAI2, over drawn, cut and damaged files, and against another's reader."""

from __future__ import annotations

import io
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from bai2 import bai2 as oracle
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.bai2.parse import ReportReader, parse
from ledger_core.errors import InvalidInput
from tests.fixtures.bank_formats import Entry, Statement, bai2

DAY = date(2026, 10, 1)
words = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.,+() /", min_size=1, max_size=30)
texts = st.lists(words.map(str.strip).filter(lambda text: text and not text.endswith("/")), max_size=6).map(" ".join)
references = st.from_regex(r"[A-Z0-9]{0,16}", fullmatch=True)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    return Entry(
        minor=draw(st.integers(1, 10**12)) * draw(st.sampled_from((1, -1))),
        booked_on=DAY,
        value_on=draw(st.one_of(st.none(), st.dates(date(2000, 1, 1), date(2068, 12, 31)))),
        text=draw(texts),
        reference=draw(references),
        bank_reference=draw(references),
        reversal=draw(st.booleans()),
    )


@st.composite
def reports(draw: st.DrawFn) -> list[Statement]:
    return [
        Statement(
            account=f"{number:010d}",
            currency=draw(st.sampled_from(("USD", "EUR", "JPY", "KWD"))),
            opening=draw(st.integers(-(10**12), 10**12)),
            day=DAY + timedelta(days=draw(st.integers(0, 2))),
            entries=tuple(draw(st.lists(entries(), max_size=4))),
        )
        for number in range(draw(st.integers(1, 4)))
    ]


def read(data: bytes) -> tuple[ReportReader, list[dict[str, Any]], list[dict[str, Any]]]:
    reader = parse(io.BytesIO(data), name="f")
    lines: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for batch in reader.batches():
        rows = [dict(zip(batch.columns, row, strict=True)) for row in batch.rows]
        (found if batch.table.endswith("statements") else lines).extend(rows)
    return reader, lines, found


def outcome(data: bytes) -> ReportReader | InvalidInput:
    """Return the exhausted reader, or the refusal; anything else is a fault."""
    try:
        return read(data)[0]
    except InvalidInput as error:
        return error


def in_order(written: list[Statement]) -> list[Statement]:
    """Return the accounts as the file has them: a group for each day."""
    days = list(dict.fromkeys(each.day for each in written))
    return [each for day in days for each in written if each.day == day]


@given(reports())
def test_what_was_written_is_read_and_every_total_holds(written):
    reader, lines, found = read(bai2(*written))
    assert reader.quarantined == []
    assert all(total.passed for total in reader.control_totals)
    accounts = in_order(written)
    assert [(row["account"], int(row["opening_amount"]), int(row["closing_amount"])) for row in found] == [
        (each.account, each.opening, each.closing) for each in accounts
    ]
    wanted = [entry for each in accounts for entry in each.entries]
    assert reader.read == reader.accepted == len(lines) == len(wanted)
    for row, entry in zip(lines, wanted, strict=True):
        assert int(row["amount"]) * (1 if row["indicator"] == "C" else -1) == entry.minor
        assert row["value_on"] == (entry.value_on.isoformat() if entry.value_on else "")
        assert (row["bank_reference"], row["customer_reference"]) == (entry.bank_reference, entry.reference)
        assert "".join(row["remittance"].split()) == "".join(entry.text.split())


@given(reports(), st.data())
def test_an_amount_that_changed_fails_the_totals_of_every_level_above(written, data):
    whole = bai2(*written).decode()
    details = [line for line in whole.splitlines() if line.startswith("16,")]
    if not details:
        return
    line = data.draw(st.sampled_from(details))
    code, amount, *rest = line.split(",")[1:]
    changed = whole.replace(line, ",".join(["16", code, str(int(amount) + 1), *rest]), 1)
    failed = {total.name for total in read(changed.encode())[0].control_totals if not total.passed}
    assert {"account_total", "balance"} <= failed
    assert failed & {"summary_credits", "summary_debits"}


@given(reports(), st.data())
def test_a_record_that_is_missing_is_noticed(written, data):
    records = bai2(*written).splitlines(keepends=True)
    place = data.draw(st.integers(0, len(records) - 1))
    found = outcome(b"".join(records[:place] + records[place + 1 :]))
    assert isinstance(found, InvalidInput) or not all(total.passed for total in found.control_totals)


@given(reports(), st.data())
def test_records_that_changed_places_are_refused_or_noticed_or_say_the_same(written, data):
    records = bai2(*written).splitlines(keepends=True)
    place = data.draw(st.integers(0, len(records) - 2))
    records[place : place + 2] = reversed(records[place : place + 2])
    found = outcome(b"".join(records))
    if not isinstance(found, InvalidInput):
        assert found.read == found.accepted + len(found.quarantined)


@given(reports(), st.data())
def test_a_file_cut_anywhere_is_refused_or_noticed_or_lost_nothing(written, data):
    whole = bai2(*written)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    refusal = outcome(cut)
    if isinstance(refusal, InvalidInput):
        assert refusal.line
        assert refusal.remedy
        return
    reader, lines, found = read(cut)
    assert not all(total.passed for total in reader.control_totals) or (lines, found) == read(whole)[1:]


@given(reports(), st.data())
def test_any_byte_changed_is_read_or_refused_and_every_detail_counted(written, data):
    damaged = bytearray(bai2(*written))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    found = outcome(bytes(damaged))
    if not isinstance(found, InvalidInput):
        assert found.read == found.accepted + len(found.quarantined)


@given(st.binary(max_size=400))
def test_rubbish_is_refused_with_a_line(data):
    found = outcome(data)
    assert isinstance(found, InvalidInput)
    assert found.line


@given(reports(), st.data())
def test_a_record_continued_at_any_field_says_the_same(written, data):
    """Break every record of an account at drawn commas into records 88, and count those."""
    whole = bai2(*written)
    broken: list[str] = []
    for line in whole.decode().splitlines():
        if line.startswith("03,") and "88," not in line:
            fields = line.rstrip("/").split(",")
            places = sorted(data.draw(st.sets(st.integers(3, len(fields) - 1), max_size=3)))
            parts = [fields[start:end] for start, end in pairwise([0, *places, len(fields)])]
            broken += [("" if place == 0 else "88,") + ",".join(part) + "/" for place, part in enumerate(parts)]
        else:
            broken.append(line)
    _, lines, found = read(("\n".join(broken) + "\n").encode())
    assert (lines, found) == read(whole)[1:]


@given(reports())
def test_another_reader_says_the_same_of_what_both_take(written):
    data = bai2(*written)
    their = oracle.parse_from_string(data.decode())
    _, ours, found = read(data)
    accounts = [(group, account) for group in their.children for account in group.children]
    assert len(accounts) == len(found)
    details = []
    for (group, account), row in zip(accounts, found, strict=True):
        stated = {item.type_code.code: item.amount for item in account.header.summary_items}
        assert account.header.customer_account_number == row["account"]
        assert (account.header.currency or group.header.currency) == row["currency"]
        assert group.header.as_of_date.isoformat() == row["as_of_on"]
        assert (stated["010"], stated["015"]) == (int(row["opening_amount"]), int(row["closing_amount"]))
        details += account.children
    assert len(details) == len(ours)
    for detail, our in zip(details, ours, strict=True):
        assert detail.amount == int(our["amount"])
        assert detail.type_code.code == our["type_code"]
        assert detail.type_code.transaction.value == {"C": "credit", "D": "debit"}[our["indicator"]]
        assert (detail.bank_reference or "", detail.customer_reference or "") == (
            our["bank_reference"], our["customer_reference"],
        )  # fmt: skip
        valued = (detail.availability or {}).get("date")
        assert (valued.isoformat() if valued else "") == our["value_on"]
