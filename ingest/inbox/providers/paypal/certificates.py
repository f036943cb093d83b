"""The certificates that PayPal signs with: fetched from PayPal's own hosts alone, and kept for a while.

A header of the delivery says where the certificate lies, and whoever sends one chooses that header: so an address
counts only with a host of the list, by https, on its own port, without a redirect; and what lies there only if an
authority vouches for it, for PayPal's name. Bounded in size, number and time: strangers make us ask one thing at a
time, nobody waits for what they asked, and what they name pushes out nothing that counts.
"""

from __future__ import annotations

import http.client
import re
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from ledger_core.errors import ConfigurationError, DeliveryRefused, DependencyError

HOSTS = frozenset({"api.paypal.com", "api.sandbox.paypal.com"})
PATH_PREFIX = "/v1/notifications/certs/"
NAMES = ("messageverificationcerts.paypal.com", "messageverificationcerts.sandbox.paypal.com")
"""Whom a certificate must be for, by the host that it came from or the other: one of them."""
MAX_URL_CHARACTERS = 500
MAX_CERTIFICATE_BYTES = 64 * 1024
MAX_CERTIFICATES = 8
MAX_KEPT = 32
KEPT = timedelta(hours=12)
KEPT_FAILURE = timedelta(minutes=1)
TIMEOUT_SECONDS = 5.0

Get = Callable[[SplitResult], bytes]


Named = tuple[str, Path | None]
_PLACE = re.compile(re.escape(PATH_PREFIX) + r"[A-Za-z0-9_-]{1,200}")


class Certificates:
    """The keys behind certificates, by address. Safe for threads."""

    def __init__(
        self, *, hosts: frozenset[str] = HOSTS, names: tuple[str, ...] = NAMES, get: Get | None = None
    ) -> None:
        self._hosts, self._names = hosts, names
        self._get = get or fetch_certificate
        self._lock, self._asking = threading.Lock(), threading.Lock()
        # Apart, so that addresses of strangers push no key out.
        self._keys: OrderedDict[Named, tuple[datetime, RSAPublicKey]] = OrderedDict()
        self._refused: OrderedDict[Named, tuple[datetime, str]] = OrderedDict()

    def key_of(self, url: str, *, at: datetime, authorities: Path | None) -> RSAPublicKey:
        """Return the key of the certificate at `url`, for which `authorities` vouch (or whom the system trusts).

        Raises `DeliveryRefused` for an address or a certificate that is not PayPal's; `DependencyError` while it does
        not answer, or another is being asked for.
        """
        address, named = self._address(url), (url, authorities)
        with self._lock:
            known, refused = self._keys.get(named), self._refused.get(named)
        if known is not None and at < known[0]:
            return known[1]
        if refused is not None and at < refused[0]:
            raise _not_theirs(refused[1])
        if not self._asking.acquire(blocking=False):
            raise DependencyError("another certificate of PayPal's is being fetched.", dependency="paypal")
        try:
            key = _vouched(self._get(address), at, authorities, self._names)
        except DeliveryRefused as error:
            self._keep(self._refused, named, (at + KEPT_FAILURE, error.message))
            raise
        finally:
            self._asking.release()
        self._keep(self._keys, named, (at + KEPT, key))
        return key

    def _keep(self, kept: OrderedDict[Named, Any], named: Named, what: Any) -> None:
        with self._lock:
            kept[named] = what
            kept.move_to_end(named)
            while len(kept) > MAX_KEPT:
                kept.popitem(last=False)

    def _address(self, url: str) -> SplitResult:
        if len(url) > MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable():
            raise _not_theirs("its certificate's address is none of PayPal's")
        try:
            address = urlsplit(url)
            port = address.port
        except ValueError as error:
            raise _not_theirs("its certificate's address is none of PayPal's") from error
        named = address.netloc if port not in (None, 443) else address.hostname
        plain = address.username is None and address.password is None and not address.query and not address.fragment
        whole = address.scheme == "https" and _PLACE.fullmatch(address.path) is not None
        if named not in self._hosts or not plain or not whole:
            raise _not_theirs("its certificate's address is none of PayPal's")
        return address


def fetch_certificate(address: SplitResult, *, context: ssl.SSLContext | None = None) -> bytes:
    """Return what lies at `address`: one request, no redirect.

    Raises `DeliveryRefused` where nothing lies there, or more than a certificate; `DependencyError` without an answer.
    """
    assert address.hostname is not None
    connection = http.client.HTTPSConnection(
        address.hostname, address.port, timeout=TIMEOUT_SECONDS, context=context or ssl.create_default_context()
    )
    try:
        connection.request("GET", address.path, headers={"accept": "application/x-pem-file, */*"})
        answer = connection.getresponse()
        data = answer.read(MAX_CERTIFICATE_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise DependencyError(f"PayPal's certificate could not be fetched: {error}.", dependency="paypal") from error
    finally:
        connection.close()
    if answer.status >= 500 or answer.status == 429:
        raise DependencyError(
            f"PayPal's certificate could not be fetched: status {answer.status}.", dependency="paypal"
        )
    if answer.status != 200 or len(data) > MAX_CERTIFICATE_BYTES:
        raise _not_theirs(f"no certificate lies at its address: status {answer.status}")
    return data


def _vouched(data: bytes, at: datetime, authorities: Path | None, names: tuple[str, ...]) -> RSAPublicKey:
    """Return the key of the first certificate in `data`. Raises `DeliveryRefused` unless it is PayPal's, now."""
    try:
        leaf, *between = x509.load_pem_x509_certificates(data)[:MAX_CERTIFICATES]
    except ValueError as error:
        raise _not_theirs("what lies at its address is no certificate") from error
    key = leaf.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise _not_theirs("its certificate holds no RSA key of 2048 bits")
    builder = PolicyBuilder().store(_store(authorities)).time(at)
    for name in names:
        try:
            builder.build_server_verifier(x509.DNSName(name)).verify(leaf, between)
        except VerificationError:
            continue
        return key
    raise _not_theirs("no authority vouches for its certificate in PayPal's name")


def _store(authorities: Path | None) -> Store:
    path = authorities
    if path is None:
        trusted = ssl.get_default_verify_paths().cafile
        path = None if trusted is None else Path(trusted)
    try:
        found = [] if path is None else x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError("there are no certificates of authorities in it.", file=str(path)) from error
    if not found:
        raise ConfigurationError(
            "this system has no certificates of authorities.", remedy="Install ca-certificates, or set SSL_CERT_FILE."
        )
    return Store(found)


def _not_theirs(why: str) -> DeliveryRefused:
    return DeliveryRefused(f"{why.rstrip('.')}.", reason="signature")
