"""The quick way and the slow way through a stream of records mean the same; damage is always found."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.merkle import leaf_hash
from ledger_core.log.quick import match_block
from ledger_core.log.record import NO_PREV, assemble
from ledger_core.log.stream import RecordStream, numbers

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', "\\", "\n", "\x7f", "é", "e\u0301", "{}", "],[", '":"', "\0"]
)
names = st.from_regex(r"[a-z0-9_]{1,6}", fullmatch=True)
amounts = st.integers(1, 2**63 - 1) | st.sampled_from([10**18 - 1, 10**18])


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """A journal entry's body: mostly sound, of two to five postings, in one or two currencies, with odd texts."""
    postings: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 2))):
        amount, currency = draw(amounts), draw(st.sampled_from(["USD", "JPY"]))
        accounts = [f"{draw(texts)}:{currency}" for _ in range(3)]
        parts = [amount] if amount < 2 or draw(st.booleans()) else [amount - 1, 1]
        postings += [
            {"account": accounts[index], "amount": str(part), "currency": currency, "direction": "debit"}
            for index, part in enumerate(parts)
        ]
        postings.append({"account": accounts[2], "amount": str(amount), "currency": currency, "direction": "credit"})
    if draw(st.integers(0, 9)) == 0:
        postings[0] = {**postings[0], "amount": draw(st.sampled_from(["0", "01", "-1", "1.0", "1", 1, None]))}
    body = {
        "actor": {"role": "service", "subject": draw(texts)},
        "description": draw(texts),
        "effective_at": draw(st.sampled_from(["2026-01-31T10:00:00.000000Z", "2026-02-30T10:00:00.000000Z", "now"])),
        "external_id": draw(texts),
        "fingerprint": "f" * 64,
        "metadata": draw(st.dictionaries(names, texts, max_size=4)),
        "postings": postings,
    }
    if draw(st.integers(0, 4)) == 0:
        body["reverses"] = "01890a5d-ac96-774b-bcce-b302099a8057"
    return body


def lines_of(bodies: list[dict[str, Any]]) -> list[bytes]:
    """Assemble records after a book record, without a look at whether a body is in the profile."""
    lines: list[bytes] = []
    book = {
        "actor": {"role": "service", "subject": "x"},
        "legal_entity": "x",
        "name": "main",
        "origin": "a.b/test/main",
    }
    for seq, body in enumerate([book, *bodies]):
        data = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        lines.append(
            assemble(
                body=data,
                book="main",
                id=f"{seq:08x}-0000-7000-8000-000000000000",
                kind="journal_entry" if seq else "book",
                prev=leaf_hash(lines[-1]) if lines else NO_PREV,
                recorded_at=f"2026-01-31T10:00:00.{seq:06}Z",
                seq=seq,
            )
        )
    return lines


def outcome(lines: list[bytes], batch: int) -> tuple[Any, ...]:
    stream = RecordStream()
    for start in range(0, len(lines), batch):
        stream.feed(lines[start : start + batch])
    failures = [(item.verdict, item.seq) for item in stream.close(next_seq=len(lines))]
    return failures, stream.totals(), stream.entries, stream.frontier


@given(st.lists(entries(), min_size=12, max_size=24))
@settings(deadline=None)
def test_whole_batches_and_single_records_come_to_the_same(bodies: list[dict[str, Any]]) -> None:
    lines = lines_of(bodies)
    # One record at a time never takes the quick way.
    assert outcome(lines, 1_000) == outcome(lines, 1)


@given(entries())
@settings(deadline=None)
def test_what_the_quick_way_takes_is_canonical(body: dict[str, Any]) -> None:
    line = lines_of([body])[1]
    if match_block(line + b"\n", 1, "main"):
        parsed = json.loads(line)
        # Order of metadata and the calendar are looked at after the match.
        parsed["body"]["metadata"] = dict(sorted(parsed["body"]["metadata"].items()))
        assert canonical_bytes(parsed) == line


@given(st.data())
@settings(deadline=None)
def test_any_change_of_any_byte_of_a_sound_stream_is_seen(data: st.DataObject) -> None:
    body = {
        "actor": {"role": "service", "subject": "x"},
        "description": "d",
        "effective_at": "2026-01-31T10:00:00.000000Z",
        "external_id": "e",
        "fingerprint": "f" * 64,
        "metadata": {"a": "1", "b": "2"},
        "postings": [
            {"account": "a", "amount": "12", "currency": "USD", "direction": "debit"},
            {"account": "b", "amount": "12", "currency": "USD", "direction": "credit"},
        ],
    }
    lines = lines_of([body] * 20)
    sound = RecordStream()
    sound.feed(lines)
    row = data.draw(st.integers(0, len(lines) - 1))
    line = bytearray(lines[row])
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    stream = RecordStream(book="main")
    changed = [*lines[:row], bytes(line), *lines[row + 1 :]]
    stream.feed(changed)
    assert stream.frontier.root() != sound.frontier.root()
    failures = stream.close(next_seq=len(lines), last_leaf=sound.last_leaf, root_holds=False)
    assert (failures[0].verdict, failures[0].seq) == ("edited", row)


@given(first=st.integers(0, 10**15), count=st.integers(1, 3_000))
@example(first=0, count=1)
@example(first=999, count=2)
@example(first=999_999, count=1_002)
def test_numbers_are_written_as_each_of_them_is(first: int, count: int) -> None:
    assert numbers(first, count) == ",".join(map(str, range(first, first + count))).encode()
