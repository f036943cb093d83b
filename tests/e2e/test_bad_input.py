"""What bad input is told: the file, the line or pointer, the remedy; and that nothing half-lands."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def books(shared, sample: Path):
    shared("accounts", "apply", sample / "accounts.yaml")
    return shared


@pytest.fixture(scope="module")
def records(books) -> Iterator[Callable[[], int]]:
    """Count the records that there are: nothing in here may add one. Without a process a question."""
    address = books("status", "--json", "--secrets").json["urls"]["database"]
    with psycopg.connect(address.replace("+psycopg", ""), autocommit=True) as connection:
        yield lambda: connection.execute("select count(*) from ledger.records").fetchone()[0]


@pytest.fixture(scope="module")
def before(records: Callable[[], int]) -> int:
    found = records()
    assert found > 1, "the book and its accounts"
    return found


@pytest.mark.parametrize(
    ("mangle", "says"),
    [
        (lambda lines: [*lines[:2], lines[2][: len(lines[2]) // 2]], ":3"),
        (lambda lines: [lines[0], lines[1].replace('"amount":"', '"amount":"0', 1)], "/postings/0/amount"),
        (
            lambda lines: [lines[0].replace('"description"', '"effective_at":"2026-01-01T00:00:00Z","description"')],
            "effective_at",
        ),
        (lambda lines: [lines[0], lines[1].replace('"debit"', '"credit"')], ":2"),
        (lambda lines: [lines[0], lines[1].replace('"account":"', '"account":"no:such:', 1)], "accounts apply"),
        (lambda lines: [lines[0].replace('"description":"', '"description":"' + "x" * 70_000)], ":1"),
        (lambda _lines: [], "no journal entry"),
        (lambda _lines: ["book: main", "accounts: []"], ":1"),
    ],
    ids=["truncated", "amount", "duplicate-key", "unbalanced", "unknown-account", "huge-field", "empty", "wrong-file"],
)
def test_a_bad_file_of_entries_is_refused_whole_with_the_place(
    books, before: int, records: Callable[[], int], sample: Path, tmp_path: Path, mangle, says
) -> None:
    lines = [
        json.dumps(json.loads(line), separators=(",", ":"))
        for line in (sample / "entries.jsonl").read_text().splitlines()[:5]
    ]
    bad = tmp_path / "bad.jsonl"
    bad.write_text("".join(line + "\n" for line in mangle(lines)))
    told = books("post", bad, status=None)
    assert told.status in (1, 2)
    assert "bad.jsonl" in told.err
    assert says in told.err
    assert records() == before


def test_a_re_encoded_file_of_entries_is_refused(books, sample: Path, tmp_path: Path) -> None:
    bad = tmp_path / "utf16.jsonl"
    bad.write_text((sample / "entries.jsonl").read_text()[:2000], encoding="utf-16")
    assert "UTF-8" in books("post", bad, status=2).err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty.yaml"),
        (b"accounts: [", ":"),
        (b"book: main\naccounts:\n- {code: 'a b', type: asset, currency: USD}\n", ":3"),
        (b"book: main\naccounts:\n- {code: 'a:b', type: asset, currency: US}\n", ":3"),
        (b"book: main\naccounts:\n- {code: 'a:b', type: wallet, currency: USD}\n", "wallet"),
        ("book: main\n".encode("utf-16"), "UTF-8"),
        (b"<xml/>", "empty.yaml"),
    ],
    ids=["empty", "truncated", "code", "currency", "type", "utf-16", "wrong-file"],
)
def test_a_bad_chart_is_refused_whole_with_the_place(books, tmp_path: Path, content: bytes, says: str) -> None:
    bad = tmp_path / "empty.yaml"
    bad.write_bytes(content)
    told = books("accounts", "apply", bad, status=2)
    assert "empty.yaml" in told.err
    assert says in told.err


def test_bad_provider_files_say_what_is_wrong_and_land_nothing(books, sample: Path, tmp_path: Path) -> None:
    report = next(path for path in sorted((sample / "stripe").iterdir()) if b"gross" in path.read_bytes()[:2000])
    text = report.read_text()
    header, first = text.splitlines()[:2]
    cases = {
        "empty.csv": (b"", "empty"),
        "latin.csv": (text.replace("charge", "chargé").encode("latin-1"), "UTF-8"),
        "cut.csv.gz": (gzip.compress(text.encode())[:-20], "does not unfold"),
        "header.csv": ((header.replace("net,", "nett,") + "\n" + first + "\n").encode(), "net"),
        "wrong.csv": (b"a,b,c\n1,2,3\n", "wrong.csv"),
        "statement.csv": (next((sample / "bank").iterdir()).read_bytes(), "statement.csv"),
    }
    for name, (content, says) in cases.items():
        bad = tmp_path / name
        bad.write_bytes(content)
        told = books("ingest", "stripe_report", bad, status=None)
        assert told.status in (1, 2), name
        assert says in told.err + told.out, (name, told.err, told.out)
    statement = next((sample / "bank").iterdir()).read_bytes()
    for name, content in {"cut.xml": statement[: len(statement) // 2], "empty.xml": b"", "other.xml": b"<a/>"}.items():
        bad = tmp_path / name
        bad.write_bytes(content)
        told = books("ingest", "camt053", bad, status=None)
        assert told.status in (1, 2), name
        assert name in told.err + told.out, (name, told.err)


def test_an_unknown_source_and_a_missing_file_are_named(books, tmp_path: Path) -> None:
    assert "stripe_report" in books("ingest", "stripes", tmp_path, status=2).err
    assert "gone.csv" in books("ingest", "stripe_report", tmp_path / "gone.csv", status=2).err
