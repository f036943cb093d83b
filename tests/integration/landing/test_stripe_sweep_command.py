"""`counterfoil sweep stripe` as its user runs it: what it lands, what it says, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from ledger_core.base.processes import ProcessGroup
from ledger_core.errors import ConfigurationError
from tests.integration.landing.stripe_server import KEY, Stripe, charge, serving

pytestmark = pytest.mark.integration

AT = int(datetime(2026, 10, 30, 10, tzinfo=UTC).timestamp())


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["sweep", "stripe", "--from", "2026-10-30", "--to", "2026-10-30", *words])


@pytest.fixture
def stripe(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stripe]:
    """A home that knows a key, and the server that takes it."""
    folder, key = tmp_path / "home", tmp_path / "key"
    key.write_text(KEY)
    with serving(Stripe(transactions=[charge(number, AT + number) for number in range(3)])) as served:
        for name, value in (
            ("COUNTERFOIL_HOME", folder),
            ("DATABASE_URL", database_url),
            ("COUNTERFOIL_ENV", "test"),
            ("COUNTERFOIL_INGEST__STRIPE_URL", served.url),
            ("COUNTERFOIL_INGEST__STRIPE_KEY_FILES", json.dumps({"default": str(key)})),
        ):
            monkeypatch.setenv(name, str(value))
        yield served
    group = ProcessGroup(folder / "run")
    for record in reversed(group.records()):
        group.stop(record.name)


def test_it_says_what_it_asked_what_came_and_what_nobody_had_brought(stripe: Stripe) -> None:
    answer = run("--json")
    assert answer.exit_code == 0, answer.output
    lists = {each["list"]: each for each in json.loads(answer.stdout)["lists"]}
    items = lists["balance_transactions"]
    assert (items["objects"], items["seen_first"], items["files"][0]["status"]) == (3, 3, "landed")
    again = {each["list"]: each for each in json.loads(run("--json").stdout)["lists"]}
    assert again["balance_transactions"]["seen_first"] == 0
    stripe.transactions[0]["net"] = 7
    plain = run()
    assert plain.exit_code == 1, plain.output
    assert "does not hold" in plain.output


def test_without_a_key_it_could_not_run(stripe: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERFOIL_INGEST__STRIPE_KEY_FILES")
    answer = run()
    assert isinstance(answer.exception, ConfigurationError), answer.output
    assert "no key of Stripe's is set" in str(answer.exception)
    assert stripe.asked == []
