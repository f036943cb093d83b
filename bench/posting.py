"""How fast entries become posted, against the most that Postgres takes on the same rows, in the same run.

    python -m bench.posting [--quick] [--profile]

The limit is a plain COPY over one connection of the same rows into tables with the same keys, indexes and checks,
one commit per 1,000 entries, without hash, tree, balance, trigger or signature; its rows are rendered beforehand. Ours
starts from drafts: canonical bytes, hashes, tree, decisions, COPY, balances, a signature that takes 5 ms more than the
real proxy needs, and the checkpoint. With `PGLEDGER_SQL` naming pgledger's SQL file its best rate is measured too.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from bench.harness import Case, Target, interleaved, print_rates, print_targets, throwaway_runtime
from bench.posting_pgledger import pgledger_rate
from ledger_core.actor import Actor
from ledger_core.base.engine import make_engine
from ledger_core.base.processes import ProcessGroup
from ledger_core.book.kinds.journal_entry.prepare import prepare_entry
from ledger_core.book.ledger import Ledger
from ledger_core.book.posting.rows import (
    ENTRIES_COPY,
    POSTINGS_COPY,
    RECORDS_COPY,
    RowWriter,
    copy_data,
    micros_since_2000,
)
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.merkle import leaf_hash
from ledger_core.log.record import assemble
from ledger_core.ports import Ask, Posted
from ledger_core.runtime import Runtime
from ledger_core.services import POSTGRES
from ledger_core.settings import MAX_BATCH_RECORDS

CALLERS = 6
SIGNER_SECONDS = 0.005
ACTOR = Actor(subject="bench")
START = datetime(2026, 1, 1, tzinfo=UTC)


class SlowSigner:
    """The real proxy, and 5 ms more: what a key management service in the same region takes."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.count = 0

    def latest(self, origin: str) -> str | None:
        return self._real.latest(origin)

    def close(self) -> None:
        self._real.close()

    def sign_checkpoint(self, **asked: Any) -> str:
        time.sleep(SIGNER_SECONDS)
        self.count += 1
        return self._real.sign_checkpoint(**asked)


def main() -> int:
    """Run the benchmark; return 1 when a target is missed (never with `--quick`)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round: does it run at all")
    parser.add_argument("--profile", action="store_true", help="where the sequencer's threads spend their time")
    parser.add_argument("--rounds", type=int, default=5, help="how many interleaved rounds")
    options = parser.parse_args()
    rounds, batches = (1, 4) if options.quick else (options.rounds, 40)
    with throwaway_runtime() as runtime:
        return _run(runtime, rounds, batches, quick=options.quick, profile=options.profile)


def _run(runtime: Runtime, rounds: int, batches: int, *, quick: bool, profile: bool) -> int:
    many, few = [f"assets:many:{n}" for n in range(1_000)], ["assets:hot:0", "assets:hot:1"]
    signer = SlowSigner(runtime.signer)
    ledger = Ledger(
        engine=runtime.engine,
        signer=signer,
        settings=runtime.settings,
        book="main",
        kinds=runtime.kinds,
        clock=runtime.clock,
    )
    Ledger.open(runtime, "main").close()
    apply_accounts(ledger, [_account(code) for code in few], Ask(actor=ACTOR))
    apply_accounts(ledger, [_account(code) for code in many], Ask(actor=ACTOR))
    limit = Limit(runtime)
    hot, spread = "posted, 2 hot accounts", "posted, 1,000 accounts"
    meter, plain = Meter(runtime), "limit: plain COPY"
    count = batches * MAX_BATCH_RECORDS

    def measured(name: str, accounts: Sequence[str], work: Callable[[list[list[EntryDraft]]], float]) -> Case:
        def run() -> float:
            made = drafts(accounts, batches)
            return meter.run(name, lambda: work(made), count)

        return Case(name=name, run=run)

    cases = [
        measured(plain, many, lambda made: limit.run(made)),
        measured(spread, many, lambda made: post(ledger, made)),
        measured(hot, few, lambda made: post(ledger, made)),
    ]
    post(ledger, drafts(many, 2))
    limit.run(drafts(many, 2))
    with _sampled(profile):
        rates = interleaved(cases, rounds)
    print(f"{rounds} rounds of {batches} batches of {MAX_BATCH_RECORDS:,} entries with 2 postings; {CALLERS} callers")
    medians = print_rates(rates, "entries/s")
    meter.print()
    targets = [
        Target(name="signed entries a second", value=medians[spread], at_least=12_000),
        Target(name="of the limit", value=medians[spread] / medians[plain], at_least=0.7),
        Target(name="2 hot accounts against 1,000", value=medians[hot] / medians[spread], at_least=0.9),
    ]
    pgledger_sql = os.environ.get("PGLEDGER_SQL")
    if pgledger_sql:
        best = pgledger_rate(runtime, Path(pgledger_sql), seconds=1.0 if quick else 10.0)
        targets.append(Target(name="against pgledger at its best", value=medians[spread] / best, at_least=5.0))
    else:
        print("skipped: pgledger (PGLEDGER_SQL names no SQL file)")
    reached = print_targets(targets)
    print(f"signatures: {signer.count:,}")
    ledger.close()
    return 0 if reached or quick else 1


class Meter:
    """Processor time an entry, which a busy machine distorts less than time of day: ours, and the server's."""

    def __init__(self, runtime: Runtime) -> None:
        record = ProcessGroup(runtime.home / "run").find(POSTGRES)
        self._server = psutil.Process(record.pid) if record is not None else None
        self._spent: dict[str, list[float]] = {}

    def run(self, name: str, work: Callable[[], float], entries: int) -> float:
        """Run `work` and note what it cost under `name`."""
        ours, server = time.process_time(), self._server_seconds()
        rate = work()
        spent = self._spent.setdefault(name, [0.0, 0.0, 0.0])
        spent[0] += time.process_time() - ours
        spent[1] += self._server_seconds() - server
        spent[2] += entries
        return rate

    def print(self) -> None:
        """Print microseconds of processor time an entry."""
        for name, (ours, server, entries) in self._spent.items():
            print(f"{name:<44} processor: {1e6 * ours / entries:5.1f} us ours, {1e6 * server / entries:5.1f} us server")

    def _server_seconds(self) -> float:
        if self._server is None:
            return 0.0
        total = 0.0
        for process in [self._server, *self._server.children(recursive=True)]:
            times = process.cpu_times()
            total += times.user + times.system
        return total


def drafts(accounts: Sequence[str], batches: int) -> list[list[EntryDraft]]:
    """Return batches of new two-posting entries that go round `accounts`."""
    run = uuid.uuid4().hex[:12]
    count = len(accounts)
    made = []
    for batch in range(batches):
        entries = []
        for position in range(MAX_BATCH_RECORDS):
            number = batch * MAX_BATCH_RECORDS + position
            entries.append(
                EntryDraft(
                    effective_at=START + timedelta(seconds=number),
                    external_id=f"stripe:txn_{run}_{number:08d}",
                    description=f"charge ch_{number:08d}",
                    postings=(
                        PostingDraft(
                            account=accounts[number % count], direction="debit", amount_minor=1 + number, currency="USD"
                        ),
                        PostingDraft(
                            account=accounts[(number * 7 + 1) % count],
                            direction="credit",
                            amount_minor=1 + number,
                            currency="USD",
                        ),
                    ),
                    metadata={"reference": f"txn_{number:08d}", "order": f"o-{number}"},
                )
            )
        made.append(entries)
    return made


def post(ledger: Ledger, batches: Sequence[Sequence[EntryDraft]]) -> float:
    """Post `batches` from several callers, each waiting for its signature; return entries a second."""
    work = iter(batches)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def call() -> None:
        try:
            while True:
                with lock:
                    batch = next(work, None)
                if batch is None:
                    return
                answer = ledger.append(batch, Ask(actor=ACTOR))
                assert all(isinstance(item, Posted) for item in answer.items)
                assert answer.checkpoint is not None
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=call) for _ in range(CALLERS)]
    # No caller holds 40,000 drafts at once; without this the collector walks them all, again and again.
    gc.collect()
    gc.freeze()
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    gc.unfreeze()
    assert not failures
    return sum(len(batch) for batch in batches) / seconds


class Limit:
    """The same rows by plain COPY into the same tables without triggers."""

    def __init__(self, runtime: Runtime) -> None:
        self._seq = 0
        login = make_engine(runtime.database_url, role="login", pool_size=1)
        pooled = login.raw_connection()
        self._conn: Any = pooled.driver_connection
        pooled.detach()
        self._conn.autocommit = True
        self._conn.execute("create schema plain")
        for table in ("records", "entries", "postings"):
            self._conn.execute(f"create table plain.{table} (like ledger.{table} including all)")

    def run(self, batches: Sequence[Sequence[EntryDraft]]) -> float:
        rendered = [self._render(batch) for batch in batches]
        started = time.perf_counter()
        for streams in rendered:
            with self._conn.transaction(), self._conn.cursor() as cursor:
                for statement, data in streams:
                    with cursor.copy(statement) as copy:
                        copy.write(data)
        return sum(len(batch) for batch in batches) / (time.perf_counter() - started)

    def _render(self, batch: Sequence[EntryDraft]) -> list[tuple[str, bytes]]:
        """Return the streams of the rows that the ledger would write, sizes and order alike."""
        rows = RowWriter("main")
        records, entries, postings = [], [], []
        for draft in batch:
            item = prepare_entry(draft, canonical_bytes(ACTOR.as_body()))
            canonical = assemble(
                body=item.body,
                book="main",
                id="0" * 36,
                kind="journal_entry",
                prev=bytes(32),
                recorded_at="2026-01-01T00:00:00.000000Z",
                seq=self._seq,
            )
            leaf = leaf_hash(canonical)
            id = (time.time_ns() << 64 | self._seq).to_bytes(16, "big")
            records.append(rows.record(self._seq, "journal_entry", micros_since_2000(START), leaf, canonical))
            entries.append(rows.entry(self._seq, id, item.entry_suffix))
            for line, suffix in enumerate(item.posting_suffixes):
                account_id = 1 + int(draft.postings[line].account.rpartition(":")[2])
                postings.append(rows.posting(self._seq, line, account_id, suffix))
            self._seq += 1
        return [
            (statement.replace("ledger.", "plain."), copy_data(found))
            for statement, found in ((RECORDS_COPY, records), (ENTRIES_COPY, entries), (POSTINGS_COPY, postings))
        ]


def _account(code: str) -> AccountDraft:
    return AccountDraft(code=code, type="asset", currency="USD", normal_balance="debit")


@contextmanager
def _sampled(wanted: bool) -> Iterator[None]:
    """Sample every thread's stack 200 times a second, and print where the sequencer's threads and callers stood."""
    if not wanted:
        yield
        return
    stop = threading.Event()
    seen: dict[str, Counter[str]] = {}

    def watch() -> None:
        while not stop.wait(0.005):
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():
                name = names.get(ident, "?")
                group = "caller" if "call" in name else name
                if "sequencer" in group or group == "caller":
                    seen.setdefault(group, Counter())[_where(frame)] += 1

    thread = threading.Thread(target=watch, name="sampler")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for group, counts in sorted(seen.items()):
            total = sum(counts.values())
            print(f"-- {group}: {total:,} samples")
            for place, count in counts.most_common(14):
                print(f"   {count / total:>6.1%}  {place}")


def _where(frame: Any) -> str:
    """Return the innermost frame of ours, and what it was calling."""
    inner = frame.f_code.co_name
    while frame is not None:
        if "ledger_core" in frame.f_code.co_filename:
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name} > {inner}"
        frame = frame.f_back
    return inner


if __name__ == "__main__":
    sys.exit(main())
