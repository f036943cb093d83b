"""MT940 and BAI2 on their way to a disk: what is masked, what is refused, what is known again."""

from __future__ import annotations

from datetime import date

import pytest

from ingest.landing.stored_bytes import read_stored
from tests.fixtures.bank_formats import Entry, Statement, bai2, mt940

pytestmark = pytest.mark.integration

DAY = date(2026, 10, 1)
PAID = Entry(minor=2500, booked_on=DAY, text="STRIPE po_1", end_to_end="po_1")
STATEMENT = Statement(account="DE02100500000054540402", opening=10_000, day=DAY, entries=(PAID,))
WRITERS = {"mt940": mt940, "bai2": bai2}


@pytest.mark.parametrize("source", WRITERS)
def test_a_statement_lands_whole_and_is_known_again(landing, tmp_path, source):
    path = tmp_path / "bank.txt"
    path.write_bytes(WRITERS[source](STATEMENT))
    [file] = landing.land(path, source=source)
    assert (file.status, file.read, file.accepted, file.quarantined) == ("landed", 1, 1, 0)
    assert all(total.passed for total in file.control_totals)
    [line] = landing.rows(f"select amount, indicator, end_to_end_id from raw.{source}_lines")
    assert (line["amount"], line["indicator"], line["end_to_end_id"]) == (
        "25," if source == "mt940" else "2500", "C", "po_1",
    )  # fmt: skip
    [again] = landing.land(path, source=source)
    assert again.status == "already_landed"
    assert landing.counts()[f"raw.{source}_lines"] == 1


def test_a_card_number_over_the_end_of_a_line_reaches_no_disk(landing, tmp_path):
    text = b"x" * 52 + b" 424242424\r\n2424242 paid"
    start = mt940(STATEMENT)
    first, last = start.index(b":86:") + 4, start.index(b":62F:")
    path = tmp_path / "bank.sta"
    path.write_bytes(start[:first] + text + b"\r\n" + start[last:])
    [file] = landing.land(path, source="mt940")
    assert (file.status, file.accepted, file.quarantined) == ("landed", 0, 1)
    stored = b"".join(read_stored(landing, file.file_id))
    assert b"*********\r\n***4242 paid" in stored
    assert b"424242424" not in stored
    [row] = landing.rows("select raw, original_hmac from raw.quarantine")
    assert "424242424" not in row["raw"]
    assert len(row["original_hmac"]) == 32


def test_a_card_number_over_the_end_of_a_record_reaches_no_disk(landing, tmp_path):
    record = "16,165,2500,0,,,paid 4242424242"
    data = (
        f"01,BANK,US,261002,0200,7,{len(record)},,2/\r\n02,US,BANK,1,261001,,EUR,2/\r\n"
        f"03,1,,010,0,,,015,2500,,/\r\n{record}\r\n88,424242 with thanks\r\n"
        "49,5000,4/\r\n98,5000,1,6/\r\n99,5000,1,8/\r\n"
    ).encode()
    path = tmp_path / "bank.bai"
    path.write_bytes(data)
    [file] = landing.land(path, source="bai2")
    assert (file.status, file.accepted, file.quarantined) == ("landed", 0, 1)
    stored = b"".join(read_stored(landing, file.file_id))
    assert b"paid **********\r\n88,**4242 with thanks" in stored.replace(b"\r\n**,", b"\r\n88,")
    assert b"4242424242" not in stored
    assert len(stored) == len(data)


@pytest.mark.parametrize(
    ("source", "data", "said"),
    [
        ("mt940", mt940(STATEMENT)[:-40], "it was cut"),
        ("mt940", bai2(STATEMENT), "looks like BAI2"),
        ("bai2", mt940(STATEMENT), "looks like MT940"),
        ("bai2", bai2(STATEMENT)[:-15], "it was cut"),
        ("bai2", bai2(STATEMENT, status="4"), "for testing only"),
        ("bai2", bai2(STATEMENT, status="2"), "deletes what was sent before"),
    ],
)
def test_a_file_that_is_refused_leaves_nothing(landing, tmp_path, source, data, said):
    path = tmp_path / "bank.txt"
    path.write_bytes(data)
    [file] = landing.land(path, source=source)
    assert file.status == "rejected"
    assert said in file.error.message
    assert file.error.line
    assert set(landing.counts().values()) == {0}
