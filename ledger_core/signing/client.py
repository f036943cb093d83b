"""The signing proxy's client: what the sequencer, the exporter and the API call.

Every request may be sent again: a checkpoint signed twice says the same, so a connection that the proxy
dropped is opened anew and the request repeated once. One connection a thread, kept open.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ledger_core.errors import DependencyError, IntegrityError, InvalidInput, NotFound, SignerMovedOn, SignerRefused
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import encode_base64, parse_checkpoint, parse_note
from ledger_core.signing.port import MAX_LEAVES
from ledger_core.signing.witness import format_request

TIMEOUT_SECONDS = 15.0
MAX_ADDRESS_BYTES = 100
"""A Unix socket's address holds 104 bytes on macOS and 108 on Linux."""


class SigningClient:
    """Speak to the proxy on the Unix socket at `socket_path`. Safe for threads; fulfils `CheckpointSigner`."""

    def __init__(self, socket_path: Path | str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._path = Path(socket_path)
        self._timeout_seconds = timeout_seconds
        self._local = threading.local()

    def sign_checkpoint(self, *, origin: str, old: Frontier, leaves: Sequence[bytes], root: bytes) -> str:
        """Return the signed note for `origin` at `root`, or that of a larger size signed before.

        `old` is the tree signed last, `leaves` the leaf hashes of every record since; `root` is what both make. Raises
        `SignerRefused` for a fork, `SignerMovedOn` when the last size signed is neither `old.size` nor past the one
        asked for (its `latest` is the note to go on from), `DependencyError` when the proxy is away.
        """
        assert len(leaves) <= MAX_LEAVES, "a longer tail is signed in steps"
        size = old.size + len(leaves)
        note = self._call("POST", "/v1/checkpoint", format_request(origin, old, leaves, root)).decode("utf-8")
        found = parse_checkpoint(parse_note(note).text)
        if found.origin != origin or found.size < size or (found.size == size and found.root != root):
            raise IntegrityError(
                f"the signing proxy answered with a checkpoint of {found.origin} at size {found.size}.",
                remedy="It is not the proxy of this home, or it is broken: stop it.",
            )
        return note

    def latest(self, origin: str) -> str | None:
        """Return the newest signed note of `origin`, or None when nothing of it was ever signed."""
        try:
            return self._call("GET", f"/v1/checkpoint?origin={quote(origin, safe='')}").decode("utf-8")
        except NotFound:
            return None

    def sign_dsse(self, payload_type: str, payload: bytes, *, checkpoint: str | None = None) -> dict[str, Any]:
        """Return the DSSE envelope (JSON form) over `payload`. Raises as `sign_checkpoint` does.

        A manifest needs the signed note of the tree that it ends at: `checkpoint`.
        """
        asked = {"payload_type": payload_type, "payload": encode_base64(payload)}
        if checkpoint is not None:
            asked["checkpoint"] = checkpoint
        return self._json("POST", "/v1/dsse", json.dumps(asked).encode())

    def keys(self) -> list[dict[str, Any]]:
        """Return the key registry's envelopes, oldest version first."""
        envelopes: list[dict[str, Any]] = self._json("GET", "/v1/keys")["envelopes"]
        return envelopes

    def health(self) -> dict[str, Any]:
        """Return what the proxy says of itself after a real signature: `status`, `assurance`, `key_id`, `pid`, ..."""
        return self._json("GET", "/healthz")

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _json(self, method: str, route: str, body: bytes | None = None) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._call(method, route, body))
        return value

    def _call(self, method: str, route: str, body: bytes | None = None) -> bytes:
        for attempt in (1, 2):
            try:
                return self._exchange(method, route, body)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # A proxy that was restarted leaves a dead connection behind; a fresh one tells whether it is back.
                if attempt == 2 or isinstance(error, TimeoutError | FileNotFoundError | ConnectionRefusedError):
                    raise DependencyError(
                        f"the signing proxy does not answer: {error or type(error).__name__}.",
                        file=str(self._path),
                        remedy="`counterfoil up` starts it.",
                    ) from error
        raise AssertionError("unreachable")

    def _exchange(self, method: str, route: str, body: bytes | None) -> bytes:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _UnixConnection(self._path, self._timeout_seconds)
        connection.request(method, route, body=body)
        response = connection.getresponse()
        data: bytes = response.read()
        if response.status == 200:
            return data
        raise _error_of(response.status, data)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        if len(os.fsencode(self._path)) <= MAX_ADDRESS_BYTES:
            self._connect(str(self._path))
            return
        # Linux: a folder's descriptor stands for its long path.
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            self._connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)

    def _connect(self, address: str) -> None:
        deadline = time.monotonic() + (self.timeout or TIMEOUT_SECONDS)
        while True:
            try:
                self.sock.connect(address)
                return
            except BlockingIOError:
                # More connect at once than the socket's queue holds; a Unix socket does not wait by itself.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)

    def __del__(self) -> None:
        # A thread that ends takes its connection with it; pools end theirs when they are idle.
        self.close()


def _error_of(status: int, data: bytes) -> Exception:
    try:
        value = json.loads(data)
        detail, remedy = str(value["detail"]), value.get("remedy")
        reason, latest = value.get("reason"), value.get("latest")
    except (ValueError, KeyError, TypeError, AttributeError):
        return DependencyError(f"the signing proxy answered {status}.", remedy="See its log.")
    if status == 404:
        return NotFound(detail, remedy=remedy)
    if status == 400:
        return InvalidInput(f"the signing proxy: {detail}", remedy=remedy)
    if value.get("code") == SignerMovedOn.code:
        return SignerMovedOn(detail, remedy=remedy, latest=latest)
    if value.get("code") == SignerRefused.code:
        return SignerRefused(detail, remedy=remedy, reason=reason, latest=latest)
    if status == 503:
        return DependencyError(detail, remedy=remedy)
    return IntegrityError(detail, remedy=remedy)
