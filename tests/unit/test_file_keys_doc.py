"""The runbook of file keys: every reason, every back-end, every setting that there is, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ledger_core.base.keepers.custody import AT_ONCE
from ledger_core.base.wrapping.custody import TROUBLES, WRAPPING, not_opened
from ledger_core.settings.model import known_names
from ledger_core.wrapping import BACKENDS

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbooks" / "file-keys.md").read_text()


def test_it_explains_every_reason_and_no_other() -> None:
    table = RUNBOOK.partition("| reason | means | do |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    explained = re.findall(r"`([a-z_]+)`", "".join(cells))
    assert sorted([*explained, "wrong_context"]) == sorted(TROUBLES)
    assert "reason `wrong_context`" in RUNBOOK


def test_it_shows_every_back_end_and_sets_what_there_is() -> None:
    table = RUNBOOK.partition("| back-end |")[2].partition("\n\n")[0]
    assert {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")} == set(BACKENDS)
    named = set(re.findall(r"COUNTERFOIL_FILE_KEYS__[A-Z0-9_]*[A-Z0-9]", RUNBOOK))
    assert named <= set(known_names())
    assert len(named) > 10


def test_its_policy_of_kms_allows_three_calls_on_one_key_and_two_contexts() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", RUNBOOK, flags=re.DOTALL)
    look, use = json.loads(block)["Statement"]
    assert (look["Action"], use["Action"]) == ("kms:DescribeKey", ["kms:Encrypt", "kms:Decrypt"])
    assert use["Condition"]["StringEquals"] == {"kms:EncryptionContext:counterfoil": ["raw-file", "probe"]}
    assert look["Resource"] == use["Resource"] != "*"


@pytest.mark.parametrize("reason", TROUBLES)
def test_an_error_says_who_why_and_what_to_do(reason: str) -> None:
    error = WRAPPING.unavailable(reason, "the keeper", "what it said")
    said = f"the keeper: {reason.replace('_', ' ')}: what it said; no key was wrapped or opened. "
    assert str(error).startswith(said)
    assert error.context["reason"] == reason
    assert error.retryable or reason not in AT_ONCE
    assert error.remedy
    assert not_opened("the keeper", "why").context["reason"] == "wrong_context"
