"""A real time-stamping authority of RFC 3161: `openssl ts -reply`, behind HTTP on the loopback."""

from __future__ import annotations

import dataclasses
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Without the chain: what OpenSSL 3.0 makes of two certificates is not in the order that DER asks for.
CONFIG = """
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
ess_cert_id_alg = sha256
"""
EXTENSIONS = (
    "[tsa]\nextendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\nbasicConstraints=CA:FALSE\n"
)


@dataclasses.dataclass(slots=True)
class Authority:
    """A time-stamping authority; `answer` may be replaced by what a broken one says."""

    folder: Path
    url: str = ""
    asked: int = 0
    answer: Callable[[bytes], bytes] | None = None

    @property
    def root(self) -> str:
        return (self.folder / "ca.pem").read_text()

    def reply(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        openssl("ts", "-reply", "-config", "config", "-queryfile", "query", "-out", "reply", folder=self.folder)
        return (self.folder / "reply").read_bytes()

    def stamp(self, data: bytes) -> bytes:
        """The response over `data`, as somebody gets it who asks."""
        (self.folder / "data").write_bytes(data)
        openssl("ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "asked", folder=self.folder)
        return self.reply((self.folder / "asked").read_bytes())


def openssl(*arguments: str, folder: Path) -> str:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def make_authority(folder: Path) -> Authority:
    folder.mkdir()
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Root", "-days", "30",
            folder=folder)  # fmt: skip
    openssl("req", *new_key, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Stamper", folder=folder)
    (folder / "ext").write_text(EXTENSIONS)
    openssl("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tsa.pem",
            "-days", "20", "-extfile", "ext", "-extensions", "tsa", folder=folder)  # fmt: skip
    (folder / "config").write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    return Authority(folder)


@contextmanager
def serving(folder: Path) -> Iterator[Authority]:
    """An authority with its own root in `folder`, and an address."""
    made = make_authority(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.asked += 1
            query = self.rfile.read(int(self.headers["Content-Length"]))
            body = (made.answer or made.reply)(query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        made.url = f"http://127.0.0.1:{server.server_port}/tsa"
        yield made
        server.shutdown()
