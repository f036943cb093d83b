"""The chart of accounts file: YAML, and errors that name the line."""

from __future__ import annotations

import pytest

from ledger_core.errors import InvalidInput
from ledger_core.journal.accounts import parse_chart

CHART = """\
book: main
accounts:
  - code: assets:psp:stripe:clearing:usd
    type: asset
    currency: USD
    overdraft: forbidden
    metadata: {source: stripe, role: clearing}
  - {code: revenue:refunds:usd, type: revenue, currency: USD, normal_balance: debit, overdraft: 5000}
"""


def test_a_chart_lists_accounts_with_their_defaults() -> None:
    chart = parse_chart(CHART, file="accounts.yaml")
    assert chart.book == "main"
    assert [CHART.splitlines()[line - 1].count("code:") for line in chart.lines] == [1, 1]
    first, second = chart.accounts
    assert (first.normal_balance, first.overdraft, first.metadata["role"]) == ("debit", "forbidden", "clearing")
    assert (second.normal_balance, second.overdraft, second.metadata) == ("debit", "5000", {})


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "empty"),
        ("book: main\n", 1, "list of accounts"),
        ("accounts: []\n", 1, "list of accounts"),
        ("accounts:\n- code: a\n  type: asset\n  currency: usd\n", 4, "ISO 4217"),
        ("accounts:\n- code: a\n  type: assets\n  currency: USD\n", 3, "account type"),
        ("accounts:\n- code: a b\n  type: asset\n  currency: USD\n", 2, "account code"),
        ("accounts:\n- code: a\n  type: asset\n", 2, "`currency`"),
        ("accounts:\n- code: a\n  type: asset\n  currency: USD\n  colour: red\n", 5, "unknown key"),
        ("accounts:\n- code: a\n  code: b\n", 3, "twice"),
        ("accounts:\n- {code: a, type: asset, currency: USD}\n- {code: a, type: asset, currency: USD}\n", 3, "line 2"),
        ("accounts:\n- {code: a, type: asset, currency: USD,\n   metadata: {cost_center: 12}}\n", 3, "not a string"),
        ("accounts:\n- {code: a, type: asset, currency: USD,\n   overdraft: -5}\n", 3, "overdraft"),
        ("accounts:\n- {code: a, type: asset, currency: USD,\n   metadata: {Ref: x}}\n", 3, "metadata key"),
        ("accounts:\n  - a\n", 2, "mapping"),
        ("accounts: [\n", 2, "not YAML"),
        ("book: Main\naccounts: [{code: a, type: asset, currency: USD}]\n", 1, "name of a book"),
        ("kind: chart\naccounts: []\n", 1, "unknown key"),
        ("- a\n", 1, "mapping"),
        ("a: !!python/object:os.system {}\n", 1, "unknown key"),
        ("[" * 3000, None, "not YAML"),
        ("book: main\n# \x01\n", 2, "not YAML"),
        ('book: main\n"a\\0": b\n', 2, "U+0000"),
    ],
)
def test_a_wrong_chart_is_refused_with_file_and_line(text: str, line: int | None, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_chart(text, file="accounts.yaml")
    assert caught.value.file == "accounts.yaml"
    assert says in str(caught.value)
    if line is not None:
        assert caught.value.line == line
    assert caught.value.line is not None
    assert caught.value.remedy


def test_an_alias_bomb_costs_nothing() -> None:
    layers = "\n".join(f"l{n + 1}: &l{n + 1} [*l{n}, *l{n}, *l{n}, *l{n}]" for n in range(30))
    with pytest.raises(InvalidInput):
        parse_chart(f"l0: &l0 [a]\n{layers}\n", file="accounts.yaml")
