"""What the books refuse of a chart names the place in the file that asks for it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from ledger_core.errors import InvalidInput, Refused
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


MEMBERS = ("code", "type", "currency", "normal_balance", "overdraft", "metadata", "metadata.a")
VALUES = ("null", "~", "", "yes", "1.5", "2026-10-01", "[a]", "{a: b}")
WRONG = [each for each in product(MEMBERS, VALUES) if each != ("metadata", "{a: b}")]


@pytest.mark.parametrize(("member", "value"), WRONG)
def test_a_member_that_is_nothing_or_of_another_kind_is_named_with_its_line(member: str, value: str) -> None:
    members = {"code": "a:b", "type": "asset", "currency": "EUR", "metadata": "{}"}
    members[member.partition(".")[0]] = f"{{a: {value}}}" if member == "metadata.a" else value
    rows = "".join(f"  {name}: {written}\n" for name, written in members.items())
    text = f"accounts:\n- {{code: a, type: asset, currency: USD}}\n-\n{rows}"
    line = 4 + list(members).index(member.partition(".")[0])
    with pytest.raises(InvalidInput) as raised:
        parse_chart(text, file="accounts.yaml")
    assert (raised.value.line, raised.value.pointer) == (line, f"/accounts/1/{member.replace('.', '/')}")
    assert raised.value.remedy


@pytest.mark.parametrize(
    "text", ["book: null\n", "book:\n", "book: [a]\n", "book: true\n", "accounts: null\n", "- null\n"]
)
def test_a_chart_whose_own_members_are_nothing_is_named_with_its_line(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_chart(f"# a chart\n{text}" + ("" if "accounts" in text else CHART if "book" in text else ""), file="f")
    assert raised.value.line == 2


def test_digits_are_a_code_and_a_limit_as_they_are_written() -> None:
    [account] = parse_chart(
        "accounts:\n- {code: 1000, type: asset, currency: EUR, overdraft: 500}\n", file="f"
    ).accounts
    assert (account.code, account.overdraft) == ("1000", "500")
