"""The work queue as it is asked for: by status, class, leg and day, so many at most, and how many are left."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner, Result

from cli.main import app
from cli.output import MIN_LAST_COLUMN, table
from ledger_core.errors import InvalidInput
from reconciliation.breaks.queue import count_breaks, find_break, list_breaks

pytestmark = pytest.mark.integration

RUN = "1" * 64
EVIDENCE = [
    {
        "side": "bank",
        "reference": "STRIPE PAYOUT",
        "currency": "USD",
        "amount_minor": "1234500",
        "on": "2026-10-28",
    }
]
SENTENCE = "arrived, never paid out: 12345.00 USD at the bank on 2026-10-28 (STRIPE PAYOUT)"
KINDS = (
    # (class, leg, how many are open, how many are closed)
    ("missing_at_psp", "A", 7, 2),
    ("duplicate_ledger", "A", 2, 0),
    ("unexpected_bank_credit", "B", 4, 1),
    ("amount_mismatch", "B", 1, 0),
    ("of_an_older_rule", "A", 1, 0),
)


@pytest.fixture
def queue(engine: Engine) -> Engine:
    """A book of 18 breaks, three of them closed on two days, and one of another book."""
    with engine.begin() as connection:
        for name, leg, still_open, closed in KINDS:
            for number in range(still_open + closed):
                closed_on = None if number < still_open else date(2026, 10, 28 + number - still_open)
                _insert(connection, "main", name, leg, number, closed_on)
        _insert(connection, "other", "missing_at_psp", "A", 99, None)
    return engine


def _insert(connection, book: str, name: str, leg: str, number: int, closed_on: date | None) -> None:
    connection.execute(
        text(
            "insert into recon.breaks (book, break_id, leg, provider, account, sign, class, key, keys, currency,"
            " amount_minor, priority, status, opened_on, closed_on, resolution, rule, rule_version, evidence,"
            " first_run_id, run_id, as_of)"
            " values (:book, encode(sha256((cast(:key as text))::bytea), 'hex'), :leg, 'stripe', 'default', 1, :name,"
            " :key, '{}', 'USD', 100, :priority, :status, '2026-10-01', :closed_on, :resolution, 'r', 1,"
            " cast(:evidence as jsonb), :run, :run, '2026-10-29')"
        ),
        {
            "book": book, "leg": leg, "name": name, "key": f"{name}-{number:02d}", "closed_on": closed_on, "run": RUN,
            "priority": f"P{number % 3 + 1}", "status": "open" if closed_on is None else "closed",
            "resolution": None if closed_on is None else "matched_late", "evidence": json.dumps(EVIDENCE),
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 15),
        ({"status": None}, 18),
        ({"status": "closed"}, 3),
        ({"status": "closed", "closed_from": date(2026, 10, 29)}, 1),
        ({"break_class": "missing_at_psp"}, 7),
        ({"break_class": "missing_at_psp", "status": None}, 9),
        ({"break_class": "of_an_older_rule"}, 1),
        ({"break_class": "fee_mismatch"}, 0),
        ({"leg": "A"}, 10),
        ({"leg": "B"}, 5),
        ({"leg": "B", "break_class": "unexpected_bank_credit", "status": "closed"}, 1),
        ({"leg": "B", "break_class": "missing_at_psp"}, 0),
    ],
)
def test_a_filter_leaves_what_it_names_and_a_limit_takes_its_first(queue: Engine, wanted: dict, count: int) -> None:
    with queue.connect() as connection:
        found = list_breaks(connection, "main", **wanted)
        assert len(found) == count
        assert count_breaks(connection, "main", **wanted) == count
        for name, value in wanted.items():
            assert name == "closed_from" or value is None or {getattr(each, name) for each in found} <= {value}
        for limit in (1, 3, count + 1):
            assert list_breaks(connection, "main", limit=limit, **wanted) == found[:limit]
    assert [each.priority for each in found] == sorted(each.priority for each in found)


@pytest.mark.parametrize(
    ("wanted", "known"),
    [
        ({"status": "Open"}, "open, closed"),
        ({"leg": "a"}, "A, B"),
        ({"leg": "C"}, "A, B"),
        ({"break_class": "mising_at_psp"}, "missing_in_ledger, missing_at_psp"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(queue: Engine, wanted: dict, known: str) -> None:
    with queue.connect() as connection, pytest.raises(InvalidInput) as refused:
        list_breaks(connection, "main", **wanted)
    assert repr(next(iter(wanted.values()))) in refused.value.message
    assert known in (refused.value.remedy or "")


def test_each_break_says_why_in_one_sentence(queue: Engine) -> None:
    with queue.connect() as connection:
        (found,) = list_breaks(connection, "main", break_class="unexpected_bank_credit", limit=1)
        assert found.as_json()["why"] == SENTENCE
        assert find_break(connection, "main", found.break_id).why == SENTENCE


@pytest.fixture
def breaks(queue: Engine, home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch):
    """Run `counterfoil breaks`."""
    monkeypatch.setenv("COUNTERFOIL_HOME", str(home))
    monkeypatch.setenv("COUNTERFOIL_ENV", "test")
    monkeypatch.setenv("DATABASE_URL", database_url)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["breaks", *arguments])

    return run


def test_the_command_lists_what_is_asked_for_and_says_how_many_are_left(breaks) -> None:
    everything = breaks("list")
    assert everything.exit_code == 0, everything.output
    lines = everything.stdout.splitlines()
    assert lines[0].split()[-2:] == ["age_days", "why"]
    assert lines[-1] == "15 breaks."
    assert sum(line.endswith(SENTENCE) for line in lines) == 4

    some = breaks("list", "--leg", "A", "--class", "missing_at_psp", "--limit", "3")
    assert some.stdout.splitlines()[-2:] == [
        "3 breaks.",
        "4 more are left: raise --limit, or ask for one --class or --leg.",
    ]
    assert [line.split()[1] for line in some.stdout.splitlines()[1:4]] == ["missing_at_psp"] * 3

    just = breaks("list", "--leg", "B", "--limit", "5")
    assert just.stdout.splitlines()[-1] == "5 breaks."

    machine = breaks("list", "--limit", "2", "--json")
    assert [row["why"].partition(":")[0] != "" for row in json.loads(machine.stdout)] == [True, True]
    assert machine.stderr.startswith("13 more are left")

    assert breaks("list", "--limit", "0").exit_code == 2
    shown = breaks(
        "show", json.loads(breaks("list", "--class", "unexpected_bank_credit", "--json").stdout)[0]["break_id"]
    )
    assert f"why                  {SENTENCE}" in shown.stdout.splitlines()


@pytest.mark.parametrize(
    ("width", "shown"), [(200, "w" * 90), (60, "w" * 42 + "…"), (30, "w" * (MIN_LAST_COLUMN - 1) + "…")]
)
def test_on_a_terminal_a_sentence_gives_way_and_what_is_piped_is_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, shown: str
) -> None:
    rows = [{"break_id": "a" * 12, "n": 1, "why": "w" * 90}, {"break_id": "b", "n": None, "why": "short"}]
    columns = ["break_id", "n", "why"]
    monkeypatch.setenv("COLUMNS", str(width))

    def line(*, is_terminal: bool, cut_last: bool) -> str:
        monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
        table(rows, columns, cut_last=cut_last)
        heading, first, second = capsys.readouterr().out.splitlines()
        assert heading.split() == columns
        assert second.split() == ["b", "short"]
        return first

    start = "a" * 12 + "  1  "
    assert line(is_terminal=True, cut_last=True) == start + shown
    assert line(is_terminal=False, cut_last=True) == start + "w" * 90
    assert line(is_terminal=True, cut_last=False) == start + "w" * 90
