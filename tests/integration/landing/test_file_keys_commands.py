"""The runbook of file keys, run: every command that stands in it, in order, over a home in which files landed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from cli.main import app
from ingest.landing.stored_bytes import read_stored
from ledger_core.base.processes import ProcessGroup
from ledger_core.runtime import open_runtime
from ledger_core.settings import load_settings
from tests.integration.landing.keepers import drop

pytestmark = pytest.mark.integration

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbooks" / "file-keys.md"
REPORT = (
    "automatic_payout_id,balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,description\n"
    "po_1,txn_{number},2026-10-01 10:00:00,usd,25.00,0.95,24.05,charge,Order\n"
)


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", RUNBOOK.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def run(*words, status=0):
    result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == status, (words, result.output)
    return result.output


@pytest.fixture
def home(tmp_path, database_url, monkeypatch):
    """A home in which six files landed."""
    folder = tmp_path / "home"
    for name, value in (("COUNTERFOIL_HOME", folder), ("DATABASE_URL", database_url), ("COUNTERFOIL_ENV", "test")):
        monkeypatch.setenv(name, str(value))
    (tmp_path / "in").mkdir()
    for number in range(6):
        (tmp_path / "in" / f"{number}.csv").write_text(REPORT.format(number=number))
    run("ingest", "stripe_report", tmp_path / "in")
    yield folder
    group = ProcessGroup(folder / "run")
    for record in reversed(group.records()):
        group.stop(record.name)


def contents():
    with open_runtime(load_settings(), signer=False) as runtime, runtime.engine.connect() as connection:
        ids = connection.execute(text("select file_id from ops.file_keys order by file_id")).scalars().all()
        return {file_id: b"".join(read_stored(runtime, file_id)) for file_id in ids}


def test_the_page_does_what_it_says(home):
    before = contents()
    assert len(before) == 6
    printed = {line: run(*shlex.split(line)[1:]) for line in commands()}
    assert list(printed) == [
        "counterfoil file-keys list",
        "counterfoil file-keys rotate",
        "counterfoil file-keys rewrap",
    ]
    assert "6 keys of files wrapped anew under file" in printed["counterfoil file-keys rotate"]
    assert printed["counterfoil file-keys rewrap"].startswith("0 keys of files wrapped anew")
    assert sorted(path.name for path in (home / "wrapping").iterdir()) == ["0001.key", "0002.key"]
    (home / "wrapping" / "0001.key").unlink()
    assert contents() == before
    assert run("file-keys", "list").startswith("wraps: file ")


def test_what_lies_under_another_key_or_in_plain_is_counted_and_ends_with_one(home):
    with open_runtime(load_settings(), signer=False) as runtime:
        runtime.wrapping.rotate()
        with runtime.engine.begin() as connection:
            [first, second, *_] = connection.execute(text("select file_id from ops.file_keys")).scalars()
            drop(connection, first)
            drop(connection, second)
            connection.execute(
                text("insert into ops.file_keys (file_id, algorithm, key, created_at) values (:id, 'a', :key, now())"),
                {"id": second, "key": bytes(32)},
            )
    said = json.loads(run("file-keys", "list", "--json", status=1))
    assert (said["opens"], said["under_others"]) == (True, 5)
    assert [(row["by"] and row["by"]["version"], row["keys"]) for row in said["keys"]] == [(None, 1), ("1", 4)]
    done = json.loads(run("file-keys", "rewrap", "--json"))
    assert (done["rewrapped"], done["left"], done["current"]["version"]) == (5, 0, "2")
    run("file-keys", "list")


def test_a_keeper_that_does_not_open_is_said_with_its_remedy(home):
    (home / "wrapping" / "0001.key").chmod(0o644)
    assert "chmod 600" in run("file-keys", "list", status=1)
    said = json.loads(run("file-keys", "list", "--json", status=1))
    assert (said["opens"], said["wraps"]) == (False, None)
