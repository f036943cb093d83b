"""In which order to look at what may be anybody's, so that no amount of it hides what is ours.

Whoever holds the key that writes to an archive can lay as much there as he pays for, under any name and at any time but
the past. So what joins on to what is known to be ours is looked at first, then what was written first: all that came
before the thief. Work is bounded by how much turns out to be nobody's of ours; what is ours costs none of the bound.
Nothing is read here.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

MAX_REFUSED = 20_000
"""Manifests and anchors that are read and turn out to be somebody else's."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A folder that is called as a segment's is, and holds something called as a manifest is."""

    home: str
    """What holds the folder's `segments`: one log's place."""
    folder: str
    segment: int
    first_seq: int
    next_seq: int
    written_at: datetime


@dataclass(slots=True)
class _Queue:
    candidates: Sequence[Candidate]
    waiting: dict[tuple[str, int, int], list[int]] = field(default_factory=dict)
    following: list[tuple[datetime, int]] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    place: int = 0

    def next(self) -> int | None:
        while self.following:
            _, found = heapq.heappop(self.following)
            if found not in self.done:
                return found
        while self.place < len(self.candidates) and self.place in self.done:
            self.place += 1
        return self.place if self.place < len(self.candidates) else None

    def follow(self, found: Candidate) -> None:
        for index in self.waiting.pop((found.home, found.segment + 1, found.next_seq), ()):
            heapq.heappush(self.following, (self.candidates[index].written_at, index))


def walk(
    candidates: Iterable[Candidate],
    is_ours: Callable[[Candidate], bool],
    *,
    after: Iterable[tuple[str, int, int]] = (),
    limit: int = MAX_REFUSED,
) -> list[Candidate]:
    """Ask `is_ours` of each candidate, what follows on one that is ours before all else; return those not asked.

    `after` are positions (home, segment, first seq) that are known to be ours from elsewhere. Asking ends when `limit`
    of them were not.
    """
    ordered = sorted(candidates, key=lambda item: (item.written_at, item.segment, item.folder))
    queue = _Queue(ordered)
    for index, item in enumerate(ordered):
        queue.waiting.setdefault((item.home, item.segment, item.first_seq), []).append(index)
    for position in after:
        for index in queue.waiting.pop(position, ()):
            heapq.heappush(queue.following, (ordered[index].written_at, index))
    refused = 0
    while refused < limit and (found := queue.next()) is not None:
        queue.done.add(found)
        if is_ours(ordered[found]):
            queue.follow(ordered[found])
        else:
            refused += 1
    return [item for index, item in enumerate(ordered) if index not in queue.done]


def fair(
    items: Sequence[Item],
    *,
    size: Callable[[Item], int],
    written_at: Callable[[Item], datetime],
    limit: int = MAX_REFUSED,
) -> list[Item]:
    """Return `items` of which at most `limit` are to be looked at, the largest first.

    Of more than `limit` half are the largest, and half those that were written first: what lay there before a thief
    came is among them, however much he put beside it.
    """
    largest = sorted(items, key=size, reverse=True)
    if len(largest) <= limit:
        return largest
    chosen = largest[: limit // 2]
    return chosen + sorted(largest[limit // 2 :], key=written_at)[: limit - limit // 2]
