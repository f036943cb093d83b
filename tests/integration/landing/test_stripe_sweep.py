"""Sweeps of Stripe's API against a server that plays it: pages, faults, restarts, and what lands of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.landing import sweep as sweeping
from ingest.landing.sweep import SweptList, sweep
from ingest.sources.stripe_api import fetch
from ingest.sources.stripe_api.fetch import StripeLists, open_lists
from ledger_core.errors import ConfigurationError, DependencyError, InvalidInput
from tests.integration.landing.conftest import LandingOnly
from tests.integration.landing.stripe_server import KEY, Stripe, charge, dispute, payout, rate, serving

pytestmark = pytest.mark.integration

AT = int(datetime(2026, 10, 30, 10, tzinfo=UTC).timestamp())
DAYS = (date(2026, 10, 30), date(2026, 10, 31))
ITEMS = """
    select item.id, item.payout, encode(item.row_sha256, 'hex') as row from raw.stripe_api_balance_transactions as item
    order by item.id, item.payout, row
"""

Sweep = Callable[..., dict[str, SweptList]]


@pytest.fixture
def stripe() -> Iterator[Stripe]:
    held = Stripe(
        transactions=[charge(number, AT + number * 60) for number in range(7)],
        payouts=[payout(1, AT + 80_000, amount=4_810)],
        disputes=[dispute(1, AT + 3_600)],
        settled={"po_1": ["txn_0", "txn_1"]},
        page=3,
    )
    with serving(held) as served:
        yield served


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def run(landing: LandingOnly, stripe: Stripe, tmp_path: Path, waits: list[float]) -> Sweep:
    key = tmp_path / "stripe.key"
    key.write_text(f"{KEY}\n")
    told = landing.settings.ingest.model_copy(update={"stripe_url": stripe.url, "stripe_key_files": {"default": key}})
    landing.settings = landing.settings.model_copy(update={"ingest": told})

    def swept(*, days: Any = DAYS, most: int = 1_000, **more: Any) -> dict[str, SweptList]:
        lists = replace(open_lists(landing.settings, "default"), sleep=waits.append, most=most)
        found: dict[str, SweptList] = {}
        for each in sweep(landing, days=days, lists=lists, **more):
            found[each.list] = each
        return found

    return swept


def test_every_object_lands_once_as_the_api_wrote_it(landing: LandingOnly, stripe: Stripe, run: Sweep) -> None:
    stripe.transactions.append(charge(9, AT + 900, exchange_rate=rate("1.10"), currency="eur"))
    done = run()
    assert {name: each.objects for name, each in done.items()} == {
        "balance_transactions": 8, "payouts": 1, "disputes": 1
    }  # fmt: skip
    files = [file for each in done.values() for file in each.files]
    assert all(file.read == file.accepted and file.quarantined == 0 for file in files)
    assert all(total.passed for file in files for total in file.control_totals)
    rows = landing.rows("select * from raw.stripe_api_balance_transactions where payout = '' order by created")
    (converted,) = [row for row in rows if row["id"] == "txn_9"]
    assert (converted["exchange_rate"], converted["currency"]) == ("1.10", "eur")
    first = rows[0]
    assert (first["source"], first["source_payment_intent"], first["source_metadata_order_id"]) == (
        "ch_0", "pi_0", "order-0"
    )  # fmt: skip
    assert first["fee_details"] == '[{"amount":95,"currency":"usd","type":"stripe_fee"}]'
    assert "jane" not in str(rows).lower()
    assert stripe.versions == {fetch.API_VERSION}
    assert not list((landing.settings.home / "incoming").glob("**/*.jsonl"))


def test_an_item_is_given_its_payout_by_the_payouts_own_list(landing: LandingOnly, run: Sweep) -> None:
    run()
    settled = landing.rows("select id, payout from raw.stripe_api_balance_transactions where payout <> '' order by id")
    assert settled == [{"id": "txn_0", "payout": "po_1"}, {"id": "txn_1", "payout": "po_1"}]


def test_a_payout_that_is_not_reconciled_or_not_automatic_has_no_list_of_its_own(stripe: Stripe, run: Sweep) -> None:
    stripe.payouts = [
        payout(1, AT, amount=1, reconciliation_status="in_progress"),
        payout(2, AT, amount=1, automatic=False),
    ]
    run()
    assert not [path for path in stripe.asked if "payout=" in path]


def test_whatever_pages_faults_and_repetitions_the_rows_are_the_same(
    landing: LandingOnly, stripe: Stripe, run: Sweep, waits: list[float]
) -> None:
    run()
    expected = landing.rows(ITEMS)
    chance = random.Random(7)
    for page in (1, 2, 5, 100):
        stripe.page = page
        stripe.faults = [each for fault in chance.choices(["429:2", "500", "cut", "html"], k=6) for each in (fault, "")]
        again = run()
        assert {file.status for each in again.values() for file in each.files} == {"already_landed"}
        assert again["balance_transactions"].seen_first == 0
    assert landing.rows(ITEMS) == expected
    assert 2.0 in waits


def test_a_window_with_too_many_objects_is_asked_for_in_halves(landing: LandingOnly, run: Sweep) -> None:
    assert run(most=2)["balance_transactions"].objects == 7
    rows = landing.rows("select distinct id from raw.stripe_api_balance_transactions")
    assert len(rows) == 7


def test_a_payout_of_too_many_items_is_said_and_stops_nothing(stripe: Stripe, run: Sweep) -> None:
    stripe.settled["po_1"] = [f"txn_{number}" for number in range(7)]
    done = run(most=6)
    assert done["payouts"].warnings == ["payout po_1 has too many items to list: its itemised report names them."]
    assert done["disputes"].objects == 1


def test_what_the_sweep_saw_first_is_counted(landing: LandingOnly, stripe: Stripe, run: Sweep, tmp_path: Path) -> None:
    landing.land(landing.report(tmp_path / "a.csv", rows=3, day="2026-10-30"))
    assert run()["balance_transactions"].seen_first == 4
    stripe.transactions.append(charge(20, AT + 5))
    assert run()["balance_transactions"].seen_first == 1


@pytest.mark.parametrize("stopped_at", range(1, 6))
def test_a_sweep_that_dies_goes_on_and_loses_and_doubles_nothing(
    landing: LandingOnly, stripe: Stripe, run: Sweep, monkeypatch: pytest.MonkeyPatch, stopped_at: int
) -> None:
    stripe.transactions += [charge(100 + number, AT - number * 86_400) for number in range(5)]
    monkeypatch.setattr(sweeping, "FIRST_DAYS", 6)
    real, landed = sweeping.land, []

    def dies(*arguments: Any, **more: Any) -> Any:
        landed.append(1)
        if len(landed) == stopped_at:
            raise KeyboardInterrupt
        return real(*arguments, **more)

    monkeypatch.setattr(sweeping, "land", dies)
    with pytest.raises(KeyboardInterrupt):
        run(days=(None, None))
    (left,) = landing.rows("select slice_from, window_until, swept_until from ops.sweeps")
    assert left["slice_from"] is not None
    assert left["swept_until"] is None
    monkeypatch.setattr(sweeping, "land", real)
    run(days=(None, None))
    plain = landing.rows(
        "select id, count(*) as n from raw.stripe_api_balance_transactions where payout = '' group by id"
    )
    assert len(plain) == 12
    checkpoints = landing.rows("select list, slice_from, swept_until, seen_first from ops.sweeps order by list")
    assert [each["slice_from"] for each in checkpoints] == [None, None, None]
    assert {each["swept_until"] for each in checkpoints} == {landing.clock()}
    assert checkpoints[0]["seen_first"] == 12


def test_a_sweep_goes_on_where_it_ended_less_the_overlap(
    landing: LandingOnly, stripe: Stripe, run: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(days=(None, None))
    stripe.asked.clear()
    later = datetime(2026, 11, 2, 6, tzinfo=UTC)
    monkeypatch.setattr(LandingOnly, "clock", staticmethod(lambda: later))
    stripe.transactions.append(charge(50, AT + 7))
    done = run(days=(None, None))
    assert done["balance_transactions"].since == datetime(2026, 10, 29, tzinfo=UTC)
    assert done["balance_transactions"].until == later
    assert done["balance_transactions"].seen_first == 1


def test_a_refused_key_ends_the_sweep_and_names_the_remedy(
    run: Sweep, landing: LandingOnly, waits: list[float]
) -> None:
    (path,) = landing.settings.ingest.stripe_key_files.values()
    path.write_text("rk_test_another")
    with pytest.raises(ConfigurationError, match="refuses the key") as caught:
        run()
    assert "STRIPE_KEY_FILES" in str(caught.value)
    assert "rk_test_another" not in str(caught.value)
    assert waits == []


def test_a_key_without_the_right_ends_the_sweep_at_once(run: Sweep, stripe: Stripe, waits: list[float]) -> None:
    stripe.faults = ["403"]
    with pytest.raises(ConfigurationError, match="may not read /v1/balance_transactions"):
        run()
    assert waits == []


def test_a_server_that_stays_broken_is_a_failure_that_may_pass(run: Sweep, stripe: Stripe, waits: list[float]) -> None:
    stripe.faults = ["500", "cut"] * 20
    with pytest.raises(DependencyError, match="8 times in a row") as caught:
        run()
    assert caught.value.retryable
    assert len(waits) == fetch.MAX_ATTEMPTS - 1
    assert waits[-1] > waits[0]


def test_without_a_key_or_with_days_that_cannot_be_nothing_is_asked(landing: LandingOnly, run: Sweep) -> None:
    with pytest.raises(ConfigurationError, match="no key of Stripe's is set for account 'acct_2'"):
        sweep(landing, account="acct_2")
    with pytest.raises(InvalidInput, match="before it begins"):
        run(days=(DAYS[1], DAYS[0]))
    with pytest.raises(InvalidInput, match="has not come"):
        run(days=(date(2026, 11, 2), None))
    with pytest.raises(InvalidInput, match="nothing where it begins"):
        run(days=(None, DAYS[1]))


def test_an_object_that_contradicts_itself_is_put_aside_and_the_others_land(
    landing: LandingOnly, stripe: Stripe, run: Sweep
) -> None:
    stripe.transactions[2]["net"] = 1
    stripe.transactions[3]["description"] = "card 4111 1111 1111 1111"
    (file,) = [each for each in run()["balance_transactions"].files if each.read]
    assert (file.read, file.accepted, file.quarantined) == (7, 5, 2)
    rows = landing.rows("select code, raw from raw.quarantine order by code")
    assert [row["code"] for row in rows if "txn_2" in row["raw"]] == ["identity"]
    assert "4111 1111 1111 1111" not in str(rows)


def test_the_folder_of_what_lands_is_nobody_elses(landing: LandingOnly, run: Sweep) -> None:
    run()
    assert (landing.settings.home / "incoming").stat().st_mode & 0o077 == 0


def test_the_lists_do_not_show_the_key(landing: LandingOnly, run: Sweep) -> None:
    assert KEY not in repr(open_lists(landing.settings, "default"))
    assert isinstance(open_lists(landing.settings, "default"), StripeLists)
