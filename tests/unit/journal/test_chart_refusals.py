"""What the books refuse of a chart names the place in the file that asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_core.errors import Refused
from ledger_core.files.chart import _placed
from ledger_core.journal.accounts import parse_chart

CHART = "accounts:\n- {code: a, type: asset, currency: USD}\n- {code: 'a:b', type: asset, currency: EUR}\n"


@pytest.mark.parametrize(
    ("message", "pointer", "where"),
    [
        (
            "account a:b has currency USD, which cannot become EUR.",
            "/currency",
            "accounts.yaml:3 /accounts/1/currency",
        ),
        ("account a is closed, and stays so.", None, "accounts.yaml:2 /accounts/0"),
        ("something else.", None, "accounts.yaml"),
    ],
)
def test_a_refused_account_is_found_in_the_file(message: str, pointer: str | None, where: str) -> None:
    chart = parse_chart(CHART, file="accounts.yaml")
    assert _placed(Refused(message, pointer=pointer), chart, Path("accounts.yaml")).where == where
