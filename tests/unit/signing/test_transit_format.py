"""What a server of Vault's may answer, sense and nonsense: a signature of the pinned version, or an error by name."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError
from ledger_core.log.note import ECDSA_P256
from ledger_core.signing.transit_format import public_key_of, reason_of, signature_of

PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def test_the_pinned_versions_signature_is_taken() -> None:
    assert signature_of({"signature": "vault:v3:AAEC", "key_version": 3}, 3, "it") == b"\x00\x01\x02"


@pytest.mark.parametrize(
    "signature",
    [
        "vault:v4:AAEC", "vault:v33:AAEC", "vault:v03:AAEC", "vault:v:AAEC", "vault:v3:", "vault:v3:AAEC\n", "AAEC", "",
        "vault:v3:AA-_", "bao:v3:AAEC", "vault:v3:AAEC vault:v3:AAEC", "vault:v3333333333:AAEC", None, 7,
    ],
)  # fmt: skip
def test_another_version_or_no_signature_is_never_taken_for_one(signature: Any) -> None:
    with pytest.raises(IntegrityError, match="another version answered, or none"):
        signature_of({"signature": signature}, 3, "it")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("requested version for signing is less than the minimum encryption key version", "disabled"),
        ("requested version for signing is higher than the latest key version", "disabled"),
        ("signing key not found", "not_found"),
        ("Vault is sealed", "sealed"),
        ("unable to decode input", "wrong_key"),
    ],
)
def test_the_error_of_the_item_has_its_reason(said: str, reason: str) -> None:
    with pytest.raises(DependencyError, match="nothing was signed") as found:
        signature_of({"error": said, "signature": "vault:v3:AAEC"}, 3, "it")
    assert found.value.context["reason"] == reason == reason_of(said)


def shown(**changed: Any) -> dict[str, Any]:
    return {"type": "ecdsa-p256", "exportable": False, "keys": {"3": {"public_key": PEM}}} | changed


def test_the_pinned_versions_public_half_is_read() -> None:
    assert public_key_of(shown(), 3, "it").algorithm == ECDSA_P256


@pytest.mark.parametrize("name", ["exportable", "allow_plaintext_backup", "imported_key", "derived"])
def test_a_key_that_may_be_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="rotate to it"):
        public_key_of(shown(**{name: True}), 3, "it")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"keys": {}}, "not_found"),
        ({"keys": None}, "not_found"),
        ({"keys": {"33": {"public_key": PEM}}}, "not_found"),
        ({"keys": {"3": 1764200000}}, "failing"),
        ({"keys": {"3": {}}}, "failing"),
        ({"keys": {"3": {"public_key": "PEM"}}}, "failing"),
        ({"type": "ed25519", "keys": {"3": {"public_key": "AAEC"}}}, "failing"),
    ],
)
def test_a_version_without_a_public_half_is_named(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(DependencyError) as found:
        public_key_of(shown(**changed), 3, "it")
    assert found.value.context["reason"] == reason
