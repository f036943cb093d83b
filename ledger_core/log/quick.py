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
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ledger_core.errors import InvalidInput
from ledger_core.log.record import MAX_RECORD_BYTES, parse_time

# Neither quote, backslash nor control character; said by what is allowed, since a negated set costs a sixth more. A
# look at the whole block for such characters, and then any text up to its quote, was measured too: a tenth slower.
# What is repeated is never given back (`++`): what follows it begins with something else. That, and an alternative that
# is empty in place of `?` and `*`, for which the engine keeps a state each, made the expression a sixth quicker.
_TEXT = rb"[ !#-\[\]-\xff]*+"
_ACCOUNT = rb"[ !#-\[\]-\xff]{0,1024}+"
_NAME = rb"[a-z0-9_]{1,64}+"
_HOUR = rb"(?s:.{13})"
_REST_OF_HOUR = rb":[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
_AMOUNT = rb"[1-9][0-9]{0,17}+"
_SIDE = rb'[A-Z]{3}","direction":"(?:debit|credit)'
_POSTING = rb'\{"account":"' + _ACCOUNT + rb'","amount":"' + _AMOUNT + rb'","currency":"' + _SIDE + rb'"\}'
_CAPTURED = rb'\{"account":"(' + _ACCOUNT + rb')","amount":"(' + _AMOUNT + rb')","currency":"(' + _SIDE + rb')"\}'
_NEXT = b'"},{"account":"'
# Of the first two postings, what stands between the amounts is one group, and the second amount fills none where it is
# the first: each group that is filled costs a thirtieth of the whole.
_TWO = (
    rb'\{"account":"(' + _ACCOUNT + rb')","amount":"(?P<amount>' + _AMOUNT + rb')","currency":"('
    + _SIDE + re.escape(_NEXT) + _ACCOUNT
    + rb')","amount":"(?:(?P=amount)"|(' + _AMOUNT + rb')"),"currency":"(' + _SIDE + rb')"\}'
)  # fmt: skip
_MEMBER = rb'"' + _NAME + rb'":"' + _TEXT + rb'"'
_NAMED = rb'"(' + _NAME + rb')":"' + _TEXT + rb'"'

# One: whether the names of several stand in order no expression tells, and those go the slow way.
_COMMITMENTS = rb'\{"' + _NAME + rb'":"[0-9a-f]{64}"\}'

_REST = re.compile(_CAPTURED)
_NAMES = re.compile(_NAMED)
_UUID = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_HASH = re.compile(rb"[0-9a-f]{64}")
_HEX = b"0123456789abcdef"
_DASHES = (8, 13, 18, 23)
HOUR_BYTES = 13
"""`2026-11-22T08`: what of a time the expression leaves to the calendar."""
UUID_BYTES = 36
MAX_POSTINGS = 500
MAX_PAIRS = 50_000
"""Of accounts whose sums are kept together, before they go to the accounts."""


class Run(NamedTuple):
    """A run of matches, one column for each group of the expression. What is not there is None, or empty."""

    hours: Sequence[bytes]
    """Of effective_at."""
    names: Sequence[bytes | None]
    """Of metadata."""
    second_names: Sequence[bytes | None]
    further_names: Sequence[bytes | None]
    """Whole members, each behind its comma."""
    accounts: Sequence[bytes]
    amounts: Sequence[bytes]
    middles: Sequence[bytes]
    """From the first amount to the second: a side, and the account of the other posting."""
    second_amounts: Sequence[bytes | None]
    """Where it is another than the first."""
    second_sides: Sequence[bytes]
    third_accounts: Sequence[bytes | None]
    third_amounts: Sequence[bytes | None]
    third_sides: Sequence[bytes | None]
    further_postings: Sequence[bytes]
    ids: Sequence[bytes]
    prevs: Sequence[bytes]
    times: Sequence[bytes]
    """Recorded at."""
    seqs: Sequence[bytes]

    def has_ids(self) -> bool:
        """Say whether each id is a UUID in lower case: dashes in their four places, else hexadecimal."""
        joined, dashes = b"".join(self.ids), b"-" * len(self.ids)
        if joined.translate(None, _HEX) != dashes * len(_DASHES):
            return False
        return all(joined[at::UUID_BYTES] == dashes for at in _DASHES)


_COLUMNS = len(Run._fields)
_SUMMED = Run._fields.index("ids")
"""So many columns, from the first, say what an entry adds to the sums."""


@lru_cache(maxsize=16)
def pattern(book: str) -> re.Pattern[bytes]:
    """Return the expression of one line, newline included, of `book`.

    `id`, `prev` and the hours may be anything of their length here: whoever matches looks at them.
    """
    further = _optional(b"," + _MEMBER + rb"(?:," + _MEMBER + rb")*+")
    metadata = _NAMED + _optional(rb"," + _NAMED) + rb"(" + further + rb")"
    third = _optional(rb"," + _CAPTURED)
    more = _optional(rb"," + _POSTING + rb"(?:," + _POSTING + rb")*+")
    return re.compile(
        rb'^\{"body":\{"actor":\{"role":"' + _TEXT + rb'","subject":"' + _TEXT + rb'"\},'
        + _optional(rb'"commitments":' + _COMMITMENTS + rb',')
        + _optional(rb'"corrects":"' + _TEXT + rb'",') + rb'"description":"' + _TEXT
        + rb'","effective_at":"(' + _HOUR + rb")" + _REST_OF_HOUR + rb'","external_id":"' + _TEXT
        + rb'","fingerprint":"' + _TEXT + rb'","metadata":\{' + _optional(metadata) + rb'\},"postings":\['
        + _TWO + third + rb"(" + more + rb")\]"
        + _optional(rb',"reverses":"' + _TEXT + rb'"') + _optional(rb',"template":"' + _TEXT + rb'"')
        + rb'\},"book":"' + re.escape(book.encode())
        + rb'","id":"((?s:.{36}))","kind":"journal_entry","prev":"((?s:.{64}))","recorded_at":"('
        + _HOUR + _REST_OF_HOUR + rb')","schema":"cf/1","seq":(0|[1-9][0-9]{0,15}+)\}\n',
        re.MULTILINE,
    )  # fmt: skip


def is_plain(line: bytes, book: str) -> bool:
    """Say whether `line` (without newline) is the canonical form of a plain entry of `book`, its postings apart."""
    if len(line) > MAX_RECORD_BYTES or not (line.isascii() or _is_clean(line)):
        return False
    match = pattern(book).fullmatch(line + b"\n")
    if match is None:
        return False
    hour, _, _, further, *_, id_, prev, time, _ = found = match.groups()
    if not is_hour(hour) or not is_hour(time[:HOUR_BYTES]):
        return False
    if _UUID.fullmatch(id_) is None or _HASH.fullmatch(prev) is None:
        return False
    first, second = found[1:3]
    return not further and (second is None or first < second)


def match_block(block: bytes, count: int, book: str) -> Run | None:
    """Return the matches of all `count` lines of `block`, or None when some line must go the slow way."""
    if not block.isascii() and not _is_clean(block):
        return None
    parts = pattern(book).split(block)
    # Each begins where a line does and ends where one ends: as many as lines, nothing between them, and each is one
    # line, all of it.
    if len(parts) != count * (_COLUMNS + 1) + 1 or any(parts[:: _COLUMNS + 1]):
        return None
    found = Run._make([parts[at :: _COLUMNS + 1] for at in range(1, _COLUMNS + 1)])
    return found if found.has_ids() else None


def match_runs(block: bytes, book: str) -> Iterator[tuple[int, Run]]:
    """Yield (position of the first line, matches) for each run of lines of `block` that need not go the slow way."""
    is_ascii = block.isascii()
    rows: list[tuple[bytes | Any, ...]] = []
    first = line = at = 0
    for found in pattern(book).finditer(block):
        start, end = found.span()
        line, at = line + block.count(b"\n", at, start), start
        if end - start > MAX_RECORD_BYTES + 1 or not (is_ascii or _is_clean(block[start:end])):
            continue
        if line != first + len(rows):
            if rows and (run := Run._make(zip(*rows, strict=True))).has_ids():
                yield first, run
            first, rows = line, []
        rows.append(found.groups())
    if rows and (run := Run._make(zip(*rows, strict=True))).has_ids():
        yield first, run


class Sums:
    """Gross sums by currency, side and account, in minor units; from matches and from postings checked elsewhere."""

    def __init__(self) -> None:
        self._sides = _Sides()
        self._middles = _Middles(self._sides)
        self._pairs = _Pairs()

    def add_run(self, run: Run, start: int) -> int:
        """Add the entries of `run` from `start` on, up to the first that needs a closer look; return its position.

        One loop without a call per entry: this is the verifier's hottest Python.
        """
        sides, middles, pairs, hours = self._sides, self._middles, self._pairs, set()
        if len(pairs) + len(middles) > MAX_PAIRS:
            self._settle()
        if start == 0 and _are_pairs(run) and self._add_pairs(run):
            return len(run.hours)
        columns = run[:_SUMMED] if start == 0 else [column[start:] for column in run[:_SUMMED]]
        for position, item in enumerate(zip(*columns, strict=True), start):
            (hour, name1, name2, names, account1, amount1, middle, amount2, side2,
             account3, amount3, side3, rest) = item  # fmt: skip
            if hour not in hours:
                if not is_hour(hour):
                    return position
                hours.add(hour)
            if name2 and (names or name1 >= name2):
                if not self._add_with_care(item):
                    return position
            elif not side3:
                if amount2:
                    return position
                try:
                    # The two accounts of most entries come again and again: one sum for both.
                    pairs[account1, middle, side2][0] += int(amount1)
                except KeyError:
                    return position
            elif rest:
                if not self._add_with_care(item):
                    return position
            else:
                (sign1, currency1, table1, account2), (sign2, currency2, table2) = middles[middle], sides[side2]
                sign3, currency3, table3 = sides[side3]
                minor1, minor2, minor3 = int(amount1), int(amount2 or amount1), int(amount3)
                is_one = currency1 is currency2 is currency3
                if is_one and not sign1 * minor1 + sign2 * minor2 + sign3 * minor3:
                    table1[account1] += minor1
                    table2[account2] += minor2
                    table3[account3] += minor3
                elif not self._add_with_care(item):
                    return position
        return len(run.hours)

    def add_line(self, *, account: str, currency: str, amount_minor: int, is_debit: bool) -> None:
        """Add one posting."""
        side = f'{currency}","direction":"{"debit" if is_debit else "credit"}'
        self._sides[side.encode()][2][account.encode()] += amount_minor

    @property
    def accounts(self) -> int:
        """How many sums are kept: accounts by currency and side, and pairs of them."""
        return len(self._pairs) + sum(len(table) for _, _, table in self._sides.values())

    def by_account(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return gross debits and credits by (account, currency)."""
        self._settle()
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for sign, currency, table in self._sides.values():
            for name, total in table.items():
                key = name.decode(), currency
                debits, credits = found.get(key, (0, 0))
                found[key] = (debits + total, credits) if sign > 0 else (debits, credits + total)
        return found

    def _add_pairs(self, run: Run) -> bool:
        """Add all entries, pairs of one amount each, or none where one is not of opposite sides."""
        keys = zip(run.accounts, run.middles, run.second_sides, strict=True)
        try:
            sums = list(map(self._pairs.__getitem__, keys))
        except KeyError:
            return False
        for held, minor in zip(sums, map(int, run.amounts), strict=True):
            held[0] += minor
        return True

    def _settle(self) -> None:
        """Put the sums of pairs where those of accounts are."""
        for (account1, middle, side2), (total,) in self._pairs.items():
            side1, _, account2 = middle.partition(_NEXT)
            self._sides[side1][2][account1] += total
            self._sides[side2][2][account2] += total
        self._pairs.clear()
        self._middles.clear()

    def _add_with_care(self, item: tuple[Any, ...]) -> bool:
        """Add an entry of any number of postings, currencies and metadata, if it balances."""
        _, name1, name2, names, account1, amount1, middle, amount2, side2, account3, amount3, side3, rest = item
        if name2 and not _in_order((name1, name2, *_NAMES.findall(names))):
            return False
        side1, _, account2 = middle.partition(_NEXT)
        postings = [(account1, amount1, side1), (account2, amount2 or amount1, side2)]
        postings += [*([(account3, amount3, side3)] if side3 else []), *_REST.findall(rest)]
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


class _Pairs(dict[tuple[bytes, bytes, bytes], list[int]]):
    """From account, middle and side of two postings that balance to the sum of either; in a list, to be found once."""

    def __missing__(self, key: tuple[bytes, bytes, bytes]) -> list[int]:
        side, _, _ = key[1].partition(_NEXT)
        # Opposite are the two sides of one currency.
        if side == key[2] or side[:3] != key[2][:3]:
            raise KeyError(key)
        found = self[key] = [0]
        return found


class _Sides(dict[bytes, tuple[int, str, dict[bytes, int]]]):
    """From the text of a side, `USD","direction":"debit`, to its sign, its currency and the sums of its accounts."""

    def __missing__(self, side: bytes) -> tuple[int, str, dict[bytes, int]]:
        sign = 1 if side.endswith(b'"debit') else -1
        # Interned, so that the same currency is the same object.
        found = self[side] = (sign, sys.intern(side[:3].decode("ascii")), defaultdict(int))
        return found


class _Middles(dict[bytes, tuple[int, str, dict[bytes, int], bytes]]):
    """From what stands between two amounts to what there is of the side, and the account of the other posting."""

    def __init__(self, sides: _Sides) -> None:
        super().__init__()
        self._sides = sides

    def __missing__(self, middle: bytes) -> tuple[int, str, dict[bytes, int], bytes]:
        side, _, account = middle.partition(_NEXT)
        found = self[middle] = (*self._sides[side], account)
        return found


def _are_pairs(run: Run) -> bool:
    """Say whether all entries are of two postings of one amount, and none needs a closer look but at its sides."""
    if any(run.third_sides) or any(run.further_names) or any(run.second_amounts):
        return False
    names = set(zip(run.names, run.second_names, strict=True)) if any(run.second_names) else ()
    return all(second is None or first is None or first < second for first, second in names) and all(
        map(is_hour, set(run.hours))
    )


@lru_cache(maxsize=4096)
def is_hour(text: bytes) -> bool:
    """Say whether `YYYY-MM-DDTHH` is an hour of the calendar; a segment holds few of them."""
    try:
        parse_time(text.decode("ascii") + ":00:00.000000Z")
    except (InvalidInput, UnicodeDecodeError):
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


def _optional(expression: bytes) -> bytes:
    return b"(?:" + expression + b"|)"
