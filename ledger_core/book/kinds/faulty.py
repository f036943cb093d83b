"""What its own shape rules out: no kind of record, only a place in its request, so that answers come in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ledger_core.errors import CounterfoilError
from ledger_core.kinds import Accepted, Kind
from ledger_core.log.shapes import shape


class _Faulty(Kind):
    def judge(self, judging: Any, item: FaultyItem, facts: Any) -> Accepted:
        raise item.error


@dataclass(frozen=True, slots=True)
class FaultyItem:
    """An item that no book could allow, and why."""

    error: CounterfoilError

    kind: ClassVar[Kind] = _Faulty(name="faulty", shape=shape(""))
    body: ClassVar[bytes] = b""
    may_plan_ahead: ClassVar[bool] = True
