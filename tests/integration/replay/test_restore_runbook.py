"""The page of a restore, run: every command that stands in it, in order, as its reader would give it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from cli.main import app
from ledger_core import errors
from ledger_core.errors import LedgerBehind
from ledger_core.evidence.check.checker import check_book
from ledger_core.ports import Ask
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings, load_settings
from tests.integration.replay.conftest import BOOK, ME, Company, Fresh

pytestmark = pytest.mark.integration

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbooks" / "restore.md"


def commands() -> list[str]:
    """Return the commands of the fenced blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def reader(settings: Settings, fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """Somebody in a shell of his own, with the home, the archive and a lost database that can still be read."""
    with open_runtime(settings) as runtime:
        company = Company(runtime)
        company.live()
    backup = fresh(settings.database_url)
    with open_runtime(settings) as runtime:
        company.runtime = runtime
        company.live_on()
        company.post(3)
        for name, value in (
            ("COUNTERFOIL_HOME", str(settings.home)), ("COUNTERFOIL_ENV", "test"), ("DATABASE_URL", backup),
            ("ARCHIVE", str(company.archive)), ("TRUST", str(runtime.trust_path)), ("LOST", runtime.database_url),
        ):  # fmt: skip
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield company


def run(line: str) -> str:
    """Run one line of the page and return what it printed."""
    words = [os.path.expandvars(word) for word in shlex.split(line)]
    if words[0] == "psql":
        lost, query, into = words[1], words[3], words[5]
        with psycopg.connect(lost.replace("+psycopg", "")) as connection:
            rows = connection.execute(query).fetchall()  # type: ignore[arg-type]
        Path(into).write_text("".join(f"{row[0]}\n" for row in rows), encoding="utf-8")
        return ""
    assert words[0] == "counterfoil", line
    result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
    assert result.exit_code == 0, (line, result.output)
    return result.output


@pytest.mark.parametrize("how", ["from a backup", "from nothing"])
def test_the_page_of_a_restore_does_what_it_says(
    reader: Company, how: str, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "from nothing":
        monkeypatch.setenv("DATABASE_URL", fresh())
    else:
        with open_runtime(load_settings()) as behind, pytest.raises(LedgerBehind) as refused:
            behind.ledger(BOOK).append([reader.entry()], Ask(actor=ME))
        assert "docs/runbooks/restore.md" in str(refused.value.remedy)
    printed = []
    for line in commands():
        printed.append(run(line))
        if found := re.search(r"now at size ([\d,]+)", printed[-1]):
            monkeypatch.setenv("FROM", found[1].replace(",", ""))
    assert any("VERIFIED" in item for item in printed)
    assert any("signed 4 records more than the archive holds" in item for item in printed)
    assert "sound" in printed[-1]
    with open_runtime(load_settings()) as again:
        assert again.ledger(BOOK).append([reader.entry()], Ask(actor=ME)).posted
        assert check_book(again, BOOK).sound


def test_the_page_names_every_refusal_by_a_code_that_exists() -> None:
    rows = [line for line in RUNBOOK.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    codes = {found.code for found in vars(errors).values() if isinstance(found, type) and hasattr(found, "code")}
    assert named <= codes
    assert {"archive_refused", "not_empty", "ledger_forked"} <= named
