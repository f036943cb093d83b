"""Invariants of reading PayPal's settlement reports, generated and damaged: nothing lost, nothing invented."""

from __future__ import annotations

import io
from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.paypal_stl.parse import StlReader, parse
from ledger_core.errors import InvalidInput
from tests.unit.ingest.paypal_report import COLUMNS, Row, report, row, section

sides = st.sampled_from(["CR", "DR"])
currencies = st.sampled_from(["USD", "JPY", "EUR"])
hundredths = st.integers(0, 10**9).map(lambda each: each * 100)
wild = {
    "Transaction ID": st.sampled_from(["", "T1", "T" * 40]),
    "Transaction Event Code": st.sampled_from(["T0006", "T9999", ""]),
    "Transaction Completion Date": st.sampled_from(
        ["2026/01/06 23:59:59 +1400", "2026/02/30 10:00:00 -0800", "9999/12/31 23:59:59 -1200", "2026-01-06", "", "x"]
    ),
    "Transaction Debit or Credit": st.sampled_from(["CR", "DR", "", "C", "cr"]),
    "Gross Transaction Amount": st.sampled_from(["", "0", "1", "-1", "1.00", "1e3", "١", "9" * 19]),
    "Gross Transaction Currency": st.sampled_from(["USD", "usd", "", "ZZZ", "KWD"]),
    "Fee Debit or Credit": st.sampled_from(["CR", "DR", "", "X"]),
    "Fee Amount": st.sampled_from(["", "0", "5", "-5", "x"]),
    "Fee Currency": st.sampled_from(["USD", "EUR", "", "ZZZ"]),
    "Custom Field": st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12),
}


@st.composite
def moved(draw: st.DrawFn) -> Row:
    """Draw a row as PayPal writes it."""
    fee = (draw(sides), str(draw(hundredths))) if draw(st.booleans()) else ("", "")
    code = draw(st.sampled_from(["T0006", "T1107", "T0400", "T0200"]))
    return row(
        f"T{draw(st.integers(1, 99))}", code, (draw(sides), str(draw(hundredths))), fee, currency=draw(currencies)
    )


strange = st.builds(lambda drawn, cells: drawn | cells, moved(), st.fixed_dictionaries({}, optional=wild))


def footers(kind: str, rows: list[Row]) -> list[tuple[str, ...]]:
    """Return the sums that PayPal would state of `rows`, by currency."""
    sums: dict[str, Counter[str]] = {}
    for each in rows:
        of = sums.setdefault(each["Gross Transaction Currency"], Counter())
        of[f"gross {each['Transaction Debit or Credit']}"] += int(each["Gross Transaction Amount"])
        of[f"fee {each['Fee Debit or Credit']}"] += int(each["Fee Amount"] or 0)
    told = []
    for currency, of in sums.items():
        four = (of["gross CR"], of["gross DR"], of["fee CR"], of["fee DR"])
        closing = 700 + four[0] - four[1] + four[2] - four[3]
        balances = ("CR", "700", "DR" if closing < 0 else "CR", str(abs(closing)))
        told.append((kind, currency, *map(str, four), *balances))
    return told


def whole(sections: list[list[Row]]) -> str:
    made = [section(rows, *footers("SF", rows), ("SC", str(len(rows)))) for rows in sections]
    every = [each for rows in sections for each in rows]
    return report(*made, behind=[*footers("RF", every), ("RC", str(len(every))), ("FF", str(len(every)))])


def read(data: bytes) -> StlReader | InvalidInput:
    """Return the exhausted reader, or the refusal; anything else is a fault."""
    try:
        reader = parse(io.BytesIO(data), name="f")
        reader.rows = [values for batch in reader.batches() for values in batch.rows]  # type: ignore[attr-defined]
        assert reader.facts
    except InvalidInput as error:
        return error
    assert reader.read == reader.accepted + len(reader.quarantined)
    return reader


@given(st.lists(st.lists(moved(), max_size=6), max_size=3))
def test_a_report_that_paypal_made_lands_whole_and_proves_itself(sections: list[list[Row]]) -> None:
    outcome = read(whole(sections or [[]]).encode())
    assert isinstance(outcome, StlReader)
    assert outcome.quarantined == []
    assert outcome.accepted == sum(map(len, sections))
    assert [total for total in outcome.control_totals if not total.passed] == []


@given(st.lists(moved(), min_size=1, max_size=6), st.data())
def test_a_row_more_or_less_than_the_footers_say_is_noticed(rows: list[Row], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    left = [each for number, each in enumerate(rows) if number != place]
    changed = data.draw(st.sampled_from([left, [*rows, rows[place]]]))
    text = report(section(changed, *footers("SF", rows), ("SC", str(len(rows)))))
    outcome = read(text.encode())
    assert isinstance(outcome, StlReader)
    assert any(not total.passed for total in outcome.control_totals)


@given(st.lists(strange, max_size=6))
def test_accepted_and_quarantined_are_what_was_read(rows: list[Row]) -> None:
    outcome = read(report(section(rows)).encode())
    assert isinstance(outcome, StlReader)
    assert outcome.read == len(rows)
    assert outcome.accepted == len(outcome.rows)  # type: ignore[attr-defined]


@given(st.lists(strange, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_columns_does_not_matter(rows: list[Row], dice: Random) -> None:
    columns = list(COLUMNS)
    dice.shuffle(columns)
    straight, turned = read(report(section(rows)).encode()), read(report(section(rows, columns=columns)).encode())
    assert isinstance(straight, StlReader)
    assert isinstance(turned, StlReader)
    assert turned.rows == straight.rows  # type: ignore[attr-defined]
    assert turned.facts == straight.facts
    assert [each.code for each in turned.quarantined] == [each.code for each in straight.quarantined]


@given(st.lists(st.lists(moved(), max_size=3), min_size=1, max_size=2), st.data())
def test_a_report_cut_anywhere_is_refused(sections: list[list[Row]], data: st.DataObject) -> None:
    text = whole(sections).encode()
    end = data.draw(st.integers(0, text.rindex(b"FF") + 2))
    assert isinstance(read(text[:end]), InvalidInput)


@given(st.lists(st.lists(moved(), max_size=3), min_size=1, max_size=2), st.data())
def test_any_byte_changed_is_read_or_refused_and_nothing_else(sections: list[list[Row]], data: st.DataObject) -> None:
    damaged = bytearray(whole(sections).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    outcome = read(bytes(damaged))
    if isinstance(outcome, InvalidInput):
        assert outcome.remedy


@given(st.lists(moved(), min_size=1, max_size=3), st.data())
def test_records_in_any_order_are_read_or_refused_and_nothing_else(rows: list[Row], data: st.DataObject) -> None:
    lines = whole([rows]).splitlines()
    mixed = data.draw(st.permutations(lines))
    outcome = read(("\n".join(mixed[: data.draw(st.integers(0, len(mixed)))]) + "\n").encode())
    if isinstance(outcome, InvalidInput):
        assert outcome.remedy
