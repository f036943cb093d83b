"""Several accounts at the provider, and files that come untidily: what they say is the same, and all of it has come."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from xml.etree import ElementTree

import pytest
import yaml

from ledger_core.errors import InvalidInput
from sample import DIRT, REPORTS, make_sample
from sample.currencies import CURRENCIES, iban_of
from sample.model import Request
from sample.render import Rendering

Files = Mapping[str, bytes]
PLAIN = {"days": 24, "per_day": 60, "seed": 5, "clean": False, "start": date(2026, 10, 1)}


def files_of(**asked) -> Files:
    gathered: dict[str, list[bytes]] = defaultdict(list)
    for name, chunk in Rendering(Request(**{**PLAIN, **asked})).chunks():
        gathered[name].append(chunk)
    return {name: b"".join(chunks) for name, chunks in gathered.items()}


def listed(files: Files, column: str) -> dict[str, set[tuple[str, ...]]]:
    """Every row of the provider's reports that names a payout, by id: of its account, whichever file it stands in."""
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for name, data in files.items():
        if name.startswith("stripe/"):
            account = name.split("/")[1] if name.count("/") == 2 else ""
            for row in csv.DictReader(io.StringIO(data.decode())):
                if column in row and row.get("automatic_payout_id", "-"):
                    found[row[column]].add((account, *row.values()))
    return dict(found)


def stated(files: Files) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """The booked lines of each account and day, as the newest document has them."""
    newest: dict[tuple[str, str], tuple[str, set[tuple[str, str]]]] = {}
    for name, data in files.items():
        if name.startswith("bank/"):
            root = ElementTree.fromstring(data)
            for element in root.iter():
                element.tag = element.tag.rpartition("}")[2]
            for statement in root.iter("Stmt"):
                key = statement.findtext("Acct/Id/IBAN", ""), statement.findtext("FrToDt/FrDtTm", "")[:10]
                made = statement.findtext("CreDtTm", "")
                lines = {
                    (entry.findtext("AcctSvcrRef", ""), entry.findtext("Amt", "")) for entry in statement.iter("Ntry")
                }
                newest[key] = max(newest.get(key, ("", set())), (made, lines), key=lambda each: each[0])
    return {key: lines for key, (_, lines) in newest.items()}


@pytest.mark.parametrize("kind", [*DIRT, "all"])
@pytest.mark.parametrize("reports", REPORTS)
def test_dirt_changes_the_files_and_nothing_that_they_say(kind: str, reports: str) -> None:
    clean = files_of(reports=reports)
    dirty = files_of(reports=reports, dirt=frozenset(DIRT if kind == "all" else [kind]))

    assert dirty != clean
    for name in ("truth.json", "accounts.yaml", "entries.jsonl"):
        assert dirty[name] == clean[name]
    for column in ("balance_transaction_id", "payout_id"):
        assert listed(dirty, column) == listed(clean, column)
    assert stated(dirty) == stated(clean)


@pytest.mark.parametrize("dirt", [(), tuple(DIRT)])
def test_every_file_comes_by_the_last_day_and_no_other_is_promised(dirt: tuple[str, ...]) -> None:
    files = files_of(dirt=frozenset(dirt), accounts=2)
    promised = json.loads(files["deliveries.json"])

    assert {each["file"] for each in promised} == {name for name in files if "/" in name}
    assert len({each["file"] for each in promised}) == len(promised)
    assert {each["source"] for each in promised} == {"stripe_report", "camt053"}
    assert max(each["on"] for each in promised) <= json.loads(files["truth.json"])["as_of"]


def test_an_early_report_lists_what_waits_for_its_payout_and_a_later_one_its_payout() -> None:
    files = files_of(dirt=frozenset({"waiting"}), reports="daily")
    waiting, paid = set(), {}
    for name, data in sorted(files.items()):
        if name.startswith("stripe/payout_reconciliation"):
            for row in csv.DictReader(io.StringIO(data.decode())):
                if row["automatic_payout_id"]:
                    paid[row["balance_transaction_id"]] = name
                else:
                    waiting.add((row["balance_transaction_id"], name))
    assert len(waiting) > 100
    assert all(name < paid[txn] for txn, name in waiting)


def test_each_account_has_books_and_reports_of_its_own_and_they_add_up() -> None:
    files = files_of(accounts=3)
    chart = yaml.safe_load(files["accounts.yaml"])
    accounts = {each["metadata"]["account"] for each in chart["accounts"] if "source" in each.get("metadata", {})}
    assert accounts == {"acct_1", "acct_2", "acct_3"}

    sums: dict[str, int] = defaultdict(int)
    owner = {}
    for rows in listed(files, "balance_transaction_id").values():
        assert len(rows) == 1, "an item stands in one account's reports"
    for name, data in files.items():
        account = name.split("/")[1] if name.startswith("stripe/") else ""
        for row in csv.DictReader(io.StringIO(data.decode())) if account else ():
            payout = row.get("automatic_payout_id") or row["payout_id"]
            assert owner.setdefault(payout, account) == account
            sign = 1 if "automatic_payout_id" in row else -1
            sums[payout] += sign * round(float(row["net"]) * 1000)
    assert set(owner.values()) == accounts
    assert set(sums.values()) == {0}


def test_another_legal_entity_has_other_bank_accounts_with_right_check_digits() -> None:
    ibans = {iban_of(profile, book) for profile in CURRENCIES for book in ("main", "emea", "apac")}
    assert len(ibans) == 12
    for iban in ibans:
        assert int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1, iban


@pytest.mark.parametrize("asked", [{"dirt": ["mud"]}, {"reports": "hourly"}, {"accounts": 0}, {"book": "No Book"}])
def test_what_no_sample_can_be_is_refused_by_name(tmp_path, asked) -> None:
    with pytest.raises(InvalidInput) as refused:
        make_sample(tmp_path / "s", days=2, per_day=20, seed=1, **asked)
    assert refused.value.pointer == f"--{next(iter(asked))}"
    assert not (tmp_path / "s").exists()
