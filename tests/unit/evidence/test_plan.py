"""What an export set out to write is read back as it was, and nothing else is taken for it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ledger_core.evidence.export.plan import Plan, forget_plan, plans_of, read_plan

PLAN = Plan(origin="d/e/main", segment=3, closed_on=date(2026, 3, 31), first_seq=53, next_seq=60)
FILE = "run/export-main.plan.json"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path


def test_a_plan_is_kept_for_its_owner_alone_until_it_is_forgotten(home: Path) -> None:
    assert read_plan(home, "main") is None
    PLAN.write(home, "main")
    assert read_plan(home, "main") == PLAN
    assert (home / FILE).stat().st_mode & 0o777 == 0o600
    assert PLAN.folder == "d/e/main/segments/2026/03/31/0000000003-53-60"
    assert (list(plans_of(home, "d/e/main")), list(plans_of(home, "d/e/other"))) == ([PLAN], [])
    forget_plan(home, "main")
    forget_plan(home, "main")
    assert read_plan(home, "main") is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"origin":"d/e/main","segment":"3","closed_on":"2026-03-31","first_seq":53,"next_seq":60}',
        '{"origin":"d/e/main","segment":-3,"closed_on":"2026-03-31","first_seq":53,"next_seq":60}',
        '{"origin":"d/e/main","segment":3,"closed_on":"yesterday","first_seq":53,"next_seq":60}',
        '{"origin":7,"segment":3,"closed_on":"2026-03-31","first_seq":53,"next_seq":60}',
        '{"origin":"d/e/main","segment":true,"closed_on":"2026-03-31","first_seq":53,"next_seq":60}',
    ],
)
def test_what_is_no_plan_is_none(home: Path, content: str) -> None:
    (home / FILE).write_text(content)
    assert read_plan(home, "main") is None
    assert list(plans_of(home, "d/e/main")) == []
