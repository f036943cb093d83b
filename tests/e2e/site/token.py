"""A SoftHSM token in a folder: made by the tools that operators use, behind a slot that says it is a device.

`scalar_of` reads what nobody can who lacks the token's files or its PIN: the private number of a key, out of SoftHSM's
own store. So a test can look for it everywhere else, and know that it looked for the right thing.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SOFTHSM_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
PIN, OFFICERS_PIN, LABEL = "pin-of-the-user-7351", "pin-of-the-officer-4086", "ledger"
_VALUE = struct.pack(">Q", 0x11)
"""CKA_VALUE, as SoftHSM's files have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token; `module` is its library, `bare` SoftHSM's own."""

    folder: Path
    module: Path
    bare: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    def settings(self, key: str, *, module: Path | None = None) -> dict[str, str]:
        """Return the variables of whoever signs with the key labelled `key`."""
        return {
            **self.environment,
            "COUNTERFOIL_SIGNING__BACKEND": "pkcs11",
            "COUNTERFOIL_SIGNING__PKCS11_MODULE": str(module or self.module),
            "COUNTERFOIL_SIGNING__PKCS11_TOKEN": LABEL,
            "COUNTERFOIL_SIGNING__PKCS11_KEY_LABEL": key,
            "COUNTERFOIL_SIGNING__PKCS11_PIN_FILE": str(self.folder / "pin"),
        }

    def file_keys(self, key: str) -> dict[str, str]:
        """Return the variables of whoever has the keys of files wrapped by the AES key labelled `key`."""
        return {
            **self.environment,
            "COUNTERFOIL_FILE_KEYS__BACKEND": "pkcs11",
            "COUNTERFOIL_FILE_KEYS__PKCS11_MODULE": str(self.module),
            "COUNTERFOIL_FILE_KEYS__PKCS11_TOKEN": LABEL,
            "COUNTERFOIL_FILE_KEYS__PKCS11_KEY_LABEL": key,
            "COUNTERFOIL_FILE_KEYS__PKCS11_PIN_FILE": str(self.folder / "pin"),
        }

    def make_secret(self, key: str) -> None:
        """Make an AES key of 32 bytes, sensitive and not extractable."""
        self._run(MAKE_SECRET, key)

    def make(self, key: str) -> None:
        """Make a pair of P-256, sensitive and not extractable."""
        self._run(MAKE, key)

    def destroy(self, key: str) -> None:
        """Take the pair away for good, as an officer disables a key."""
        self._run(DESTROY, key)

    def attributes(self, key: str) -> dict[str, object]:
        """Return what the token says of the private half, and what it answers who asks for its value."""
        lines = dict(line.split(" ", 1) for line in self._run(LOOK, key).splitlines())
        return {name: {"True": True, "False": False}.get(value, value) for name, value in lines.items()}

    def public_pem(self, key: str) -> bytes:
        """Return the public half as its holder hands it out."""
        point = bytes.fromhex(self._run(POINT, key).strip())
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point[2:])
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def scalar_of(self, spki: bytes) -> bytes:
        """Return the private number of the key whose public half is `spki`."""
        for number in _numbers(self.folder / "tokens"):
            public = ec.derive_private_key(int.from_bytes(number, "big"), ec.SECP256R1()).public_key()
            if public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki:
                return number
        raise AssertionError("the token's store holds no private half of that key")

    def _run(self, program: str, key: str) -> str:
        # In a process of its own: the library keeps its state in the one that loads it.
        done = subprocess.run(
            [sys.executable, "-c", program, str(self.module), LABEL, PIN, key],
            env={**os.environ, **self.environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


_OPEN = """
import sys, pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
module, label, pin, name = sys.argv[1:]
session = pkcs11.lib(module).get_token(token_label=label).open(rw=True, user_pin=pin)
"""
MAKE = (
    _OPEN
    + """
curve = {Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}
domain = session.create_domain_parameters(KeyType.EC, curve, local=True)
domain.generate_keypair(mechanism=Mechanism.EC_KEY_PAIR_GEN, store=True, label=name, id=name.encode())
"""
)
MAKE_SECRET = (
    _OPEN
    + """
session.generate_key(KeyType.AES, 256, store=True, label=name, id=name.encode())
"""
)
DESTROY = (
    _OPEN
    + """
for item in list(session.get_objects({Attribute.LABEL: name})):
    item.destroy()
"""
)
LOOK = (
    _OPEN
    + """
key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=name)
for each in ("EXTRACTABLE", "NEVER_EXTRACTABLE", "SENSITIVE", "ALWAYS_SENSITIVE", "LOCAL"):
    print(each, key[Attribute[each]])
try:
    print("VALUE", key[Attribute.VALUE].hex())
except pkcs11.PKCS11Error as error:
    print("VALUE", type(error).__name__)
"""
)

POINT = (
    _OPEN
    + """
print(session.get_key(object_class=ObjectClass.PUBLIC_KEY, label=name)[Attribute.EC_POINT].hex())
"""
)


def make_token(folder: Path) -> Token:
    """Initialise a token in `folder`."""
    bare = next((Path(place) for place in SOFTHSM_PLACES if Path(place).is_file()), None)
    if bare is None or shutil.which("softhsm2-util") is None:
        pytest.skip("no SoftHSM here; `make setup-full` installs it")
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here; `make setup-full` installs it")
    folder.mkdir(mode=0o700)
    (folder / "tokens").mkdir(mode=0o700)
    conf = f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    (folder / "softhsm2.conf").write_text(conf)
    (folder / "pin").touch(mode=0o400)
    (folder / "pin").chmod(0o600)
    (folder / "pin").write_text(f"{PIN}\n")
    (folder / "pin").chmod(0o400)
    module = folder / "libdevice.so"
    source = Path(__file__).with_name("device_slot.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", f'-DSOFTHSM="{bare}"', "-o", str(module), str(source), "-ldl"],
        check=True,
    )
    token = Token(folder=folder, module=module, bare=bare)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--so-pin", OFFICERS_PIN, "--pin", PIN],
        env={**os.environ, **token.environment}, check=True, capture_output=True,
    )  # fmt: skip
    return token


def _numbers(tokens: Path) -> Iterator[bytes]:
    """Yield the private values in the store (SoftHSM 2: SecureDataManager.cpp, RFC4880.cpp, File.cpp)."""
    files = [path.read_bytes() for path in tokens.rglob("*.object")]
    blobs = [blob for data in files for blob in _byte_strings(data)]
    keys = [key for blob in blobs if len(blob) >= 64 and (key := _master_key(blob)) is not None]
    assert keys, "the store's own key was not found with the PIN"
    for data in files:
        at = -1
        while (at := data.find(_VALUE, at + 1)) >= 0:
            blob = _byte_string(data, at + 8)
            for key in keys:
                if blob is not None and (value := _decrypt(key, blob)) is not None and len(value) <= 34:
                    # The number itself, or in an OCTET STRING.
                    yield value[-32:].rjust(32, b"\0")


def _byte_strings(data: bytes) -> Iterator[bytes]:
    for at in range(len(data) - 16):
        blob = _byte_string(data, at)
        if blob:
            yield blob


def _byte_string(data: bytes, at: int) -> bytes | None:
    """Return what stands at `at` if it is a value of kind 3, a byte string with its length before it."""
    if len(data) < at + 16:
        return None
    kind, size = struct.unpack(">QQ", data[at : at + 16])
    return data[at + 16 : at + 16 + size] if kind == 3 and 0 < size <= 4096 else None


def _master_key(blob: bytes) -> bytes | None:
    """Return the key of the store, which lies in it under the PIN; None for what is no such blob."""
    salt, rest = blob[:8], blob[8:]
    derived = sha256(salt + PIN.encode()).digest()
    for _ in range(1500 + salt[-1] - 1):
        derived = sha256(derived).digest()
    plain = _decrypt(derived, rest)
    return plain[3:] if plain is not None and plain[:3] == b"RJR" and len(plain) == 35 else None


def _decrypt(key: bytes, blob: bytes) -> bytes | None:
    if len(blob) < 32 or len(blob) % 16:
        return None
    made = Cipher(algorithms.AES(key), modes.CBC(blob[:16])).decryptor()
    try:
        unpad = PKCS7(128).unpadder()
        return unpad.update(made.update(blob[16:]) + made.finalize()) + unpad.finalize()
    except ValueError:
        return None
