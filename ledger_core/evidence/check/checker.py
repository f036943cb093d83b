"""The check of a book: everything stored is re-derived from the signed bytes and compared, row by row, both ways.

One snapshot, one walk over the records in order of seq, constant memory (but for one item an account and a segment).
The log itself is held against its checkpoints, the signing proxy's last one and the archive's manifests, so that a
dropped tail, a restored old state and a rewritten history are seen although the database agrees with itself.

Not offline proof: that is `ledger_core.log.verifier`, which trusts nothing here. A check says *what* differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ledger_core.errors import NotFound
from ledger_core.evidence.check.accounts import Accounts
from ledger_core.evidence.check.archive import Archive
from ledger_core.evidence.check.chain import Chain, Leaf
from ledger_core.evidence.check.checkpoints import (
    StoredCheckpoints,
    check_behind_proxy,
    check_proxy_memory,
    stated_by_proxy,
)
from ledger_core.evidence.check.entries import Entries
from ledger_core.evidence.check.exports import Exports
from ledger_core.evidence.check.head import Head, check_head, read_head
from ledger_core.evidence.check.idempotency import Idempotency
from ledger_core.evidence.check.model import CheckReport, Code, Finding, Findings
from ledger_core.evidence.check.snapshot import Snapshot, open_snapshot
from ledger_core.evidence.check.tiles import Tiles
from ledger_core.evidence.keyring import pinned_ring

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

__all__ = ["CheckReport", "Code", "Finding", "check_book"]

PROGRESS_RECORDS = 5_000

Progress = Callable[[int], None]


def check_book(runtime: Runtime, book: str, *, progress: Progress | None = None) -> CheckReport:
    """Check `book` as it stands and return every contradiction found.

    Raises `NotFound` when there is no such book here, `DependencyError` when the signing proxy is away.
    """
    findings = Findings()
    origin = runtime.settings.origin_of(book)
    ring = pinned_ring(runtime, origin)
    # What was signed and archived before the snapshot must be in it; what is signed later need not.
    signed_before = runtime.signer.latest(origin)
    archive = Archive(runtime.archive, origin, ring, findings)
    last, from_proxy = stated_by_proxy(signed_before, ring, origin, findings)
    with open_snapshot(runtime.engine, book) as snapshot:
        head = read_head(snapshot)
        if head is None and last is None and archive.last is None:
            raise NotFound(f"there is no book {book} here.", remedy="`counterfoil status` lists the books.")
        if head is None:
            findings.add(Code.HEAD_MISMATCH, "ledger.log_head", None, "the book has no head row")
        elif head.origin != origin:
            findings.add(Code.HEAD_MISMATCH, "ledger.log_head", None, f"origin is {head.origin}, not {origin}")
        checkpoints = StoredCheckpoints(snapshot, ring, origin, findings)
        chain = Chain(snapshot, (checkpoints.stated_roots(), from_proxy, archive.stated_roots()), findings)
        counts = _walk(snapshot, chain, archive, findings, origin, progress)
        counts["checkpoints"] = checkpoints.compared
        if head is not None:
            _finish_head(head, chain, checkpoints.largest, findings)
        check_behind_proxy(last, size=chain.size, findings=findings)
        archive.check_size(chain.size)
    signed_size = head.signed_size if head else 0
    remembered, _ = stated_by_proxy(runtime.signer.latest(origin), ring, origin, findings)
    check_proxy_memory(remembered, signed_size=signed_size, findings=findings)
    return CheckReport(
        book=book,
        origin=origin,
        size=chain.size,
        signed_size=signed_size,
        findings=tuple(findings.listed),
        not_listed=findings.not_listed,
        counts=counts,
        notes=tuple(findings.notes),
    )


def _walk(
    snapshot: Snapshot, chain: Chain, archive: Archive, findings: Findings, origin: str, progress: Progress | None
) -> dict[str, int]:
    """Stream the records once through every pass; return the rows compared by table."""
    accounts = Accounts(snapshot, findings)
    entries = Entries(snapshot, accounts, findings)
    exports = Exports(snapshot, findings)
    idempotency = Idempotency(snapshot, findings)
    tiles = Tiles(snapshot, findings)
    records = 0
    for leaf in chain.walk():
        records += 1
        if chain.has_gap:
            tiles.give_up()
        tiles.take(leaf.leaf_hash)
        idempotency.take(leaf.seq, leaf.record)
        _derive(leaf, origin, accounts, entries, exports, findings)
        if progress and records % PROGRESS_RECORDS == 0:
            progress(records)
    if progress:
        progress(records)
    archive.check_recorded(exports.recorded)
    return {
        "records": records,
        **entries.finish(),
        **accounts.finish(),
        **exports.finish(),
        **idempotency.finish(chain.size),
        "tiles": tiles.finish(),
        "segments": archive.count,
    }


def _derive(
    leaf: Leaf, origin: str, accounts: Accounts, entries: Entries, exports: Exports, findings: Findings
) -> None:
    """Hand one record to the pass of its kind; what no pass can read is a finding, never a traceback."""
    seq, record = leaf.seq, leaf.record
    if record is None:
        for damaged in (accounts, entries, exports):
            damaged.skip(seq)
        return
    try:
        if record.kind == "journal_entry":
            entries.take(seq, str(record.id), record.body)
        elif record.kind == "account":
            accounts.take(seq, record.body)
        elif record.kind == "export":
            exports.take(seq, record.body)
        elif record.kind == "book" and (seq != 0 or record.body["origin"] != origin):
            findings.add(
                Code.RECORDS_EDITED, "ledger.records", seq, f"a book record of {record.body['origin']} stands here"
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        findings.add(
            Code.UNKNOWN_SCHEMA, "ledger.records", seq,
            f"the body is not that of a {record.kind}: {type(error).__name__} {error}",
        )  # fmt: skip


def _finish_head(head: Head, chain: Chain, largest_checkpoint: int, findings: Findings) -> None:
    check_head(
        head,
        size=chain.size,
        last_leaf=chain.last_leaf,
        last_recorded_at=chain.last.recorded_at if chain.last else None,
        frontier=chain.frontier,
        whole=not chain.has_gap,
        largest_checkpoint=largest_checkpoint,
        findings=findings,
    )
