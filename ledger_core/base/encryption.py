"""The bytes of a landed file, encrypted under a key of their own.

Erasure is dropping that key: what stays in the object store is then noise. AES-256-GCM in chunks of one mebibyte;
each chunk is bound to its file, its place and whether it is the last, so that none can be changed, moved, dropped or
cut off unnoticed.

Format: the magic, then for each chunk its length in four bytes (big-endian) and its ciphertext with tag. A key serves
one file, so the chunk's number is a nonce that never repeats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger_core.errors import IntegrityError

ALGORITHM = "AES-256-GCM/1MiB"
KEY_BYTES = 32
CHUNK_BYTES = 1024 * 1024
TAG_BYTES = 16

_MAGIC = b"counterfoil raw 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was encrypted: the SHA-256 and the length of the plain bytes."""

    sha256: str
    size_bytes: int


def encrypt(chunks: Iterable[bytes], sink: BinaryIO, *, key: bytes, file_id: str) -> Written:
    """Write `chunks` encrypted to `sink`; memory is bounded by one chunk and the longest that comes in."""
    cipher, digest, size_bytes = AESGCM(key), hashlib.sha256(), 0
    sink.write(_MAGIC)
    number, held = 0, b""
    for chunk in _even(chunks):
        digest.update(chunk)
        size_bytes += len(chunk)
        # A chunk is written when the next one is there: only then is it known not to be the last.
        if held:
            _write(sink, cipher, held, number, file_id, last=False)
            number += 1
        held = chunk
    _write(sink, cipher, held, number, file_id, last=True)
    return Written(sha256=digest.hexdigest(), size_bytes=size_bytes)


def decrypt(source: BinaryIO, *, key: bytes, file_id: str) -> Iterator[bytes]:
    """Yield the plain bytes of `source`. Raises `IntegrityError` when they are not what was written."""
    if source.read(len(_MAGIC)) != _MAGIC:
        raise _damaged(file_id, "it does not start as one")
    cipher = AESGCM(key)
    number, length = 0, source.read(4)
    while length:
        data = source.read(min(int.from_bytes(length), CHUNK_BYTES + TAG_BYTES))
        length = source.read(4)
        try:
            yield cipher.decrypt(_nonce(number), data, _bound(file_id, number, last=not length))
        except InvalidTag as error:
            raise _damaged(file_id, f"chunk {number} is not what was written") from error
        number += 1
    if number == 0:
        raise _damaged(file_id, "it has no chunk")


def _write(sink: BinaryIO, cipher: AESGCM, chunk: bytes, number: int, file_id: str, *, last: bool) -> None:
    data = cipher.encrypt(_nonce(number), chunk, _bound(file_id, number, last=last))
    sink.write(len(data).to_bytes(4))
    sink.write(data)


def _even(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= CHUNK_BYTES:
            yield bytes(held[:CHUNK_BYTES])
            del held[:CHUNK_BYTES]
    if held:
        yield bytes(held)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12)


def _bound(file_id: str, number: int, *, last: bool) -> bytes:
    return f"{file_id}:{number}:{'last' if last else 'more'}".encode()


def _damaged(file_id: str, problem: str) -> IntegrityError:
    return IntegrityError(
        f"the stored bytes of file {file_id} cannot be read: {problem}.",
        remedy="Restore the object from a backup, or land the provider's file again.",
    )
