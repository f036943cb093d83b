"""`feeds.yaml`: what is right is read, what is wrong is refused where it stands."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ledger_core.errors import InvalidInput
from reconciliation.runs.feeds import MAX_FEEDS_BYTES, Feed, read_feeds

KNOWN = {"stripe_report": ("payout_reconciliation", "payouts"), "camt053": ("lines", "statements")}
ONE = "feeds:\n  - {source: stripe_report, record_type: payouts, cadence: weekly}\n"


def read(home: Path, text: str | bytes, *, book: str = "main") -> tuple[Feed, ...]:
    data = text if isinstance(text, bytes) else text.encode()
    (home / "feeds.yaml").write_bytes(data)
    return read_feeds(home, book=book, default_account="default", known=KNOWN)


def test_a_home_without_the_file_sets_nothing(tmp_path: Path) -> None:
    assert read_feeds(tmp_path, book="main", default_account="default", known=KNOWN) == ()
    assert read(tmp_path, "") == read(tmp_path, "# none yet\n") == read(tmp_path, "feeds: []") == ()


def test_what_is_set_is_read_whole_and_the_order_of_the_file_is_no_part_of_it(tmp_path: Path) -> None:
    bank = "{source: camt053, account: DE755, record_type: statements, cadence: business_daily, due_hour: 0,"
    bank += " since: 2026-10-01}"
    report = "{source: stripe_report, record_type: payouts, cadence: weekly}"
    expected = (
        Feed(
            source="camt053",
            account="DE755",
            record_type="statements",
            cadence="business_daily",
            due_hour=0,
            since=date(2026, 10, 1),
        ),
        Feed(source="stripe_report", account="default", record_type="payouts", cadence="weekly", due_hour=12),
    )
    for first, second in ((bank, report), (report, bank)):
        assert read(tmp_path, f"feeds:\n  - {first}\n  - {second}\n") == expected


def test_a_feed_of_another_book_is_none_of_this_one(tmp_path: Path) -> None:
    text = ONE.replace("cadence", "book: subsidiary, cadence")
    assert read(tmp_path, text) == ()
    assert len(read(tmp_path, text, book="subsidiary")) == 1


@pytest.mark.parametrize(
    ("text", "line", "pointer", "said"),
    [
        (ONE.replace("weekly", "fortnightly"), 2, "/feeds/0/cadence", "no cadence"),
        (ONE.replace("cadence: weekly", "cadence: ''"), 2, "/feeds/0/cadence", "is empty"),
        (ONE.replace(", cadence: weekly", ""), 2, "/feeds/0/cadence", "no cadence"),
        (ONE.replace("stripe_report", "strip_report"), 2, "/feeds/0/source", "no source"),
        (ONE.replace("payouts", "payout"), 2, "/feeds/0/record_type", "none of stripe_report's"),
        (ONE.replace("cadence", "due_hour: 241, cadence"), 2, "/feeds/0/due_hour", "no hour"),
        (ONE.replace("cadence", "due_hour: -1, cadence"), 2, "/feeds/0/due_hour", "no hour"),
        (ONE.replace("cadence", "due_hour: ２, cadence"), 2, "/feeds/0/due_hour", "no hour"),
        (ONE.replace("cadence", "since: 2026-02-30, cadence"), 2, "/feeds/0/since", "no day"),
        (ONE.replace("cadence", "cadense"), 2, "/feeds/0/cadense", "is none of"),
        (ONE.replace("weekly", "[weekly]"), 2, "/feeds/0/cadence", "is one value"),
        (ONE.replace("payouts,", "payouts, source: camt053,"), 2, None, "twice"),
        (ONE + ONE.partition("\n")[2], 3, "/feeds/1/source", "second entry"),
        (ONE.replace("cadence", f"account: {'x' * 65}, cadence"), 2, "/feeds/0/account", "names no account"),
        ("feeds:\n  - weekly\n", 2, "/feeds/0", "no set of members"),
        ("feed: []\n", 1, None, "nothing reads"),
        ("feeds: {a: 1}\n", 1, "/feeds", "no list"),
        ("- a\n", 1, None, "no set of members"),
        ("feeds: [\n", 2, None, "no YAML"),
        ("feeds:\n  - &a {source: *a}\n", 2, "/feeds/0/source", "is one value"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, pointer: str | None, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        read(tmp_path, text)
    assert (refused.value.line, refused.value.pointer) == (line, pointer)
    assert refused.value.file == str(tmp_path / "feeds.yaml")


def test_what_cannot_be_the_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="larger than"):
        read(tmp_path, b"#" * (MAX_FEEDS_BYTES + 1))
    with pytest.raises(InvalidInput, match="not UTF-8") as refused:
        read(tmp_path, b"feeds:\n  - \xff\n")
    assert refused.value.line == 2
    with pytest.raises(InvalidInput, match=r"nested too deeply|no YAML"):
        read(tmp_path, "feeds: " + "[" * 5_000)
