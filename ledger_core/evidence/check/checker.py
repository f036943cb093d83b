"""The check of a book: everything stored is re-derived from the signed bytes and compared, row by row, both ways.

One snapshot, one walk over the records in order of seq, constant memory (but for one item an account and a segment).
The log itself is held against its checkpoints, the signing proxy's last one and the archive's manifests, so that a
dropped tail, a restored old state and a rewritten history are seen although the database agrees with itself.

Not offline proof: that is `ledger_core.log.verifier`, which trusts nothing here. A check says *what* differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ledger_core.errors import NotFound
from ledger_core.evidence.check.archive import Archive
from ledger_core.evidence.check.chain import Chain, Leaf
from ledger_core.evidence.check.checking import Checking
from ledger_core.evidence.check.checkpoints import (
    StoredCheckpoints,
    check_behind_proxy,
    check_proxy_memory,
    stated_by_proxy,
    stated_by_registry,
)
from ledger_core.evidence.check.head import Head, check_head, read_head
from ledger_core.evidence.check.idempotency import Idempotency
from ledger_core.evidence.check.model import CheckReport, Code, Finding, Findings
from ledger_core.evidence.check.snapshot import open_snapshot
from ledger_core.evidence.check.tiles import Tiles
from ledger_core.evidence.export.plan import plans_of
from ledger_core.evidence.keyring import pinned_ring
from ledger_core.kinds import Derivation
from ledger_core.log.patience import one_task

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
    planned = [plan.folder for plan in plans_of(runtime.home, origin)]
    with one_task():
        archive = Archive(runtime.archive, origin, ring, findings, planned)
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
        stated = (checkpoints.stated_roots(), from_proxy, archive.stated_roots(), stated_by_registry(ring, origin))
        chain = Chain(snapshot, stated, findings)
        counts = _walk(Checking(snapshot, findings, runtime.kinds, origin), chain, archive, progress)
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


def _walk(checking: Checking, chain: Chain, archive: Archive, progress: Progress | None) -> dict[str, int]:
    """Stream the records once through every pass; return the rows compared by table."""
    derivations = checking.derivations()
    idempotency = Idempotency(checking.snapshot, checking.findings)
    tiles = Tiles(checking.snapshot, checking.findings)
    records = 0
    for leaf in chain.walk():
        records += 1
        if chain.has_gap:
            tiles.give_up()
        tiles.take(leaf.leaf_hash)
        idempotency.take(leaf.seq, leaf.record)
        _derive(leaf, derivations, checking.findings)
        if progress and records % PROGRESS_RECORDS == 0:
            progress(records)
    if progress:
        progress(records)
    with one_task():
        archive.check_recorded(checking.derivation("export").recorded, chain.contradicted)
    counts = {"records": records}
    for derivation in derivations.values():
        counts |= derivation.finish() if derivation is not None else {}
    return {**counts, **idempotency.finish(chain.size), "tiles": tiles.finish(), "segments": archive.count}


def _derive(leaf: Leaf, derivations: Mapping[str, Derivation | None], findings: Findings) -> None:
    """Hand one record to the derivation of its kind; what none can read is a finding, never a traceback."""
    seq, record = leaf.seq, leaf.record
    if record is None:
        for damaged in derivations.values():
            if damaged is not None:
                damaged.skip(seq)
        return
    try:
        derivation = derivations[record.kind]
    except KeyError:
        findings.add(
            Code.UNKNOWN_SCHEMA, "ledger.records", seq, f"records of kind {record.kind} are not known to this version"
        )
        return
    if derivation is None:
        return
    try:
        derivation.take(seq, record)
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
