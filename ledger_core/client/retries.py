"""How the HTTP client judges an answer: what it means, and whether the same request may be sent again.

Repeated are 429, 503, a first request that is still running, and a lost connection where the request is safe to repeat
(a read, or a call with a key). Nothing else: a refusal stays a refusal.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from ledger_core.client import calls
from ledger_core.client.calls import Call, Reply
from ledger_core.errors import CounterfoilError, DependencyError, InFlight, TooManyRequests

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how long to try: doubling delays with jitter, never shorter than `Retry-After`."""

    attempts: int = 8
    first_delay_seconds: float = 0.1
    max_delay_seconds: float = 10.0

    def delay_seconds(self, attempt: int, asked: float | None, jitter: float) -> float:
        """Return how long to wait after `attempt` (from 1); `jitter` lies in [0, 1)."""
        ceiling = min(self.max_delay_seconds, self.first_delay_seconds * 2.0 ** (attempt - 1))
        return max(asked or 0.0, ceiling * (0.5 + jitter / 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that did not go well, and whether another may."""

    error: CounterfoilError
    repeat: bool
    retry_after_seconds: float | None = None


class Common:
    """What both clients share: headers, keys, the judgement of an answer."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        book: str | None = None,
        retries: Retries | None = None,
        new_key: Callable[[], str] = lambda: str(uuid.uuid4()),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.book = book
        self.base_url = base_url.rstrip("/")
        self.retries = retries or Retries()
        self._headers = {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        self._new_key = new_key
        self._jitter = jitter

    def _key(self, key: str | None) -> str:
        return key or self._new_key()

    def _request(self, call: Call[Any]) -> dict[str, Any]:
        """Return the arguments of httpx2's `request`."""
        return {
            "method": call.method,
            "url": self.base_url + call.path,
            "params": dict(call.params),
            "content": call.content,
            "headers": {**self._headers, **call.headers},
        }

    def _judge(self, call: Call[T], response: httpx2.Response) -> T | Failure:
        if response.is_success:
            return call.read(Reply(body=_body_of(response), headers=response.headers))
        asked = _retry_after(response.headers.get("retry-after"))
        error = calls.error_of(response.status_code, _problem_of(response), retry_after_seconds=asked)
        # 429 kept nothing, so it may always be repeated; the others only where the same request is the same deed.
        repeat = isinstance(error, TooManyRequests) or (
            call.safe_to_repeat and isinstance(error, (InFlight, DependencyError))
        )
        return Failure(error=error, repeat=repeat, retry_after_seconds=asked)

    def _lost(self, call: Call[Any], error: httpx2.TransportError) -> Failure:
        lost = DependencyError(
            f"the connection to {self.base_url} was lost: {error or type(error).__name__}.",
            remedy="Send the same request again with the same key: it will not be done twice.",
        )
        never_sent = isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
        return Failure(error=lost, repeat=never_sent or call.safe_to_repeat)

    def _pause_or_raise(self, attempt: int, failure: Failure) -> float:
        if not failure.repeat or attempt >= self.retries.attempts:
            raise failure.error
        return self.retries.delay_seconds(attempt, failure.retry_after_seconds, self._jitter())


def _body_of(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise DependencyError(
            f"{response.request.url} answered {response.status_code} with something that is not JSON.",
            remedy="Is this the address of the ledger?",
            retryable=False,
        ) from error


def _problem_of(response: httpx2.Response) -> Mapping[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _retry_after(header: str | None) -> float | None:
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
