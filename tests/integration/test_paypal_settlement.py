"""A company that is paid through PayPal: what its reports come to, in minor units signed as the balance moves."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ingest.landing.land import LandedFile, land
from ledger_core.runtime import Runtime
from reconciliation.runs.run import reconcile
from tests.unit.ingest.paypal_report import Row, report, row, section

pytestmark = pytest.mark.integration

PAYMENT = row("1DV3", "T0003", ("CR", "2200"), ("DR", "360"), currency="BRL", Invoice_ID="7233.6")
CONVERTED = (
    row("6MK2", "T0200", ("DR", "1840"), currency="BRL", Invoice_ID="7233.6", PayPal_Reference_ID="1DV3"),
    row("6L22", "T0200", ("CR", "327"), currency="USD", Invoice_ID="7233.6", PayPal_Reference_ID="1DV3"),
)


def landed(runtime: Runtime, folder: Path, *rows: Row, name: str = "STL.csv", text: str | None = None) -> LandedFile:
    (folder / name).write_text(report(section(rows)) if text is None else text)
    [file] = land(runtime, source="paypal_stl", paths=[folder / name], book="main")
    return file


def items(runtime: Runtime) -> dict[str, tuple[Any, ...]]:
    reconcile(runtime, to=date(2026, 1, 9))
    with runtime.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "select psp_transaction_id, currency, gross_minor::bigint, fee_minor::bigint, net_minor::bigint, event,"
            " source_id, charge_id, merchant_reference, booked_on from analytics.int_psp_items"
        )
        return {each[0]: tuple(each[1:]) for each in rows}


def test_hundredths_become_minor_units_of_each_currency(runtime: Runtime, tmp_path: Path) -> None:
    landed(
        runtime,
        tmp_path,
        row("5678", "T0006", ("CR", "5200"), ("DR", "225"), currency="AUD", Invoice_ID="2444.1"),
        row("6899", "T1107", ("DR", "134"), ("CR", "47"), currency="GBP", PayPal_Reference_ID="99900"),
        row("J1", "T0006", ("CR", "120000"), ("DR", "4300"), currency="JPY"),
        row("K1", "T0006", ("CR", "12345"), currency="KWD"),
        row("S1", "T0006", ("DR", "500")),
        at_night := row("N1", "T0006", ("CR", "100"), at="2026/01/06 23:31:39 -0800"),
    )
    found = items(runtime)
    assert found["5678:T0006:CR:AUD"][:8] == ("AUD", 5200, 225, 4975, "charge", "5678", "5678", "2444.1")
    # A refund with its fee given back: -1.34 + 0.47.
    assert found["6899:T1107:DR:GBP"][:7] == ("GBP", -134, -47, -87, "refund", "6899", "99900")
    assert found["J1:T0006:CR:JPY"][:4] == ("JPY", 1200, 43, 1157)
    assert found["K1:T0006:CR:KWD"][:4] == ("KWD", 123450, 0, 123450)
    # The company paid somebody.
    assert found["S1:T0006:DR:USD"][:5] == ("USD", -500, 0, -500, "transfer")
    assert found[f"{at_night['Transaction ID']}:T0006:CR:USD"][8] == date(2026, 1, 7)


def test_a_conversion_is_an_item_in_each_currency_and_names_its_payment(runtime: Runtime, tmp_path: Path) -> None:
    landed(runtime, tmp_path, PAYMENT, *CONVERTED)
    found = items(runtime)
    assert {key: each[:4] for key, each in found.items()} == {
        "1DV3:T0003:CR:BRL": ("BRL", 2200, 360, 1840),
        "6MK2:T0200:DR:BRL": ("BRL", -1840, 0, -1840),
        "6L22:T0200:CR:USD": ("USD", 327, 0, 327),
    }
    assert {each[6] for each in found.values()} == {"1DV3"}
    # What came in its currency went out of it.
    assert sum(each[3] for each in found.values() if each[0] == "BRL") == 0


def test_rows_alike_are_as_many_items_and_a_report_made_again_counts_once(runtime: Runtime, tmp_path: Path) -> None:
    twice = row("T1", "T1503", ("DR", "100"))
    first = landed(runtime, tmp_path, twice, twice, twice | {"Transaction Event Code": "T1105"})
    again = report(section([twice, twice, twice | {"Transaction Event Code": "T1105"}])).replace(
        "2026/01/07 04:00:00", "2026/01/08 04:00:00"
    )
    assert first.status == landed(runtime, tmp_path, name="STL.2.csv", text=again).status == "landed"
    assert sorted(items(runtime)) == ["T1:T1105:DR:USD", "T1:T1503:DR:USD", "T1:T1503:DR:USD:2"]


def test_a_withdrawal_is_a_payout_and_what_came_back_names_it(runtime: Runtime, tmp_path: Path) -> None:
    landed(
        runtime,
        tmp_path,
        row("W1", "T0400", ("DR", "10000"), ("DR", "25"), Bank_Reference_ID="1047428557493"),
        row("W2", "T1101", ("CR", "10000"), PayPal_Reference_ID="W1"),
    )
    found = items(runtime)
    assert found["W1:T0400:DR:USD"][1:5] == (-10025, 0, -10025, "payout")
    assert found["W2:T1101:CR:USD"][4:6] == ("payout_reversal", "W1")
    with runtime.engine.connect() as connection:
        [payout] = connection.exec_driver_sql(
            "select payout_id, net_minor::bigint, bank_minor::bigint from analytics.stg_paypal_stl__psp_payouts"
        )
        [reference] = connection.exec_driver_sql(
            "select payout_id, reference from analytics.stg_paypal_stl__psp_payout_references"
        )
    assert tuple(payout) == ("W1", 10025, 10000)
    assert tuple(reference) == ("W1", "1047428557493")


def test_a_footer_that_does_not_hold_makes_the_run_incomplete(runtime: Runtime, tmp_path: Path) -> None:
    footer = ("SF", "BRL", "9999", "0", "0", "360")
    landed(runtime, tmp_path, text=report(section([PAYMENT], footer, ("SC", "1"))))
    result = reconcile(runtime, to=date(2026, 1, 9))
    assert result.verdict == "incomplete"
    assert any("gross_credits" in str(reason) for reason in result.reasons), result.reasons


def test_a_code_nobody_maps_is_a_break_of_its_own(runtime: Runtime, tmp_path: Path) -> None:
    landed(runtime, tmp_path, row("X1", "T8888", ("CR", "100")))
    assert items(runtime)["X1:T8888:CR:USD"][4] is None
