"""What the page calls things in a reader's words; what it calls classes stands with them (`break_classes`)."""

from __future__ import annotations

VERDICTS = {
    "reconciled": "Reconciled",
    "reconciled_with_pending": "Reconciled, with pending",
    "breaks": "Breaks",
    "incomplete": "Incomplete input",
}
LEGS = {"A": "A · ledger to provider", "B": "B · provider to bank"}
MARKS = {"met": "●", "differs": "◐", "missing": "○", "waiting": "◌", "unknown": "·"}
BUCKET_UNIT = "days"

CHANGES = {
    "opened": "Opened",
    "reopened": "Opened again",
    "closed": "Closed",
    "reclassified": "Now of another class",
    "changed": "Amount changed",
}
