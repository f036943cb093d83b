"""Verdict, rate and manifest follow from counts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from ledger_core.log.canonical import canonical_bytes
from reconciliation.runs.feeds import Feed
from reconciliation.runs.findings import Findings
from reconciliation.runs.manifest import build_manifest, manifest_sha256
from reconciliation.runs.match_rate import decimal_rate
from reconciliation.runs.pins import Pin, PinnedFile

FILE = PinnedFile(
    file_no=1, file_id=UUID(int=1), source="camt053", account="bank", sha256="0" * 64, facts_sha256="2" * 64
)
FEED = Feed(source="camt053", account="DE75512108001245126199", record_type="statements", cadence="business_daily")


def findings(**changes: Any) -> Findings:
    values: dict[str, Any] = {
        "matched": 10,
        "pending": 0,
        "breaks_by_class": {},
        "pending_by_class": {},
        "pending_by_reason": {},
        "matches_by_stage": {"a1": 10},
        "ledger_items": 10,
        "psp_items": 10,
        "payouts": 1,
        "bank_lines": 1,
        "bank_lines_not_ours": 3,
        "amended_psp_items": 0,
        "control_totals": 4,
        "control_totals_failed": 0,
        "reason_count": 0,
        "reasons": (),
    }
    return Findings(**(values | changes))


def pin(**changes: Any) -> Pin:
    values: dict[str, Any] = {
        "book": "main",
        "as_of": date(2026, 10, 31),
        "signed_size": 12,
        "last_entry_seq": 10,
        "last_account_seq": 4,
        "grace_business_days": 5,
        "provider_account": "default",
        "code_version": "abc",
        "contracts_sha256": "1" * 64,
        "feeds": (),
        "files": (FILE,),
    }
    return Pin(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "reconciled"),
        ({"pending": 2}, "reconciled_with_pending"),
        ({"pending": 2, "breaks_by_class": {"fee_mismatch": 1}}, "breaks"),
        ({"breaks_by_class": {"fee_mismatch": 1}, "reason_count": 1}, "incomplete"),
        ({"reason_count": 1}, "incomplete"),
    ],
)
def test_the_first_verdict_that_applies_wins(changes: dict[str, Any], verdict: str) -> None:
    assert findings(**changes).verdict == verdict


def test_a_rate_of_one_means_every_single_one() -> None:
    assert decimal_rate(matched=999_999_999, breaks=1) == "0.999999"
    assert decimal_rate(matched=3, breaks=0) == "1.000000"
    assert decimal_rate(matched=0, breaks=0) == "1.000000"
    assert decimal_rate(matched=1, breaks=2) == "0.333333"


def test_a_pending_item_is_counted_apart_and_a_break_lowers_the_rate() -> None:
    assert findings(matched=9, pending=1).match_rate == "1.000000"
    assert findings(matched=9, pending=5, breaks_by_class={"missing_at_psp": 1}).match_rate == "0.900000"


def test_the_run_is_named_by_its_input_and_not_by_the_growth_of_the_log() -> None:
    assert pin().run_id == pin(signed_size=99).run_id
    others = [
        pin(as_of=date(2026, 10, 30)),
        pin(last_entry_seq=11),
        pin(last_account_seq=5),
        pin(code_version="abd"),
        pin(files=()),
        pin(book="other"),
        pin(grace_business_days=4),
        pin(provider_account="acct_other"),
        pin(contracts_sha256="3" * 64),
        pin(feeds=(FEED,)),
        pin(feeds=(replace(FEED, due_hour=0),)),
        pin(files=(replace(FILE, account="other"),)),
        pin(files=(replace(FILE, facts_sha256="3" * 64),)),
    ]
    assert len({pin().run_id, *(other.run_id for other in others)}) == len(others) + 1


def test_the_manifest_is_canonical_and_small_whatever_the_number_of_files() -> None:
    files = tuple(replace(FILE, file_no=n, file_id=UUID(int=n), sha256=f"{n:064x}") for n in range(1, 5_001))
    manifest = build_manifest(
        pin(files=files),
        verdict="reconciled",
        merged=True,
        counts=findings().as_counts(),
        rules=[{"leg": "A", "stage": 1, "rule": "reference_equal", "version": 1}],
        outputs={"matches_sha256": "0" * 64, "differences_sha256": "0" * 64},
    )
    assert len(canonical_bytes(manifest)) < 4_000
    assert len(manifest_sha256(manifest)) == 64
    assert manifest["inputs"]["files"] == 5_000


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("book", "other"),
        ("as_of", date(2026, 11, 2)),
        ("last_entry_seq", 7_777),
        ("last_account_seq", 7_777),
        ("grace_business_days", 9),
        ("provider_account", "acct_other"),
        ("code_version", "f" * 64),
        ("files", ()),
    ],
)
def test_every_input_is_part_of_the_runs_name(field: str, other: Any) -> None:
    assert getattr(pin(), field) != other
    assert pin(**{field: other}).run_id != pin().run_id


def test_the_signed_size_is_no_part_of_the_runs_name() -> None:
    assert pin(signed_size=99_999).run_id == pin().run_id
