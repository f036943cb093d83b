"""The signing proxy as a process: `python -m ledger_core.signing.proxy --socket S --state DIR --trust FILE ...`.

HTTP/1.1 on a Unix socket of mode 0600, or by mutual TLS on a port (`--listen host:port --tls-cert --tls-key
--client-ca`), by the standard library: little code beside the keys, up in a fraction of a second.

    POST /v1/checkpoint          old tree, new leaf hashes, checkpoint -> 200 signed note | 409 fork, moved_on | 403
    GET  /v1/checkpoint?origin=  200 newest signed note | 404
    POST /v1/dsse                {"payload_type", "payload" (base64), "checkpoint"?} -> 200 DSSE envelope | 403
    GET  /v1/keys                200 {"envelopes": [...], "last": {origin: [size, root]}}, without a signature
    GET  /healthz                200 after a real signature
    GET  /metrics                200 what Prometheus reads

A client that asks too often is answered 429 with Retry-After. There is no route that signs a digest.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ledger_core.base.files import unusable
from ledger_core.errors import (
    CounterfoilError,
    DependencyError,
    InvalidInput,
    RateLimited,
    SignerMovedOn,
    SignerRefused,
)
from ledger_core.log.note import decode_base64, encode_base64, parse_checkpoint, parse_note
from ledger_core.settings.signer import load_signer_settings
from ledger_core.signing.anchors import open_archive
from ledger_core.signing.clients import Client
from ledger_core.signing.folder import hold_folder
from ledger_core.signing.gate import Gate, Line
from ledger_core.signing.listeners import GatedHandler, SocketListener, TlsListener, parse_address
from ledger_core.signing.measures import CONTENT_TYPE
from ledger_core.signing.opening import open_gate
from ledger_core.signing.payload import read_object
from ledger_core.signing.production import refuse_what_is_weak
from ledger_core.signing.server import say
from ledger_core.signing.tls import TlsContext, TlsFiles
from ledger_core.signing.witness import MAX_REQUEST_BYTES, parse_request

MAX_BODY_BYTES = 32 * 1024 * 1024
STOP_POLL_SECONDS = 0.05
"""How long a signal to stop may go unseen: whoever changes keys or ends a home waits for it."""

TEXT, JSON = "text/plain; charset=utf-8", "application/json"
Reply = tuple[int, str, bytes]
"""Status, type and body of an answer."""
Route = Callable[[Client, Line, str], Reply]


class Handler(GatedHandler):
    """Translate requests to calls of the service, and errors to statuses."""

    _is_taken = False
    """Whether all of the request has been read."""

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        """Serve the routes that change nothing."""
        self._serve(
            {
                "/healthz": ("health", self._health),
                "/metrics": ("metrics", self._metrics),
                "/v1/keys": ("keys", self._keys),
                "/v1/checkpoint": ("checkpoint", self._latest),
            }
        )

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        """Serve the routes that sign."""
        self._serve({"/v1/checkpoint": ("checkpoint", self._checkpoint), "/v1/dsse": ("dsse", self._dsse)})

    @property
    def gate(self) -> Gate:
        """What stands between a request and the service."""
        return self.server.gate

    def _serve(self, routes: dict[str, tuple[str, Route]]) -> None:
        try:
            address = urlsplit(self.path)
        except ValueError:
            address = urlsplit("")
        found = routes.get(address.path)
        if found is None:
            self.close_connection = True
            self._answer(404, {"code": "not_found", "detail": "no such route"})
            return
        call, route = found
        self._is_taken = False
        try:
            reply = self.gate.run(self.identity, call, lambda client, line: route(client, line, address.query))
        except CounterfoilError as error:
            self._problem(error)
        else:
            self._send(*reply)

    def _checkpoint(self, client: Client, line: Line, _query: str) -> Reply:
        request = parse_request(self._body(MAX_REQUEST_BYTES))
        asked = request.checkpoint
        line.update(origin=asked.origin, size=asked.size, root=encode_base64(asked.root))
        _require_origin(client, asked.origin)
        note = self.gate.service.sign_checkpoint(request)
        # What is signed may be larger than what was asked.
        _note_signed(line, note)
        return 200, TEXT, note.encode()

    def _latest(self, client: Client, line: Line, query: str) -> Reply:
        self._nothing_more()
        origin = parse_qs(query).get("origin", [""])[0]
        line["origin"] = origin[:500]
        _require_origin(client, origin)
        note = self.gate.service.latest(origin)
        if note is None:
            return _json(404, {"code": "not_found", "detail": "nothing of this log was signed here"})
        _note_signed(line, note)
        return 200, TEXT, note.encode()

    def _dsse(self, client: Client, line: Line, _query: str) -> Reply:
        value = read_object(self._body(MAX_BODY_BYTES))
        payload_type, payload, note = value.get("payload_type"), value.get("payload"), value.get("checkpoint")
        if not isinstance(payload_type, str) or not isinstance(payload, str):
            raise InvalidInput("payload_type and payload are text.", remedy="Send the payload in base64.")
        if note is not None and not isinstance(note, str):
            raise InvalidInput("checkpoint is a signed note.", remedy="Leave it out, or send its text.")
        line["payload_type"] = payload_type[:200]
        data = decode_base64(payload)
        client.require_type(payload_type)

        def check(origin: str) -> None:
            line["origin"] = origin
            _require_origin(client, origin)

        envelope = self.gate.service.sign_dsse(payload_type, data, checkpoint=note, check=check)
        return _json(200, envelope.as_json())

    def _keys(self, client: Client, _line: Line, _query: str) -> Reply:
        self._nothing_more()
        # Without a signature: who changes keys asks while the key is switched off.
        last = {name: item for name, item in self.gate.service.remembered().items() if client.allows(name)}
        return _json(200, {"envelopes": self.gate.service.keys(), "last": last})

    def _health(self, client: Client, _line: Line, _query: str) -> Reply:
        self._nothing_more()
        found = self.gate.service.health()
        # Of other clients' logs nothing is said.
        found["signed_sizes"] = {name: size for name, size in found["signed_sizes"].items() if client.allows(name)}
        found["origins"] = [name for name in found["origins"] if client.allows(name)]
        head = self.gate.log.head
        return _json(200, {**found, "calls": {"lines": head.lines, "hash": head.hash}, "pid": os.getpid()})

    def _metrics(self, _client: Client, _line: Line, _query: str) -> Reply:
        self._nothing_more()
        return 200, CONTENT_TYPE, self.gate.text_of_measures().encode()

    def _body(self, limit: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        # Ten digits are past every limit, and short of what takes long to read as a number.
        if not length.isascii() or not length.isdecimal() or len(length) > 10 or int(length) > limit:
            self.close_connection = True
            raise InvalidInput(f"a body of a stated length up to {limit} bytes is needed.", remedy="Shorten it.")
        try:
            body = self.read_body(int(length))
        except TimeoutError as error:
            self.close_connection = True
            raise InvalidInput(f"the body did not arrive: {error}.", remedy="Send all of it at once.") from error
        if len(body) < int(length):
            self.close_connection = True
            raise InvalidInput(f"the body ends after {len(body)} of {length} bytes.", remedy="Send all of it.")
        self._is_taken = True
        self.server.works(self.connection)
        return body

    def _nothing_more(self) -> None:
        """Take no body: what would follow is another request, or somebody's attempt to hide one."""
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise InvalidInput("this route takes no body.", remedy="Send none.")
        self._is_taken = True
        self.server.works(self.connection)

    def _problem(self, error: CounterfoilError) -> None:
        status = _status_of(error)
        reason = error.context.get("reason")
        if not self._is_taken:
            # Refused before its body was read, which would be taken for another request.
            self.close_connection = True
        say(f"{datetime.now(UTC).isoformat()} refused {status} {error.code}: {error}")
        latest = error.latest if isinstance(error, SignerMovedOn) else error.context.get("latest")
        value = {"code": error.code, "detail": error.message, "remedy": error.remedy}
        value |= {"reason": reason, "latest": latest}
        wait = error.retry_after_seconds if isinstance(error, DependencyError) and status in (429, 503) else None
        self._send(*_json(status, value), retry_after=wait)

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        self._send(*_json(status, value))

    def _send(self, status: int, kind: str, data: bytes, *, retry_after: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(data)


def _json(status: int, value: dict[str, Any]) -> Reply:
    return status, JSON, json.dumps(value).encode()


def _status_of(error: CounterfoilError) -> int:
    if isinstance(error, InvalidInput):
        return 400
    if isinstance(error, SignerRefused):
        return 409 if error.context.get("reason") in ("fork", "unknown_history") else 403
    if isinstance(error, RateLimited):
        return 429
    if isinstance(error, SignerMovedOn):
        return 409
    return 503 if isinstance(error, DependencyError) else 500


def _require_origin(client: Client, origin: str) -> None:
    if not client.allows(origin):
        raise SignerRefused(
            f"the log {origin!r:.80} is not {client.name}'s.",
            remedy=f"Its origins are {', '.join(client.origins) or 'none'}.",
            reason="origin",
        )


def _note_signed(line: Line, note: str) -> None:
    signed = parse_checkpoint(parse_note(note).text)
    line.update(origin=signed.origin, size=signed.size, root=encode_base64(signed.root))


def main(arguments: list[str] | None = None) -> int:
    """Run the proxy until it is told to stop; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m ledger_core.signing.proxy", description=__doc__.split("\n")[0])
    parser.add_argument("--socket", type=Path, help="Unix socket for its owner; refused in staging and production")
    parser.add_argument("--listen", type=parse_address, metavar="HOST:PORT", help="where mutual TLS is spoken")
    parser.add_argument("--tls-cert", type=Path, help="the proxy's certificate, PEM, with those between it and its CA")
    parser.add_argument("--tls-key", type=Path, help="its key, PEM, mode 0400")
    parser.add_argument("--client-ca", type=Path, help="certificates of the authorities of clients, PEM")
    parser.add_argument("--state", type=Path, required=True, help="folder of registry, witness state, clients.json")
    parser.add_argument("--trust", type=Path, required=True, help="trust file, written at the first start")
    parser.add_argument("--origin-prefix", required=True, help="<domain>/<env>/ of the logs signed here")
    parser.add_argument(
        "--archive", help="archive that the state may not be behind, a path or s3://bucket/prefix; read only"
    )
    try:
        options = parser.parse_args(arguments)
        files = (options.tls_cert, options.tls_key, options.client_ca)
        if (options.listen is None) != (None in files) or (options.listen is None and any(files)):
            parser.error("--listen, --tls-cert, --tls-key and --client-ca go together")
        if options.listen is None and options.socket is None:
            parser.error("one of --socket and --listen is needed")
        serve(
            options.socket,
            options.state,
            options.trust,
            options.origin_prefix,
            archive=options.archive,
            listen=options.listen,
            tls=None if None in files else TlsFiles(certificate=files[0], key=files[1], authority=files[2]),
        )
    except (CounterfoilError, OSError) as error:
        told = error if isinstance(error, CounterfoilError) else unusable(error)
        sys.stderr.write(f"{told}\n")
        return 2
    return 0


def serve(
    socket_path: Path | None,
    folder: Path,
    trust_path: Path,
    origin_prefix: str,
    *,
    archive: str | None = None,
    listen: tuple[str, int] | None = None,
    tls: TlsFiles | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ConfigurationError` when another proxy has the folder."""
    # The server works from inside its socket's folder.
    socket_path, folder, trust_path = socket_path and socket_path.absolute(), folder.absolute(), trust_path.absolute()
    tls, settings = tls and tls.absolute(), load_signer_settings()
    place = open_archive(archive, settings)
    refuse_what_is_weak(settings, folder, trust_path, socket_path=socket_path, archive=place)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Before anything is made: a certificate that cannot be used is an error of whoever started this.
    context = None if tls is None else TlsContext(tls, server=True, on_stale=say)
    with hold_folder(folder), ExitStack() as stack:
        gate = open_gate(
            folder,
            trust_path=trust_path,
            origin_prefix=origin_prefix,
            settings=settings,
            clock=lambda: datetime.now(UTC),
            archive=place,
            over_tls=context is not None,
            over_socket=socket_path is not None,
        )
        stack.callback(gate.close)
        servers: list[SocketListener | TlsListener] = []
        if listen is not None and context is not None:
            servers.append(stack.enter_context(TlsListener(listen, gate, context, Handler)))
        if socket_path is not None:
            socket_path.parent.mkdir(parents=True, exist_ok=True)
            servers.append(stack.enter_context(SocketListener(socket_path, gate, Handler)))
            stack.callback(socket_path.unlink, missing_ok=True)
        _serve_all(servers)


def _serve_all(servers: list[SocketListener | TlsListener]) -> None:
    def stop(*_: object) -> None:
        for server in servers:
            threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    others = [threading.Thread(target=server.serve_forever, args=(STOP_POLL_SECONDS,)) for server in servers[1:]]
    for thread in others:
        thread.start()
    servers[0].serve_forever(poll_interval=STOP_POLL_SECONDS)
    for thread in others:
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
