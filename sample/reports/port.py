"""What the renderer asks of a provider's reports.

A report is written as its rows come, and closed at the end: memory does not grow with the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Protocol

from sample.deliveries import Deliveries
from sample.model import Payout, PspItem, Request

Chunk = tuple[str, bytes]
"""A file's name, and bytes to append to it."""


class Reports(Protocol):
    """The reports of one provider, for all of the company's accounts there."""

    def __init__(self, request: Request, deliveries: Deliveries) -> None: ...

    def take_item(self, item: PspItem) -> Iterator[Chunk]:
        """Write an item into every file that lists it."""

    def take_payout(self, payout: Payout) -> Iterator[Chunk]:
        """Write a payout into every file that lists it."""

    def close(self, as_of: date) -> Iterator[Chunk]:
        """End every file; a report in which nothing was listed is written empty, as the provider does."""
