"""Each kind of file keeps the promises of the format it imitates."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from ledger_core.journal.accounts import parse_chart
from ledger_core.journal.entries import parse_entry
from ledger_core.journal.money import decimal_from_minor, exponent
from sample.business_days import is_business_day
from sample.currencies import CURRENCIES, major
from sample.model import Request
from sample.render import Rendering
from sample.reports.stripe import ITEM_COLUMNS, PAYOUT_COLUMNS


def test_equal_arguments_give_equal_bytes_and_another_seed_others(make_files):
    again: dict[str, bytes] = defaultdict(bytes)
    request = Request(days=5, per_day=60, seed=11, clean=False, start=date(2026, 10, 1))
    for name, chunk in Rendering(request).chunks():
        again[name] += chunk

    first = make_files(seed=11, days=5)

    assert again == first
    assert make_files(seed=12, days=5)["entries.jsonl"] != first["entries.jsonl"]


def test_the_bytes_are_those_that_every_python_on_every_machine_makes(make_files):
    files = make_files(seed=1, days=3, per_day=20, clean=True)

    digest = sha256(b"".join(name.encode() + files[name] for name in sorted(files))).hexdigest()

    # Figures that were published for a seed stay true. Whoever changes the sample on purpose puts the new digest here.
    assert digest == "d7e53d0c304e5ae53eff985d930f29676184763c520e748fe91ac153fa1c4cd7"


def test_every_entry_is_one_that_the_ledger_takes(make_files):
    files = make_files()
    chart = parse_chart(files["accounts.yaml"].decode(), file="accounts.yaml")
    currencies = {account.code: account.currency for account in chart.accounts}

    entries = [parse_entry(json.loads(line)) for line in files["entries.jsonl"].splitlines()]

    assert chart.book == "main"
    assert len({entry.external_id for entry in entries}) == len(entries)
    for entry in entries:
        for posting in entry.postings:
            assert currencies[posting.account] == posting.currency


def test_what_takes_part_is_said_by_the_accounts_metadata(make_files):
    chart = parse_chart(make_files()["accounts.yaml"].decode(), file="accounts.yaml")

    roles = Counter((account.metadata.get("source"), account.metadata.get("role")) for account in chart.accounts)

    assert {role for role in roles if role != (None, None)} == {
        ("stripe", "clearing"),
        ("stripe", "fees"),
        ("stripe", "in_transit"),
        (None, "bank"),
    }
    assert all(count == len(CURRENCIES) for role, count in roles.items() if role != (None, None))


def test_a_small_share_of_entries_carries_no_id_of_the_providers(make_files):
    entries = _entries(make_files(days=31, per_day=120))
    on_clearing = [entry for entry in entries if any(":clearing:" in leg["account"] for leg in entry["postings"])]

    keyless = [
        entry
        for entry in on_clearing
        if "reference" not in entry["metadata"] and not entry["external_id"].startswith("stripe:")
    ]

    assert 0 < len(keyless) < 0.03 * len(on_clearing)
    amounts = Counter((leg["currency"], leg["amount"]) for entry in on_clearing for leg in entry["postings"][:1])
    for entry in keyless:
        leg = entry["postings"][0]
        assert amounts[leg["currency"], leg["amount"]] == 1


def test_reports_have_stripes_columns_and_are_told_apart_by_them(make_files):
    files = make_files()
    headers = {name: tuple(next(_csv(data))) for name, data in files.items() if name.startswith("stripe/")}

    assert set(headers.values()) == {ITEM_COLUMNS, PAYOUT_COLUMNS}
    assert len(headers) >= 4
    assert len(set(ITEM_COLUMNS)) == len(ITEM_COLUMNS)


def test_the_items_of_a_payout_sum_to_it_and_were_created_before_it_arrives(make_files):
    items, payouts = _reports(make_files(seed=3))
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for item in items:
        assert Decimal(item["gross"]) - Decimal(item["fee"]) == Decimal(item["net"])
        assert item["created_utc"] < item["automatic_payout_effective_at_utc"]
        sums[item["automatic_payout_id"]] += Decimal(item["net"])

    assert sums == {payout["payout_id"]: Decimal(payout["net"]) for payout in payouts}
    assert all(Decimal(payout["net"]) > 0 for payout in payouts)
    assert all(is_business_day(date.fromisoformat(payout["effective_at_utc"][:10])) for payout in payouts)


def test_no_report_is_ahead_of_the_samples_last_day(make_files):
    files = make_files(seed=2)
    as_of = json.loads(files["truth.json"])["as_of"]
    items, payouts = _reports(files)

    for row in [*items, *payouts]:
        for name, value in row.items():
            if name.endswith(("_utc", "_date")) and value:
                assert value[:10] <= as_of, (name, row)


def test_amounts_have_exactly_their_currencys_digits_and_currencies_both_cases(make_files):
    items, payouts = _reports(make_files())

    cases = {row["currency"] for row in [*items, *payouts]}
    for row in [*items, *payouts]:
        digits = exponent(row["currency"].upper())
        for name in ("gross", "fee", "net"):
            assert len(row[name].partition(".")[2]) == digits

    assert cases >= {"usd", "USD", "jpy", "JPY", "kwd", "KWD", "eur", "EUR"}


def test_refunds_repeat_their_charges_ids_and_fee_rows_have_no_source(make_files):
    items, _ = _reports(make_files(days=31, per_day=120))
    kinds = Counter(item["reporting_category"] for item in items)
    sales = {item["charge_id"]: item for item in items if item["reporting_category"] == "charge"}
    refunds = [item for item in items if item["reporting_category"] == "refund"]
    partial = [
        item
        for item in refunds
        if item["charge_id"] in sales and -Decimal(item["gross"]) < Decimal(sales[item["charge_id"]]["gross"])
    ]

    assert kinds.keys() == {"charge", "refund", "dispute", "dispute_reversal", "fee"}
    assert sum(item["charge_id"] in sales for item in refunds) > 0.9 * len(refunds)
    assert len(partial) > 5
    assert max(Counter(item["charge_id"] for item in refunds).values()) > 1
    assert all(not item["source_id"] for item in items if item["reporting_category"] == "fee")
    assert any(Decimal(item["fee"]) > 0 for item in items if item["reporting_category"] == "dispute")


def test_different_payments_of_equal_amount_and_payments_around_midnight_abound(make_files):
    items, _ = _reports(make_files())

    assert max(Counter((item["currency"].upper(), item["gross"]) for item in items).values()) > 5
    assert any(item["created_utc"][11:16] == "23:59" for item in items)
    assert any(item["created_utc"][11:16] == "00:00" for item in items)


def test_statements_chain_without_gap_and_balance(make_files):
    chains = _statements(make_files(days=31, per_day=120))

    assert len(chains) == len(CURRENCIES)
    for chain in chains.values():
        assert [number for number, *_ in chain] == list(range(chain[0][0], chain[0][0] + len(chain)))
        for (_, _, _, closing, _), (_, _, opening, _, _) in pairwise(chain):
            assert opening == closing
        for _, day, opening, closing, moved in chain:
            assert opening + moved == closing
            assert is_business_day(day)


def test_both_versions_of_the_statement_are_written(make_files):
    roots = {data.split(b"\n", 2)[1] for name, data in make_files().items() if name.startswith("bank/")}

    assert {root.decode().split(":")[-1].rstrip('">') for root in roots} == {
        "camt.053.001.02",
        "camt.053.001.08",
    }


def test_some_entries_are_batches_some_only_announced_and_some_nobodys_business(make_files):
    files = make_files(days=31, per_day=120)
    entries = [
        entry
        for name, data in files.items()
        if name.startswith("bank/")
        for entry in ElementTree.fromstring(data).iterfind(".//{*}Ntry")
    ]
    batches = [entry for entry in entries if len(entry.findall("{*}NtryDtls/{*}TxDtls")) > 1]
    credited = [entry for entry in batches if entry.findtext("{*}CdtDbtInd") == "CRDT"]

    assert credited, "two payouts in one batch"
    assert len(batches) > len(credited), "salaries in one batch"
    assert {entry.findtext("{*}Sts") or entry.findtext("{*}Sts/{*}Cd") for entry in entries} == {"BOOK", "PDNG"}
    assert any("STRIPE" not in ElementTree.tostring(entry, "unicode").upper() for entry in entries)
    for entry in batches:
        parts = sum(Decimal(part.text) for part in entry.iterfind("{*}NtryDtls/{*}TxDtls//{*}Amt"))
        assert parts == Decimal(entry.findtext("{*}Amt"))


@pytest.mark.parametrize("clean", [False, True])
def test_the_books_and_the_bank_agree_at_the_end_of_every_business_day(clean, make_files):
    files = make_files(seed=9, clean=clean)
    booked: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in _entries(files):
        for leg in entry["postings"]:
            if leg["account"].startswith("assets:bank:"):
                sign = 1 if leg["direction"] == "debit" else -1
                booked[leg["currency"]][entry["effective_at"][:10]] += sign * int(leg["amount"])

    for currency, chain in _statements(files).items():
        for _, day, _, closing, _ in chain:
            balance = sum(amount for on, amount in booked[currency].items() if on <= day.isoformat())
            assert decimal_from_minor(balance, currency) == str(closing)


def test_in_a_clean_sample_money_in_transit_returns_to_zero_per_payout(make_files):
    residue: Counter[str] = Counter()
    payout_of = {row["balance_transaction_id"]: row["payout_id"] for row in _reports(make_files(clean=True))[1]}
    for entry in _entries(make_files(clean=True)):
        for leg in entry["postings"]:
            if ":in-transit:" in leg["account"]:
                reference = entry["metadata"]["reference"]
                sign = 1 if leg["direction"] == "debit" else -1
                residue[payout_of.get(reference, reference)] += sign * int(leg["amount"])

    assert len(residue) > 20
    assert set(residue.values()) == {0}


def test_every_key_of_the_truth_stands_in_the_files(make_files):
    files = make_files(seed=8)
    everything = b"\n".join(data for name, data in files.items() if name != "truth.json")

    for row in json.loads(files["truth.json"])["breaks"]:
        assert row["key"].encode() in everything, row


def test_the_samples_exponents_are_the_ledgers():
    for profile in CURRENCIES:
        assert profile.exponent == exponent(profile.code)
        for amount in (0, 7, -7, 1234567, -1234567):
            assert major(amount, profile.exponent) == decimal_from_minor(amount, profile.code)


def _entries(files):
    return [json.loads(line) for line in files["entries.jsonl"].splitlines()]


def _csv(data):
    return csv.reader(io.StringIO(data.decode()))


def _reports(files):
    items, payouts = [], []
    for name in sorted(files):
        if name.startswith("stripe/"):
            rows = list(csv.DictReader(io.StringIO(files[name].decode())))
            (payouts if "payout_id" in rows[0] else items).extend(rows)
    return items, payouts


def _statements(files):
    """Return, by currency, (sequence, day, opening, closing, sum of booked entries) in order of sequence."""
    chains = defaultdict(list)
    for name, data in files.items():
        if not name.startswith("bank/"):
            continue
        for statement in ElementTree.fromstring(data).iterfind(".//{*}Stmt"):
            balances = {balance.findtext(".//{*}Cd"): _signed(balance) for balance in statement.iterfind("{*}Bal")}
            moved = sum(
                _signed(entry)
                for entry in statement.iterfind("{*}Ntry")
                if "BOOK" in (entry.findtext("{*}Sts"), entry.findtext("{*}Sts/{*}Cd"))
            )
            chains[statement.findtext("{*}Acct/{*}Ccy")].append(
                (
                    int(statement.findtext("{*}ElctrncSeqNb")),
                    date.fromisoformat(statement.findtext("{*}Bal/{*}Dt/{*}Dt")),
                    balances["OPBD"],
                    balances["CLBD"],
                    moved,
                )
            )
    return {currency: sorted(chain) for currency, chain in chains.items()}


def _signed(element):
    amount = Decimal(element.findtext("{*}Amt"))
    return amount if element.findtext("{*}CdtDbtInd") == "CRDT" else -amount
