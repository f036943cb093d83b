"""The signing proxy as a process: `python -m ledger_core.signing.proxy --socket S --state DIR --trust FILE ...`.

HTTP/1.1 on a Unix socket of mode 0600, by the standard library: little code beside the keys, up in a fraction of a
second.

    POST /v1/checkpoint          old tree, new leaf hashes, checkpoint -> 200 signed note | 409 fork, moved_on | 403
    GET  /v1/checkpoint?origin=  200 newest signed note | 404
    POST /v1/dsse                {"payload_type", "payload" (base64), "checkpoint"?} -> 200 DSSE envelope | 403
    GET  /v1/keys                200 {"envelopes": [...]}
    GET  /healthz                200 after a real signature

There is no route that signs a digest.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ledger_core.errors import (
    CounterfoilError,
    DependencyError,
    InvalidInput,
    SignerMovedOn,
    SignerRefused,
)
from ledger_core.log.note import decode_base64
from ledger_core.settings.signer import load_signer_settings
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.folder import hold_folder
from ledger_core.signing.payload import read_object
from ledger_core.signing.server import TimedHandler, UnixServer, say
from ledger_core.signing.service import SigningService
from ledger_core.signing.witness import MAX_REQUEST_BYTES, parse_request

MAX_BODY_BYTES = 32 * 1024 * 1024


class ProxyServer(UnixServer):
    """The transport, and the service behind it."""

    def __init__(self, socket_path: Path, service: SigningService) -> None:
        self.service = service
        super().__init__(socket_path, Handler)


class Handler(TimedHandler):
    """Translate requests to calls of the service, and errors to statuses."""

    server: ProxyServer

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        """Serve the routes that change nothing."""
        self._serve({"/healthz": self._health, "/v1/keys": self._keys, "/v1/checkpoint": self._latest})

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        """Serve the routes that sign."""
        self._serve({"/v1/checkpoint": self._checkpoint, "/v1/dsse": self._dsse})

    def _serve(self, routes: dict[str, Any]) -> None:
        try:
            address = urlsplit(self.path)
        except ValueError:
            address = urlsplit("")
        route = routes.get(address.path)
        if route is None:
            self.close_connection = True
            self._answer(404, {"code": "not_found", "detail": "no such route"})
            return
        try:
            route(address.query)
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

    def _checkpoint(self, _query: str) -> None:
        request = parse_request(self._body(MAX_REQUEST_BYTES))
        self._send(200, "text/plain; charset=utf-8", self.server.service.sign_checkpoint(request).encode())

    def _latest(self, query: str) -> None:
        self._nothing_more()
        origin = parse_qs(query).get("origin", [""])[0]
        note = self.server.service.latest(origin)
        if note is None:
            self._answer(404, {"code": "not_found", "detail": "nothing of this log was signed here"})
        else:
            self._send(200, "text/plain; charset=utf-8", note.encode())

    def _dsse(self, _query: str) -> None:
        value = read_object(self._body(MAX_BODY_BYTES))
        payload_type, payload, note = value.get("payload_type"), value.get("payload"), value.get("checkpoint")
        if not isinstance(payload_type, str) or not isinstance(payload, str):
            raise InvalidInput("payload_type and payload are text.", remedy="Send the payload in base64.")
        if note is not None and not isinstance(note, str):
            raise InvalidInput("checkpoint is a signed note.", remedy="Leave it out, or send its text.")
        envelope = self.server.service.sign_dsse(payload_type, decode_base64(payload), checkpoint=note)
        self._answer(200, envelope.as_json())

    def _keys(self, _query: str) -> None:
        self._nothing_more()
        self._answer(200, {"envelopes": self.server.service.keys()})

    def _health(self, _query: str) -> None:
        self._nothing_more()
        self._answer(200, {**self.server.service.health(), "pid": os.getpid()})

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
        self.server.works(self.connection)
        return body

    def _nothing_more(self) -> None:
        """Take no body: what would follow is another request, or somebody's attempt to hide one."""
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise InvalidInput("this route takes no body.", remedy="Send none.")
        self.server.works(self.connection)

    def _problem(self, status: int, error: CounterfoilError, **more: Any) -> None:
        say(f"{datetime.now(UTC).isoformat()} refused {status} {error.code}: {error}")
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
    parser.add_argument("--archive", type=Path, help="archive that the state may not be behind; read only")
    options = parser.parse_args(arguments)
    try:
        serve(options.socket, options.state, options.trust, options.origin_prefix, archive=options.archive)
    except CounterfoilError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def serve(
    socket_path: Path, folder: Path, trust_path: Path, origin_prefix: str, *, archive: Path | None = None
) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ConfigurationError` when another proxy has the folder."""
    # The server works from inside its socket's folder.
    socket_path, folder, trust_path = socket_path.absolute(), folder.absolute(), trust_path.absolute()
    archive = archive and archive.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket_path.parent.mkdir(parents=True, exist_ok=True)
    with hold_folder(folder):
        service = open_service(
            folder,
            trust_path=trust_path,
            origin_prefix=origin_prefix,
            settings=load_signer_settings(),
            clock=lambda: datetime.now(UTC),
            archive=archive,
        )
        with ProxyServer(socket_path, service) as server:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
            server.serve_forever(poll_interval=0.2)
        service.close()
        socket_path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
