"""What was said and signed about the tree: the stored checkpoints, and the signing proxy's last one."""

from __future__ import annotations

from collections.abc import Iterator

from ledger_core.errors import CounterfoilError
from ledger_core.evidence.check.chain import StatedRoot
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot
from ledger_core.evidence.keyring import is_doubtful, read_checkpoint
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint

TABLE = "ledger.checkpoints"
PROXY = "signing proxy"


class StoredCheckpoints:
    """The rows of `checkpoints`, each held against its own note and the note against the pinned keys."""

    def __init__(self, snapshot: Snapshot, ring: KeyRing, origin: str, findings: Findings) -> None:
        self.largest = 0
        self.compared = 0
        self._doubtful: list[int] = []
        self._vouched = 0
        self._snapshot = snapshot
        self._ring = ring
        self._origin = origin
        self._findings = findings

    def stated_roots(self) -> Iterator[StatedRoot]:
        """Yield what each checkpoint says of the root, in order of size."""
        rows = self._snapshot.rows(
            "select size, root, frontier, note from ledger.checkpoints where book = %(book)s order by size"
        )
        for size, root, frontier, note in rows:
            self.compared += 1
            self.largest = size
            self._judge(size, root, note)
            yield StatedRoot(size=size, source=TABLE, root=root, frontier=frontier)
        # All of them are held against one tree: what a compromised key signed lies in a later one that counts, or not.
        for size in self._doubtful:
            if size > self._vouched:
                self._findings.add(
                    Code.SIGNATURE_INVALID, TABLE, size - 1, f"size {size}: signed by a compromised key alone"
                )

    def _judge(self, size: int, root: bytes, note: str) -> None:
        try:
            stated, why_not = read_checkpoint(self._ring, note, self._origin)
        except CounterfoilError as error:
            self._findings.add(Code.SIGNATURE_INVALID, TABLE, size - 1, f"size {size}: {error}")
            return
        if not why_not:
            self._vouched = size
        elif stated.origin == self._origin and is_doubtful(self._ring, note):
            self._doubtful.append(size)
        else:
            self._findings.add(Code.SIGNATURE_INVALID, TABLE, size - 1, f"size {size}: {why_not}")
        if (stated.size, stated.root) != (size, root):
            self._findings.add(
                Code.CHECKPOINT_MISMATCH, TABLE, size - 1,
                f"the row says size {size} root {root.hex()}, its note size {stated.size} root {stated.root.hex()}",
            )  # fmt: skip


def stated_by_registry(ring: KeyRing, origin: str) -> Iterator[StatedRoot]:
    """Yield the trees that the key registry itself states, which were beyond doubt when a key was stolen."""
    for size, root in sorted(ring.good_trees(origin).items()):
        yield StatedRoot(size=size, source="key registry", root=root, independent=True)


def stated_by_proxy(
    note: str | None, ring: KeyRing, origin: str, findings: Findings
) -> tuple[Checkpoint | None, Iterator[StatedRoot]]:
    """Return the proxy's last checkpoint, and the same as a stated root to hold the tree against."""
    if note is None:
        return None, iter(())
    checkpoint, why_not = read_checkpoint(ring, note, origin)
    if why_not:
        findings.add(Code.SIGNATURE_INVALID, PROXY, checkpoint.size - 1, f"size {checkpoint.size}: {why_not}")
        return None, iter(())
    stated = StatedRoot(size=checkpoint.size, source=PROXY, root=checkpoint.root, independent=True)
    return checkpoint, iter((stated,))


def check_behind_proxy(last: Checkpoint | None, *, size: int, findings: Findings) -> None:
    """Compare sizes with what the proxy had signed *before* the snapshot; roots are compared as records stream by."""
    if last is not None and last.size > size:
        findings.add(
            Code.BEHIND_PROXY, PROXY, size,
            f"the proxy signed {last.size} records, the database holds {size}: seqs {size} to {last.size - 1} are gone",
        )  # fmt: skip


def check_proxy_memory(last: Checkpoint | None, *, signed_size: int, findings: Findings) -> None:
    """Compare the proxy's memory, asked *after* the snapshot, with what the snapshot says it signed."""
    remembered = last.size if last else 0
    if remembered < signed_size:
        findings.add(
            Code.PROXY_UNAWARE, PROXY, remembered,
            f"the database holds signatures up to size {signed_size}, the proxy remembers {remembered}",
        )  # fmt: skip
