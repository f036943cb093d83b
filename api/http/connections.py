"""Connections of strangers: how long each may take, how many there may be, and which one goes when there are too many.

uvicorn waits for ever for a request's head and for its body, and turns everyone away, health included, once enough
clients have begun one and not gone on. Here a head and a body have deadlines, and where a bound is reached the oldest
connection that carries no whole request has to go: of the peer that has too many, else of all. One timer looks once a
second, so that a request pays for setting a number and never for a timer. Invariant: a request that arrived whole is
answered, and no answer stands where another request's belongs: what is wrong with a later one is said after it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from api.http.heads import MAX_HEAD_BYTES, Objection, objection_to
from api.http.problems import MEDIA_TYPE, document

MAX_CONNECTIONS = 2_048
MAX_PER_PEER = 1_536
"""Of one address: less than all, so that none alone takes every place; more than a balancer opens."""
HEAD_SECONDS = 10.0
BODY_SECONDS = 20.0
BODY_BYTES_PER_SECOND = 32 * 1024
"""What a body gains by going on: 16 MiB may take nine minutes, and one that drips ends after `BODY_SECONDS`."""
UNREAD_ANSWER_SECONDS = 60.0
LOOK_EVERY_SECONDS = 1.0
LINGER_SECONDS = 2.0
MAX_LINGER_BYTES = 2 * 1024 * 1024
"""How long and how far we still read from whom we refused: closing on what is unread takes the answer back with it."""


class _Hall:
    """What one server knows of all its connections."""

    def __init__(self) -> None:
        self.peers: Counter[str] = Counter()
        self.timer: asyncio.TimerHandle | None = None


_halls: WeakKeyDictionary[ServerState, _Hall] = WeakKeyDictionary()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with deadlines and bounds, which a subclass may set otherwise."""

    max_connections = MAX_CONNECTIONS
    max_per_peer = MAX_PER_PEER
    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._hall = _halls.setdefault(self.server_state, _Hall())
        self._awaits: str | None = "head"
        """What the client owes: a "head", a "body", or nothing."""
        self._since = time.monotonic()
        """When it began to owe that, or to owe nothing."""
        self._read_bytes = 0
        self._unread_since: float | None = None
        self._objection: Objection | None = None
        """Why nothing more is read here; said as soon as the whole requests before it are answered."""
        self._leaving_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection; where there are too many, one that carries no request gives way."""
        super().connection_made(transport)
        hall, peer = self._hall, self._peer
        hall.peers[peer] += 1
        # On a Unix socket all are one peer, the side-car.
        if self.client and hall.peers[peer] > self.max_per_peer:
            full = not self._make_room(each for each in self._others() if each._peer == peer)
        else:
            full = len(self.connections) > self.max_connections and not self._make_room(self._others())
        if full:
            self._turn_away(503, "too_many_requests", "Every connection that there may be is at work.")
        elif hall.timer is None:
            hall.timer = self.loop.call_later(LOOK_EVERY_SECONDS, self._look_at_all)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        hall, peer = self._hall, self._peer
        hall.peers[peer] -= 1
        if not hall.peers[peer]:
            del hall.peers[peer]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has become too long; of whom we refused, read and forget."""
        self._read_bytes += len(data)
        if self._objection is not None:
            if self._leaving_since is not None and self._read_bytes > MAX_LINGER_BYTES:
                self.transport.close()
            return
        super().data_received(data)
        if self._awaits == "head" and self._read_bytes > MAX_HEAD_BYTES:
            self._turn_away(431, "head_too_large", f"The head of a request takes {MAX_HEAD_BYTES:,} bytes.")

    def on_message_begin(self) -> None:
        """Begin to wait for a head."""
        self._awaits, self._since, self._read_bytes = "head", time.monotonic(), 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to wait for the body, unless the head is one that may be read in two ways."""
        objection = objection_to(self.url, self.headers, self.parser.get_http_version())
        if objection is not None:
            self._turn_away(*objection)
            raise ValueError(objection.detail)  # the parser ends here; uvicorn then asks for the 400, said already
        self._awaits, self._since, self._read_bytes = "body", time.monotonic(), 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for nothing more: the request is whole."""
        self._awaits = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Take note of when the connection was last of use."""
        if self._awaits is None:
            self._since = time.monotonic()
        super().on_response_complete()
        if self._objection is not None and not self._owes_an_answer:
            self._say(self._objection)

    def send_400_response(self, msg: str) -> None:
        """Say that this is no HTTP, in the shape of every other error."""
        if self._objection is None:
            self._turn_away(400, "malformed_request", msg)

    @property
    def _peer(self) -> str:
        return self.client[0] if self.client else ""

    @property
    def _spare(self) -> bool:
        """Whether nothing is lost with this connection: whole requests are answered, half ones are sent again."""
        return not self.transport.is_closing() and not self._owes_an_answer

    @property
    def _owes_an_answer(self) -> bool:
        """Whether a request that arrived whole is unanswered; where others queue behind one, it is whole."""
        cycle = self.cycle
        return bool(self.pipeline) or (cycle is not None and not cycle.response_complete and not cycle.more_body)

    def _others(self) -> Iterable[Connection]:
        return (each for each in self.connections if each is not self and isinstance(each, Connection))

    @staticmethod
    def _make_room(candidates: Iterable[Connection]) -> bool:
        """Close the one that owes something for longest, else the one that was longest of no use; say if there was."""
        spare = (each for each in candidates if each._spare)
        found = min(spare, key=lambda each: (each._awaits is None, each._since), default=None)
        if found is not None:
            found._turn_away(503, "too_many_requests", "The connection was given to another: it carried no request.")
        return found is not None

    def _look_at_all(self) -> None:
        hall, now = self._hall, time.monotonic()
        for each in [each for each in self.connections if isinstance(each, Connection)]:
            each._look(now)
        again = bool(self.connections)
        hall.timer = self.loop.call_later(LOOK_EVERY_SECONDS, self._look_at_all) if again else None

    def _look(self, now: float) -> None:
        """Close the connection if its client takes too long to send, or to read."""
        if self.flow.write_paused or self.transport.is_closing():
            # What closes waits for its last bytes to be read as well, few as they may be.
            self._unread_since = self._unread_since or now
            if now - self._unread_since > UNREAD_ANSWER_SECONDS:
                self.transport.abort()
            return
        self._unread_since = None
        if self._leaving_since is not None and now - self._leaving_since > LINGER_SECONDS:
            self.transport.close()
        if self._objection is not None:
            return
        if self.flow.read_paused:  # it is we who do not read on
            self._since = now
        elif self._awaits == "head" and self._spare and now - self._since > self.head_seconds:
            self._turn_away(408, "request_too_slow", "The head of the request did not come in time.")
        elif (
            self._awaits == "body" and now - self._since > self.body_seconds + self._read_bytes / BODY_BYTES_PER_SECOND
        ):
            self._turn_away(408, "request_too_slow", "The body of the request did not come in time.")

    def _turn_away(self, status: int, code: str, detail: str) -> None:
        """Read no more requests here; say why and close, once what came whole is answered."""
        if self._leaving_since is not None:
            self.transport.close()  # what there was to say is said, and the place is wanted
            return
        self._objection = self._objection or Objection(status, code, detail)
        if not self._owes_an_answer:
            self._say(self._objection)

    def _say(self, objection: Objection) -> None:
        """Answer, unless an answer is under way, and close: at once where the place is wanted, else once it is read."""
        status, code, detail = objection
        self._leaving_since, self._read_bytes = time.monotonic(), 0
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            content = orjson.dumps(document(status, code, detail, remedy="Send it again, whole."))
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(content)}\r\n"
            head += "retry-after: 2\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head.encode("ascii") + content)
        if self.cycle is not None:
            self.cycle.disconnected = True  # whoever waits for the rest of this body is told that it does not come
            self.cycle.message_event.set()
        if status == 503:
            self.transport.close()
            return
        self.transport.write_eof()
