"""The signing proxy as a process: `python -m ledger_core.signing.proxy --socket S --state DIR --trust FILE ...`.

HTTP/1.1 on a Unix socket of mode 0600, by the standard library: little code beside the keys, up in a fraction of a
second.

    POST /v1/checkpoint          C2SP add-checkpoint body -> 200 signed note | 409 fork, moved_on | 403
    GET  /v1/checkpoint?origin=  200 newest signed note | 404
    POST /v1/dsse                {"payload_type", "payload" (base64)} -> 200 DSSE envelope | 403
    GET  /v1/keys                200 {"envelopes": [...]}
    GET  /healthz                200 after a real signature

There is no route that signs a digest.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import socketserver
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ledger_core.errors import (
    ConfigurationError,
    CounterfoilError,
    DependencyError,
    InvalidInput,
    SignerMovedOn,
    SignerRefused,
)
from ledger_core.log.note import decode_base64
from ledger_core.settings.signer import load_signer_settings
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.service import SigningService
from ledger_core.signing.witness import parse_request

MAX_BODY_BYTES = 32 * 1024 * 1024
IDLE_SECONDS = 600


class ProxyServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread a connection, on a socket that only its owner may open."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, socket_path: Path, service: SigningService) -> None:
        self.service = service
        socket_path.unlink(missing_ok=True)
        # A socket's path has about 100 bytes; from inside its folder the name alone will do.
        os.chdir(socket_path.parent)
        before = os.umask(0o177)
        try:
            super().__init__(socket_path.name, Handler)
        finally:
            os.umask(before)


class Handler(BaseHTTPRequestHandler):
    """Translate requests to calls of the service, and errors to statuses."""

    protocol_version = "HTTP/1.1"
    server_version = "counterfoil-signer"
    sys_version = ""
    timeout = IDLE_SECONDS
    wbufsize = -1
    server: ProxyServer

    def do_GET(self) -> None:
        """Serve the routes that change nothing."""
        self._serve({"/healthz": self._health, "/v1/keys": self._keys, "/v1/checkpoint": self._latest})

    def do_POST(self) -> None:
        """Serve the routes that sign."""
        self._serve({"/v1/checkpoint": self._checkpoint, "/v1/dsse": self._dsse})

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet about requests; refusals are written where they are decided."""

    def address_string(self) -> str:
        """Return a name for the peer, which on a Unix socket has none."""
        return "unix"

    def _serve(self, routes: dict[str, Any]) -> None:
        route = routes.get(urlsplit(self.path).path)
        if route is None:
            self.close_connection = True
            self._answer(404, {"code": "not_found", "detail": "no such route"})
            return
        try:
            route()
        except InvalidInput as error:
            self._problem(400, error)
        except SignerRefused as error:
            self._problem(409 if error.context.get("reason") in ("fork", "unknown_history") else 403, error)
        except SignerMovedOn as error:
            self._problem(409, error, latest=error.latest)
        except DependencyError as error:
            self._problem(503, error)
        except CounterfoilError as error:
            self._problem(500, error)

    def _checkpoint(self) -> None:
        note = self.server.service.sign_checkpoint(parse_request(self._body()))
        self._send(200, "text/plain; charset=utf-8", note.encode())

    def _latest(self) -> None:
        origin = parse_qs(urlsplit(self.path).query).get("origin", [""])[0]
        note = self.server.service.latest(origin)
        if note is None:
            self._answer(404, {"code": "not_found", "detail": "nothing of this log was signed here"})
        else:
            self._send(200, "text/plain; charset=utf-8", note.encode())

    def _dsse(self) -> None:
        try:
            value = json.loads(self._body())
            payload_type, payload = value["payload_type"], value["payload"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"expected payload_type and payload: {error}.", remedy="Send a JSON object.") from error
        if not isinstance(payload_type, str) or not isinstance(payload, str):
            raise InvalidInput("payload_type and payload are text.", remedy="Send the payload in base64.")
        self._answer(200, self.server.service.sign_dsse(payload_type, decode_base64(payload)).as_json())

    def _keys(self) -> None:
        self._answer(200, {"envelopes": self.server.service.keys()})

    def _health(self) -> None:
        self._answer(200, {**self.server.service.health(), "pid": os.getpid()})

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise InvalidInput(
                f"a body of a stated length up to {MAX_BODY_BYTES} bytes is needed.", remedy="Shorten it."
            )
        return self.rfile.read(int(length))

    def _problem(self, status: int, error: CounterfoilError, **more: Any) -> None:
        sys.stderr.write(f"{datetime.now(UTC).isoformat()} refused {status} {error.code}: {error}\n")
        more = {"reason": error.context.get("reason"), "latest": error.context.get("latest"), **more}
        self._answer(status, {"code": error.code, "detail": error.message, "remedy": error.remedy, **more})

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main(arguments: list[str] | None = None) -> int:
    """Run the proxy until it is told to stop; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m ledger_core.signing.proxy", description=__doc__.split("\n")[0])
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder of key, registry and witness state")
    parser.add_argument("--trust", type=Path, required=True, help="trust file, written at the first start")
    parser.add_argument("--origin-prefix", required=True, help="<domain>/<env>/ of the logs signed here")
    options = parser.parse_args(arguments)
    try:
        serve(options.socket, options.state, options.trust, options.origin_prefix)
    except CounterfoilError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def serve(socket_path: Path, folder: Path, trust_path: Path, origin_prefix: str) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ConfigurationError` when another proxy has the folder."""
    socket_path, folder, trust_path = socket_path.absolute(), folder.absolute(), trust_path.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket_path.parent.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                "another signing proxy runs on this folder.", file=str(folder), remedy="Stop it, or use it."
            ) from error
        service = open_service(
            folder,
            trust_path=trust_path,
            origin_prefix=origin_prefix,
            settings=load_signer_settings(),
            clock=lambda: datetime.now(UTC),
        )
        with ProxyServer(socket_path, service) as server:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
            server.serve_forever(poll_interval=0.2)
        service.close()
        socket_path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
