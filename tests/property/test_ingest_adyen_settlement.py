"""Invariants of reading settlement reports, over generated and damaged files: nothing lost and nothing invented."""

from __future__ import annotations

import io
from decimal import ROUND_HALF_UP, Decimal, localcontext
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ingest.contract.amounts import digits_of
from ingest.contract.row_checks import all_pass, checks_for, first_fault
from ingest.sources.adyen_settlement.contract import CONTRACT, ITEMS
from ingest.sources.adyen_settlement.identity import identity_for
from ingest.sources.adyen_settlement.parse import SettlementReader, parse
from ledger_core.errors import InvalidInput
from tests.unit.ingest.adyen_report import STANDARD, Row, payment, payout, report

PLACES = {column.name: STANDARD.index(column.shown) for column in ITEMS.columns if column.shown in STANDARD}
EXTRAS = ("Booking Date", "Booking Date TimeZone", "Payment Fees (NC)", "DCC Markup (NC)", "Metadata", "Novelty")

currencies = st.sampled_from(["EUR", "USD", "JPY", "KWD", "INR"])
labels = st.sampled_from(["CEST", "PST", "UTC", "GMT+08:00", "Europe/Amsterdam", "Asia/Kolkata"])
wild_amounts = st.sampled_from(
    ["", "1", "0", "0.00", "9.76", "-1.5", "1.23456", "1e3", "nan", "\u0661", "12345678901234567", "1,2"]
)
wild = {
    "Merchant Account": st.sampled_from(["KontorEU", "", "K:7"]),
    "Psp Reference": st.sampled_from(["8800000000000001", ""]),
    "Creation Date": st.sampled_from(
        ["2026-10-05 12:00:00", "9998-12-31 23:59:59", "9999-12-31 23:59:59", "2026-02-30 10:00:00", "", "5/10/26"]
    ),
    "TimeZone": st.one_of(
        labels,
        st.sampled_from(["IST", "CST", "XYZ", "", "../x"]),
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=4),
    ),
    "Type": st.sampled_from(["Settled", "MerchantPayout", "BPPaidOut", ""]),
    "Gross Currency": st.sampled_from(["EUR", "JPY", "KWD", "eur", "", "ZZZ"]),
    "Net Currency": st.sampled_from(["EUR", "JPY", "KWD", "eur", "", "ZZZ"]),
    "Exchange Rate": st.sampled_from(["1", "0.92", "0", "", "-1", "x", "1." + "9" * 18]),
    "Batch Number": st.sampled_from(["7", "8", ""]),
    **{
        name: wild_amounts
        for name in STANDARD
        if name.endswith(("(GC)", "(NC)"))
    },
}  # fmt: skip


def _file(rows: list[Row], columns: list[str] | None = None) -> bytes:
    return report(rows, columns).encode()


def _read(data: bytes, zone: str | None = None) -> SettlementReader | InvalidInput:
    """Return the exhausted reader, or the refusal; anything else is a fault."""
    try:
        reader = parse(io.BytesIO(data), name="f")
        reader.zone = zone
        reader.rows = [row for batch in reader.batches() for row in batch.rows]  # type: ignore[attr-defined]
        assert reader.facts
    except InvalidInput as error:
        return error
    return reader


@st.composite
def settled(draw: st.DrawFn) -> Row:
    """Draw a row as Adyen computes it: converted, fees with parts of a minor unit taken off, and rounded once."""
    gross_in, net_in = draw(currencies), draw(currencies)
    gross = Decimal(draw(st.integers(0, 10**9))).scaleb(-digits_of(gross_in))
    rate = Decimal(1) if gross_in == net_in else draw(st.decimals("0.0001", "200", places=7))
    parts = [draw(st.decimals("0", "5", places=4)) for _ in range(3)]
    blended = draw(st.booleans())
    fees = sum(parts[:1] if blended else parts, Decimal(0))
    sign = draw(st.sampled_from([1, -1]))
    with localcontext(prec=60):
        net = (sign * gross * rate - fees).quantize(Decimal(1).scaleb(-digits_of(net_in)), ROUND_HALF_UP)
    names = ("commission_nc",) if blended else ("markup_nc", "scheme_fees_nc", "interchange_nc")
    return payment(
        draw(st.integers(1, 99)),
        f"{'-' if sign < 0 else ''}{gross}",
        f"{net:f}",
        gross_currency=gross_in,
        net_currency=net_in,
        exchange_rate=str(rate),
        timezone=draw(labels),
        type="Settled" if sign > 0 else "Refunded",
        batch_number=draw(st.sampled_from(["7", "8"])),
        **({"commission_nc": ""} | dict(zip(names, map(str, parts), strict=False))),
    )


strange = st.builds(lambda row, cells: row | cells, settled(), st.fixed_dictionaries({}, optional=wild))


@given(settled())
def test_what_adyen_computes_is_always_accepted(row: Row) -> None:
    reader = _read(_file([row]))
    assert isinstance(reader, SettlementReader)
    assert [each.reason for each in reader.quarantined] == []


@given(settled(), st.sampled_from([2, 3, 10, 1000]), st.sampled_from([1, -1]))
def test_a_net_that_is_off_by_more_than_a_minor_unit_is_never_accepted(row: Row, units: int, sign: int) -> None:
    least = Decimal(1).scaleb(-digits_of(row["Net Currency"]))
    net = Decimal(row["Net Credit (NC)"] or 0) - Decimal(row["Net Debit (NC)"] or 0) + sign * units * least
    row |= {"Net Credit (NC)": f"{net:f}" if net >= 0 else "", "Net Debit (NC)": f"{-net:f}" if net < 0 else ""}
    reader = _read(_file([row]))
    assert isinstance(reader, SettlementReader)
    assert [each.code for each in reader.quarantined] == ["identity"]


@given(st.lists(strange, max_size=6))
def test_accepted_and_quarantined_are_what_was_read(rows: list[Row]) -> None:
    reader = _read(_file(rows))
    assert isinstance(reader, SettlementReader)
    assert reader.read == len(rows) == reader.accepted + len(reader.quarantined)
    assert reader.accepted == len(reader.rows)  # type: ignore[attr-defined]


@given(st.lists(strange, min_size=1, max_size=6), st.sampled_from([None, "Asia/Kolkata", "America/Chicago"]))
def test_checks_over_columns_agree_with_checks_of_each_row(rows: list[Row], zone: str | None) -> None:
    checks = [*checks_for(CONTRACT, ITEMS, PLACES, zone=zone), identity_for(PLACES)]
    table = [[row[name] for name in STANDARD] for row in rows]
    faults = [first_fault(checks, row) for row in table]
    assert all_pass(checks, list(zip(*table, strict=True))) == (not any(faults))


@given(st.lists(strange, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_columns_does_not_matter(rows: list[Row], dice: Random) -> None:
    columns = [*STANDARD, *EXTRAS]
    straight = _read(_file(rows, columns))
    dice.shuffle(columns)
    turned = _read(_file(rows, columns))
    assert isinstance(straight, SettlementReader)
    assert isinstance(turned, SettlementReader)
    assert turned.rows == straight.rows  # type: ignore[attr-defined]
    assert turned.facts == straight.facts
    assert [row.code for row in turned.quarantined] == [row.code for row in straight.quarantined]


@given(st.lists(settled(), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_totals_of_batches_do_not_depend_on_the_order_of_rows(rows: list[Row], dice: Random) -> None:
    sums: dict[tuple[str, str], Decimal] = {}
    for row in rows:
        key = (row["Batch Number"], row["Net Currency"])
        net = Decimal(row["Net Credit (NC)"] or 0) - Decimal(row["Net Debit (NC)"] or 0)
        sums[key] = sums.get(key, Decimal(0)) + net
    rows = [*rows, *(payout(f"{net:f}", batch=batch, net_currency=currency) for (batch, currency), net in sums.items())]
    dice.shuffle(rows)
    reader = _read(_file(rows))
    assert isinstance(reader, SettlementReader)
    assert {(total.subject, total.passed) for total in reader.control_totals} == {
        (f"KontorEU:{batch}:{currency}", True) for batch, currency in sums
    }


@given(st.lists(settled(), max_size=4), st.data())
def test_a_file_cut_anywhere_is_refused_or_read_as_far_as_it_goes(rows: list[Row], data: st.DataObject) -> None:
    whole = _file(rows)
    outcome = _read(whole[: data.draw(st.integers(0, len(whole)))])
    if isinstance(outcome, InvalidInput):
        assert outcome.line
        assert outcome.remedy
    else:
        assert outcome.read == outcome.accepted + len(outcome.quarantined) <= len(rows)


@given(st.lists(settled(), min_size=1, max_size=5), st.data())
def test_any_byte_changed_is_read_or_refused_and_nothing_else(rows: list[Row], data: st.DataObject) -> None:
    damaged = bytearray(_file(rows))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    outcome = _read(bytes(damaged))
    if isinstance(outcome, InvalidInput):
        assert outcome.line
    else:
        assert outcome.read == outcome.accepted + len(outcome.quarantined)
