"""What the book refuses or decides, as a caller over HTTP meets it."""

from datetime import date

import pytest
from sqlalchemy import text

from ledger_core.evidence.export.segment import export_segment
from ledger_core.reading.heads import read_head

pytestmark = pytest.mark.integration

ENTRIES = "/finance/journal-entries"
CARD = "4111111111111111"


@pytest.mark.parametrize("path", [ENTRIES, f"{ENTRIES}/batch", "/finance/accounts", "/finance/records"])
def test_an_idempotency_key_that_is_a_card_number_is_refused_by_name(http, entry, path):
    answer = http.post(path, json=entry(), headers={"idempotency-key": CARD})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_invalid")
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert CARD not in answer.text


@pytest.mark.parametrize(
    ("member", "value", "pointer"),
    [
        ("description", f"by {CARD}", "/description"),
        ("external_id", f"card:{CARD}", "/external_id"),
        ("metadata", {"note": CARD}, "/metadata/note"),
        ("metadata", {CARD: "x"}, "/metadata/************1111"),
    ],
)
def test_a_card_number_in_an_entry_is_a_422_with_its_pointer_and_never_repeated(
    http, entry, key, member, value, pointer
):
    bad = {**entry(), member: value}
    for answer in (
        http.post(ENTRIES, json=bad, headers=key()),
        http.post(ENTRIES, json=bad, headers=key(), params={"dry_run": "true"}),
    ):
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
        assert CARD not in answer.text
    batch = http.post(f"{ENTRIES}/batch", json={"entries": [bad, entry()]}, headers=key())
    assert CARD not in batch.text
    assert [each["status"] for each in batch.json()["results"]] == [422, 201]


def test_an_export_that_the_archive_does_not_hold_is_refused_and_exporting_goes_on(api, key):
    with api.runtime.engine.connect() as connection:
        signed_size = read_head(connection, "main").signed_size
        last = text("select coalesce(max(segment), 0), coalesce(max(next_seq), 0) from ledger.exports")
        segment, first_seq = connection.execute(last).one()
    body = {"segment": segment + 1, "first_seq": first_seq, "next_seq": signed_size, "manifest_sha256": "0" * 64}
    with api.http("export:write") as http:
        for closed_on in ("2031-01-01", "20310101", "2031-W01-1", "", "2031-02-30", 5, None):
            bogus = {"kind": "export", "body": {**body, "closed_on": closed_on, "uri": "file:///nowhere"}}
            answer = http.post("/finance/records", json=bogus, headers=key())
            assert answer.status_code == 422, answer.text
    for day in (1, 2):
        assert export_segment(api.runtime, closed_on=date(2026, 11, day), book="main").created


def test_a_balance_without_a_time_counts_what_is_dated_ahead_and_with_one_does_not(http, entry, key):
    path = "/finance/accounts/revenue:sales:usd/balance"
    before = http.get(path).json()["balance"]
    ahead = {**entry(), "effective_at": "2199-01-01T00:00:00Z"}
    assert http.post(ENTRIES, json=ahead, headers=key()).status_code == 201
    assert int(http.get(path).json()["balance"]) > int(before)
    by_then = http.get(path, params={"effective_at": "2198-12-31T00:00:00Z"}).json()
    assert by_then["balance"] == before


def test_the_clock_that_times_records_is_measured(http, entry, key):
    assert http.post(ENTRIES, json=entry(), headers=key()).status_code == 201
    lines = http.get("/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith('counterfoil_clock_ahead_seconds{book="main"}')]
    assert abs(float(line.split()[-1])) < 30


def test_a_stray_checkpoint_is_not_served_as_the_newest(api, http):
    newest = http.get("/finance/checkpoints/latest").json()
    with api.runtime.engine.connect() as connection:
        connection.execute(text("reset role"))
        connection.execute(
            text(
                "insert into ledger.checkpoints select book, size + 1000000, root, "
                "decode(repeat('00', 32), 'hex'), note from ledger.checkpoints where size = :size"
            ),
            {"size": newest["size"]},
        )
        connection.commit()
        assert http.get("/finance/checkpoints/latest").json() == newest
        # Put right for the tests after this one, as its owner can and the writer cannot.
        connection.execute(text("reset role"))
        connection.execute(text("alter table ledger.checkpoints disable trigger append_only"))
        connection.execute(text("delete from ledger.checkpoints where size > 1000000"))
        connection.execute(text("alter table ledger.checkpoints enable trigger append_only"))
        connection.commit()
