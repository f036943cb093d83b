"""Who may have what signed: the clients of the proxy by name, their origins and calls, and how many a second.

The file is JSON of a closed shape in the proxy's folder (docs/runbooks/signing-proxy.md); whoever is not in it has
nothing signed. Not who somebody is, which the transport knows (`signing.tls`). Invariants: a name is allowed exactly
what stands beside it, and no file can allow an origin or an envelope that the proxy itself would not sign.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger_core.errors import ConfigurationError, CounterfoilError, RateLimited, SignerRefused
from ledger_core.log.keys import origin_matches
from ledger_core.log.note import ORIGIN_PATTERN
from ledger_core.signing.payload import read_object
from ledger_core.signing.tls import is_identity

CLIENTS_FILE = "clients.json"
CALLS = ("checkpoint", "dsse", "keys", "health", "metrics")
MAX_FILE_BYTES = 256 * 1024
MAX_CLIENTS = 200
MAX_PER_SECOND = 10_000
SOCKET = "unix"
"""The name of whoever can open the Unix socket: its owner. No DNS name stands alone like this in a certificate."""
REMEDY = "See docs/runbooks/signing-proxy.md for its form."
_MEMBERS = frozenset({"origins", "calls", "payload_types", "per_second"})


class Bucket:
    """So many calls a second, and as many at once as come in two. Safe for threads."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._most, self._clock = per_second, max(1.0, 2 * per_second), clock
        self._left, self._seen = self._most, clock()
        self._guard = threading.Lock()

    def take(self) -> float:
        """Take one; return 0, or in how many seconds there is one."""
        with self._guard:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._seen) * self._per_second)
            self._seen = now
            if self._left >= 1.0:
                self._left -= 1.0
                return 0.0
            return (1.0 - self._left) / self._per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client: what it may. `bucket` None is no bound."""

    name: str
    origins: tuple[str, ...]
    calls: frozenset[str]
    payload_types: frozenset[str]
    bucket: Bucket | None = field(default=None, compare=False)

    def allows(self, origin: str) -> bool:
        """Say whether `origin` is one, and this client's."""
        return ORIGIN_PATTERN.match(origin) is not None and any(origin_matches(each, origin) for each in self.origins)

    def require_call(self, call: str) -> None:
        """Raise `SignerRefused` for a call that is not the client's, `RateLimited` for one too many."""
        if call not in self.calls:
            raise SignerRefused(
                f"{self.name} may not ask for {call}.", remedy=f"Allow it in {CLIENTS_FILE}.", reason="call"
            )
        wait = 0.0 if self.bucket is None else self.bucket.take()
        if wait:
            raise RateLimited(
                f"{self.name} has asked more often than it may.",
                remedy=f"Ask again in {wait:.2f} s, or raise `per_second` in {CLIENTS_FILE}.",
                retry_after_seconds=int(wait) + 1,
            )

    def require_type(self, payload_type: str) -> None:
        """Raise `SignerRefused` for an envelope that is not the client's to have signed."""
        if payload_type not in self.payload_types:
            raise SignerRefused(
                f"{self.name} may not have envelopes of type {payload_type!r:.80} signed.",
                remedy=f"Allow it in {CLIENTS_FILE}, if the proxy signs it at all.",
                reason="type",
            )


def socket_client(origin_prefix: str, payload_types: frozenset[str]) -> Client:
    """Return who speaks over the Unix socket: its owner, who may whatever the proxy does."""
    return Client(
        name=SOCKET,
        origins=(f"{origin_prefix.rstrip('/')}/*",),
        calls=frozenset(CALLS),
        payload_types=payload_types,
    )


def read_clients(path: Path, origin_prefix: str, payload_types: frozenset[str]) -> Mapping[str, Client]:
    """Return the clients that the file at `path` names. Raises `ConfigurationError` that says where it is wrong."""
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            data = file.read(MAX_FILE_BYTES + 1)
        if mode & 0o022:
            raise _wrong("", f"others may write it (mode {mode & 0o777:04o})")
        if len(data) > MAX_FILE_BYTES:
            raise _wrong("", f"it has more than {MAX_FILE_BYTES} bytes")
        return _read(read_object(data), origin_prefix, payload_types)
    except OSError as error:
        raise ConfigurationError(
            f"nobody is named who may have anything signed over TLS: {error.strerror}.", file=str(path), remedy=REMEDY
        ) from error
    except CounterfoilError as error:
        raise ConfigurationError(error.message, file=str(path), pointer=error.pointer, remedy=REMEDY) from error


def _read(value: dict[str, Any], origin_prefix: str, payload_types: frozenset[str]) -> Mapping[str, Client]:
    if set(value) != {"clients"} or not isinstance(value["clients"], dict):
        raise _wrong("", "it is an object with `clients`, an object by name, and nothing else")
    clients = value["clients"]
    if not 0 < len(clients) <= MAX_CLIENTS:
        raise _wrong("/clients", f"it names 1 to {MAX_CLIENTS} clients")
    return {name: _client(name, entry, origin_prefix, payload_types) for name, entry in clients.items()}


def _client(name: str, entry: Any, origin_prefix: str, payload_types: frozenset[str]) -> Client:
    at = f"/clients/{name.replace('~', '~0').replace('/', '~1')}"
    if not is_identity(name) or name == SOCKET:
        raise _wrong(at, "a client is called by the URI of its certificate, or its DNS name in lower case")
    if not isinstance(entry, dict):
        raise _wrong(at, "an object is expected")
    for unknown in sorted(set(entry) - _MEMBERS):
        raise _wrong(f"{at}/{unknown}", "no such member")
    calls = _words(entry.get("calls"), f"{at}/calls", frozenset(CALLS))
    origins = _texts(entry.get("origins", []), f"{at}/origins")
    types = _words(entry.get("payload_types", []), f"{at}/payload_types", payload_types)
    for index, origin in enumerate(origins):
        below = f"{origin_prefix.rstrip('/')}/*"
        if origin != below and (ORIGIN_PATTERN.match(origin) is None or not origin_matches(below, origin)):
            raise _wrong(f"{at}/origins/{index}", f"{below}, or one origin below it, is expected")
    if calls & {"checkpoint", "dsse"} and not origins:
        raise _wrong(f"{at}/origins", "whoever has something signed has origins")
    if ("dsse" in calls) != bool(types):
        raise _wrong(f"{at}/payload_types", "they go with the call `dsse`, and it with them")
    rate: Any = entry.get("per_second")
    if type(rate) not in (int, float) or not 0 < rate <= MAX_PER_SECOND:
        raise _wrong(f"{at}/per_second", f"a number above 0 and up to {MAX_PER_SECOND} is expected")
    return Client(name=name, origins=tuple(origins), calls=calls, payload_types=types, bucket=Bucket(float(rate)))


def _texts(value: Any, at: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(at, "a list of texts is expected")
    return value


def _words(value: Any, at: str, known: frozenset[str]) -> frozenset[str]:
    for index, word in enumerate(_texts(value, at)):
        if word not in known:
            raise _wrong(f"{at}/{index}", f"{word!r:.80} is none of {', '.join(sorted(known))}")
    return frozenset(value)


def _wrong(pointer: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"the list of clients cannot be read: {what}.", pointer=pointer or None)
