"""A report made by hand, for the tests of its page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from ledger_core.journal.money import Money
from reconciliation.report.model import (
    BreakRow,
    Bridge,
    BridgeStep,
    Change,
    ChangeTotal,
    ClassTotal,
    Coverage,
    CoverageDay,
    InputFile,
    PendingRow,
    Rate,
    Report,
    RunPoint,
    StatementRow,
    Station,
)

AS_OF = date(2026, 10, 31)
EVIL = "<img src=x onerror=alert(1)>"


def usd(minor: int) -> Money:
    return Money(amount_minor=minor, currency="USD")


def rate(matched: int, breaks: int, leg: str = "A") -> Rate:
    return Rate(provider="stripe", leg=leg, currency="USD", matched=matched, breaks=breaks)


def break_row(number: int, break_class: str, *, key: str | None = None, minor: int = 100) -> BreakRow:
    return BreakRow(
        break_id=f"{number:064x}",
        break_class=break_class,
        leg="A",
        key=key or f"txn_{number}",
        keys=(key or f"txn_{number}", f"ch_{number}"),
        amount=usd(minor),
        ledger=usd(minor),
        psp=None,
        bank=None,
        priority="P1",
        status="open",
        opened_on=AS_OF,
        age_days=number,
        assignee=None,
        is_new=number == 1,
        path=(
            Station(place="Ledger", state="met", title="booked", amount=usd(minor), facts=(("Entry", key or "e"),)),
            Station(place="Provider", state="missing", title="no item"),
            Station(place="Payout", state="unknown", title="unknown"),
            Station(place="Bank", state="waiting", title="waits"),
        ),
    )


def report(**changes: object) -> Report:
    """Return a report with two breaks of two classes; `changes` replace its fields."""
    rows = (break_row(1, "missing_at_psp"), break_row(12, "amount_mismatch", key=EVIL, minor=-2550))
    made = Report(
        run_id="ab" * 32,
        book="main",
        legal_entity=f"Company {EVIL}",
        as_of=AS_OF,
        recorded_at=datetime(2026, 11, 1, 2, tzinfo=UTC),
        verdict="breaks",
        signed_size=100,
        record_seq=99,
        code_version="c0de",
        previous_as_of=AS_OF - timedelta(days=1),
        rates=(rate(998, 2),),
        previous_rates=(rate(990, 10),),
        history=tuple(
            RunPoint(run_id=str(day), as_of=AS_OF - timedelta(days=29 - day), rates=(rate(990 + day % 9, 2),))
            for day in range(30)
        ),
        breaks=rows,
        totals=tuple(
            ClassTotal(break_class=row.break_class, priority="P1", bucket=0, count=1, amount=row.amount) for row in rows
        ),
        pending=(
            PendingRow(
                leg="B",
                provider="stripe",
                key=EVIL,
                break_class="payout_missing_at_bank",
                amount=usd(1),
                base_on=AS_OF,
                grace_until=AS_OF,
            ),
        ),
        pending_total=1,
        not_ours=3,
        statement=(
            StatementRow(
                leg="A",
                provider="stripe",
                currency="USD",
                opening_count=1,
                opened_count=2,
                closed_count=1,
                closing_count=2,
                opening=usd(10),
                opened=usd(5),
                closed=usd(3),
                closing=usd(12),
            ),
        ),
        bridges=(
            Bridge(
                leg="A",
                provider="stripe",
                currency="USD",
                start_label="Ledger",
                start=usd(1000),
                steps=(BridgeStep(label="Missing at the provider", count=1, amount=usd(-100)),),
                end_label="Provider",
                end=usd(900),
            ),
        ),
        coverage=(Coverage(source=EVIL, days=(CoverageDay(on=AS_OF, state="complete", detail=EVIL),)),),
        changes=(Change(kind="opened", break_id=rows[0].break_id, leg="A", key="txn_1", amount=usd(100), detail=EVIL),),
        change_totals=(ChangeTotal(kind="opened", count=1, since=AS_OF),),
        files_total=1,
        files=(
            InputFile(source="camt053", name=EVIL, sha256="f" * 64, rows_read=1, rows_accepted=1, rows_quarantined=0),
        ),
        reasons=(EVIL,),
    )
    return replace(made, **changes)  # type: ignore[arg-type]
