"""Values and bytes that hurt, and one place of a document changed for another."""

from __future__ import annotations

import base64
import copy
import json
import random
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from ledger_core.errors import CounterfoilError
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.merkle import leaf_hash

Json = Any
NASTY: list[Callable[[random.Random], Json]] = [
    lambda r: None,
    lambda r: r.choice([True, False]),
    lambda r: r.choice([0, -1, 1, 2**31, 2**53 - 1, 2**53, 2**63, 2**64, 10**30, -(10**30)]),
    lambda r: 10 ** r.choice([100, 4_299, 4_300, 5_000, 20_000]),
    lambda r: r.choice([0.0, -0.0, 1.5, 1e308, float("nan"), float("inf")]),
    lambda r: r.choice(
        ["", "a", "0", "-1", "9" * 5_000, "x" * 100_000, "\x00", "\ud800", "e\u0301", "\u202e", "../../x"]
    ),
    lambda r: r.choice([[], [[]], [None] * 50, [1, "a", {}]]),
    lambda r: r.choice([{}, {"a": {}}, {"A": 1}, {"": ""}, {"x" * 70: 1}]),
    lambda r: base64.b64encode(r.randbytes(r.choice([0, 1, 31, 32, 33, 64, 5_000]))).decode(),
    lambda r: sha256(r.randbytes(4)).hexdigest(),
    lambda r: deep(r.choice([63, 64, 65, 500, 5_000])),
]
RAW = [
    b"{", b"[" * 100_000, b'{"a":' * 20_000, b"NaN", b"-0", b"1e999", b'{"a":1,"a":2}', b"\xff\xfe",
    b"\xef\xbb\xbf{}", b"", b"\x00" * 70_000, b"9" * 1_000_000, b'"' + b"a" * 70_000 + b'"', b"null", b"[]", b"{}",
    b'{"schema":"cf/1"}', b'"\\ud800"', b"\r", b" ", b"[" + b"1," * 30_000 + b"1]", b'{"seq":' + b"9" * 60_000 + b"}",
]  # fmt: skip


def deep(levels: int) -> Json:
    made: Json = 0
    for _ in range(min(levels, 250)):
        made = [made]
    return made


def mutated_bytes(r: random.Random, data: bytes) -> bytes:
    kind = r.randrange(9)
    at = r.randrange(len(data) + 1)
    end = min(len(data), at + r.choice([1, 2, 8, 100, 5_000]))
    if kind == 0 and data:
        flipped = bytearray(data)
        flipped[at % len(data)] ^= 1 << r.randrange(8)
        return bytes(flipped)
    if kind == 1:
        return data[:at] + data[end:]
    if kind == 2:
        return data[:at] + data[at:end] * r.choice([2, 3, 50]) + data[end:]
    if kind == 3:
        return data[:at]
    if kind == 4:
        return data[:at] + r.randbytes(r.choice([1, 4, 300])) + data[end:]
    if kind == 5:
        return data[:at] + r.choice(RAW) + data[at:]
    if kind == 6:
        return r.choice(RAW)
    if kind == 7:
        return data + data
    return data + r.choice([b"\n", b"\0", b" ", b"\x1f\x8b", data[:20]])


def mutated_json(r: random.Random, value: Json) -> Json:
    """Change one place of a JSON value, chosen anywhere in it."""
    places: list[tuple[Any, Any]] = []

    def walk(item: Json) -> None:
        pairs = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
        for name, part in pairs:
            places.append((item, name))
            walk(part)

    value = copy.deepcopy(value)
    walk(value)
    if not places:
        return r.choice(NASTY)(r)
    holder, name = r.choice(places)
    kind = r.randrange(7)
    if kind == 0:
        del holder[name]
    elif kind == 1 and isinstance(holder, list):
        holder += [holder[name]] * r.choice([1, 2, 150])
    elif kind == 1:
        holder[r.choice(["extra", "a", "schema", "size"])] = r.choice(NASTY)(r)
    elif kind == 2 and isinstance(holder[name], int):
        holder[name] += r.choice([-1, 1, 2**40])
    elif kind == 3:
        other_holder, other = r.choice(places)
        holder[name] = copy.deepcopy(other_holder[other]) if other in keys_of(other_holder) else None
    else:
        holder[name] = r.choice(NASTY)(r)
    return value


def keys_of(holder: Any) -> Any:
    return holder.keys() if isinstance(holder, dict) else range(len(holder))


def dumped(r: random.Random, value: Json) -> bytes:
    """Write a value: canonically where that goes, else as it comes."""
    if r.random() < 0.7:
        try:
            return canonical_bytes(value)
        except CounterfoilError:
            pass
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        text = json.dumps(value, ensure_ascii=r.random() < 0.5, indent=r.choice([None, None, 1]))
    finally:
        sys.set_int_max_str_digits(limit)
    return text.encode("utf-8", "surrogatepass")


def chained(found: list[bytes]) -> list[bytes]:
    """Name each record's predecessor as it now is: what whoever holds the keys would do."""
    made: list[bytes] = []
    for line in found:
        at = line.find(b'"prev":"')
        if made and at > 0:
            line = line[: at + 8] + leaf_hash(made[-1]).hex().encode() + line[at + 72 :]
        made.append(line)
    return made
