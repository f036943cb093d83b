"""One check of one book, as the kinds' derivations see it: the snapshot, where findings go, and each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ledger_core.evidence.check.lockstep import Lockstep
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot
from ledger_core.kinds import Derivation, Kind


class Checking:
    """Makes each kind's derivation once, so that one may lean on another: postings on accounts."""

    def __init__(
        self,
        snapshot: Snapshot,
        findings: Findings,
        kinds: Iterable[Kind],
        origin: str,
        *,
        only: Sequence[int] | None = None,
    ) -> None:
        self.only = None if only is None else list(only)
        """The seqs whose rows are compared; None for all, of which alone balances can be told."""
        self.book = snapshot.book
        self.origin = origin
        self.snapshot = snapshot
        self.findings = findings
        self._kinds = {kind.name: kind for kind in kinds}
        self._derivations: dict[str, Derivation | None] = {}

    def derivation(self, name: str) -> Any:
        """Return the derivation of the kind `name`, None where it has no tables."""
        if name not in self._derivations:
            self._derivations[name] = self._kinds[name].derive(self)
        return self._derivations[name]

    def derivations(self) -> dict[str, Derivation | None]:
        """Return those of every kind, by name."""
        return {name: self.derivation(name) for name in self._kinds}

    def compare(self, query: str, *, table: str, columns: Sequence[str], key_length: int = 1) -> Lockstep:
        """Compare the rows of `query` (ordered by their key, `%(book)s` filled in, seq first) with what is expected."""
        given: dict[str, Any] = {}
        if self.only is not None:
            names = ", ".join(f'"{name}"' for name in columns)
            order = ", ".join(str(number + 1) for number in range(key_length))
            query = (
                f"select * from ({query}) as whole ({names}) "  # noqa: S608 - a kind's own query and names
                f'where whole."{columns[0]}" = any(%(only)s::bigint[]) order by {order}'
            )
            given["only"] = self.only
        return Lockstep(
            self.snapshot.rows(query, **given),
            table=table,
            code=Code.PROJECTION_MISMATCH,
            columns=columns,
            key_length=key_length,
            findings=self.findings,
        )

    def report(self, seq: int | None, table: str, detail: str) -> None:
        """Keep a contradiction between `table` and the log that no comparison shows."""
        self.findings.add(Code.PROJECTION_MISMATCH, table, seq, detail)

    def report_edited(self, seq: int, detail: str) -> None:
        """Keep that the record at `seq` is not what it should be."""
        self.findings.add(Code.RECORDS_EDITED, "ledger.records", seq, detail)
