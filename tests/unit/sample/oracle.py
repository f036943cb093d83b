"""A second reading of the reconciliation rules: brute force, in Python, over a sample's written files and nothing else.

It shares no line with the code that makes the samples or with the SQL that reconciles them, and never opens the truth.
Where the rules leave room it takes the strictest reading: ids and amounts must be unique over all items of both sides,
so a sample that only a lenient engine could settle fails here.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from xml.etree import ElementTree

import yaml

DIGITS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
GRACE_BUSINESS_DAYS = 5
ID_KINDS = ("txn", "source", "charge", "payment_intent", "order")


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    """One side's item on leg A; amounts signed, in minor units. `ids` by kind; the ledger has one id for every kind."""

    currency: str
    net: int
    fee: int
    on: date
    order: int
    ids: dict[str, str] = field(default_factory=dict)
    key: str = ""
    has_provider_id: bool = True
    is_fee: bool = False
    """A fee that names no payment: whichever account it is booked on, its net is all there is to compare."""

    @property
    def gross(self) -> int:
        return self.net + self.fee

    @property
    def sign(self) -> int:
        return (self.net > 0) - (self.net < 0)


@dataclass(slots=True, kw_only=True, eq=False)
class Transfer:
    """A payout, or a bank line that is the provider's."""

    key: str
    currency: str
    amount: int
    on: date
    payout_ids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the rules say of the files on a day; `breaks` as in `truth.json`, `pending` a count, `matched` by stage."""

    as_of: date
    breaks: list[dict[str, str]]
    pending: int
    matched: Mapping[str, int]

    @property
    def name(self) -> str:
        if self.breaks:
            return "breaks"
        return "reconciled_with_pending" if self.pending else "reconciled"


@dataclass(slots=True, kw_only=True)
class Inputs:
    """Everything the files say, before any cut."""

    ledger: list[Item]
    psp: list[Item]
    payouts: list[Transfer]
    bank: list[Transfer]
    last_day: date


def reconcile(files: Mapping[str, bytes], to: date | None = None) -> Verdict:
    """Reconcile the files of a sample, given by name, as of `to` or the last day in them."""
    inputs = read(files)
    as_of = to or inputs.last_day
    found = _Found(as_of=as_of)
    _leg_a(_until(inputs.ledger, as_of), _until(inputs.psp, as_of), found)
    _leg_b(_until(inputs.payouts, as_of), _until(inputs.bank, as_of), found)
    breaks = sorted(found.breaks, key=lambda row: (row["leg"], row["class"], row["key"]))
    return Verdict(as_of=as_of, breaks=breaks, pending=found.pending, matched=dict(found.matched))


def _until(items: Iterable[Item | Transfer], as_of: date) -> list:
    return [item for item in items if item.on <= as_of]


# Reading ------------------------------------------------------------------------------------------------------------


def read(files: Mapping[str, bytes]) -> Inputs:
    """Read every file of a sample but its truth; reports are told apart by their headers."""
    chart = {row["code"]: row.get("metadata", {}) for row in yaml.safe_load(files["accounts.yaml"])["accounts"]}
    ledger, days = [], []
    for order, line in enumerate(files["entries.jsonl"].splitlines()):
        entry = json.loads(line)
        days.append(date.fromisoformat(entry["effective_at"][:10]))
        ledger.extend(_ledger_items(entry, chart, order))
    psp, payouts, bank = [], [], []
    for name in sorted(files):
        if name.startswith("stripe/"):
            rows = list(csv.DictReader(io.StringIO(files[name].decode())))
            if files[name].startswith(b"payout_id,"):
                for row in rows:
                    item, payout = _payout(row)
                    psp.append(item)
                    payouts.append(payout)
            else:
                psp.extend(_psp_item(row) for row in rows)
        elif name.startswith("bank/"):
            lines, stated = _bank_lines(files[name])
            bank.extend(lines)
            days.extend(stated)
    days.extend(item.on for item in psp)
    return Inputs(ledger=ledger, psp=psp, payouts=payouts, bank=bank, last_day=max(days))


def _ledger_items(entry: dict, chart: Mapping[str, dict], order: int) -> Iterable[Item]:
    nets: Counter[str] = Counter()
    fees: Counter[str] = Counter()
    touched = set()
    for posting in entry["postings"]:
        metadata = chart[posting["account"]]
        amount = int(posting["amount"]) * (1 if posting["direction"] == "debit" else -1)
        if metadata.get("source") != "stripe":
            continue
        if metadata["role"] == "clearing":
            nets[posting["currency"]] += amount
            touched.add(posting["currency"])
        elif metadata["role"] == "fees":
            fees[posting["currency"]] += amount
    reference = entry["metadata"].get("reference")
    known = reference is not None or entry["external_id"].startswith("stripe:")
    key = reference or entry["external_id"].removeprefix("stripe:")
    for currency in sorted(touched):
        yield Item(
            currency=currency,
            net=nets[currency],
            fee=fees[currency],
            on=date.fromisoformat(entry["effective_at"][:10]),
            order=order,
            ids=dict.fromkeys(ID_KINDS, key) if known else {},
            key=key,
            has_provider_id=known,
        )


def _psp_item(row: dict[str, str]) -> Item:
    currency = row["currency"].upper()
    gross, fee, net = (_minor(row[name], currency) for name in ("gross", "fee", "net"))
    assert gross - fee == net, row
    ids = {
        "txn": row["balance_transaction_id"],
        "source": row["source_id"],
        "charge": row["charge_id"],
        "payment_intent": row["payment_intent_id"],
        "order": row["payment_metadata[order_id]"],
    }
    return Item(
        currency=currency,
        net=net,
        fee=fee,
        on=date.fromisoformat(row["created_utc"][:10]),
        order=0,
        ids={kind: value for kind, value in ids.items() if value},
        key=ids["txn"],
        is_fee=row["reporting_category"] == "fee",
    )


def _payout(row: dict[str, str]) -> tuple[Item, Transfer]:
    currency = row["currency"].upper()
    net = _minor(row["net"], currency)
    item = Item(
        currency=currency,
        net=-net,
        fee=-_minor(row["fee"], currency),
        on=date.fromisoformat(row["effective_at_utc"][:10]),
        order=0,
        ids={"txn": row["balance_transaction_id"], "source": row["payout_id"]},
        key=row["balance_transaction_id"],
    )
    payout = Transfer(
        key=row["payout_id"],
        currency=currency,
        amount=net,
        on=date.fromisoformat(row["payout_expected_arrival_date"][:10]),
        payout_ids=frozenset({row["payout_id"]}),
    )
    return item, payout


def _bank_lines(xml: bytes) -> tuple[list[Transfer], list[date]]:
    """Return the provider's booked lines of a file and the days of its statements."""
    root = ElementTree.fromstring(re.sub(rb' xmlns="[^"]+"', b"", xml, count=1))
    lines = []
    days = [date.fromisoformat(place.text) for place in root.iterfind(".//Bal/Dt/Dt")]
    for entry in root.iterfind(".//Ntry"):
        status = entry.findtext("Sts/Cd") or entry.findtext("Sts")
        if status != "BOOK":
            continue
        booked_on = date.fromisoformat(entry.findtext("BookgDt/Dt"))
        for part in entry.iterfind("NtryDtls/TxDtls"):
            party = " ".join(name.text for name in part.iterfind("RltdPties//Nm"))
            narrative = part.findtext("RmtInf/Ustrd") or ""
            end_to_end = part.findtext("Refs/EndToEndId") or "NOTPROVIDED"
            amount = part.find("Amt") if part.find("Amt") is not None else part.find("AmtDtls/TxAmt/Amt")
            if not re.search(r"\bstripe\b", f"{party} {narrative}", re.IGNORECASE):
                continue
            sign = 1 if entry.findtext("CdtDbtInd") == "CRDT" else -1
            lines.append(
                Transfer(
                    key=end_to_end if end_to_end != "NOTPROVIDED" else part.findtext("Refs/AcctSvcrRef"),
                    currency=amount.get("Ccy"),
                    amount=sign * _minor(amount.text, amount.get("Ccy")),
                    on=booked_on,
                    payout_ids=frozenset(re.findall(r"po_\w+", f"{end_to_end} {narrative}")),
                )
            )
    return lines, days


def _minor(text: str, currency: str) -> int:
    scaled = Decimal(text).scaleb(DIGITS[currency])
    assert scaled == int(scaled), (text, currency)
    return int(scaled)


# Matching -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Found:
    as_of: date
    breaks: list[dict[str, str]] = field(default_factory=list)
    pending: int = 0
    matched: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, leg: str, key: str, currency: str, amount: int) -> None:
        self.breaks.append({"class": name, "leg": leg, "key": key, "currency": currency, "amount_minor": str(amount)})

    def add_one_sided(self, name: str, leg: str, key: str, currency: str, amount: int, since: date) -> None:
        day, left = since, GRACE_BUSINESS_DAYS
        while left:
            day += timedelta(days=1)
            left -= day.weekday() < 5
        if self.as_of > day:
            self.add(name, leg, key, currency, amount)
        else:
            self.pending += 1


def _leg_a(ledger: list[Item], psp: list[Item], found: _Found) -> None:
    ledger = _without_duplicates(ledger, found)
    left, right = set(map(id, ledger)), set(map(id, psp))
    for stage, by_currency, fits in (
        ("1", True, _equal),
        ("2", True, lambda a, b: True),
        ("2c", False, lambda a, b: a.currency != b.currency),
    ):
        for kind in ID_KINDS:
            for ours, theirs in _unique_pairs(ledger, psp, kind, by_currency):
                if id(ours) in left and id(theirs) in right and fits(ours, theirs):
                    left.discard(id(ours))
                    right.discard(id(theirs))
                    found.matched[stage] += 1
                    if stage != "1":
                        _two_sided(ours, theirs, found)
    for ours, theirs in _by_amount(ledger, psp):
        if id(ours) in left and id(theirs) in right:
            left.discard(id(ours))
            right.discard(id(theirs))
            found.matched["4"] += 1
    for item in ledger:
        if id(item) in left:
            found.add_one_sided("missing_at_psp", "A", item.key, item.currency, item.net, item.on)
    for item in psp:
        if id(item) in right:
            found.add_one_sided("missing_in_ledger", "A", item.key, item.currency, -item.net, item.on)


def _equal(ours: Item, theirs: Item) -> bool:
    return ours.net == theirs.net and (theirs.is_fee or (ours.gross, ours.fee) == (theirs.gross, theirs.fee))


def _without_duplicates(ledger: list[Item], found: _Found) -> list[Item]:
    seen, kept = set(), []
    for item in sorted(ledger, key=lambda item: item.order):
        same = (item.key, item.currency, item.net, item.fee)
        if item.has_provider_id and same in seen:
            found.add("duplicate_ledger", "A", item.key, item.currency, item.net)
        else:
            seen.add(same)
            kept.append(item)
    return kept


def _unique_pairs(ledger: list[Item], psp: list[Item], kind: str, by_currency: bool) -> Iterable[tuple[Item, Item]]:
    """Pair items that share an id of this kind and a sign, where both are the only ones over all items."""
    sides: dict[tuple, tuple[list[Item], list[Item]]] = defaultdict(lambda: ([], []))
    for side, items in enumerate((ledger, psp)):
        for item in items:
            if kind in item.ids:
                sides[item.ids[kind], item.sign, item.currency if by_currency else ""][side].append(item)
    return [(ours[0], theirs[0]) for ours, theirs in sides.values() if len(ours) == len(theirs) == 1]


def _by_amount(ledger: list[Item], psp: list[Item]) -> Iterable[tuple[Item, Item]]:
    """Pair an entry without any provider id with the only item of its amount, on its day."""
    amounts = Counter((item.currency, item.net) for item in ledger)
    theirs = defaultdict(list)
    for item in psp:
        theirs[item.currency, item.net].append(item)
    for item in ledger:
        same = (item.currency, item.net)
        if not item.has_provider_id and amounts[same] == 1 and len(theirs[same]) == 1 and theirs[same][0].on == item.on:
            yield item, theirs[same][0]


def _two_sided(ours: Item, theirs: Item, found: _Found) -> None:
    if ours.currency != theirs.currency:
        assert (ours.net, ours.fee) == (theirs.net, theirs.fee), "only the currency may differ"
        found.add("currency_mismatch", "A", theirs.key, theirs.currency, -theirs.net)
    elif ours.fee != theirs.fee:
        assert ours.gross == theirs.gross or ours.net == theirs.net, "two faults on one item"
        found.add("fee_mismatch", "A", theirs.key, theirs.currency, ours.fee - theirs.fee)
    else:
        found.add("amount_mismatch", "A", theirs.key, theirs.currency, ours.net - theirs.net)


def _leg_b(payouts: list[Transfer], bank: list[Transfer], found: _Found) -> None:
    by_id = {payout.key: payout for payout in payouts}
    open_payouts, open_lines = set(map(id, payouts)), []
    for line in bank:
        if not line.payout_ids:
            open_lines.append(line)
            continue
        (payout_id,) = line.payout_ids
        payout = by_id[payout_id]
        assert (payout.currency, payout.amount) == (line.currency, line.amount), line
        assert id(payout) in open_payouts, "a payout arrived twice"
        open_payouts.discard(id(payout))
        found.matched["B"] += 1
    for line in open_lines:
        same = [payout for payout in payouts if (payout.currency, payout.amount) == (line.currency, line.amount)]
        alone = sum((other.currency, other.amount) == (line.currency, line.amount) for other in bank) == 1
        if len(same) == 1 and alone and id(same[0]) in open_payouts:
            open_payouts.discard(id(same[0]))
            found.matched["B amount"] += 1
        else:
            found.add_one_sided("unexpected_bank_credit", "B", line.key, line.currency, -line.amount, line.on)
    for payout in payouts:
        if id(payout) in open_payouts:
            found.add_one_sided("payout_missing_at_bank", "B", payout.key, payout.currency, payout.amount, payout.on)
