"""A KMS on loopback that speaks AWS's JSON 1.1 and really signs, and that can be told to fail as AWS does.

Public emulators hash a digest a second time and have no Ed25519, so that a wrong signer passes on them. This one signs
what it is told to sign, encrypts under the context that it is told, and holds every request and answer against
botocore's own model of the service.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

REGION = "eu-central-1"
ACCOUNT = "111122223333"
MODEL = ServiceModel(Loader().load_service_model("kms", "service-2"))
PRIVATE = {
    "ECC_NIST_P256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ECC_NIST_EDWARDS25519": ed25519.Ed25519PrivateKey.generate,
    "SYMMETRIC_DEFAULT": lambda: AESGCM.generate_key(256),
}


@dataclass(slots=True, kw_only=True)
class Key:
    """A key of KMS, and what DescribeKey says of it."""

    arn: str
    private: Any
    spec: str
    usage: str = "SIGN_VERIFY"
    state: str = "Enabled"
    origin: str = "AWS_KMS"


class Refusal(Exception):
    """An error as KMS answers it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass(slots=True)
class Kms:
    """What the server holds, what it was asked, and what it is to do wrong."""

    keys: dict[str, Key] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    connections: int = 0
    faults: list[str] = field(default_factory=list)
    trouble: deque[Any] = field(default_factory=deque)
    """For the next requests: a `Refusal`, `drop`, `html`, `half`, `{}` or seconds to wait; then all is well again."""
    hashes_twice: bool = False
    poses_as: str = ""
    """The key that it says it used, where that is another one."""
    expired: str = "never"
    """The session token that has had its time."""
    url: str = ""

    def make(self, name: str, spec: str = "ECC_NIST_P256", **told: str) -> str:
        arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"
        self.keys[arn] = Key(arn=arn, private=PRIVATE.get(spec, PRIVATE["ECC_NIST_P256"])(), spec=spec, **told)
        return arn

    def signatures_asked(self, arn: str | None = None) -> int:
        return sum(name == "Sign" and arn in (None, asked["KeyId"]) for name, asked in self.asked)

    def find(self, key_id: str) -> Key:
        if f":{REGION}:" not in key_id:
            raise Refusal("NotFoundException", f"Invalid arn {key_id.split(':')[3]}")
        if key_id not in self.keys:
            raise Refusal("NotFoundException", f"Key '{key_id}' does not exist")
        return self.keys[key_id]

    def answer(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        key = self.find(asked["KeyId"])
        if name == "DescribeKey":
            return {"KeyMetadata": {
                "KeyId": key.arn.rpartition("/")[2], "Arn": key.arn, "KeyState": key.state, "KeyUsage": key.usage,
                "KeySpec": key.spec, "Origin": key.origin, "Enabled": key.state == "Enabled",
            }}  # fmt: skip
        if key.state == "Disabled":
            raise Refusal("DisabledException", f"{key.arn} is disabled.")
        if key.state != "Enabled":
            raise Refusal("KMSInvalidStateException", f"{key.arn} is pending deletion.")
        if name in ("Encrypt", "Decrypt"):
            return {**self.cipher(name, key, asked), "KeyId": self.poses_as or key.arn}
        if name == "GetPublicKey":
            public = key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return {"KeyId": key.arn, "KeySpec": key.spec, "KeyUsage": key.usage, "PublicKey": public}
        return {"KeyId": key.arn, "Signature": self.sign(key, asked), "SigningAlgorithm": asked["SigningAlgorithm"]}

    def cipher(self, name: str, key: Key, asked: dict[str, Any]) -> dict[str, Any]:
        if key.spec != "SYMMETRIC_DEFAULT":
            raise Refusal("InvalidKeyUsageException", f"{key.arn} key usage is {key.usage}")
        context = asked.get("EncryptionContext", {})
        if name == "Encrypt":
            nonce, head = os.urandom(12), key.arn.encode()
            sealed = AESGCM(key.private).encrypt(
                nonce, asked["Plaintext"], json.dumps(context, sort_keys=True).encode()
            )
            return {"CiphertextBlob": len(head).to_bytes(2) + head + nonce + sealed}
        try:
            return {"Plaintext": opened(self, key.arn, asked["CiphertextBlob"], context)}
        except (InvalidTag, ValueError) as error:
            raise Refusal("InvalidCiphertextException", "") from error

    def sign(self, key: Key, asked: dict[str, Any]) -> bytes:
        message, form, algorithm = asked["Message"], asked.get("MessageType", "RAW"), asked["SigningAlgorithm"]
        if not 1 <= len(message) <= 4096:
            raise Refusal("ValidationException", "Value at 'message' failed to satisfy constraint: at most 4096")
        if (key.spec, algorithm, form) == ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "RAW"):
            return bytes(key.private.sign(message))
        if (key.spec, algorithm) != ("ECC_NIST_P256", "ECDSA_SHA_256"):
            raise Refusal(
                "ValidationException", f"Algorithm {algorithm} and message type {form} do not go with {key.spec}"
            )
        if form == "DIGEST" and len(message) != 32:
            raise Refusal("ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256.")
        digest = sha256(message).digest() if form == "RAW" or self.hashes_twice else message
        return bytes(key.private.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))


def opened(kms: Kms, arn: str, blob: bytes, context: dict[str, str]) -> bytes:
    """Return what `blob` holds, by the key that lies in the server and `cryptography`."""
    size = int.from_bytes(blob[:2])
    made_by, nonce, rest = blob[2 : 2 + size].decode(), blob[2 + size : 14 + size], blob[14 + size :]
    if made_by != arn:
        raise Refusal("IncorrectKeyException", "The key ID in the request does not identify the one that was used.")
    return AESGCM(kms.keys[arn].private).decrypt(nonce, rest, json.dumps(context, sort_keys=True).encode())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    kms: Kms

    def setup(self) -> None:
        super().setup()
        self.kms.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        trouble = self.kms.trouble.popleft() if self.kms.trouble else None
        if isinstance(trouble, float):
            time.sleep(trouble)
        if trouble == "drop":
            self.close_connection = True
            return
        if trouble == "html":
            self._send(200, b"<html>sign in to the hotel's network</html>", "text/html")
            return
        try:
            if isinstance(trouble, Refusal):
                raise trouble
            self._authenticate()
            data = self._serve(body)
        except Refusal as refusal:
            data = json.dumps({"__type": refusal.code, "message": refusal.message}).encode()
            self._send(refusal.status, data)
            return
        self._send(200, b"{}" if trouble == "{}" else data[: len(data) // 2] if trouble == "half" else data)

    def _authenticate(self) -> None:
        scope = self.headers["Authorization"].partition("Credential=")[2].partition(",")[0].split("/")
        if scope[2] != REGION:
            raise Refusal(
                "InvalidSignatureException", f"Credential should be scoped to a valid region, not '{scope[2]}'."
            )
        if self.headers.get("X-Amz-Security-Token") == self.kms.expired:
            raise Refusal("ExpiredTokenException", "The security token included in the request is expired")
        if scope[0] != "AKIDEXAMPLE":
            raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")

    def _serve(self, body: bytes) -> bytes:
        prefix, _, name = self.headers["X-Amz-Target"].partition(".")
        operation = MODEL.operation_model(name)
        asked = json.loads(body)
        for blob in {"Message", "Plaintext", "CiphertextBlob"} & set(asked):
            asked[blob] = base64.b64decode(asked[blob], validate=True)
        self.kms.asked.append((name, asked))
        self._hold("request", asked, operation.input_shape)
        if prefix != MODEL.metadata["targetPrefix"] or self.headers["Content-Type"] != "application/x-amz-json-1.1":
            self.kms.faults.append(f"{prefix} as {self.headers['Content-Type']}")
        answer = self.kms.answer(name, asked)
        self._hold("answer", answer, operation.output_shape)
        return json.dumps(answer, default=lambda value: base64.b64encode(value).decode()).encode()

    def _hold(self, which: str, value: dict[str, Any], shape: Any) -> None:
        report = ParamValidator().validate(value, shape)
        strange = set(value) - set(shape.members)
        if report.has_errors() or strange:
            self.kms.faults.append(f"{which}: {report.generate_report()} {strange}")

    def _send(self, status: int, data: bytes, kind: str = "application/x-amz-json-1.1") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-amzn-RequestId", "00000000-0000-0000-0000-000000000000")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: Any) -> None:
        pass


def serve() -> tuple[Kms, ThreadingHTTPServer]:
    """Start a KMS on a free port; whoever asked for it shuts the server down."""
    kms = Kms()
    handler = type("Handler", (_Handler,), {"kms": kms})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True).start()
    kms.url = f"http://127.0.0.1:{server.server_port}"
    return kms, server
