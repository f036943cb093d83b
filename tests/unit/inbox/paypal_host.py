"""PayPal's deliveries: certificates of our own stand in for PayPal's authority, everything else is real."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult
from zlib import crc32

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ingest.inbox.accounts import ProviderAccount
from ingest.inbox.port import Accepted, Delivery
from ingest.inbox.providers.paypal.certificates import NAMES, Certificates
from ingest.inbox.providers.paypal.verify import PayPalVerifier
from ledger_core.errors import DeliveryRefused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594"
WEBHOOK = "8PT597110X687430LKGECATA"
BODY = json.dumps(
    {
        "id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "create_time": "2026-03-01T11:59:58.5Z",
        "resource": {"id": "42311647XV020574X", "amount": {"value": "30.11", "currency_code": "USD"}},
    }
).encode()  # fmt: skip


@cache
def key(number: int, bits: int = 2048) -> RSAPrivateKey:
    """A key of the tests; the same for the same number."""
    return generate_private_key(65537, bits + 0 * number)


def issue(
    name: str, *, subject_key: RSAPrivateKey, by: tuple[str, RSAPrivateKey] | None = None, ca: bool = False,
    days: int = 30,
) -> x509.Certificate:  # fmt: skip
    """Return a certificate for `name`, signed by `by` or by itself."""
    issuer, signer = by or (name, subject_key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(subject_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if ca:
        usage = {"key_cert_sign": True, "crl_sign": True}
        builder = builder.add_extension(_usage(**usage), critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    return builder.sign(signer, SHA256())


def _usage(**on: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: on.get(name, False) for name in names})


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


ROOT = ("Root of the tests", key(1))
BETWEEN = ("Between", key(2))


@cache
def chain(name: str = NAMES[0], days: int = 30) -> bytes:
    between = issue(BETWEEN[0], subject_key=BETWEEN[1], by=ROOT, ca=True)
    return pem(issue(name, subject_key=key(3), by=BETWEEN, days=days), between)


class Host:
    """What lies at PayPal's addresses, and how often it was asked for."""

    def __init__(self, tmp_path: Path, data: bytes | None = None) -> None:
        self.data: bytes | Exception = chain() if data is None else data
        self.asked: list[str] = []
        self.authorities = tmp_path / "authorities.pem"
        self.authorities.write_bytes(pem(issue(ROOT[0], subject_key=ROOT[1], ca=True)))
        self.certificates = Certificates(get=self.get)

    def get(self, address: SplitResult) -> bytes:
        self.asked.append(address.geturl())
        if isinstance(self.data, Exception):
            raise self.data
        return self.data

    def verify(
        self, body: bytes = BODY, *, at: datetime = NOW, secrets: tuple[str, ...] = (WEBHOOK,), **given: Any
    ) -> Accepted:
        account = ProviderAccount(
            provider="paypal", account="default", folder=Path("unread"), secrets=secrets, authorities=self.authorities
        )
        delivery = Delivery(headers=headers(body) | given, body=body, at=at)
        return PayPalVerifier(self.certificates).verify(delivery, account)

    def refused(self, **given: Any) -> str:
        with pytest.raises(DeliveryRefused) as caught:
            self.verify(**given)
        return f"{caught.value.reason}: {caught.value.message}"


def headers(
    body: bytes, *, sent_at: datetime = NOW, id: str = "69cd13f0-d67a-11e5-baa3-778b53f4ae55",
    by: RSAPrivateKey | None = None, webhook: str = WEBHOOK,
) -> dict[str, str]:  # fmt: skip
    time = sent_at.isoformat().replace("+00:00", "Z")
    text = f"{id}|{time}|{webhook}|{crc32(body)}".encode()
    return {
        "paypal-transmission-id": id,
        "paypal-transmission-time": time,
        "paypal-transmission-sig": base64.b64encode((by or key(3)).sign(text, PKCS1v15(), SHA256())).decode(),
        "paypal-cert-url": URL,
        "paypal-auth-algo": "SHA256withRSA",
    }
