"""The lockstep comparison finds exactly what was added, removed and changed, whatever the order of the damage."""

from __future__ import annotations

import pytest

from ledger_core.evidence.check.idempotency import kind_of
from ledger_core.evidence.check.lockstep import Lockstep, Row
from ledger_core.evidence.check.model import CheckReport, Code, Finding, Findings


def compare(stored: list[Row], derived: list[Row], *, skipped: tuple[int, ...] = ()) -> list[tuple[int | None, str]]:
    findings = Findings()
    lockstep = Lockstep(
        iter(stored),
        table="t",
        code=Code.ENTRIES_MISMATCH,
        columns=("seq", "line", "amount"),
        key_length=2,
        findings=findings,
    )
    for row in derived:
        if row[0] in skipped:
            lockstep.skip(row[0])
        else:
            lockstep.expect(row)
    lockstep.finish()
    return [(item.seq, item.detail) for item in findings.listed]


ROWS: list[Row] = [(1, 0, 10), (1, 1, 10), (3, 0, 7), (3, 1, 7), (4, 0, 5)]


def test_equal_rows_give_no_finding() -> None:
    assert compare(ROWS, ROWS) == []
    assert compare([], []) == []


@pytest.mark.parametrize("index", range(len(ROWS)))
def test_a_removed_row_is_named_wherever_it_stood(index: int) -> None:
    (finding,) = compare(ROWS[:index] + ROWS[index + 1 :], ROWS)
    seq, line, amount = ROWS[index]
    assert finding == (seq, f"seq {seq} line {line} is missing; the log says amount {amount}")


@pytest.mark.parametrize("row", [(0, 0, 1), (1, 2, 1), (2, 0, 1), (3, 9, 1), (9, 0, 1)])
def test_an_added_row_is_named_wherever_it_stands(row: Row) -> None:
    (finding,) = compare(sorted([*ROWS, row]), ROWS)
    assert finding == (row[0], f"seq {row[0]} line {row[1]} has no origin in the log: amount 1")


@pytest.mark.parametrize("index", range(len(ROWS)))
def test_a_changed_row_names_both_values(index: int) -> None:
    seq, line, amount = ROWS[index]
    (finding,) = compare([*ROWS[:index], (seq, line, 99), *ROWS[index + 1 :]], ROWS)
    assert finding == (seq, f"seq {seq} line {line}: amount is 99, the log says {amount}")


def test_everything_removed_and_everything_added() -> None:
    assert len(compare([], ROWS)) == len(ROWS)
    assert len(compare(ROWS, [])) == len(ROWS)


def test_a_damaged_record_does_not_blame_the_rows_that_came_from_it() -> None:
    assert compare(ROWS, ROWS, skipped=(3,)) == []
    assert compare([(0, 0, 1), *ROWS], ROWS, skipped=(1,)) == [(0, "seq 0 line 0 has no origin in the log: amount 1")]


def test_long_values_are_cut() -> None:
    (finding,) = compare([(1, 0, "x" * 500)], [(1, 0, b"\x01" * 500)])
    assert len(finding[1]) < 350


def test_listing_is_capped_by_code_and_the_rest_is_counted() -> None:
    findings = Findings(listed_per_code=2)
    for seq in range(5):
        findings.add(Code.ENTRIES_MISMATCH, "ledger.entries", seq, "x")
    findings.add(Code.SEQ_GAP, "ledger.records", 7, "y")
    assert [item.seq for item in findings.listed] == [0, 1, 7]
    assert findings.not_listed == {"entries_mismatch": 3}


def report(*findings: Finding) -> CheckReport:
    return CheckReport(
        book="main",
        origin="o",
        size=3,
        signed_size=2,
        findings=findings,
        not_listed={},
        counts={"records": 3},
        notes=("n",),
    )


def test_the_report_says_sound_or_damaged_and_its_exit_status() -> None:
    sound = report()
    assert (sound.exit_status, sound.as_json()["verdict"]) == (0, "sound")
    assert sound.as_lines()[-1] == "sound: nothing contradicts the log."
    damaged = report(Finding(code=Code.SEQ_GAP, table="ledger.records", seq=7, detail="seq 7 is missing"))
    assert (damaged.exit_status, damaged.as_json()["verdict"]) == (1, "damaged")
    assert "seq_gap: ledger.records seq 7: seq 7 is missing" in damaged.as_lines()
    assert damaged.as_json()["findings"] == [
        {"code": "seq_gap", "table": "ledger.records", "seq": 7, "detail": "seq 7 is missing"}
    ]


@pytest.mark.parametrize(
    ("route", "kind"),
    [
        ("journal-entries", "journal_entry"),
        ("journal-entries/batch", "journal_entry"),
        ("journal-entries#3", "journal_entry"),
        ("reversals", "journal_entry"),
        ("accounts/change", "account"),
        ("records/export", "export"),
        ("something-new", None),
    ],
)
def test_a_route_says_what_kind_of_record_it_appends(route: str, kind: str | None) -> None:
    assert kind_of(route) == kind
