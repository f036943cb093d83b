"""Whether one segment goes on where the one before it ended: the same log, its next record, the tree that was left."""

from __future__ import annotations

from ledger_core.log.findings import FORKED, MISSING
from ledger_core.log.merkle import Frontier
from ledger_core.log.record import NO_PREV
from ledger_core.log.segment import Manifest


def broken_chain(manifest: Manifest, before: Manifest | None, before_sha256: str | None) -> tuple[str, str, int] | None:
    """Return verdict, detail and seq of what keeps `manifest` from following on `before`, None where it does.

    `before_sha256` is the hash of the manifest before as it lies there; without one, a first segment begins at nothing.
    """
    seq = manifest.first_seq
    if before is None:
        if seq == 0 and (manifest.first_prev != NO_PREV or manifest.before != Frontier()):
            return FORKED, "the first segment does not start from nothing", 0
        return None
    if seq > before.next_seq:
        return MISSING, f"no segment holds seq {before.next_seq} to {seq - 1}", before.next_seq
    if seq < before.next_seq:
        return FORKED, f"segment {before.segment} holds seq {seq} too", seq
    if manifest.before.root() != before.root:
        return FORKED, f"it starts from another tree than segment {before.segment} ended with", seq
    if manifest.previous is None or manifest.previous.manifest_sha256 != before_sha256:
        return FORKED, f"it was written after another manifest of segment {before.segment} than the one here", seq
    return None
