"""Which of several reports counts: by their own time and days, whatever they are called and whenever they land."""

from __future__ import annotations

from datetime import date

import pytest

pytestmark = pytest.mark.integration


def ids(rows: list[dict]) -> set[str]:
    return {row["psp_transaction_id"].removeprefix("txn_") for row in rows}


def kinds(tables: dict, account: str) -> list[str]:
    return sorted(row["kind"] for row in tables["int_landing_findings"].get(account, []))


def test_a_report_counts_for_the_days_that_no_newer_version_of_it_covers(books, item, payout, report):
    window = [item(day, day, "10.00") for day in range(1, 8)]
    for first in range(3):
        books.land("sliding", report(*window[first : first + 3]))
    books.land("corrected", report(*window[:3]))
    [corrected] = books.land("corrected", report(window[0], item("2b", 2, "11.00"), *window[2:4]))
    assert (len(corrected.supersedes), corrected.superseded_by) == (1, None)
    books.land("corrected late", report(window[0], item("2b", 2, "11.00"), *window[2:4]))
    [late] = books.land("corrected late", report(*window[:3]))
    assert (late.supersedes, late.superseded_by is not None) == ((), True)
    # Parts of one day: by currency, by category, by payout, by days that interleave. None is a version of another.
    for part in ({"currency": "eur"}, {"currency": "usd"}, {"reporting_category": "refund"}):
        rows = [item(f"{number}{next(iter(part.values()))}", day, "1.00", **part) for number, day in ((1, 1), (2, 5))]
        [landed] = books.land("parts", report(*rows))
        assert landed.supersedes == ()
    books.land("payout by payout", report(item("a", 1, "5.00", payout="po_a"), item("b", 4, "5.00", payout="po_a")))
    books.land("payout by payout", report(item("c", 2, "5.00", payout="po_b"), item("d", 5, "5.00", payout="po_b")))
    books.land("refunds alone", report(window[0], item("r", 2, "-1.00", reporting_category="refund"), window[2]))
    books.land(
        "refunds alone",
        report(item("r", 2, "-1.00", reporting_category="refund"), item("s", 9, "-1.00", reporting_category="refund")),
    )
    books.land("payouts", report(payout("po_1", 1, "10.00"), payout("po_2", 2, "10.00")))
    books.land("payouts", report(payout("po_2", 2, "10.00"), payout("po_3", 3, "10.00")))
    tables = books.run()
    items = tables["int_psp_items"]
    assert ids(items["sliding"]) == {"1", "2", "3", "4", "5"}
    assert ids(items["corrected"]) == ids(items["corrected late"]) == {"1", "2b", "3", "4"}
    assert len(items["parts"]) == 6
    assert ids(items["payout by payout"]) == {"a", "b", "c", "d"}
    assert ids(items["refunds alone"]) == {"1", "r", "3", "s"}
    assert [row["payout_id"] for row in tables["int_psp_payouts"]["payouts"]] == ["po_1", "po_2", "po_3"]
    assert tables["int_landing_findings"] == {}


def test_what_a_newer_report_says_is_not_undone_and_what_an_older_one_adds_stays(books, item, payout, report):
    waits, paid = item("a", 1, "9.00"), item("a", 1, "9.00", payout="po_1", paid=6)
    later = item("b", 5, "4.00", payout="po_1", paid=6)
    for account, order in (("older last", (0, 1)), ("older first", (1, 0))):
        documents = [report(paid, later, name="w41.csv"), report(waits, name="w40.csv")]
        for number in order:
            books.land(account, documents[number])
    # The newest document forgets the payout and the charge: they were given once.
    books.land("given once", report(item("a", 1, "9.00", payout="po_1", charge_id="ch_a")))
    books.land("given once", report(item("a", 1, "9.00", source_id=""), item("z", 9, "1.00")))
    going, failed = (
        payout("po_1", 6, "13.00", payout_status="in_transit"),
        payout("po_1", 6, "13.00", payout_status="failed"),
    )
    back = payout(
        "po_1",
        10,
        "-13.00",
        reporting_category="payout_reversal",
        balance_transaction_id="txn_rev",
        payout_status="failed",
    )
    books.land("in one go", report(going, name="06.csv"), report(failed, back, name="10.csv"))
    books.land("failed first", report(failed, name="10.csv"), report(going, name="06.csv"))
    books.land("made again", report(failed), report(going))
    books.land("made before", report(going), report(failed))
    blank = {**going, "payout_status": ""}
    books.land(
        "no status", report(blank), report({**back, "payout_status": ""}, payout("po_9", 11, "1.00", payout_status=""))
    )
    tables = books.run()
    for account in ("older last", "older first"):
        found = {row["psp_transaction_id"]: row["payout_id"] for row in tables["int_psp_items"][account]}
        assert found == {"txn_a": "po_1", "txn_b": "po_1"}
    [kept] = [row for row in tables["int_psp_items"]["given once"] if row["psp_transaction_id"] == "txn_a"]
    assert (kept["payout_id"], kept["source_id"]) == ("po_1", "ch_a")
    for account in ("in one go", "failed first", "made again", "made before", "no status"):
        [first] = [row for row in tables["int_psp_payouts"][account] if row["payout_id"] == "po_1"]
        assert not first["is_expected_at_bank"], account
    assert tables["int_landing_findings"] == {}


def test_missing_input_is_a_reason_until_it_comes(books, item, report):
    good, other = item("a", 1, "9.00"), item("b", 2, "4.00")
    bad = {**other, "description": "4242 4242 4242 4242"}
    last = item("c", 3, "1.00")
    books.land("aside", report(good, bad, last))
    books.land("aside and corrected", report(good, bad, last), report(good, other, last))
    books.land("aside at the end", report(good, bad), report(good, other))
    books.land(
        "aside and come elsewhere", report(good, bad, last), report({**other, "created_utc": "2026-10-20 10:00:00"})
    )
    books.land("aside beyond the day", report(good, {**bad, "created_utc": "2026-10-31 10:00:00"}))
    cut = (report(good, other)[0], report(good, other)[1][:-9])
    assert [file.status for file in books.land("refused", cut)] == ["rejected"]
    # Of one name, first day and reason: one reason, for a reason has to be told from every other.
    books.land("aside twice", report(good, bad, last), report(item("d", 1, "2.00"), {**bad, "currency": "usd"}))
    books.land("refused twice", cut)
    books.land("refused twice", cut)
    books.land("refused and come", cut, report(good, other))
    books.land("refused and renamed", cut, report(good, other, name="again.csv"))
    books.land("another source", report(good), source="camt053")
    books.land("wrong account", ("x.csv", report(good)[1][:-3] + "0"), source="camt053")
    books.land("another source", report(good))
    books.land("contradicted", report(good, last), report({**good, "gross": "9.01", "net": "9.01"}, last))
    books.land("amended", report(good), report({**good, "gross": "9.01", "net": "9.01"}, last))
    # More of one time is no contradiction: the one that holds the other whole counts.
    books.land("grown", report(good, last), report(good, other, last))
    tables = books.run(as_of=date(2026, 10, 30))
    assert kinds(tables, "aside") == kinds(tables, "aside twice") == ["rows_put_aside"]
    assert kinds(tables, "refused twice") == ["file_refused"]
    assert kinds(tables, "refused") == ["file_refused"]
    assert kinds(tables, "contradicted") == ["item_conflict"]
    for account in ("aside and corrected", "aside at the end", "aside and come elsewhere", "aside beyond the day",
                    "refused and come", "refused and renamed", "another source", "amended", "grown"):  # fmt: skip
        assert kinds(tables, account) == [], account
    assert kinds(tables, "wrong account") == ["file_refused"]
    [amended] = [row for row in tables["int_psp_items"]["amended"] if row["psp_transaction_id"] == "txn_a"]
    assert amended["net_minor"] == 901
