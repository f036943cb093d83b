"""Signed notes: form, keys, and signatures that are malformed, malleable or another's."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger_core.errors import InvalidInput
from ledger_core.log.note import (
    Checkpoint,
    NoteSignature,
    PublicKey,
    SignedNote,
    checkpoint_text,
    decode_base64,
    parse_checkpoint,
    parse_note,
    verify_note,
)
from ledger_core.signing.backends.software import SoftwareKey

ORIGIN = "ledger.example/test/main"
TEXT = checkpoint_text(ORIGIN, 3, bytes(range(32)))
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def spki(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def key() -> SoftwareKey:
    return SoftwareKey(ec.generate_private_key(ec.SECP256R1()))


def signed(key: SoftwareKey, signature: bytes | None = None, name: str = ORIGIN) -> SignedNote:
    line = NoteSignature(name, key.public_key.note_hash(name), signature or key.sign(TEXT.encode()))
    return SignedNote(TEXT, (line,))


def test_a_note_survives_its_text(key: SoftwareKey) -> None:
    note = signed(key)
    assert parse_note(str(note)) == note
    assert parse_note(str(note).encode()) == note
    assert verify_note(note, ORIGIN, [key.public_key]) == [key.public_key.key_id]


def test_a_checkpoint_reads_as_c2sp_writes_it() -> None:
    assert f"{ORIGIN}\n3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" == TEXT
    assert parse_checkpoint(TEXT) == Checkpoint(ORIGIN, 3, bytes(range(32)))


def test_an_ed25519_key_signs_too() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    public = PublicKey(spki(private))
    line = NoteSignature(ORIGIN, public.note_hash(ORIGIN), private.sign(TEXT.encode()))
    assert verify_note(SignedNote(TEXT, (line,)), ORIGIN, [public]) == [public.key_id]


def test_the_hash_of_a_key_is_the_one_that_other_tools_write() -> None:
    # The key, its hash and its vkey of golang.org/x/mod/sumdb/note, package example.
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    raw = base64.b64decode(vkey.rpartition("+")[2])[1:]
    public = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    found = PublicKey(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    assert found.note_hash("PeterNeumann").hex() == vkey.split("+")[1]


def test_another_key_of_another_algorithm_is_refused() -> None:
    for other in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)):
        with pytest.raises(InvalidInput, match="neither"):
            PublicKey(spki(other))
    with pytest.raises(InvalidInput, match="not a public key"):
        PublicKey(b"nonsense")


def test_the_malleable_twin_of_a_signature_says_the_same_and_no_more(key: SoftwareKey) -> None:
    r, s = decode_dss_signature(key.sign(TEXT.encode()))
    one = signed(key, encode_dss_signature(r, s))
    twin = signed(key, encode_dss_signature(r, P256_ORDER - s))
    both = SignedNote(TEXT, one.signatures + twin.signatures)
    assert verify_note(twin, ORIGIN, [key.public_key]) == [key.public_key.key_id]
    assert verify_note(both, ORIGIN, [key.public_key]) == [key.public_key.key_id], "one key counts once"


@pytest.mark.parametrize("change", ["truncated", "trailing", "raw", "zero", "order", "negative", "long_form"])
def test_a_malformed_signature_verifies_nothing(key: SoftwareKey, change: str) -> None:
    good = key.sign(TEXT.encode())
    r, s = decode_dss_signature(good)
    bad = {
        "truncated": good[:-1],
        "trailing": good + b"\0",
        "raw": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "zero": encode_dss_signature(0, 0),
        "order": encode_dss_signature(r, P256_ORDER),
        "negative": bytes.fromhex("3006020180020180"),
        "long_form": b"\x30\x81" + good[1:],
    }[change]
    assert verify_note(signed(key, bad), ORIGIN, [key.public_key]) == []


def test_a_signature_of_another_name_or_text_does_not_count(key: SoftwareKey) -> None:
    assert verify_note(signed(key, name="ledger.example/test/other"), ORIGIN, [key.public_key]) == []
    other = SignedNote(checkpoint_text(ORIGIN, 4, bytes(range(32))), signed(key).signatures)
    assert verify_note(other, ORIGIN, [key.public_key]) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        TEXT,
        TEXT + "\n",
        TEXT + "\nno signature\n",
        TEXT + f"\n— {ORIGIN} AAAA\n",
        TEXT + f"\n— {ORIGIN} AAAAAAAA",
        TEXT + f"\n- {ORIGIN} AAAAAAAA\n",
        TEXT + f"\n— {ORIGIN} AAAAAAA\n",
        TEXT + f"\n— {ORIGIN} AAAAAAB=\n",
        TEXT + f"\n— a+b {'A' * 8}\n",
        TEXT + f"\n— {ORIGIN}  AAAAAAAA\n",
        TEXT.replace("\n", "\r\n") + f"\n— {ORIGIN} AAAAAAAA\n",
        TEXT + "\n" + f"— {ORIGIN} AAAAAAAA\n" * 101,
        "x" * 70_000,
    ],
)
def test_a_malformed_note_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_note(text)


@pytest.mark.parametrize(
    "text",
    [
        TEXT[:-1],
        TEXT + "extension\n",
        TEXT.replace("\n3\n", "\n03\n"),
        TEXT.replace("\n3\n", "\n-1\n"),
        TEXT.replace("\n3\n", "\n9223372036854775808\n"),
        TEXT.replace("\n3\n", "\n٣\n"),
        TEXT.replace("AAEC", "AAE"),
        TEXT.replace(ORIGIN, "main"),
        TEXT.replace("Hh8=", "Hh9="),
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_checkpoint(text)


@pytest.mark.parametrize("text", ["AA", "AA=", "AB==", "A A=", "AA==\n", "A-_=", "é==="])
def test_base64_has_one_form(text: str) -> None:
    with pytest.raises(InvalidInput):
        decode_base64(text)
