"""What the marts of a run say, in figures: counts, the match rate, and the verdict that follows.

The order of verdicts is fixed: `incomplete` > `breaks` > `reconciled_with_pending` > `reconciled`. Missing input is
incomplete, never zero, and an item inside its grace is pending, never a break.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from reconciliation.runs.match_rate import decimal_rate

MAX_REASONS = 1_000
"""Reasons stored with a run; the mart `fct_source_findings` has them all, and `counts` says how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Counts of a run; `reasons` say why it is incomplete."""

    matched: int
    pending: int
    breaks_by_class: Mapping[str, int]
    pending_by_class: Mapping[str, int]
    pending_by_reason: Mapping[str, int]
    matches_by_stage: Mapping[str, int]
    ledger_items: int
    psp_items: int
    payouts: int
    bank_lines: int
    bank_lines_not_ours: int
    amended_psp_items: int
    control_totals: int
    control_totals_failed: int
    reason_count: int
    reasons: tuple[Mapping[str, str], ...]

    @property
    def breaks(self) -> int:
        return sum(self.breaks_by_class.values())

    @property
    def verdict(self) -> str:
        """Return the first verdict that applies."""
        if self.reason_count:
            return "incomplete"
        if self.breaks:
            return "breaks"
        if self.pending:
            return "reconciled_with_pending"
        return "reconciled"

    @property
    def match_rate(self) -> str:
        """Return the match rate: 1.000000 means every single one that was due."""
        return decimal_rate(matched=self.matched, breaks=self.breaks)

    def as_counts(self) -> dict[str, Any]:
        """Return the member `counts` of the manifest."""
        return {
            "amended_psp_items": self.amended_psp_items,
            "bank_lines": self.bank_lines,
            "bank_lines_not_ours": self.bank_lines_not_ours,
            "breaks": self.breaks,
            "breaks_by_class": dict(self.breaks_by_class),
            "control_totals": self.control_totals,
            "control_totals_failed": self.control_totals_failed,
            "ledger_items": self.ledger_items,
            "match_rate": self.match_rate,
            "matched": self.matched,
            "matches_by_stage": dict(self.matches_by_stage),
            "payouts": self.payouts,
            "pending": self.pending,
            "pending_by_class": dict(self.pending_by_class),
            "pending_by_reason": dict(self.pending_by_reason),
            "psp_items": self.psp_items,
            "reasons": self.reason_count,
        }


def read_findings(connection: Connection, schema: str) -> Findings:
    """Count what the marts in `schema` hold."""
    assert schema.isidentifier(), schema
    scalars = connection.execute(text(_SCALARS.format(schema=schema))).mappings().one()
    classes = connection.execute(text(_CLASSES.format(schema=schema))).all()
    waiting = connection.execute(text(_PENDING.format(schema=schema))).all()
    stages = connection.execute(text(_STAGES.format(schema=schema))).all()
    reasons = connection.execute(text(_REASONS.format(schema=schema)), {"most": MAX_REASONS}).all()
    pending = {row[0]: row.items for row in _counted(classes, "pending")}
    return Findings(
        matched=scalars["matched"],
        pending=sum(pending.values()),
        breaks_by_class={row[0]: row.items for row in _counted(classes, "break")},
        pending_by_class=pending,
        pending_by_reason={row.pending_reason: row.items for row in waiting},
        matches_by_stage={f"{row.leg.lower()}{row.stage}": row[2] for row in stages},
        ledger_items=scalars["ledger_items"],
        psp_items=scalars["psp_items"],
        payouts=scalars["payouts"],
        bank_lines=scalars["bank_lines"],
        bank_lines_not_ours=scalars["bank_lines_not_ours"],
        amended_psp_items=scalars["amended_psp_items"],
        control_totals=scalars["control_totals"],
        control_totals_failed=scalars["control_totals_failed"],
        reason_count=scalars["reasons"],
        reasons=tuple(dict(row._mapping) for row in reasons),
    )


def read_rules(connection: Connection, schema: str) -> list[dict[str, Any]]:
    """Return the rules in force with their versions."""
    rows = connection.execute(text(_RULES.format(schema=schema)))
    return [dict(row._mapping) for row in rows]


def _counted(rows: Any, status: str) -> list[Any]:
    return [row for row in rows if row.status == status]


# Each large table is read once.
_SCALARS = """
select
    (select coalesce(sum(matched), 0)::bigint from {schema}.fct_match_rates) as matched,
    (select count(*) from {schema}.int_ledger_items) as ledger_items,
    (select count(*) from {schema}.int_psp_payouts) as payouts,
    (select count(*) from {schema}.int_bank_lines) as bank_lines,
    (select count(*) from {schema}.int_bank_lines_not_ours) as bank_lines_not_ours,
    psp_items.items as psp_items,
    psp_items.amended as amended_psp_items,
    control_totals.totals as control_totals,
    control_totals.failed as control_totals_failed,
    (select count(*) from {schema}.fct_source_findings) as reasons
from (
    select count(*) as items, count(*) filter (where is_amended) as amended from {schema}.int_psp_items
) as psp_items
cross join (
    select count(*) as totals, count(*) filter (where not passed) as failed from {schema}.stg_raw__control_totals
) as control_totals
"""

_CLASSES = """
select class, status, count(*) as items from {schema}.fct_differences group by class, status order by class, status
"""

_PENDING = """
select pending_reason, count(*) as items
from {schema}.fct_differences
where status = 'pending'
group by pending_reason
order by pending_reason
"""

_STAGES = """
select leg, stage, count(*) as items from {schema}.fct_matches group by leg, stage order by leg, stage
"""

_REASONS = """
select kind, source, account, subject, detail
from {schema}.fct_source_findings
order by kind, source, account, subject, detail
limit :most
"""

_RULES = """
select leg, stage, rule, version from {schema}.dim_rule_versions order by leg, stage, rule
"""
