"""Ask a time-stamping authority (RFC 3161) for a token over a checkpoint, where one is set.

A token is extra evidence: an authority that is away, or answers nonsense, must not stop the night. The segment is then
written without one, and that is said. Not the judgement of tokens, which is `log.timestamps` and needs pinned roots.
"""

from __future__ import annotations

import hashlib
import logging
import time
from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ledger_core.errors import DependencyError
from ledger_core.log.timestamps import MAX_TOKEN_BYTES

SECONDS = 15

_log = logging.getLogger("counterfoil.export")


def ask_for_token(url: str | None, data: bytes) -> bytes | None:
    """Return the authority's token over `data`; None where no authority is set or it gives none, which is logged."""
    if url is None:
        return None
    try:
        return request_token(url, data)
    except DependencyError as error:
        _log.warning("the segment goes without a time-stamp: %s", error)
        return None


def request_token(url: str, data: bytes) -> bytes:
    """Return the response of the authority at `url`. Raises `DependencyError` for one that is none over `data`."""
    try:
        from rfc3161_client import HashAlgorithm, PKIStatus, TimestampRequestBuilder, decode_timestamp_response
    except ImportError as error:
        raise DependencyError(
            "time-stamps need rfc3161-client, which is not installed here.",
            retryable=False,
            remedy="pip install 'counterfoil[archive]', or unset COUNTERFOIL_ARCHIVE__TSA_URL.",
        ) from error
    asked = TimestampRequestBuilder(data=data, hash_algorithm=HashAlgorithm.SHA256, nonce=True, cert_req=True).build()
    token = _post(url, asked.as_bytes())
    try:
        answer = decode_timestamp_response(token)
        granted = PKIStatus(answer.status) == PKIStatus.GRANTED
        same = granted and (answer.tst_info.message_imprint.message, answer.tst_info.nonce) == (
            hashlib.sha256(data).digest(),
            asked.nonce,
        )
    except ValueError as error:
        raise _no_token(url, f"what it answers is no time-stamp: {error}") from error
    if not same:
        raise _no_token(url, "it stamped something else" if granted else f"it refuses with status {answer.status}")
    return token


def _post(url: str, body: bytes) -> bytes:
    if urlsplit(url).scheme not in ("http", "https"):
        raise _no_token(url, "its address is neither http nor https")
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    try:
        with urlopen(Request(url, body, headers), timeout=SECONDS) as answer:  # noqa: S310 - looked at just above
            token, deadline = b"", time.monotonic() + SECONDS
            while len(token) <= MAX_TOKEN_BYTES and (part := answer.read1(MAX_TOKEN_BYTES)):
                token += part
                if time.monotonic() > deadline:
                    raise TimeoutError("its answer does not come to an end")
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise _no_token(url, str(error)) from error
    if len(token) > MAX_TOKEN_BYTES:
        raise _no_token(url, f"its answer is longer than {MAX_TOKEN_BYTES:,} bytes")
    return token


def _no_token(url: str, why: str) -> DependencyError:
    return DependencyError(
        f"the time-stamping authority {urlsplit(url).hostname} gave no token: {why}.",
        remedy="See COUNTERFOIL_ARCHIVE__TSA_URL.",
    )
