"""Blocks, runs and single records: whatever is done to a stream, each way through it finds the same."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_core.log import quick, unfolding
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.quick import is_plain
from ledger_core.log.reading import LineReader
from ledger_core.log.record import NO_PREV, assemble, parse_record
from ledger_core.log.stream import RecordStream
from ledger_core.log.unfolding import SecondProcess

ACTOR = {"role": "service", "subject": "x"}
BOOK = {"actor": ACTOR, "legal_entity": "x", "name": "main", "origin": "a.b/test/main"}
SIZE = 40


def entry(number: int) -> dict[str, Any]:
    amounts = [str(100 + number), "7", str(107 + number)] if number % 2 else [str(100 + number)] * 2
    amounts = ["7", "7", "14"] if number % 10 == 1 else amounts
    sides = ("debit", "debit", "credit") if number % 3 else ("credit", "credit", "debit")
    sides = sides if number % 2 else sides[1:]
    return {
        "actor": ACTOR,
        "description": f"charge {number}" + (" é" if number % 11 == 5 else ""),
        "effective_at": f"2026-01-{1 + number % 28:02}T10:00:00.000000Z",
        "external_id": f"e:{number}",
        "fingerprint": "f" * 64,
        "metadata": {f"m{index}": str(number) for index in range(number % 4)},
        "postings": [
            {"account": f"a:{index}", "amount": amount, "currency": "USD", "direction": side}
            for index, (amount, side) in enumerate(zip(amounts, sides, strict=True))
        ],
        **({"reverses": "01890a5d-ac96-774b-bcce-b302099a8057"} if number % 7 == 3 else {}),
        **({"corrects": "x", "template": "t"} if number % 9 == 4 else {}),
        **({"commitments": {f"p{index}": "c" * 64 for index in range(1 + number % 2)}} if number % 5 == 2 else {}),
    }


def hold(number: int) -> dict[str, Any]:
    return {"actor": ACTOR, "detail": f"n {number}"}


def line_of(seq: int, prev: bytes, body: bytes, kind: str, **changes: Any) -> bytes:
    members = {
        "body": body,
        "book": "main",
        "id": f"{seq:08x}-0000-7000-8000-000000000000",
        "kind": kind,
        "prev": prev,
        "recorded_at": f"2026-01-31T10:00:00.{seq:06}Z",
        "seq": seq,
    }
    return assemble(**{**members, **changes})


REPLACED = [
    (b'"commitments":{"p0":"c', b'"commitments":{"p0":"C'),
    (b'"commitments":{"p0"', b'"commitments":{"P0"'),
    (b'"p0":"' + b"c" * 64 + b'"}', b"}"),
    (b'"p0":"' + b"c" * 64 + b'","p1"', b'"p1":"' + b"c" * 64 + b'","p0"'),
    (b'"description":"', b'"description":"a\\n'),
    (b'"description":"', b'"description":"\\u00e9'),
    (b'"description":"', b'"description":"\x1f'),
    (b'"description":"', b'"description":"\\"'),
    (b'"description":"', b'"description":"e\xcc\x81'),
    (b'"description":"', b'"description":"\xff'),
    (b'{"body"', b' {"body"'),
    (b'{"body"', b'\\{"body"'),
    (b'{"body"', b'x{"body"'),
    (b'{"body"', b'\\body"'),
    (b'"book":"main"', b'"book":"other"'),
    (b"-7000-", b"-7000a"),
    (b"-7000-", b"-70A0-"),
    (b"0000-7000-8000-0", b"00007000--8000-0"),
    (b"T10:00:00.000000Z", b"T25:00:00.000000Z"),
    (b"2026-01-", b"2026-02-3"),
    (b'"amount":"1', b'"amount":"2'),
    (b'"amount":"1', b'"amount":"0'),
    (b'"amount":"1', b'"amount":"10000000000000000001'),
    (b'"currency":"USD"', b'"currency":"EUR"'),
    (b'"currency":"USD"', b'"currency":"usd"'),
    (b'"direction":"debit"', b'"direction":"credit"'),
    (b'"m0":', b'"m9":'),
    (b'"m1":', b'"m0":'),
    (b'"metadata":{', b'"metadata":{"x_y":"1",'),
    (b'"m0":', b'"a":"1","m1":"1","m0":'),
    (b"]", b',{"account":"a:9","amount":"1","currency":"USD","direction":"debit"}]'),
    (b'"schema":"cf/1"', b'"schema":"cf/2"'),
    (b'"kind":"journal_entry"', b'"kind":"journal_entrx"'),
    (b'"reverses"', b'"reversed"'),
    (b"}", b"}}"),
    (b'"role":', b'"role" :'),
    (b'"account":"a:0"', b'"account":""'),
    (b'"account":"a:2"', b'"account":""'),
    (b'"account":"a:2","amount":"1', b'"account":"","amount":"2'),
    (b'"amount":"7"', b'"amount":"8"'),
    (b'"amount":"14"', b'"amount":"7"'),
    (b'0","currency":"USD","direction":"credit"', b'00","currency":"USD","direction":"credit"'),
    (b'"direction":"debit"},{"account":"a:1"', b'"direction":"credit"},{"account":"a:1"'),
    (b'"direction":"debit"}]', b'"direction":"credit"}]'),
    (b'"currency":"USD","direction":"credit"}]', b'"currency":"EUR","direction":"credit"}]'),
    (
        b"]",
        b',{"account":"a:9","amount":"7","currency":"USD","direction":"debit"},'
        b'{"account":"a:9","amount":"7","currency":"USD","direction":"credit"}]',
    ),
    (b'"seq":', b'"seq":1'),
    (b'"account":"a:1"', b'"account":"' + b"x" * 1024 + b'"'),
    (b'"account":"a:1"', b'"account":"' + b"x" * 1025 + b'"'),
]

TOO_LONG = (b'"description":"', b'"description":"' + b"x" * 66_000)
EACH = [*REPLACED, TOO_LONG]


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], bool]:
    """Lines of a log in which something was done to some, and whether they were chained anew afterwards."""
    odd = draw(st.dictionaries(st.integers(1, SIZE - 1), st.sampled_from(REPLACED), max_size=5))
    kinds = draw(st.sets(st.integers(1, SIZE - 1), max_size=6))
    chained = draw(st.booleans())
    lines: list[bytes] = []
    prev = NO_PREV
    for seq in range(SIZE):
        kind = "book" if seq == 0 else "security_event" if seq in kinds else "journal_entry"
        body = BOOK if seq == 0 else hold(seq) if seq in kinds else entry(seq)
        line = line_of(seq, prev, canonical_bytes(body), kind)
        changed = line.replace(*odd[seq], 1) if seq in odd else line
        prev = leaf_hash(changed if chained else line)
        lines.append(changed)
    for _ in range(draw(st.integers(0, 2))):
        at, what = draw(st.integers(0, len(lines) - 1)), draw(st.sampled_from(["drop", "twice", "swap", "empty"]))
        if what == "drop":
            del lines[at]
        elif what == "twice":
            lines.insert(at, lines[at])
        elif what == "empty":
            lines.insert(at, b"")
        elif at:
            lines[at - 1], lines[at] = lines[at], lines[at - 1]
    return lines, draw(st.booleans())


def outcome(stream: RecordStream, root_holds: bool) -> tuple[Any, ...]:
    failures = [(item.verdict, item.seq, item.detail) for item in stream.close(next_seq=SIZE, root_holds=root_holds)]
    sums = (stream.totals(), stream.sums.by_account(), stream.entries, stream.unreadable)
    return failures, sums, stream.frontier, stream.last_leaf, stream.watched, stream.recorded_at


def fed(lines: list[bytes], batch: int, root_holds: bool) -> tuple[Any, ...]:
    stream = RecordStream(watch=(3, 17), book="main")
    for start in range(0, len(lines), batch):
        stream.feed(lines[start : start + batch])
    return outcome(stream, root_holds)


def log_of(
    odd: dict[int, tuple[bytes, bytes]] | None = None, *, first_kind: str = "book", every: int = 1
) -> list[bytes]:
    """A log of entries, those at `odd` changed, each naming the one before as it is; of `every` second, pairs alone."""
    lines: list[bytes] = []
    for seq in range(SIZE):
        kind = "journal_entry" if seq else first_kind
        body = canonical_bytes(BOOK if kind == "book" else entry(every * seq or 1))
        line = line_of(seq, leaf_hash(lines[-1]) if lines else NO_PREV, body, kind)
        lines.append(line.replace(*(odd or {}).get(seq, (b"", b"")), 1))
    return lines


@pytest.mark.parametrize("every", [1, 2], ids=["mixed", "pairs"])
@pytest.mark.parametrize("change", EACH, ids=range(len(EACH)))
def test_each_thing_that_can_be_odd_is_found_alike_in_a_run_of_sound_entries(
    change: tuple[bytes, bytes], every: int
) -> None:
    for seq in (20, 21, 22, 23, 24, 39):
        lines = log_of({seq: change}, every=every)
        slow = fed(lines, 1, True)
        for batch in (500, 13):
            assert fed(lines, batch, True) == slow, seq
        assert fed(lines, 500, False) == fed(lines, 1, False), seq


@pytest.mark.parametrize("change", EACH, ids=range(len(EACH)))
def test_what_is_plain_is_a_record(change: tuple[bytes, bytes]) -> None:
    for seq in (20, 21, 22, 23, 24):
        line = log_of({seq: change})[seq]
        if is_plain(line, "main"):
            assert canonical_bytes(parse_record(line).body) in line
    assert is_plain(log_of()[21], "main")


@pytest.mark.parametrize("prev", [b"x" * 64, b'"' * 64, b"A" * 64, b"\n" * 64])
def test_what_names_no_hash_before_it_is_not_plain(prev: bytes) -> None:
    line = log_of()[21]
    at = line.index(b'"prev":"') + 8
    assert not is_plain(line[:at] + prev + line[at + 64 :], "main")


def test_an_entry_does_not_open_a_book_in_a_run_either() -> None:
    lines = log_of(first_kind="journal_entry")
    slow = fed(lines, 1, True)
    assert [(verdict, seq) for verdict, seq, _ in slow[0]] == [("not_canonical", 0)]
    assert fed(lines, 500, True) == slow


def plain_log(start: int, *, every: int = 1) -> tuple[RecordStream, list[bytes]]:
    """A stream that begins at `start`, and quick entries for it, each of accounts of its own; of 2, all are triples."""
    prev, lines = NO_PREV, []
    for seq in range(start, start + SIZE):
        body = {name: value for name, value in entry(every * seq + every - 1).items() if name != "commitments"}
        own = canonical_bytes(body).replace(b'"account":"a:', b'"account":"a:%d:' % seq)
        lines.append(line_of(seq, prev, own, "journal_entry"))
        prev = leaf_hash(lines[-1])
    before = Frontier.from_bytes(start, bytes(32 * start.bit_count()))
    return RecordStream(frontier=before, book="main"), lines


@pytest.mark.parametrize("every", [1, 2], ids=["mixed", "triples"])
def test_what_is_summed_together_does_not_grow_without_end(every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, lines = plain_log(1, every=every)
    stream.feed(lines)
    sums = stream.sums.by_account()
    assert len(sums) > SIZE
    monkeypatch.setattr(quick, "MAX_PAIRS", 0)
    stream, lines = plain_log(1, every=every)
    for at in range(0, SIZE, 10):
        stream.feed(lines[at : at + 10])
        assert len(stream.sums._pairs) + len(stream.sums._middles) <= 10
    assert stream.sums.by_account() == sums


def test_what_was_unreadable_in_a_run_excuses_nothing_behind_it() -> None:
    lines = log_of({21: (b'"m0":"21"', b'"m9":"21","m0":"21"')})
    lines[25] = lines[25].replace(b"charge 25", b"chargE 25")
    slow = fed(lines, 1, False)
    assert ("edited", 25) in [(verdict, seq) for verdict, seq, _ in slow[0]]
    assert fed(lines, 13, False) == slow


def test_entries_in_order_go_the_quick_way_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[int] = []
    place = RecordStream._place

    def noted(stream: RecordStream, line: bytes, leaf: bytes) -> None:
        slow.append(stream.blame.expected)
        place(stream, line, leaf)

    monkeypatch.setattr(RecordStream, "_place", noted)
    for start in (1, 985, 899_985):
        stream, lines = plain_log(start)
        stream.feed(lines)
        assert not stream.close()
        assert slow == []
        assert stream.entries == SIZE


def test_both_find_the_same_in_a_file_of_many_blocks(
    second: SecondProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records.jsonl.gz"
    monkeypatch.setattr(SecondProcess, "pays", staticmethod(lambda _path: True))
    lines: list[bytes] = []
    for seq in range(2_000):
        kind = "book" if seq == 0 else "security_event" if seq % 501 == 500 else "journal_entry"
        body = BOOK if seq == 0 else hold(seq) if kind == "security_event" else entry(seq)
        lines.append(line_of(seq, leaf_hash(lines[-1]) if lines else NO_PREV, canonical_bytes(body), kind))
    for damage in ({}, {1_700: b"", 1_900: lines[1_899]}, {700: lines[700].replace(b'"amount":"8', b'"amount":"9', 1)}):
        text = b"".join(line + b"\n" for line in [damage.get(seq, line) for seq, line in enumerate(lines)])
        path.write_bytes(gzip.compress(text, 1))
        found = []
        for beside in (None, second):
            stream, counts = RecordStream(watch=(3, 1_234)), []
            reader = LineReader(path, second=beside)
            for block in reader.blocks():
                stream.feed_block(block)
                counts.append(block.count)
            failures = stream.close(next_seq=len(lines), root_holds=not damage)
            sums = (stream.sums.by_account(), stream.entries, stream.unreadable, stream.frontier, stream.watched)
            found.append((failures, sums, counts, reader.problem, reader.content_bytes, reader.stored_sha256))
        assert found[0] == found[1]
        assert len(found[0][2]) > 2
        assert bool(found[0][0]) is bool(damage)


@given(streams())
@settings(deadline=None, max_examples=300)
def test_whatever_is_odd_is_found_alike_in_blocks_and_one_by_one(case: tuple[list[bytes], bool]) -> None:
    lines, root_holds = case
    slow = fed(lines, 1, root_holds)
    assert fed(lines, 500, root_holds) == slow
    assert fed(lines, 13, root_holds) == slow


@pytest.fixture(scope="module")
def second() -> Iterator[SecondProcess]:
    process = SecondProcess()
    yield process
    process.close()


@given(case=streams(), chunk=st.integers(50, 4_000))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_second_process_unfolds_the_same(
    case: tuple[list[bytes], bool], chunk: int, second: SecondProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, root_holds = case
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines), 1))
    monkeypatch.setattr(SecondProcess, "pays", staticmethod(lambda _path: True))
    found = []
    for beside in (None, second):
        with monkeypatch.context() as patched:
            if beside is None:
                patched.setattr(unfolding, "CHUNK_BYTES", chunk)
            stream = RecordStream(watch=(3, 17), book="main")
            reader = LineReader(path, second=beside)
            for block in reader.blocks():
                stream.feed_block(block)
        found.append((outcome(stream, root_holds), reader.problem, reader.stored_bytes, reader.stored_sha256))
    assert found[0] == found[1]
    assert found[0][0] == fed(lines, 1, root_holds)


@given(noise=st.binary(max_size=300), cut=st.integers(0, 60), packed=st.booleans())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_to_the_file_is_told_alike_by_both(
    noise: bytes, cut: int, packed: bool, second: SecondProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = gzip.compress(json.dumps(noise.hex()).encode() * 20 + b"\n" + noise)
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes((data[: len(data) - cut] if packed else data + noise[:cut]) or b"")
    monkeypatch.setattr(SecondProcess, "pays", staticmethod(lambda _path: True))
    found = []
    for beside in (None, second):
        reader = LineReader(path, second=beside, max_content_bytes=10_000)
        blocks = b"".join(block.data for block in reader.blocks())
        found.append((blocks, reader.problem, reader.stored_bytes, reader.stored_sha256))
    assert found[0] == found[1]


def test_when_the_second_process_dies_the_first_goes_on_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [b'{"n":%d,"s":"%s"}' % (number, b"%x" % (number * 7919) * 40) for number in range(20_000)]
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))
    monkeypatch.setattr(SecondProcess, "pays", staticmethod(lambda _path: True))
    second = SecondProcess()
    reader = LineReader(path, second=second)
    got: list[bytes] = []
    for number, block in enumerate(reader.blocks()):
        got += block.lines()
        if number == 1:
            assert second._process is not None
            second._process.kill()
    assert got == lines
    assert reader.problem is None
    assert reader.stored_bytes == path.stat().st_size
    assert second._process is None


def test_a_reader_that_has_seen_enough_does_not_spoil_the_next_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SecondProcess, "pays", staticmethod(lambda _path: True))
    paths = [tmp_path / name for name in ("one.gz", "two.gz")]
    for path in paths:
        path.write_bytes(gzip.compress(f"{path.name} {'x' * 5_000}\n".encode() * 2_000))
    second = SecondProcess()
    for _block in LineReader(paths[0], second=second).blocks():
        break
    assert next(iter(LineReader(paths[1], second=second)))[0].startswith(b"two.gz")
    second.close()


def test_where_no_second_process_can_be_had_the_first_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(gzip.compress(b"a\nb\n"))
    monkeypatch.setattr(SecondProcess, "pays", staticmethod(lambda _path: True))
    for executable in ("", str(tmp_path / "absent"), "/bin/true"):
        monkeypatch.setattr("sys.executable", executable)
        reader = LineReader(path, second=SecondProcess())
        assert list(reader) == [[b"a", b"b"]]
        assert reader.problem is None
