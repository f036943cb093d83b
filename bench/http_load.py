"""A load generator for HTTP/1.1 over loopback: raw protocols, so that it costs the measured server little.

Each connection sends its next request as soon as the answer to its last one is complete (closed loop).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Load:
    """What a run saw: seconds per answer, and how many answers had another status than the expected."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    unexpected: dict[bytes, int] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Return the latency in milliseconds that `share` of the answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


class _Connection(asyncio.Protocol):
    def __init__(self, load: Load, next_request: Callable[[], bytes], expect: bytes, until: float) -> None:
        self.load = load
        self.next_request = next_request
        self.expect = expect
        self.until = until
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(self.next_request())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length:") + 15
        length = int(head[at:].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        now = time.perf_counter()
        status = head[9:12]
        if status != self.expect:
            self.load.unexpected[status] = self.load.unexpected.get(status, 0) + 1
        self.load.latencies.append(now - self.sent_at)
        self.buffer = b""
        if now < self.until:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def run_load(
    port: int, next_request: Callable[[], bytes], *, clients: int, seconds: float, expect: bytes = b"201"
) -> Load:
    """Keep `clients` connections busy for `seconds`; return what they saw."""
    load = Load(seconds=0.0)
    started_at = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: _Connection(load, next_request, expect, started_at + seconds), "127.0.0.1", port
        )
        for _ in range(clients)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    load.seconds = time.perf_counter() - started_at
    return load


async def run_paced(
    port: int, next_request: Callable[[], bytes], *, per_second: float, seconds: float, expect: bytes
) -> Load:
    """Send `per_second` requests, each on its own connection, whether or not those before were answered (open loop).

    What is measured begins when a request was due: a server that falls behind does not hide it.
    """
    load = Load(seconds=0.0)
    loop = asyncio.get_running_loop()
    started_at = time.perf_counter()
    waiting: list[asyncio.Task[None]] = []
    for number in range(int(per_second * seconds)):
        due_at = started_at + number / per_second
        await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
        waiting.append(loop.create_task(_one(load, port, next_request(), due_at, expect)))
    await asyncio.gather(*waiting)
    load.seconds = time.perf_counter() - started_at
    return load


async def _one(load: Load, port: int, request: bytes, due_at: float, expect: bytes) -> None:
    made: list[_Connection] = []

    def make() -> _Connection:
        made.append(_Connection(load, lambda: request, expect, until=0.0))
        return made[0]

    await asyncio.get_running_loop().create_connection(make, "127.0.0.1", port)
    made[0].sent_at = due_at
    await made[0].done


def http_request(
    method: str, path: str, body: bytes = b"", *, token: str = "", headers: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """Return one request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    if body:
        lines.append("content-type: application/json")
    if token:
        lines.append(f"authorization: Bearer {token}")
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
