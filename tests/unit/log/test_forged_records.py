"""A table of forged records: each was signed with the right key although it breaks one rule.

Read amid a batch they go the quick way (`quick.py`), read alone the slow one (`stream.py`, `shapes.py`): both must see.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger_core.log.record import format_time, parse_time
from ledger_core.log.verifier import verify_path

FORGERIES: dict[str, tuple[Any, ...]] = {}
"""By name: what makes the forgery, its verdict, a piece of its reason, the first seq concerned where one is known."""


def forgery(
    verdict: str, reason: str, seq: int | None = None
) -> Callable[[Callable[[Any], Path]], Callable[[Any], Path]]:
    """Put the function into the table under its own name."""

    def put(make: Callable[[Any], Path]) -> Callable[[Any], Path]:
        FORGERIES[make.__name__] = (make, verdict, reason, seq)
        return make

    return put


def posting(side: str, amount: str, currency: str = "USD", account: str | None = None) -> dict[str, str]:
    return {"account": account or f"{side}:{currency}", "amount": amount, "currency": currency, "direction": side}


RUN = 20
"""Records on each side of an odd one: enough for the quick way on both."""


# --- the order of records: stream.py


@forgery("not_canonical", "recorded_at is not later", 61)
def a_record_as_late_as_the_one_before_read_one_by_one(archive: Any) -> Path:
    log = archive.log
    log.append(archive.body())
    log.append(archive.body(), recorded_at=json.loads(log.lines[60])["recorded_at"])
    archive.export(60, 62)
    return archive.root


def time_of(archive: Any, seq: int) -> str:
    first = json.loads(archive.log.lines[1])["recorded_at"]
    return format_time(parse_time(first) + timedelta(seconds=seq - 1))


@forgery("not_canonical", "recorded_at is not later", 80)
def a_record_as_late_as_the_one_before_amid_a_batch(archive: Any) -> Path:
    return archive.append_odd(archive.body(), run=RUN, recorded_at=time_of(archive, 79))


@forgery("not_canonical", "recorded_at is not later", 60)
def a_batch_that_begins_before_the_last_record_of_the_segment_before(archive: Any) -> Path:
    log = archive.log
    log.append(archive.body(), recorded_at=time_of(archive, 59))
    log.fill(80)
    archive.export(60, 80)
    return archive.root


@forgery("not_canonical", "a record of book other among those of main", 80)
def a_record_of_another_book(archive: Any) -> Path:
    return archive.append_odd(archive.body(), run=RUN, book="other")


@forgery("not_canonical", "the record at seq 0, and no other, opens the book", 80)
def a_second_opening_of_the_book(archive: Any) -> Path:
    return archive.append_odd(archive.body(0), "book", run=RUN)


@forgery("not_canonical", "the record at seq 0, and no other, opens the book", 0)
def a_log_that_nobody_opened(archive: Any) -> Path:
    log = type(archive.log)(key=archive.log.key, root_key=archive.log.root_key)
    log.append(archive.body())
    log.fill(10)
    return type(archive)(root=archive.root / "unopened", log=log).export(0, 10)


@forgery("edited", "the record in this place says that it is seq 85", 80)
def a_wrong_seq_amid_a_batch(archive: Any) -> Path:
    return archive.append_odd(archive.body(), run=RUN, seq=85)


@forgery("edited", "the record in this place says that it is seq 65", 60)
def a_wrong_seq_of_a_record_read_alone(archive: Any) -> Path:
    return archive.append_odd(archive.body(), seq=65)


@forgery("edited", "names other bytes as its predecessor")
def a_wrong_predecessor_amid_a_batch(archive: Any) -> Path:
    return archive.append_odd(archive.body(), run=RUN, prev=b"p" * 32)


# --- the accounting of entries: quick.py and shapes.py


def unbalanced_postings() -> dict[str, list[dict[str, str]]]:
    """Numbers that balance over currencies that do not, with the odd currency in each place."""
    return {
        "two_currencies_in_two_postings": [posting("debit", "5"), posting("credit", "5", "EUR")],
        "the_first_of_three_of_another_currency": [
            posting("debit", "6", "EUR"), posting("debit", "4"), posting("credit", "10"),
        ],
        "the_second_of_three_of_another_currency": [
            posting("debit", "6"), posting("debit", "4", "EUR"), posting("credit", "10"),
        ],
        "the_third_of_three_of_another_currency": [
            posting("debit", "6"), posting("debit", "4"), posting("credit", "10", "EUR"),
        ],
        "the_last_of_four_of_another_currency": [
            posting("debit", "6"), posting("debit", "4"), posting("credit", "7"), posting("credit", "3", "EUR"),
        ],
        "two_debits_of_one_amount": [posting("debit", "5"), posting("debit", "5", account="x")],
        "three_postings_off_by_one": [posting("debit", "6"), posting("debit", "4"), posting("credit", "11")],
    }  # fmt: skip


for _name, _postings in unbalanced_postings().items():
    for _run, _how in ((RUN, "amid_a_batch"), (0, "read_alone")):

        def _make(archive: Any, postings: Any = _postings, run: int = _run) -> Path:
            return archive.append_odd({**archive.body(), "postings": postings}, run=run)

        FORGERIES[f"{_name}_{_how}"] = (_make, "unbalanced", "debits and credits differ by", 60 + _run)


def _with_metadata(archive: Any, metadata: bytes) -> Path:
    """An entry whose metadata are these bytes, signed out of form, amid a batch."""
    log = archive.log
    log.fill(80)
    log.append({**archive.body(), "metadata": {}})
    log.lines[-1] = log.lines[-1].replace(b'"metadata":{}', b'"metadata":{' + metadata + b"}")
    log.fill(101)
    archive.export(60, 101)
    return archive.root


for _name, _metadata in {
    "a_name_of_metadata_twice": b'"a":"1","a":"2"',
    "names_of_metadata_out_of_order": b'"b":"1","a":"2"',
    "the_third_name_of_metadata_twice": b'"a":"1","b":"2","b":"3"',
    "the_last_names_of_metadata_out_of_order": b'"a":"1","b":"2","d":"3","c":"4"',
}.items():

    def _make_metadata(archive: Any, metadata: bytes = _metadata) -> Path:
        return _with_metadata(archive, metadata)

    FORGERIES[_name] = (_make_metadata, "not_canonical", "not in its canonical form", 80)


def amounts(archive: Any, amount: str) -> Path:
    return archive.append_odd(
        {**archive.body(), "postings": [posting("debit", amount), posting("credit", amount)]}, run=RUN
    )


@forgery("not_canonical", "is more than an amount can be", 80)
def an_amount_beyond_what_64_bits_hold(archive: Any) -> Path:
    return amounts(archive, str(2**63))


@forgery("not_canonical", "is not an amount", 80)
def an_amount_of_nothing(archive: Any) -> Path:
    return amounts(archive, "0")


@forgery("not_canonical", "an entry has 2 to 500 postings", 80)
def too_many_postings(archive: Any) -> Path:
    one = [posting("debit", "1"), posting("credit", "1")]
    return archive.append_odd({**archive.body(), "postings": one * 251}, run=RUN)


@forgery("not_canonical", "is not a day of the calendar", 80)
def an_entry_on_no_day_of_the_calendar(archive: Any) -> Path:
    return archive.append_odd({**archive.body(), "effective_at": "2026-02-30T08:00:00.000000Z"}, run=RUN)


EXPORT = {
    "actor": {"role": "service", "subject": "tests"},
    "closed_on": "2026-01-31",
    "first_seq": 0,
    "manifest_sha256": "0" * 64,
    "next_seq": 20,
    "segment": 0,
    "uri": "file:///archive",
}

for _name, _change, _reason in (
    ("no_day", {"closed_on": "2026-02-30"}, "a date such as"),
    ("no_number", {"segment": "0"}, "a whole number from 0"),
    ("a_negative_seq", {"first_seq": -1}, "a whole number from 0"),
    ("a_truth_for_a_number", {"next_seq": True}, "a whole number from 0"),
    ("no_digest", {"manifest_sha256": "0" * 63}, "64 lower-case hexadecimal digits"),
    ("a_digest_in_upper_case", {"manifest_sha256": "A" * 64}, "64 lower-case hexadecimal digits"),
    ("no_address", {"uri": 1}, "text is expected"),
):

    def _make_export(archive: Any, change: Any = _change) -> Path:
        return archive.append_odd({**EXPORT, **change}, "export")

    FORGERIES[f"an_export_with_{_name}"] = (_make_export, "not_canonical", _reason, 60)


@forgery("not_canonical", "the manifest is an object", 60)
def a_run_without_its_manifest(archive: Any) -> Path:
    return archive.append_odd({"actor": EXPORT["actor"], "manifest": []}, "reconciliation_run")


@forgery("not_canonical", "an actor has a role and a subject", 60)
def a_record_of_nobody(archive: Any) -> Path:
    return archive.append_odd({"actor": {"role": "service"}, "manifest": {}}, "reconciliation_run")


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_record_gets_its_verdict_for_its_reason(archive: Any, forge_one: Any, name: str) -> None:
    forge_one(archive, *FORGERIES[name])


def test_the_archive_that_is_forged_is_sound(archive: Any) -> None:
    archive.forge(archive.folders[2])
    assert verify_path(archive.root, archive.log.trust).verdict == "verified"
    archive.append_odd(archive.body(), run=RUN)
    assert verify_path(archive.root, archive.log.trust).verdict == "verified"
    archive.append_odd(EXPORT, "export")
    assert verify_path(archive.root, archive.log.trust).verdict == "verified"
