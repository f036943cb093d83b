"""The truth file says exactly what a second, brute-force reading of the written files finds."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from datetime import date, timedelta

import pytest

from reconciliation.breaks.break_classes import break_classes
from sample.currencies import CURRENCIES
from sample.dice import Dice
from sample.model import Request
from sample.plan import make_plan

CLASSES = {
    "missing_in_ledger",
    "missing_at_psp",
    "amount_mismatch",
    "fee_mismatch",
    "currency_mismatch",
    "duplicate_ledger",
    "payout_missing_at_bank",
    "unexpected_bank_credit",
}


def test_every_planted_class_is_one_that_matching_knows():
    assert set(break_classes()) >= CLASSES


@pytest.mark.parametrize("seed", range(1, 7))
def test_brute_force_finds_every_planted_break_and_no_other(seed, make_files, oracle):
    files = make_files(seed=seed)
    truth = json.loads(files["truth.json"])

    verdict = oracle.reconcile(files)

    assert verdict.breaks == truth["breaks"]
    assert verdict.as_of.isoformat() == truth["as_of"]
    assert verdict.pending > 0


@pytest.mark.parametrize("weekday", range(7))
def test_the_smallest_fortnight_has_five_breaks_of_each_class_whatever_day_it_starts(weekday, make_files, oracle):
    files = make_files(days=14, per_day=1, start=date(2026, 10, 5) + timedelta(days=weekday))
    truth = json.loads(files["truth.json"])

    assert truth["counts"] == dict.fromkeys(sorted(CLASSES), 5)
    assert oracle.reconcile(files).breaks == truth["breaks"]


def test_a_bigger_sample_has_more_breaks_of_each_class():
    request = Request(days=31, per_day=640, seed=1, clean=False, start=date(2026, 10, 1))
    plan = make_plan(request, Dice(1), CURRENCIES)
    counts = Counter(slot.break_class for slot in plan.slots.values())

    assert min(*counts.values(), len(plan.lost_payouts), len(plan.stray_credits)) > 5


def test_breaks_spread_over_all_currencies_and_both_signs(make_files):
    breaks = [row for seed in range(1, 4) for row in json.loads(make_files(seed=seed)["truth.json"])["breaks"]]

    for name in CLASSES:
        assert {row["currency"] for row in breaks if row["class"] == name} == {"USD", "EUR", "JPY", "KWD"}, name
    for name in ("missing_in_ledger", "missing_at_psp", "amount_mismatch", "duplicate_ledger"):
        signs = {row["amount_minor"].startswith("-") for row in breaks if row["class"] == name}
        assert signs == {True, False}, name


def test_no_two_planted_breaks_share_a_key(make_files):
    breaks = json.loads(make_files(seed=2)["truth.json"])["breaks"]

    assert max(Counter((row["leg"], row["key"]) for row in breaks).values()) == 1


def test_counts_are_those_of_the_breaks(make_files):
    truth = json.loads(make_files(seed=3)["truth.json"])

    assert truth["counts"] == Counter(row["class"] for row in truth["breaks"])
    assert truth.keys() == {"as_of", "breaks", "counts"}


@pytest.mark.parametrize("seed", range(1, 4))
def test_a_clean_sample_reconciles_with_nothing_pending(seed, make_files, oracle):
    files = make_files(seed=seed, clean=True)

    verdict = oracle.reconcile(files)

    assert json.loads(files["truth.json"]) == {"as_of": verdict.as_of.isoformat(), "breaks": [], "counts": {}}
    assert (verdict.name, verdict.pending) == ("reconciled", 0)


def test_a_clean_sample_cut_on_any_earlier_day_is_pending_and_never_broken(make_files, oracle):
    files = make_files(seed=4, days=10, per_day=1, clean=True)
    first, last = date(2026, 10, 1), oracle.reconcile(files).as_of

    for offset in range((last - first).days):
        verdict = oracle.reconcile(files, first + timedelta(days=offset))
        assert verdict.name == "reconciled_with_pending", verdict.as_of


def test_a_cut_of_a_planted_sample_finds_planted_breaks_only(make_files, oracle):
    files = make_files(seed=5, days=24, per_day=1)
    planted = json.loads(files["truth.json"])["breaks"]

    for offset in range(6, 24):
        for found in oracle.reconcile(files, date(2026, 10, 1) + timedelta(days=offset)).breaks:
            assert found in planted


def test_the_order_of_rows_does_not_matter(make_files, oracle):
    files = make_files(seed=6)

    shuffled = {name: _shuffled(name, data) for name, data in files.items()}

    assert shuffled != files
    assert oracle.reconcile(shuffled).breaks == json.loads(files["truth.json"])["breaks"]


def test_the_waterfall_is_needed_down_to_amounts(make_files, oracle):
    matched = oracle.reconcile(make_files(days=31, per_day=120)).matched

    assert matched["4"] >= 5
    assert matched["B amount"] >= 2
    assert matched["1"] > 0.95 * (matched["1"] + matched["4"])


@pytest.mark.parametrize(
    ("pattern", "line"),
    [("stripe/payout_reconciliation_.*", 5), ("stripe/payouts_.*", 2), ("entries.jsonl", 9)],
)
def test_a_line_lost_from_a_clean_sample_is_noticed(pattern, line, make_files, oracle):
    files = dict(make_files(seed=7, clean=True))
    name = min(name for name in files if re.fullmatch(pattern, name))
    lines = files[name].splitlines(keepends=True)
    files[name] = b"".join(lines[:line] + lines[line + 1 :])

    try:
        verdict = oracle.reconcile(files)
    except KeyError:  # a bank line that names a payout which no report lists
        return
    assert verdict.name == "breaks"


def _shuffled(name: str, data: bytes) -> bytes:
    chance = random.Random(name)
    if name == "entries.jsonl":
        lines = data.splitlines(keepends=True)
        return b"".join(chance.sample(lines, len(lines)))
    if name.endswith(".csv"):
        header, *lines = data.splitlines(keepends=True)
        return header + b"".join(chance.sample(lines, len(lines)))
    if name.endswith(".xml"):
        return re.sub(rb"(?s)(?:<Ntry>.*?</Ntry>\n)+", lambda found: _shuffled_entries(found[0], chance), data)
    return data


def _shuffled_entries(data: bytes, chance: random.Random) -> bytes:
    entries = re.findall(rb"(?s)<Ntry>.*?</Ntry>\n", data)
    return b"".join(chance.sample(entries, len(entries)))
