"""The runbook of webhooks, command by command, against a running installation and a Stripe on the loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ledger_core.settings.model import known_names
from tests.e2e.conftest import CommandLine
from tests.integration.inbox.conftest import CHART, event, signed
from tests.integration.inbox.stripe_api import KEY, StripeApi, serve

pytestmark = pytest.mark.e2e

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbooks" / "webhooks.md"
OLD, NEW = "whsec_the_first_of_all", "whsec_the_second_one_"


def commands(section: str) -> list[str]:
    """Return the commands of one section, in their order."""
    text = RUNBOOK.read_text().partition(f"## {section}")[2].partition("\n## ")[0]
    return [line for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def stripe_api() -> Iterator[StripeApi]:
    api = StripeApi()
    server = serve(api)
    yield api
    server.shutdown()
    server.server_close()


class Operator:
    """Whoever follows the runbook, with a shell of their own."""

    def __init__(self, counterfoil: CommandLine, folder: Path) -> None:
        self.counterfoil, self.folder = counterfoil, folder
        shim = folder / "bin" / "counterfoil"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli.main "$@"\n')
        shim.chmod(0o755)
        self.environment = {
            **counterfoil.environment, "PATH": f"{shim.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(RUNBOOK.parents[2]),
        }  # fmt: skip

    def file(self, variable: str, text: str) -> None:
        path = self.folder / variable.lower()
        path.write_text(text + "\n")
        self.environment[variable] = str(path)

    def follow(self, lines: list[str]) -> str:
        told = ""
        for line in lines:
            finished = subprocess.run(
                ["bash", "-c", line], env=self.environment, capture_output=True, text=True, timeout=120, cwd=self.folder
            )
            assert finished.returncode == 0, (line, finished.stdout, finished.stderr)
            assert OLD not in finished.stdout + finished.stderr
            told += finished.stdout
        return told

    def deliver(self, told: dict[str, Any], secret: str) -> int:
        url = self.counterfoil("status", "--json").json["urls"]["api"]
        body = json.dumps(told).encode()
        answer = httpx2.post(
            f"{url}/finance/webhooks/stripe", content=body, headers=signed(body, time.time(), secret=secret),
            trust_env=False, timeout=30,
        )  # fmt: skip
        return answer.status_code

    def await_settled(self, **wanted: int) -> None:
        deadline = time.monotonic() + 60
        found: dict[str, Any] = {}
        while time.monotonic() < deadline:
            (found,) = self.counterfoil("webhooks", "list", "--json").json
            if all(found.get(name) == count for name, count in wanted.items()) and not found.get("pending"):
                return
            time.sleep(1.0)
        raise AssertionError(f"{found} never became {wanted}")


@pytest.fixture
def operator(counterfoil: CommandLine, stripe_api: StripeApi, tmp_path: Path) -> Operator:
    kinds = {"assets": "asset", "expenses": "expense", "revenue": "revenue"}
    accounts = [code.format(currency="usd") for code in CHART.values()]
    lines = [f'  - {{code: "{code}", type: {kinds[code.partition(":")[0]]}, currency: USD}}' for code in accounts]
    (tmp_path / "chart.yaml").write_text("\n".join(["book: main", "accounts:", *lines]))
    counterfoil("accounts", "apply", tmp_path / "chart.yaml")
    made = Operator(counterfoil, tmp_path)
    made.file("SECRET_FILE", OLD)
    made.file("KEY_FILE", KEY)
    made.file("NEW_SECRET_FILE", NEW)
    return made


def test_the_runbook_from_the_first_secret_to_the_last_dead_letter(operator: Operator, stripe_api: StripeApi) -> None:
    counterfoil = operator.counterfoil
    first, second, third = commands("1.")
    operator.follow([first, second])
    yaml = re.findall(r"```yaml\n(.*?)```", RUNBOOK.read_text(), flags=re.DOTALL)[0]
    place = counterfoil.home / "webhooks" / "stripe" / "default" / "account.yaml"
    place.write_text(f"{yaml}\napi_url: {stripe_api.url}\n")
    counterfoil("up")
    assert "stripe    default" in operator.follow([third])
    assert {each["name"] for each in counterfoil("status", "--json").json["processes"]} >= {"api", "worker"}

    assert operator.deliver(event("charge.succeeded", stripe_api.charge("ch_1")), OLD) == 200
    operator.await_settled(posted=1)
    entry = counterfoil("entry", "stripe:default:ch_1:charge_captured", "--json").json
    assert entry["metadata"]["reference"] == "ch_1"

    add, listed, retire = commands("2.")
    assert operator.deliver(event("customer.created", {"id": "cus_1"}), NEW) == 400
    assert "first" in operator.follow([add, listed])
    time.sleep(1.2)
    for secret in (OLD, NEW):
        assert operator.deliver(event("customer.created", {"id": "cus_1"}), secret) == 200
    operator.follow([retire])
    time.sleep(1.2)
    assert operator.deliver(event("customer.created", {"id": "cus_1"}), OLD) == 400

    assert operator.deliver(event("charge.succeeded", {"id": "ch_2", "object": "charge"}), NEW) == 200
    operator.await_settled(dead=1)
    (letter,) = counterfoil("dead-letters", "list", "--json", status=1).json
    operator.environment["ID"] = str(letter["inbox_id"])
    listing, show, replay, replay_all = commands("3.")
    assert "not_found" in operator.follow([listing, show])
    stripe_api.charge("ch_2")
    assert "replayed 1." in operator.follow([replay])
    operator.await_settled(posted=2)
    assert "replayed 0." in operator.follow([replay_all])
    assert counterfoil("dead-letters", "list", "--json").json == []

    place.write_text(place.read_text().replace("default: post", "default: propose"))
    time.sleep(1.2)
    assert operator.deliver(event("charge.succeeded", stripe_api.charge("ch_3")), NEW) == 200
    operator.await_settled(proposed=1)
    (proposal,) = counterfoil("webhooks", "proposals", "list", "--json").json
    operator.environment["PROPOSAL"] = str(proposal["inbox_id"])
    assert "approved 1." in operator.follow(commands("4."))
    operator.await_settled(posted=3)
    assert counterfoil("check", "--json").json["findings"] == []


def test_the_runbook_explains_every_reason_and_names_what_there_is() -> None:
    text = RUNBOOK.read_text()
    source = "".join(path.read_text() for path in (RUNBOOK.parents[2] / "ingest" / "inbox").rglob("*.py"))
    reasons = set(re.findall(r'reason="(\w+)"', source)) - {"each"}
    table = text.partition("| reason | means | do |")[2]
    assert (
        set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:] if "|" in row)))
        == reasons
    )
    assert set(re.findall(r"COUNTERFOIL_\w+[A-Z]", text)) <= set(known_names())
    types = source.partition("_EVENTS: Mapping")[2].partition("}")[0]
    for name in re.findall(r'"([a-z_.]+)": \(', types):
        assert f"`{name}`" in text or f"`{name.partition('.')[0]}.*`" in text or name == "charge.refund.updated", name
