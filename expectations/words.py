"""Outcomes in a reader's words: how many rows of how many, figures beside what was expected of them, never JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from expectations.model import Outcome, Unit

STATES = {
    "passed": "holds",
    "nothing": "nothing to check",
    "warn": "warns",
    "error": "is broken",
}


def state_of(outcome: Outcome) -> str:
    """Return a key of `STATES`; what could not be evaluated is an error whatever its severity."""
    if not outcome.passed:
        return "error" if outcome.error is not None else outcome.expectation.severity
    return "nothing" if outcome.checked == 0 else "passed"


def observed_words(outcome: Outcome) -> str:
    """Return what was found, as `0 of 1,234 rows fail` or `0.9 to 1.1 times the usual (expected 0.4 to 2.5)`."""
    if outcome.error is not None:
        return f"could not be checked: {outcome.error}"
    if state_of(outcome) == "nothing":
        return _nothing(outcome)
    if outcome.low is not None and outcome.high is not None:
        return _range(outcome, outcome.low, outcome.high)
    if outcome.expectation.kind == "ExpectColumnValuesToNotBeNull":
        return _lacking(outcome)
    empty = (outcome.rows or 0) - (outcome.checked or 0)
    return f"{_share(outcome)} fail{f'; {empty:,} have no value' if empty else ''}"


def _nothing(outcome: Outcome) -> str:
    if not outcome.rows:
        return "no rows"
    if outcome.expectation.unit == "number":
        return f"none of {_rows(outcome.rows)} has a value"
    return f"none of {_rows(outcome.rows)} can be compared with the weeks before"


def _lacking(outcome: Outcome) -> str:
    mostly = outcome.expectation.arguments.get("mostly", 1.0)
    if mostly == 1.0 or not outcome.checked:
        return f"{_share(outcome)} lack it"
    share = Decimal(outcome.unexpected_count) / outcome.checked
    return f"{_share(outcome)} lack it: {_figure(share * 100)} % (expected at most {_figure((1 - mostly) * 100)} %)"


def _range(outcome: Outcome, low: Decimal, high: Decimal) -> str:
    arguments, unit = outcome.expectation.arguments, outcome.expectation.unit
    expected = _expected(arguments.get("min_value"), arguments.get("max_value"), unit)
    words = {"number": "", "times": " times the usual", "points": " percentage points off"}[unit]
    parts = [f"{_between(low, high, unit)}{words} (expected {expected})"]
    if outcome.unexpected_count:
        parts.append(f"{_share(outcome)} outside")
    unjudged = (outcome.rows or 0) - (outcome.checked or 0)
    if unjudged:
        parts.append(f"{_rows(unjudged)} could not be compared")
    return "; ".join(parts)


def _expected(low: Any, high: Any, unit: Unit) -> str:
    # What moves by at least nothing is not told so.
    if low is None or (low == 0 and high is not None):
        return f"at most {_in_unit(high, unit)}"
    return f"at least {_in_unit(low, unit)}" if high is None else _between(low, high, unit)


def _between(low: Any, high: Any, unit: Unit) -> str:
    least, most = _in_unit(low, unit), _in_unit(high, unit)
    return least if least == most else f"{least} to {most}"


def _in_unit(value: Any, unit: Unit) -> str:
    return _figure(Decimal(str(value)) * (100 if unit == "points" else 1))


def _figure(value: Any) -> str:
    """Return at most two decimals; a figure that they would round to nothing reads `under 0.01`."""
    exact = Decimal(str(value))
    if 0 < exact < Decimal("0.005"):
        return "under 0.01"
    text = f"{exact:,.2f}"
    return text.rstrip("0").rstrip(".")


def _share(outcome: Outcome) -> str:
    of = outcome.checked if outcome.checked is not None else outcome.rows
    if of is None:
        return _rows(outcome.unexpected_count)
    return f"{outcome.unexpected_count:,} of {_rows(of)}"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
