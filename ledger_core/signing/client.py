"""The signing proxy's client: what the sequencer, the exporter and the API call.

Every request may be sent again: a checkpoint signed twice says the same, so a connection that the proxy
dropped is opened anew and the request repeated once. One connection a thread, kept open (`signing.channel`). A proxy
that did not answer several times in a row is not asked for a moment (`signing.breaker`), so that nobody waits for
one time-out after another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ledger_core.errors import (
    CounterfoilError,
    DependencyError,
    IntegrityError,
    InvalidInput,
    NotFound,
    RateLimited,
    SignerMovedOn,
    SignerRefused,
    SignerUnavailable,
)
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import decode_hash, encode_base64, parse_checkpoint, parse_note
from ledger_core.signing.breaker import Breaker
from ledger_core.signing.channel import Channel, Heard, Lost
from ledger_core.signing.port import MAX_LEAVES
from ledger_core.signing.tls import TlsFiles
from ledger_core.signing.witness import format_request

TIMEOUT_SECONDS = 15.0
REMEDY = "`counterfoil up` starts it; one that COUNTERFOIL_SIGNING__URL names: docs/runbooks/signing-proxy.md."


class SigningClient:
    """Speak to the proxy at `address`: a Unix socket's path, or `https://host:port` with the certificates `tls`.

    Safe for threads; fulfils `CheckpointSigner`. `on_refused` hears of every refusal, with the origin concerned.
    """

    def __init__(
        self,
        address: Path | str,
        *,
        tls: TlsFiles | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        breaker: Breaker | None = None,
        on_refused: Callable[[str, SignerRefused], None] | None = None,
    ) -> None:
        """Raises `ConfigurationError` for an address or certificates that cannot be used."""
        self._channel = Channel(address, tls=tls, timeout_seconds=timeout_seconds)
        self._breaker = breaker or Breaker()
        self._on_refused = on_refused

    def sign_checkpoint(self, *, origin: str, old: Frontier, leaves: Sequence[bytes], root: bytes) -> str:
        """Return the signed note for `origin` at `root`, or that of a larger size signed before.

        `old` is the tree signed last, `leaves` the leaf hashes of every record since; `root` is what both make. Raises
        `SignerRefused` for a fork, `SignerMovedOn` when the last size signed is neither `old.size` nor past the one
        asked for (its `latest` is the note to go on from), `DependencyError` when the proxy is away.
        """
        assert len(leaves) <= MAX_LEAVES, "a longer tail is signed in steps"
        size = old.size + len(leaves)
        request = format_request(origin, old, leaves, root)
        note = self._call_about(lambda: origin, "POST", "/v1/checkpoint", request).decode("utf-8")
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
            route = f"/v1/checkpoint?origin={quote(origin, safe='')}"
            return self._call_about(lambda: origin, "GET", route).decode("utf-8")
        except NotFound:
            return None

    def sign_dsse(self, payload_type: str, payload: bytes, *, checkpoint: str | None = None) -> dict[str, Any]:
        """Return the DSSE envelope (JSON form) over `payload`. Raises as `sign_checkpoint` does.

        A manifest needs the signed note of the tree that it ends at: `checkpoint`.
        """
        asked = {"payload_type": payload_type, "payload": encode_base64(payload)}
        if checkpoint is not None:
            asked["checkpoint"] = checkpoint
        data = self._call_about(lambda: _origin_in(payload), "POST", "/v1/dsse", json.dumps(asked).encode())
        envelope: dict[str, Any] = json.loads(data)
        return envelope

    def keys(self) -> list[dict[str, Any]]:
        """Return the key registry's envelopes, oldest version first."""
        envelopes: list[dict[str, Any]] = self._json("GET", "/v1/keys")["envelopes"]
        return envelopes

    def remembered(self) -> dict[str, tuple[int, bytes]]:
        """Return size and root that were signed last, by log. The proxy signs nothing for it."""
        found = self._json("GET", "/v1/keys").get("last")
        if not isinstance(found, dict):
            raise DependencyError(
                "the signing proxy is of an older release, which does not say what it signed last.",
                file=self._channel.name,
                remedy="Bring the proxy to this release first.",
            )
        return {origin: (int(size), decode_hash(root)) for origin, (size, root) in found.items()}

    def health(self) -> dict[str, Any]:
        """Return what the proxy says of itself after a real signature: `status`, `assurance`, `key_id`, `pid`, ..."""
        return self._json("GET", "/healthz")

    def close(self) -> None:
        """Close this thread's connection."""
        self._channel.close()

    def _json(self, method: str, route: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._call(method, route))
        return value

    def _call_about(self, origin: Callable[[], str], method: str, route: str, body: bytes | None = None) -> bytes:
        try:
            return self._call(method, route, body)
        except SignerRefused as refusal:
            if self._on_refused is not None:
                self._on_refused(origin(), refusal)
            raise

    def _call(self, method: str, route: str, body: bytes | None = None) -> bytes:
        wait = self._breaker.wait_seconds()
        if wait:
            raise SignerUnavailable(
                f"the signing proxy did not answer {self._breaker.failed} times in a row "
                f"({self._breaker.last_error}); it is asked again in {wait:.1f} s.",
                file=self._channel.name,
                remedy=REMEDY,
                retry_after_seconds=ceil(wait),
            )
        try:
            heard = self._exchange(method, route, body)
        except Lost as error:
            self._breaker.gone(str(error))
            raise DependencyError(
                f"the signing proxy does not answer: {error}.", file=self._channel.name, remedy=REMEDY
            ) from error
        except BaseException:
            # Given up by whoever asked. Nobody else will say how it went, and the breaker waits to hear it.
            self._breaker.gone("given up")
            raise
        if heard.status == 200:
            self._breaker.succeeded()
            return heard.data
        refusal = _error_of(heard)
        if type(refusal) is DependencyError:
            self._breaker.gone(refusal.message)
        else:
            self._breaker.succeeded()
        raise refusal

    def _exchange(self, method: str, route: str, body: bytes | None) -> Heard:
        try:
            return self._channel.exchange(method, route, body)
        except Lost as error:
            # A proxy that was restarted leaves a dead connection behind; a fresh one tells whether it is back.
            if not error.again:
                raise
        return self._channel.exchange(method, route, body)


def _origin_in(payload: bytes) -> str:
    try:
        return str(json.loads(payload)["origin"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _error_of(heard: Heard) -> CounterfoilError:
    status = heard.status
    try:
        value = json.loads(heard.data)
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
    if status == 429:
        wait = heard.retry_after or ""
        return RateLimited(detail, remedy=remedy, retry_after_seconds=int(wait) if wait.isdecimal() else 1)
    if status == 503:
        return DependencyError(detail, remedy=remedy, reason=reason)
    return IntegrityError(detail, remedy=remedy)
