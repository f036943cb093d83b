"""What compromised keys signed of one log, and how far its trees are shown to lie in one that counts.

Whoever has a key signs anything with it. So such a signature says nothing of itself: the tree counts once the records
were streamed from it up to a tree that counts, which is one that the registry states, or one that another key signed.
A manifest counts with its tree up to the size that the registry states; beyond that, once a later manifest that another
key signed leads back to it. What was not reached stays what it was, `key_not_valid_at_size`. Not here: signatures, and
whether records or manifests are missing on the way, which are failures of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ledger_core.log.findings import FORKED, Failure, Signer, VerificationReport
from ledger_core.log.keys import Judgement
from ledger_core.log.registry import KeyRecord


@dataclass(slots=True, kw_only=True)
class Doubts:
    """The doubts of one log; `good` are the roots by size that the registry states of it."""

    good: Mapping[int, bytes] = field(default_factory=dict)
    shown_size: int = -1
    """Up to which size the records are those of a tree that counts."""
    named_size: int = -1
    """Up to which size a manifest that counts leads back over the ones before it."""
    _open: list[tuple[int, bool, Failure, Judgement]] = field(default_factory=list)

    def add(self, size: int, failure: Failure, judgement: Judgement, *, is_manifest: bool) -> None:
        """Keep that compromised keys alone signed what speaks of a tree of `size`; until shown it is `failure`."""
        self._open.append((size, is_manifest, failure, judgement))

    def see(self, size: int, root: bytes, where: str) -> Failure | None:
        """Hold the root that the records make at `size` against the registry; return the failure for another one."""
        good = self.good.get(size)
        if good is None:
            return None
        if root == good:
            self.show(size)
            return None
        detail = f"the registry states another root at size {size}, the last that is beyond doubt"
        return Failure(verdict=FORKED, seq=None, where=where, detail=detail)

    def show(self, size: int) -> None:
        """Note that the records up to `size` make a tree that counts."""
        self.shown_size = max(self.shown_size, size)

    def name(self, size: int) -> None:
        """Note that a manifest that counts follows on the one that ends at `size`."""
        self.named_size = max(self.named_size, size)

    def settle(self, report: VerificationReport) -> None:
        """Add to `report` what stayed in doubt, and a word on what did not."""
        stated = max((size for size in self.good if size <= self.shown_size), default=-1)
        for size, is_manifest, failure, judgement in self._open:
            if size > self.shown_size or (is_manifest and size > max(stated, self.named_size)):
                report.add(failure)
                continue
            note_signers(report, judgement.doubtful)
            for key in judgement.doubtful:
                text = (
                    f"key {key.key.key_id[:16]} is compromised: what it signed counts only as part of the tree of size "
                    f"{self.shown_size}"
                )
                if text not in report.notes:
                    report.notes.append(text)


def note_signers(report: VerificationReport, signers: Iterable[KeyRecord]) -> None:
    """Name in the report the keys that signed, and what keeps them."""
    for signer in signers:
        if signer.key.key_id not in report.keys:
            report.keys.append(signer.key.key_id)
            report.signers.append(
                Signer(
                    key_id=signer.key.key_id,
                    alg=signer.key.algorithm,
                    assurance=signer.assurance,
                    backend=signer.backend,
                    status=signer.status,
                )
            )
        if signer.assurance not in report.assurance:
            report.assurance.append(signer.assurance)
