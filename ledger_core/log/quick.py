"""The quick way to read a journal entry: one regular expression that only the canonical form of a plain entry matches.

What matches is canonical by construction (names in order, no white space, no escape, no number but `seq`), so the
bytes need not be parsed and written again: half the time of `orjson` both ways, and independent of it. What does not
match (another kind of record, an escape in a text, an amount of nineteen digits) is not wrong; it goes the slow way.
A property test holds that whatever matches here passes there, with the same postings.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from functools import lru_cache

from ledger_core.errors import InvalidInput
from ledger_core.log.record import parse_time

# Neither quote, backslash nor control character; said by what is allowed, since a negated set costs a sixth more.
_TEXT = rb"[ !#-\[\]-\xff]*"
_NAME = rb"[a-z0-9_]{1,64}"
_HOUR = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}"
_REST_OF_HOUR = rb":[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
_UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_AMOUNT = rb"[1-9][0-9]{0,17}"
_SIDE = rb'[A-Z]{3}","direction":"(?:debit|credit)'
_POSTING = rb'\{"account":"' + _TEXT + rb'","amount":"' + _AMOUNT + rb'","currency":"' + _SIDE + rb'"\}'
_CAPTURED = rb'\{"account":"(' + _TEXT + rb')","amount":"(' + _AMOUNT + rb')","currency":"(' + _SIDE + rb')"\}'
_MEMBER = rb'"' + _NAME + rb'":"' + _TEXT + rb'"'
_NAMED = rb'"(' + _NAME + rb')":"' + _TEXT + rb'"'

_REST = re.compile(_CAPTURED)
_NAMES = re.compile(_NAMED)
HOUR_BYTES = 13
"""`2026-11-22T08`: what of a time the expression leaves to the calendar."""
MAX_POSTINGS = 500


Match = tuple[bytes, ...]
"""Hour of effective_at; two names of metadata, further metadata; three times account, amount, side; further postings;
prev, recorded_at, seq. What is not there is empty."""


@lru_cache(maxsize=16)
def pattern(book: str) -> re.Pattern[bytes]:
    """Return the expression of one line, newline included, of `book`.

    `prev` may be anything here: whoever matches compares it with the hash that it must be.
    """
    return re.compile(
        rb'\{"body":\{"actor":\{"role":"' + _TEXT + rb'","subject":"' + _TEXT + rb'"\},"description":"' + _TEXT
        + rb'","effective_at":"(' + _HOUR + rb")" + _REST_OF_HOUR + rb'","external_id":"' + _TEXT
        + rb'","fingerprint":"' + _TEXT + rb'","metadata":\{(?:'
        + _NAMED + rb"(?:," + _NAMED + rb")?((?:," + _MEMBER + rb')*))?\},"postings":\['
        + _CAPTURED + rb"," + _CAPTURED + rb"(?:," + _CAPTURED + rb")?((?:," + _POSTING + rb')*)\]\},"book":"'
        + re.escape(book.encode()) + rb'","id":"' + _UUID + rb'","kind":"journal_entry","prev":"([^"]{64})",'
        rb'"recorded_at":"(' + _HOUR + _REST_OF_HOUR + rb')","schema":"cf/1","seq":(0|[1-9][0-9]{0,15})\}\n'
    )  # fmt: skip


def match_block(block: bytes, count: int, book: str) -> list[Match] | None:
    """Return one match for each of the `count` lines of `block`, or None when some line must go the slow way."""
    if not block.isascii() and not _is_clean(block):
        return None
    found = pattern(book).findall(block)
    # A match spans a line exactly, so that as many matches as lines leave nothing out.
    return found if len(found) == count else None


class Sums:
    """Gross sums by currency, side and account, in minor units; from matches and from postings checked elsewhere."""

    def __init__(self) -> None:
        self._sides = _Sides()

    def add_matches(self, matches: list[Match]) -> list[int]:
        """Add the postings of `matches`; return the positions of those that need a closer look, not added.

        One loop without a call per entry: this is the verifier's hottest Python.
        """
        odd = []
        sides, hours = self._sides, set()
        for position, item in enumerate(matches):
            (hour, name1, name2, names, account1, amount1, side1, account2, amount2, side2,
             account3, amount3, side3, rest, _, _, _) = item  # fmt: skip
            if hour not in hours:
                if not is_hour(hour):
                    odd.append(position)
                    continue
                hours.add(hour)
            (sign1, currency1, table1), (sign2, currency2, table2) = sides[side1], sides[side2]
            if rest or currency1 is not currency2 or (name2 and (names or name1 >= name2)):
                if not self._add_with_care(item):
                    odd.append(position)
                continue
            minor1, minor2 = int(amount1), int(amount2)
            net = sign1 * minor1 + sign2 * minor2
            if account3:
                sign3, currency3, table3 = sides[side3]
                minor3 = int(amount3)
                if net + sign3 * minor3 or currency3 is not currency1:
                    if not self._add_with_care(item):
                        odd.append(position)
                    continue
                table3[account3] += minor3
            elif net:
                odd.append(position)
                continue
            table1[account1] += minor1
            table2[account2] += minor2
        return odd

    def add_line(self, *, account: str, currency: str, amount_minor: int, is_debit: bool) -> None:
        """Add one posting."""
        side = f'{currency}","direction":"{"debit" if is_debit else "credit"}'
        self._sides[side.encode()][2][account.encode()] += amount_minor

    def by_account(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return gross debits and credits by (account, currency)."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for sign, currency, table in self._sides.values():
            for name, total in table.items():
                key = name.decode(), currency
                debits, credits = found.get(key, (0, 0))
                found[key] = (debits + total, credits) if sign > 0 else (debits, credits + total)
        return found

    def _add_with_care(self, item: Match) -> bool:
        """Add an entry of any number of postings, currencies and metadata, if it balances."""
        _, name1, name2, names = item[:4]
        if name2 and not _in_order((name1, name2, *_NAMES.findall(names))):
            return False
        postings = [item[4:7], item[7:10], *([item[10:13]] if item[10] else []), *_REST.findall(item[13])]
        if len(postings) > MAX_POSTINGS:
            return False
        net: dict[str, int] = {}
        for _, amount, side in postings:
            sign, currency, _ = self._sides[side]
            net[currency] = net.get(currency, 0) + sign * int(amount)
        if any(net.values()):
            return False
        for account, amount, side in postings:
            self._sides[side][2][account] += int(amount)
        return True


class _Sides(dict[bytes, tuple[int, str, dict[bytes, int]]]):
    """From the text of a side, `USD","direction":"debit`, to its sign, its currency and the sums of its accounts."""

    def __missing__(self, side: bytes) -> tuple[int, str, dict[bytes, int]]:
        sign = 1 if side.endswith(b'"debit') else -1
        # Interned, so that the same currency is the same object.
        found = self[side] = (sign, sys.intern(side[:3].decode("ascii")), defaultdict(int))
        return found


@lru_cache(maxsize=4096)
def is_hour(text: bytes) -> bool:
    """Say whether `YYYY-MM-DDTHH` is an hour of the calendar; a segment holds few of them."""
    try:
        parse_time(text.decode("ascii") + ":00:00.000000Z")
    except InvalidInput:
        return False
    return True


@lru_cache(maxsize=1024)
def _in_order(names: tuple[bytes, ...]) -> bool:
    return list(names) == sorted(set(names))


def _is_clean(block: bytes) -> bool:
    """Say whether `block` is UTF-8 in NFC. Quotes part the texts, and nothing composes with a quote."""
    try:
        return unicodedata.is_normalized("NFC", block.decode("utf-8"))
    except UnicodeDecodeError:
        return False
