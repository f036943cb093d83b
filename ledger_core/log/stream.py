"""Records in order, checked as they pass: bytes, tree, chain, accounting; constant memory whatever the length.

The exporter feeds it before a manifest is signed, the verifier when one is read, so that both mean the same by "right".
A run of plain journal entries in order takes the quick way (`quick.py`), whole columns compared at once. Anything else
goes record by record: parsed strictly, judged by `shapes.py`, placed by `blame.py`, which names the seq and the damage.

Memory grows with the number of accounts alone. Not here: signatures, files.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Iterable, Mapping, Sequence
from operator import lt

from ledger_core.errors import CounterfoilError, UnbalancedEntry, UnknownSchema
from ledger_core.log.blame import Blame
from ledger_core.log.findings import NOT_CANONICAL, UNBALANCED, UNKNOWN_SCHEMA, Failure
from ledger_core.log.merkle import HASH_BYTES, Frontier, leaf_hashes
from ledger_core.log.quick import HOUR_BYTES, Run, Sums, is_hour, match_block, match_runs
from ledger_core.log.record import NO_PREV, Record, parse_record
from ledger_core.log.shapes import JOURNAL_ENTRY, SHAPES, Shape, check_body
from ledger_core.log.unfolding import Block

BATCH_RECORDS = 500
"""A batch and what is made of it should stay in the processor's cache: 2,000 were a tenth slower."""
MAX_UNREADABLE_RECORDS = 20_000
MAX_UNREADABLE_BYTES = 64 * 1024 * 1024
"""After so many lines or bytes that are no records, what follows is none of ours either: it is not looked at."""
SMALLEST_RUN = 8
"""Shorter runs between odd lines are not worth the quick way."""
_THOUSAND = [b"%03d" % number for number in range(1_000)]


class RecordStream:
    """Fold records one batch after another; afterwards ask for the tree, the totals and what was wrong.

    `prev` is the leaf hash of the record before `frontier.size`. `book` None takes the first record's. `watch` are
    sizes whose roots are kept in `watched` when they are passed: those of checkpoints that somebody kept, or states.
    """

    def __init__(
        self,
        *,
        frontier: Frontier | None = None,
        prev: bytes = NO_PREV,
        book: str | None = None,
        watch: Iterable[int] = (),
        shapes: Mapping[str, Shape] = SHAPES,
    ) -> None:
        self.frontier = frontier or Frontier()
        self.first_seq = self.frontier.size
        self.book = book
        self.origin: str | None = None
        """As the `book` record states it, when seq 0 was among the records."""
        self.last_leaf = prev
        self.recorded_at = ""
        self.entries = 0
        self.unreadable = 0
        """Lines that are no record at all."""
        self._unreadable_bytes = 0
        self.sums = Sums()
        self.blame = Blame(first_seq=self.first_seq, prev=prev)
        self._watch = sorted(size for size in set(watch) if size > self.first_seq)
        self._shapes = shapes
        self.watched: dict[int, bytes] = {}
        """Root by size, of those that were watched and passed."""

    @property
    def size(self) -> int:
        """Leaves of the tree so far."""
        return self.frontier.size

    def feed(self, lines: Sequence[bytes]) -> None:
        """Append the records `lines`, without the newline behind each; one that holds a newline is no record."""
        for start in range(0, len(lines), BATCH_RECORDS):
            batch = lines[start : start + BATCH_RECORDS]
            data = b"\n".join(batch) + b"\n"
            if data.count(b"\n") == len(batch):
                self._take_batch(batch, data)
                continue
            # What a database stores need not be lines: joined, such records would pass as others than they are.
            for line in batch:
                self._take_batch([line], line + b"\n")

    def feed_block(self, block: Block) -> None:
        """Append the records of `block`, split and hashed already unless they are too many for that."""
        if block.hashes is None:
            self.feed(block.lines())
        else:
            self._take(block, None)

    def _take_batch(self, batch: Sequence[bytes], data: bytes) -> None:
        self._take(Block(data=data, count=len(batch), hashes=b"".join(leaf_hashes(batch))), batch)

    def _take(self, block: Block, lines: Sequence[bytes] | None) -> None:
        hashes = block.hashes
        if self.has_given_up or not hashes:
            return
        self._follow(block, lines, hashes)
        self.last_leaf = hashes[-HASH_BYTES:]
        while self._watch and self._watch[0] <= self.size + block.count:
            size = self._watch.pop(0)
            self.watched[size] = self.frontier.extend_joined(hashes[: HASH_BYTES * (size - self.size)]).root()
        self.frontier = self.frontier.extend_joined(hashes)

    @property
    def has_given_up(self) -> bool:
        """Say whether so much was unreadable that the rest was left."""
        return self.unreadable > MAX_UNREADABLE_RECORDS or self._unreadable_bytes > MAX_UNREADABLE_BYTES

    def totals(self) -> dict[str, tuple[int, int]]:
        """Return gross debits and credits by currency, in minor units."""
        found: dict[str, tuple[int, int]] = {}
        for (_, currency), (more_debits, more_credits) in self.sums.by_account().items():
            debits, credits = found.get(currency, (0, 0))
            found[currency] = (debits + more_debits, credits + more_credits)
        return found

    def close(
        self, *, next_seq: int | None = None, last_leaf: bytes | None = None, root_holds: bool = True
    ) -> list[Failure]:
        """Return what was wrong, by seq; the arguments are what manifest and signed tree say of the end."""
        return self.blame.close(next_seq=next_seq, last_leaf=last_leaf, root_holds=root_holds)

    def _follow(self, block: Block, lines: Sequence[bytes] | None, hashes: bytes) -> None:
        is_quick = block.count >= SMALLEST_RUN and self.book is not None and not self.blame.is_disturbed
        if is_quick and self.book is not None and not block.has_long_line:
            run = match_block(block.data, block.count, self.book)
            if run is not None and self._in_order(run, hashes):
                self._pass(run, lines, hashes, block.data)
                return
        lines = block.lines() if lines is None else lines
        done = 0
        if is_quick and self.book is not None:
            for first, run in match_runs(block.data, self.book):
                end = first + len(run.seqs)
                own = hashes[HASH_BYTES * first : HASH_BYTES * end]
                self._place_all(lines, hashes, done, first)
                done = first
                if end - first < SMALLEST_RUN or self.blame.is_disturbed or not self._in_order(run, own):
                    continue
                self._pass(run, lines[first:end], own, b"")
                done = end
        self._place_all(lines, hashes, done, len(lines))

    def _place_all(self, lines: Sequence[bytes], hashes: bytes, start: int, end: int) -> None:
        for at in range(start, end):
            self._place(lines[at], _hash_at(hashes, at))

    def _pass(self, run: Run, lines: Sequence[bytes] | None, hashes: bytes, data: bytes) -> None:
        """Take a run of plain entries that are in order; those among them that need a closer look are placed."""
        done, count = 0, len(run.seqs)
        while done < count:
            end = self.sums.add_run(run, done)
            if end > done:
                self.entries += end - done
                self.blame.skip(end - done, _hash_at(hashes, end - 1))
                self.recorded_at = run.times[end - 1].decode("ascii")
                done = end
            if done < count:
                lines = data[:-1].split(b"\n") if lines is None else lines
                self._place_all(lines, hashes, done, done + 1)
                done += 1
                if self.blame.is_disturbed:
                    self._place_all(lines, hashes, done, count)
                    return

    def _in_order(self, run: Run, hashes: bytes) -> bool:
        """Say whether seq, prev and recorded_at of all are what they must be in this place."""
        first, times = self.blame.expected, run.times
        if b",".join(run.seqs) != numbers(first, len(times)):
            return False
        earliest, latest = times[0][:HOUR_BYTES], times[-1][:HOUR_BYTES]
        return (
            first > 0
            and b"".join(run.prevs) == hexlify(self.blame.last_leaf + hashes[:-HASH_BYTES])
            and self.recorded_at.encode() < times[0]
            and all(map(lt, times, times[1:]))
            and all(map(is_hour, {earliest} if earliest == latest else {moment[:HOUR_BYTES] for moment in times}))
        )

    def _place(self, line: bytes, leaf: bytes) -> None:
        record = self._judge(line, self.blame.expected)
        self.blame.follow(record, leaf)
        if record is not None:
            if record.recorded_at <= self.recorded_at:
                self._object(NOT_CANONICAL, record.seq, "recorded_at is not later than that of the record before")
            self.recorded_at = max(self.recorded_at, record.recorded_at)

    def _judge(self, line: bytes, seq: int) -> Record | None:
        """Check one record by itself and add its postings; return it if it can be read."""
        try:
            record = parse_record(line)
        except UnknownSchema as error:
            self._object(UNKNOWN_SCHEMA, seq, str(error))
            return None
        except CounterfoilError as error:
            self.unreadable += 1
            self._unreadable_bytes += len(line)
            self._object(NOT_CANONICAL, seq, str(error))
            return None
        self.book = self.book or record.book
        if record.book != self.book:
            self._object(NOT_CANONICAL, seq, f"a record of book {record.book} among those of {self.book}")
        if (record.kind == "book") != (record.seq == 0):
            self._object(NOT_CANONICAL, seq, "the record at seq 0, and no other, opens the book")
        try:
            postings = check_body(record, self._shapes)
        except UnknownSchema as error:
            self._object(UNKNOWN_SCHEMA, seq, str(error))
        except UnbalancedEntry as error:
            self._object(UNBALANCED, seq, str(error))
        except CounterfoilError as error:
            self._object(NOT_CANONICAL, seq, str(error))
        else:
            if record.kind == "book":
                self.origin = record.body["origin"]
            self.entries += record.kind == JOURNAL_ENTRY
            for item in postings:
                self.sums.add_line(
                    account=item.account,
                    currency=item.currency,
                    amount_minor=item.amount_minor,
                    is_debit=item.is_debit,
                )
        return record

    def _object(self, verdict: str, seq: int, detail: str) -> None:
        self.blame.object(Failure(verdict=verdict, seq=seq, where="", detail=detail))


def numbers(first: int, count: int) -> bytes:
    """Return `count` numbers from `first` on, with commas between them.

    Those of one thousand begin alike, so that they are put together in a third of the time that writing each takes.
    """
    parts: list[bytes] = []
    end = first + count
    while first < end:
        thousand, at = divmod(first, len(_THOUSAND))
        endings = _THOUSAND[at : at + end - first]
        first += len(endings)
        if thousand:
            comma = b",%d" % thousand
            parts += (comma, comma.join(endings))
        else:
            parts += [b",%d" % int(ending) for ending in endings]
    return b"".join(parts)[1:]


def _hash_at(hashes: bytes, position: int) -> bytes:
    return hashes[HASH_BYTES * position : HASH_BYTES * position + HASH_BYTES]


def account_failures(accounts: Iterable[tuple[str, str]]) -> list[Failure]:
    """Return a failure for each account among `accounts` (code, currency) that is posted in two currencies."""
    first: dict[str, str] = {}
    return [
        Failure(
            verdict=UNBALANCED,
            seq=None,
            where="",
            detail=f"account {code} is posted in {currency} and in {first[code]}",
        )
        for code, currency in accounts
        if first.setdefault(code, currency) != currency
    ]
