"""The runbook of a failed check knows every code that a check can give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger_core.evidence.check.checker import Code

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbooks" / "failed-check.md"


@pytest.mark.parametrize("code", Code)
def test_the_runbook_says_what_a_code_means(code: Code) -> None:
    rows = [line for line in RUNBOOK.read_text().splitlines() if line.startswith("| `")]
    assert any(f"`{code}`" in row.split("|")[1] for row in rows)


def test_the_runbook_explains_no_code_that_does_not_exist() -> None:
    rows = [line for line in RUNBOOK.read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == {str(code) for code in Code}
