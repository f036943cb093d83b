"""What every keeper of a key owes: errors by name, patience that ends, secrets out of closed files, no flattery."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger_core.base.keepers.custody import AT_ONCE, Patience, read_secret
from ledger_core.base.keepers.token import is_software
from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.log.note import ED25519, PublicKey
from ledger_core.settings import Settings
from ledger_core.settings.signer import PLACES, SignerSettings
from ledger_core.signing.backends import pkcs11
from ledger_core.signing.custody import TROUBLES, refuse_software, unavailable
from ledger_core.signing.open import BACKENDS, choose_backend
from ledger_core.signing.token_format import ED25519_PARAMS, P256_PARAMS, der_of, spki_of

ROOT = Path(__file__).parents[3]
RUNBOOK = (ROOT / "docs" / "runbooks" / "signing-backends.md").read_text()


def test_the_runbook_explains_every_reason_and_no_other() -> None:
    table = RUNBOOK.partition("| reason | means | do |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([a-z_]+)`", "".join(cells))) == sorted(TROUBLES)


def test_the_runbook_shows_every_back_end_and_sets_what_there_is() -> None:
    assert {
        line.split("`")[1] for line in RUNBOOK.splitlines() if re.match(r"\| `[a-z0-9]+` \| [^|]* \| `", line)
    } == set(BACKENDS)
    named = {f"COUNTERFOIL_{'__'.join(place).upper()}" for place in PLACES.values()}
    named |= {f"COUNTERFOIL_SIGNING__{name.upper()}" for name in type(Settings().signing).model_fields}
    assert set(re.findall(r"COUNTERFOIL_SIGNING__[A-Z0-9_]*[A-Z0-9]", RUNBOOK)) <= named


def test_the_runbooks_policy_of_kms_allows_three_calls_and_one_form_of_signature() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", RUNBOOK, flags=re.DOTALL)
    read, sign = json.loads(block)["Statement"]
    assert (read["Action"], sign["Action"]) == (["kms:DescribeKey", "kms:GetPublicKey"], "kms:Sign")
    assert sign["Condition"]["StringEquals"] == {
        "kms:SigningAlgorithm": "ECDSA_SHA_256",
        "kms:MessageType": "DIGEST",
    }
    assert read["Resource"] == sign["Resource"] != "*"


def test_the_proxys_settings_are_everybodys_with_the_same_defaults() -> None:
    everybody, own = Settings(), SignerSettings()
    for item in fields(SignerSettings):
        found: object = everybody
        for part in PLACES[item.name]:
            found = getattr(found, part)
        assert found == getattr(own, item.name), item.name


@pytest.mark.parametrize("reason", TROUBLES)
def test_an_error_says_who_why_and_what_to_do(reason: str) -> None:
    error = unavailable(reason, "the keeper", "what it said")
    assert str(error).startswith(f"the keeper: {reason.replace('_', ' ')}: what it said; nothing was signed. ")
    assert error.context["reason"] == reason
    assert error.remedy
    assert error.retryable or reason not in AT_ONCE


def test_patience_ends_with_the_attempts_or_with_the_time_whichever_is_first() -> None:
    slept: list[float] = []

    def asked(**told: float) -> int:
        slept.clear()
        count = 0

        def attempt() -> None:
            nonlocal count
            count += 1
            raise unavailable("throttled", "it", "no")

        patience = Patience(sleep=slept.append, clock=lambda: sum(slept), draw=lambda: 0.5, **told)  # type: ignore[arg-type]
        with pytest.raises(DependencyError):
            patience.ask(attempt)
        return count

    assert (asked(), slept) == (3, [pytest.approx(0.15), pytest.approx(0.3)])
    assert asked(attempts=50) == 6, "0.15, 0.3, 0.6, 1.2, 2.4: the next would begin after five seconds"


@pytest.mark.parametrize("reason", sorted(set(TROUBLES) - AT_ONCE))
def test_what_asking_again_does_not_help_is_asked_once(reason: str) -> None:
    asked = []

    def attempt() -> None:
        asked.append(1)
        raise unavailable(reason, "it", "no")

    with pytest.raises(DependencyError):
        Patience(sleep=lambda _: None).ask(attempt)
    assert len(asked) == 1


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440])
def test_a_secret_is_one_line_of_a_closed_file(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "pin"
    path.write_text("1234 5678\n")
    path.chmod(mode)
    assert read_secret(path, "PIN") == "1234 5678"


def _written(data: bytes, mode: int = 0o600) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(data)
        path.chmod(mode)

    return make


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        Path.mkdir,
        lambda path: os.mkfifo(path, 0o600),
        _socket,
        _written(b"s3cret", 0o644),
        _written(b"s3cret", 0o604),
        _written(b"s3cret", 0o602),
        _written(b"s3cret", 0o601),
        _written(b""),
        _written(b"\n"),
        _written(b"s3cret\nmore"),
        _written(b"s3cret\x00"),
        _written(b"\xff\xfe"),
        _written(b"s3cret" * 1000),
    ],
)
def test_a_file_that_holds_no_secret_or_shows_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("pin"))
    with pytest.raises(ConfigurationError, match="PIN") as refused:
        read_secret(Path("pin"), "PIN")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("env", ["staging", "production"])
def test_software_is_refused_where_it_would_be_believed(env: str) -> None:
    refuse_software("development", "it")
    with pytest.raises(ConfigurationError, match=f"it is refused in {env}"):
        refuse_software(env, "it")


@pytest.mark.parametrize(
    ("makers", "claimed", "program"),
    [
        (("SoftHSM project", "SoftHSM v2"), False, True),
        (("SoftHSM project", "SoftHSM v2"), True, True),
        (("Somebody", "softhsm2 behind a proxy"), True, True),
        (("Mozilla Foundation", "NSS 3"), True, True),
        (("Kryoptic Project", "v1"), True, True),
        (("Nobody has heard of it", "v1"), False, True),
        (("Yubico (www.yubico.com)", "YubiHSM"), True, False),
        (("SafeNet", "Luna K7"), True, False),
        (("Microsoft", "a device"), True, False),
        (("Marvell", "LiquidSecurity"), True, False),
    ],
)
def test_a_token_is_hardware_only_where_it_says_so_and_is_not_known_better(
    makers: tuple[str, ...], claimed: bool, program: bool
) -> None:
    assert is_software(makers, hardware_claimed=claimed) is program


def test_every_form_of_a_point_is_the_same_key() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = curve.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    spki = curve.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert {spki_of(P256_PARAMS, head + point) for head in (b"", b"\x04\x41")} == {spki}
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    raw = edwards.public_bytes(Encoding.Raw, PublicFormat.Raw)
    forms = {spki_of(name, head + raw) for name in ED25519_PARAMS for head in (b"", b"\x04\x20", b"\x03\x21\x00")}
    assert forms == {edwards.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)}
    assert PublicKey(forms.pop()).algorithm == ED25519


@pytest.mark.parametrize(
    ("params", "point"),
    [
        (P256_PARAMS, b""),
        (P256_PARAMS, b"\x04" + bytes(64)),
        (P256_PARAMS, b"\x04\x41\x04" + bytes(64)),
        (ED25519_PARAMS[0], bytes(31)),
        (ED25519_PARAMS[0], b"\x05\x20" + bytes(32)),
        (bytes.fromhex("06052b81040022"), b"\x04" + bytes(96)),
        (b"", b""),
    ],
)
def test_what_is_no_point_of_the_two_curves_is_refused(params: bytes, point: bytes) -> None:
    with pytest.raises(ConfigurationError):
        spki_of(params, point)


@pytest.mark.parametrize("size", [0, 63, 65, 96])
def test_a_signature_of_another_length_is_left_for_the_check_to_refuse(size: int) -> None:
    assert der_of(bytes(size)) == bytes(size)


TOKEN = {"backend": "pkcs11", "pkcs11_module": "/lib/x.so", "pkcs11_token": "t", "pkcs11_pin_file": "/pin"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pkcs11_module": ""}, "COUNTERFOIL_SIGNING__PKCS11_MODULE"),
        ({"pkcs11_pin_file": ""}, "COUNTERFOIL_SIGNING__PKCS11_PIN_FILE"),
        ({}, "COUNTERFOIL_SIGNING__PKCS11_KEY_LABEL, COUNTERFOIL_SIGNING__PKCS11_KEY_ID"),
        ({"pkcs11_key_label": "k", "pkcs11_module": "libx.so"}, "whole path"),
        ({"pkcs11_key_id": "0x1"}, "not hex"),
    ],
)
def test_a_token_is_described_whole(changed: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        pkcs11.check_settings(SignerSettings(**TOKEN | changed))


def test_a_back_end_whose_library_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for module in ("ledger_core.signing.backends.vault", "ledger_core.base.keepers.vault"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "hvac", None)
    with pytest.raises(ConfigurationError, match=r"needs hvac.*counterfoil\[vault\]"):
        choose_backend(SignerSettings(backend="vault"))
