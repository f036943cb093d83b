"""Invariants of reading MT940, over drawn, cut and damaged files, and against another's reader."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import mt940 as oracle
import orjson
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest.formats.accounts import account_of, iban_of, is_iban
from ingest.formats.mt940.entry import StatementLine, read_line
from ingest.formats.mt940.narrative import read_narrative
from ingest.sources.mt940.parse import StatementReader, parse
from ledger_core.errors import InvalidInput
from tests.fixtures.bank_formats import DECIMALS, Entry, Statement, details, mt940

IBAN = "DE02100500000054540402"
# Others read 69 as 1969.
days = st.dates(date(2001, 1, 2), date(2068, 6, 1))
# What SWIFT lets a bank write, without a separator of subfields or the blanks that lines lose at their ends.
words = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-.,+()'äöüß", min_size=1, max_size=12)
references = st.from_regex(r"[A-Z0-9]{1,16}", fullmatch=True).filter(
    lambda text: text not in ("NONREF", "EREF", "KREF")
)


@st.composite
def entries(draw: st.DrawFn, day: date) -> Entry:
    return Entry(
        minor=draw(st.integers(1, 10**12)) * draw(st.sampled_from((1, -1))),
        booked_on=day,
        value_on=day + timedelta(days=draw(st.integers(-100, 100))),
        text=" ".join(draw(st.lists(words, max_size=12))),
        name=" ".join(draw(st.lists(words, max_size=3))),
        reference=draw(references),
        bank_reference=draw(st.one_of(st.just(""), references)),
        reversal=draw(st.booleans()),
    )


@st.composite
def statements(draw: st.DrawFn) -> list[Statement]:
    day = draw(days)
    first = Statement(
        account=IBAN,
        currency=draw(st.sampled_from(("EUR", "USD", "JPY", "KWD"))),
        opening=draw(st.integers(-(10**12), 10**12)),
        day=day,
        entries=tuple(draw(st.lists(entries(day), max_size=4))),
        number=draw(st.integers(1, 99_990)),
    )
    found = [first]
    for _ in range(draw(st.integers(0, 2))):
        following = found[-1].day + timedelta(days=1)
        found.append(found[-1].then(*draw(st.lists(entries(following), max_size=4)), day=following))
    return found


newlines = st.sampled_from(("\n", "\r\n"))
encodings = st.sampled_from(("latin-1", "utf-8"))


def read(data: bytes) -> tuple[StatementReader, list[dict[str, Any]], list[dict[str, Any]]]:
    reader = parse(io.BytesIO(data), name="f")
    lines: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for batch in reader.batches():
        rows = [dict(zip(batch.columns, row, strict=True)) for row in batch.rows]
        (found if batch.table.endswith("statements") else lines).extend(rows)
    return reader, lines, found


def outcome(data: bytes) -> StatementReader | InvalidInput:
    """Return the exhausted reader, or the refusal; anything else is a fault."""
    try:
        return read(data)[0]
    except InvalidInput as error:
        return error


@given(statements(), newlines, encodings)
def test_what_was_written_is_read_and_the_balance_holds(written, newline, encoding):
    reader, lines, found = read(mt940(*written, newline=newline, encoding=encoding))
    assert reader.quarantined == []
    assert all(total.passed for total in reader.control_totals)
    assert [row["statement_id"] for row in found] == ["STARTUMS"] * len(written)
    wanted = [(each.currency, entry) for each in written for entry in each.entries]
    assert reader.read == reader.accepted == len(lines) == len(wanted)
    for row, (currency, entry) in zip(lines, wanted, strict=True):
        minor = Decimal(row["amount"].replace(",", ".")).scaleb(DECIMALS.get(currency, 2))
        assert minor * (1 if row["indicator"] == "C" else -1) == entry.minor
        assert row["value_on"] == entry.value_on.isoformat()
        assert row["booked_on"] == entry.booked_on.isoformat()
        assert (row["customer_reference"], row["bank_reference"]) == (entry.reference, entry.bank_reference)
        assert row["mark"].startswith("R") == entry.reversal


@given(statements(), st.integers(-5, 5))
def test_the_balance_total_holds_exactly_when_the_sums_do(written, off):
    changed = [*written[:-1], replace(written[-1], off=off)]
    totals = [total.passed for total in read(mt940(*changed))[0].control_totals]
    assert totals == [True] * (len(written) - 1) + [off == 0]


@given(statements(), newlines)
def test_another_reader_says_the_same_of_what_both_take(written, newline):
    data = mt940(*written, newline=newline)
    theirs, ours, found = oracle_of(data), *read(data)[1:]
    assert len(theirs) == len(ours)
    for their, our in zip(theirs, ours, strict=True):
        said = their.data
        amount = Decimal(our["amount"].replace(",", "."))
        assert said["amount"].amount == (amount if our["indicator"] == "C" else -amount)
        assert said["amount"].currency == our["currency"]
        assert said["date"].isoformat() == our["value_on"]
        assert said["transaction_code"] == our["transaction_code"]
        assert said["posting_text"] == our["additional_info"]
        assert (said["bank_reference"] or "") == our["bank_reference"]
        assert bare(said["purpose"]) == bare(our["remittance"])
        assert bare(said["applicant_name"]) == bare(our["counterparty_name"])
    # Theirs keeps the balances of the last statement of a file.
    last = found[-1]
    for which in ("opening", "closing"):
        balance = theirs.data[f"final_{which}_balance"]
        amount = Decimal(last[f"{which}_amount"].replace(",", "."))
        assert balance.amount.amount == (amount if last[f"{which}_indicator"] == "C" else -amount)
        assert balance.date.isoformat() == last[f"{which}_on"]


@given(statements())
def test_another_reader_reads_the_same_references(written):
    # Theirs takes the reference of the customer from subfields, if there are any.
    data = mt940(*written).replace(b"166?00GUTSCHRIFT", b"GUTSCHRIFT")
    theirs = [each.data["customer_reference"] for each in oracle_of(data)]
    assert theirs == [row["customer_reference"] for row in read(data)[1]]


def oracle_of(data: bytes) -> Any:
    return oracle.parse(data.decode("latin-1"), options=oracle.Options(reversal_sign=True))


def bare(text: str | None) -> str:
    return "".join((text or "").split())


@given(statements(), newlines, st.data())
def test_a_file_cut_anywhere_is_refused_or_noticed_or_lost_nothing_that_counts(written, newline, data):
    whole = mt940(*written, newline=newline)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    refusal = outcome(cut)
    if isinstance(refusal, InvalidInput):
        assert refusal.line
        assert refusal.remedy
        return
    reader, lines, found = read(cut)
    _, all_lines, all_found = read(whole)
    # Between two statements nothing of the file says that another was to follow: its number and balance will.
    assert not all(total.passed for total in reader.control_totals) or (
        lines == all_lines[: len(lines)]
        and [_counting(row) for row in found] == [_counting(row) for row in all_found[: len(found)]]
        and len(lines) == sum(len(each.entries) for each in written[: len(found)])
    )


def _counting(row: dict[str, Any]) -> dict[str, Any]:
    """Return what counts of a statement: an amount that lost zeros is the same."""
    amounts = {name: Decimal(row[name].replace(",", ".")) for name in ("opening_amount", "closing_amount")}
    return {**row, **amounts}


@given(statements(), st.data())
def test_any_byte_changed_is_read_or_refused_and_every_entry_counted(written, data):
    damaged = bytearray(mt940(*written))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    found = outcome(bytes(damaged))
    if not isinstance(found, InvalidInput):
        assert found.read == found.accepted + len(found.quarantined)
        for total in found.control_totals:
            assert total.expected is None or total.passed == (total.expected == total.actual)


@given(st.binary(max_size=400))
def test_rubbish_is_refused_with_a_line(data):
    found = outcome(data)
    assert isinstance(found, InvalidInput)
    assert found.line


@given(st.lists(words, max_size=14).map(" ".join), st.booleans())
def test_a_narrative_is_put_together_as_it_was_before_it_was_cut(text, credit):
    assume(len(f"SVWZ+{text}") <= 27 * 14)
    said = read_narrative("\n".join(details(text)), credit=credit)
    assert "".join(said.remittance.split()) == "".join(text.split())


@given(days, st.integers(-180, 180))
def test_a_day_of_entry_is_in_the_year_in_which_it_is_nearest(valued, distance):
    entered = valued + timedelta(days=distance)
    line = read_line(f"{valued:%y%m%d}{entered:%m%d}C1,NTRFX")
    assert isinstance(line, StatementLine)
    assert line.booked_on == entered.isoformat()


@given(st.from_regex(r"[0-9]{8}/[0-9]{1,10}", fullmatch=True))
def test_a_german_account_is_its_iban_in_every_writing(account):
    code, _, number = account.partition("/")
    iban = iban_of("DE", f"{code}{int(number):010d}")
    assert is_iban(iban)
    written = (
        account,
        f"{account}EUR",
        f" {account} ",
        iban,
        f"{iban}EUR",
        f"{iban[:4]} {iban[4:]}",
        f"BANKDEFF/{iban}",
    )
    assert {account_of(each) for each in written} == {iban}


@given(statements())
def test_parties_references_and_texts_are_lists_of_what_is_said(written):
    _, lines, _ = read(mt940(*written))
    for row in lines:
        extra = orjson.loads(row["extra"])
        for name in ("parties", "references", "texts"):
            values = extra.get(name, [])
            assert all(isinstance(value, str) and value for value in values)
