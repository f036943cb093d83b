"""The certificates that PayPal signs with: fetched from PayPal's own hosts alone, and kept for a while.

A header of the delivery says where the certificate lies, and whoever sends one chooses that header: so an address
counts only with a host of the list, by https, on its own port, without a redirect; and what lies there only if an
authority vouches for it, for PayPal's name. Bounded in size, number and time, the failures too: strangers make us ask
little.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    until: datetime
    key: RSAPublicKey | None
    why: str = ""


class Certificates:
    """The keys behind certificates, by address. Safe for threads; one fetch at a time."""

    def __init__(
        self, *, hosts: frozenset[str] = HOSTS, names: tuple[str, ...] = NAMES, get: Get | None = None
    ) -> None:
        self._hosts, self._names = hosts, names
        self._get = get or fetch_certificate
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, Path | None], _Kept] = OrderedDict()

    def key_of(self, url: str, *, at: datetime, authorities: Path | None) -> RSAPublicKey:
        """Return the key of the certificate at `url`, for which `authorities` vouch (or whom the system trusts).

        Raises `DeliveryRefused` for an address or a certificate that is not PayPal's; `DependencyError` while it does
        not answer.
        """
        address = self._address(url)
        with self._lock:
            known = self._kept.get((url, authorities))
            if known is None or known.until <= at:
                known = self._look(address, at, authorities)
                self._kept[url, authorities] = known
                self._kept.move_to_end((url, authorities))
                while len(self._kept) > MAX_KEPT:
                    self._kept.popitem(last=False)
        if known.key is None:
            raise _not_theirs(known.why)
        return known.key

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
        whole = address.scheme == "https" and address.path.startswith(PATH_PREFIX) and ".." not in address.path
        if named not in self._hosts or not plain or not whole:
            raise _not_theirs("its certificate's address is none of PayPal's")
        return address

    def _look(self, address: SplitResult, at: datetime, authorities: Path | None) -> _Kept:
        data = self._get(address)
        try:
            return _Kept(until=at + KEPT, key=_vouched(data, at, authorities, self._names))
        except DeliveryRefused as error:
            return _Kept(until=at + KEPT_FAILURE, key=None, why=error.message)


def fetch_certificate(address: SplitResult, *, context: ssl.SSLContext | None = None) -> bytes:
    """Return what lies at `address`: one request, no redirect. Raises `DependencyError` for any other answer."""
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
    if answer.status != 200 or len(data) > MAX_CERTIFICATE_BYTES:
        raise DependencyError(
            f"PayPal's certificate could not be fetched: status {answer.status}, {len(data):,} bytes.",
            dependency="paypal",
        )
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
