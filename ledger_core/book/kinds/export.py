"""An export: the record that the archive holds a segment, and the table of segments.

Once a segment and once a date: exporting a day again is a no-op, never a second segment. Invariant: the recorded
segments join, from 1 and from the first record on, and hold nothing that is not signed: a record of any other would
stand for ever, and no export could follow it. One that an earlier release let in is called void by a later
`security_event`, and its row removed by hand (docs/runbooks/failed-check.md, 9): a check then expects neither row nor
segment of it, and says so.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from ledger_core.actor import Actor
from ledger_core.errors import Conflict, InvalidInput, Refused
from ledger_core.evidence.check.lockstep import Lockstep
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot
from ledger_core.kinds import Accepted, BookView, Judging, Kind, PreparedRecord
from ledger_core.log.record import Record
from ledger_core.log.shapes import SHAPES
from ledger_core.ports import RecordDraft

if TYPE_CHECKING:
    from psycopg import Connection

    from ledger_core.evidence.check.checking import Checking

VOID = "export_void"
"""The `event` of a `security_event` that says of the export record at its `seq` that no segment was ever written."""
_COLUMNS = ("seq", "segment", "closed_on", "first_seq", "next_seq", "manifest_sha256", "uri")


@dataclass(slots=True, kw_only=True)
class ExportFacts:
    """What is exported so far, by the batch too, and how far the log is signed."""

    days: set[str] = field(default_factory=set)
    segment: int = 0
    next_seq: int = 0
    signed_size: int = 0


class Export(Kind):
    """The kind `export`."""

    may_be_void: ClassVar[bool] = True

    def prepare(self, draft: RecordDraft, actor: Actor, who: bytes) -> PreparedRecord:
        made: PreparedRecord = super().prepare(draft, actor, who)
        closed_on = made.members["closed_on"]
        # Python reads more forms of a date than Postgres, and both more than are a record's.
        if date.fromisoformat(closed_on).isoformat() != closed_on:
            raise InvalidInput("a date such as 2026-10-31 is expected.", pointer="/body/closed_on")
        return made

    def read_facts(self, conn: Connection[Any], view: BookView, items: Sequence[Any], before: Any) -> ExportFacts:
        del items, before
        facts = ExportFacts()
        for segment, closed_on, next_seq in conn.execute(
            "select segment, closed_on, next_seq from ledger.exports where book = %s order by segment", [view.book]
        ):
            facts.days.add(closed_on.isoformat())
            facts.segment, facts.next_seq = segment, next_seq
        head = conn.execute("select signed_size from ledger.log_head where book = %s", [view.book]).fetchone()
        facts.signed_size = head[0] if head else 0
        return facts

    def judge(self, judging: Judging, item: PreparedRecord, facts: ExportFacts) -> Accepted:
        del judging
        body = item.members
        segment, closed_on, first_seq, next_seq = (
            body[name] for name in ("segment", "closed_on", "first_seq", "next_seq")
        )
        if (segment <= facts.segment and segment) or closed_on in facts.days:
            raise Conflict(f"segment {segment} or the export of {closed_on} is recorded already.")
        for name, expected in (("segment", facts.segment + 1), ("first_seq", facts.next_seq)):
            if body[name] != expected:
                raise Refused(
                    f"the next segment has {name} {expected}, not {body[name]}.",
                    pointer=f"/body/{name}",
                    remedy="Segments join without gap or overlap: read what is exported so far.",
                )
        if not first_seq < next_seq <= facts.signed_size:
            raise Refused(
                f"a segment from record {first_seq} ends past it and with what is signed, which is up to "
                f"{facts.signed_size}; {next_seq} is neither.",
                pointer="/body/next_seq",
            )
        was = (facts.segment, facts.next_seq)
        facts.days.add(closed_on)
        facts.segment, facts.next_seq = segment, next_seq
        return Accepted(item, item.body, was)

    def undo(self, judging: Judging, accepted: Accepted, facts: ExportFacts) -> None:
        del judging
        facts.days.discard(accepted.item.members["closed_on"])
        facts.segment, facts.next_seq = accepted.detail

    def project(self, conn: Connection[Any], book: str, accepted: Sequence[tuple[int, Accepted]]) -> None:
        for seq, each in accepted:
            body = each.item.members
            conn.execute(
                "insert into ledger.exports (book, segment, closed_on, first_seq, next_seq, manifest_sha256, uri, seq) "
                "values (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    book, body["segment"], body["closed_on"], body["first_seq"], body["next_seq"],
                    body["manifest_sha256"], body["uri"], seq,
                ],
            )  # fmt: skip

    def derive(self, checking: Checking) -> Exports:
        return Exports(checking.snapshot, checking.findings, only=checking.only)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSegment:
    """A segment as its signed export record names it."""

    seq: int
    segment: int
    closed_on: str
    first_seq: int
    next_seq: int
    manifest_sha256: str
    uri: str
    version_id: str | None = None
    """The manifest's, in a store that has versions."""


class Exports:
    """Derives `exports`; `recorded` keeps what the archive must hold, one item a segment; `only` limits it to some."""

    def __init__(self, snapshot: Snapshot, findings: Findings, *, only: Sequence[int] | None = None) -> None:
        limit = "" if only is None else " and seq = any(%(only)s::bigint[])"
        given = {} if only is None else {"only": list(only)}
        self.recorded: list[RecordedSegment] = []
        self._findings = findings
        self._void = _called_void(snapshot)
        self._rows = Lockstep(
            snapshot.rows(
                "select seq, segment, closed_on::text, first_seq, next_seq, manifest_sha256, uri"  # noqa: S608 - constants
                f" from ledger.exports where book = %(book)s{limit} order by seq",
                **given,
            ),
            table="ledger.exports",
            code=Code.EXPORTS_MISMATCH,
            columns=_COLUMNS,
            key_length=1,
            findings=findings,
        )

    def take(self, seq: int, record: Record) -> None:
        """Derive one record of kind `export`. Raises `KeyError` or `TypeError` if it is none."""
        row = (seq, *(record.body[name] for name in _COLUMNS[1:]))
        if seq in self._void:
            self._findings.note(
                f"the export record at seq {seq} is void: the security_event at {self._void[seq]} says so"
            )
            return
        self._rows.expect(row)
        version_id = record.body.get("version_id")
        self.recorded.append(RecordedSegment(**dict(zip(_COLUMNS, row, strict=True)), version_id=version_id))

    def skip(self, seq: int) -> None:
        """Leave out what a damaged record may have said."""
        self._rows.skip(seq)

    def finish(self) -> dict[str, int]:
        """Return the rows compared by table."""
        return {"exports": self._rows.finish()}


def _called_void(snapshot: Snapshot) -> dict[int, int]:
    """Return, by the seq of an export record, the seq of the later event that calls it void."""
    events = snapshot.rows(
        "select seq, canonical from ledger.records where book = %(book)s and kind = 'security_event'"
        " and position(convert_to(%(void)s, 'UTF8') in canonical) > 0 order by seq desc",
        void=VOID,
    )
    found: dict[int, int] = {}
    for seq, canonical in events:
        with contextlib.suppress(ValueError, KeyError, TypeError):  # damage is the chain's to report
            void = voided_by(seq, json.loads(canonical)["body"])
            if void is not None:
                found[void] = seq
    return found


def voided_by(seq: int, body: Mapping[str, Any]) -> int | None:
    """Return the seq of the export record that the `security_event` at `seq` calls void, if it does."""
    is_void = body.get("event") == VOID and type(body.get("seq")) is int and body["seq"] < seq
    return body["seq"] if is_void else None


EXPORT: Kind = Export(name="export", shape=SHAPES["export"], scope="export:write")
