"""Something that should not have happened: a failed verification, a refused signature, a rejected fork."""

from __future__ import annotations

from ledger_core.kinds import Kind
from ledger_core.log.shapes import SHAPES

SECURITY_EVENT = Kind(name="security_event", shape=SHAPES["security_event"], scope="security:report")
