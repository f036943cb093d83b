"""What the relay asks of a destination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ledger_core.relay.events import Event


class Destination(Protocol):
    """Somewhere outside that is told of records, in order."""

    name: str
    """Its cursor's name: another destination has another."""
    wait_seconds: float
    """How long records may be gathered before they are told, where fewer than `batch_records` wait."""
    batch_records: int
    """Of how many it is told at once, at most."""

    def publish(self, events: Sequence[Event]) -> None:
        """Tell of `events`, one log's, without a gap; return once every one of them is durable there.

        Raises `CannotRun` where trying again may help. What was told before an error may be told again.
        """

    def close(self) -> None:
        """Give connections back; nothing is waited for."""
