"""Something that should not have happened: a failed verification, a refused signature, a rejected fork."""

from __future__ import annotations

from ledger_core.book.kinds.export import voided_by
from ledger_core.kinds import Kind
from ledger_core.log.record import Record
from ledger_core.log.shapes import SHAPES


class SecurityEvent(Kind):
    """The kind `security_event`; one of them may say of an export record that no segment was ever written."""

    def voided_by(self, record: Record) -> int | None:
        return voided_by(record.seq, record.body)


SECURITY_EVENT: Kind = SecurityEvent(name="security_event", shape=SHAPES["security_event"], scope="security:report")
