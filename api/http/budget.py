"""How many bytes of unfinished bodies this process holds: a bound on all of them together.

A body's own bound says nothing of two thousand bodies that are sent at once and not ended. What is small is always
taken, for there is a bound on connections too; what is large shares one budget, and is told to wait when that is spent.
"""

from __future__ import annotations

from types import TracebackType

from api.http.problems import ApiProblem

FREE_BYTES = 64 * 1024
"""Of each body: every ordinary post, which no flood of large ones may turn away."""
MAX_HELD_BYTES = 128 * 1024 * 1024
"""Eight batches of the largest size that is taken, all at once."""


class BodyBudget:
    """The bytes that are held now; used from one event loop, so without a lock."""

    def __init__(self, max_bytes: int = MAX_HELD_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0

    def holding(self) -> Share:
        """Return what one body takes of the budget, to be used in a `with`: all of it is given back at the end."""
        return Share(self)


class Share:
    """What one body takes."""

    __slots__ = ("_budget", "taken_bytes")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self.taken_bytes = 0

    def __enter__(self) -> Share:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.held_bytes -= self.taken_bytes

    def grow_to(self, size: int) -> None:
        """Take as much as a body of `size` bytes needs. Raises a 503 problem when that is not there."""
        more = size - FREE_BYTES - self.taken_bytes
        if more <= 0:
            return
        if self._budget.held_bytes + more > self._budget.max_bytes:
            raise ApiProblem(
                503,
                "too_many_requests",
                "Too many large bodies are being received at once.",
                remedy="Wait as long as Retry-After says and send it again.",
                # The rest of the body is not read, so the connection cannot carry another request.
                headers={"connection": "close", "retry-after": "2"},
            )
        self._budget.held_bytes += more
        self.taken_bytes += more
