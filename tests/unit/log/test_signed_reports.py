"""Signed reports: whose word counts, what it says, and that no signature makes a failure a success."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import cli.main
from ledger_core.errors import ConfigurationError, InvalidInput
from ledger_core.evidence.attest import sign_report
from ledger_core.log.__main__ import main as verifier_main
from ledger_core.log.attest import AuditorKey, attest, read_auditor_key, read_auditor_public, report_payload
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import KEYS_TYPE, PROOF_TYPE, REPORT_TYPE, Envelope, EnvelopeSignature, pae, parse_envelope
from ledger_core.log.findings import VerificationReport
from ledger_core.log.note import encode_base64
from ledger_core.log.object_tree import place_of
from ledger_core.log.report_files import check_report_names
from ledger_core.log.report_page import report_page
from ledger_core.log.verifier import verify_path
from ledger_core.signing.backends.software import SoftwareKey

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "formats" / "report.schema.json").read_text())
WIDE = {"p256": lambda: ec.generate_private_key(ec.SECP256R1()), "ed25519": ed25519.Ed25519PrivateKey.generate}


def companys(log: Any, report: VerificationReport, *, key: SoftwareKey | None = None, **changes: Any) -> Envelope:
    """The report as the company's proxy signs it; `changes` are of what stands beside it."""
    keys = [item.as_json() for item in log.registry]
    more = {"origin": log.origin, "checkpoint": log.note(), "key_registry": keys, **changes}
    return log.envelope(REPORT_TYPE, report_payload(report, **more), key=key)


def read(path: Path, envelope: Envelope, trust: Any, **more: Any) -> VerificationReport:
    path.write_bytes(envelope.to_bytes())
    found = verify_path(path, trust, **more)
    jsonschema.validate(json.loads(json.dumps(found.as_json())), SCHEMA)
    assert report_page(found.as_json())
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "report.dsse.json"


@pytest.fixture
def sound(archive: Any) -> VerificationReport:
    return verify_path(archive.root, archive.log.trust)


@pytest.fixture
def auditor() -> AuditorKey:
    return AuditorKey(ec.generate_private_key(ec.SECP256R1()))


def test_what_the_company_signed_is_read_back_with_whose_word_it_is(
    archive: Any, sound: VerificationReport, file: Path
) -> None:
    log = archive.log
    found = read(file, companys(log, sound), log.trust)
    assert (found.verdict, found.exit_status) == ("verified", 0)
    said = found.as_json()["signed_report"]
    assert (said["signed_by"], list(said["keys"])) == ("registry", [log.key.public_key.key_id])
    assert (said["verdict"], said["size"], said["origins"]) == ("verified", 60, [log.origin])
    assert (said["path"], said["verified_at"]) == (str(archive.root), sound.verified_at)
    assert found.size is None, "the report was read, and not what it speaks of"
    lines = found.as_lines()
    assert any("the company's key" in line and "VERIFIED" in line and "size 60" in line for line in lines), lines
    assert any("not that it is so" in line for line in lines)
    page = report_page(found.as_json())
    assert log.key.public_key.key_id in page
    assert "the company&#x27;s" in page or "the company's" in page
    payload = json.loads(parse_envelope(file.read_bytes()).payload)
    jsonschema.validate(payload, SCHEMA)


def test_a_signed_report_of_a_failure_is_a_failure(archive: Any, file: Path, auditor: AuditorKey) -> None:
    path = archive.folders[1] / "records.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-30])
    failed = verify_path(archive.root, archive.log.trust)
    assert failed.verdict == "truncated"
    for found in (
        read(file, companys(archive.log, failed), archive.log.trust),
        read(file, attest(failed, auditor), None, signed_by=auditor.public_key),
    ):
        assert (found.verdict, found.exit_status) == ("truncated", 1)
        assert found.signed_report is not None
        assert "as the report itself says" in found.failures[0].detail


@pytest.mark.parametrize(("says", "status"), [("unverifiable", 2), ("splendid", 1), ("forked", 1)])
def test_a_report_that_says_another_word_than_verified_is_not_verified(
    archive: Any, sound: VerificationReport, file: Path, says: str, status: int
) -> None:
    found = read(file, companys(archive.log, sound, verdict=says), archive.log.trust)
    assert found.exit_status == status


@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        ("another key", "bad_signature"),
        ("another payload", "bad_signature"),
        ("another type", "unverifiable"),
        ("another log's checkpoint", "forked"),
        ("another root", "bad_signature"),
        ("no checkpoint", "unverifiable"),
        ("no keys", "unverifiable"),
        ("no report", "unverifiable"),
        ("no text", "unverifiable"),
        ("a size that is none", "unverifiable"),
        ("another's roots", "bad_signature"),
        ("a log that is not pinned", "unverifiable"),
    ],
)
def test_what_is_no_word_of_the_companys_is_named(
    archive: Any, other: Any, sound: VerificationReport, file: Path, what: str, verdict: str
) -> None:
    log = archive.log
    stranger = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    sealed = companys(log, sound)
    made = {
        "another key": lambda: companys(log, sound, key=stranger),
        "another payload": lambda: dataclasses.replace(
            sealed, payload=sealed.payload.replace(b'"size":60', b'"size":61')
        ),
        "another type": lambda: log.envelope(PROOF_TYPE, sealed.payload),
        "another log's checkpoint": lambda: companys(log, sound, checkpoint=other.log.note()),
        "another root": lambda: companys(log, sound, checkpoint=log.note(root=b"f" * 32, key=stranger)),
        "no checkpoint": lambda: companys(log, sound, checkpoint=None),
        "no keys": lambda: companys(log, sound, key_registry=[]),
        "no report": lambda: companys(log, sound, schema="cf-report/2"),
        "no text": lambda: companys(log, sound, path=5),
        "a size that is none": lambda: companys(log, sound, size=-1),
        "another's roots": lambda: companys(type(log)(lines=log.lines), sound),
        "a log that is not pinned": lambda: sealed,
    }[what]()
    trust = log.trust
    if what == "a log that is not pinned":
        trust = dataclasses.replace(trust, origin="elsewhere.example/test/*")
    found = read(file, made, trust)
    assert found.verdict == verdict, found.as_lines()
    assert found.exit_status != 0
    assert found.signed_report is None, "what is not proved to be said is not told"


def test_what_is_asked_of_logs_is_not_answered_by_a_report(
    archive: Any, sound: VerificationReport, file: Path, auditor: AuditorKey
) -> None:
    log = archive.log
    for envelope, named in ((companys(log, sound), {}), (attest(sound, auditor), {"signed_by": auditor.public_key})):
        for asked in ({"since": 5}, {"known_checkpoint": log.note(5)}):
            found = read(file, envelope, log.trust, **asked, **named)
            assert (found.verdict, found.exit_status) == ("unverifiable", 2)
            assert "for what a report speaks of" in found.failures[-1].detail


def test_a_report_on_a_signed_report_is_signed_by_nobody_and_read_by_nobody(
    archive: Any, sound: VerificationReport, file: Path, auditor: AuditorKey
) -> None:
    log = archive.log
    second_hand = read(file, companys(log, sound), log.trust)
    assert second_hand.verdict == "verified"
    with pytest.raises(InvalidInput, match="is a signed report"):
        attest(second_hand, auditor)
    with pytest.raises(InvalidInput, match="is a signed report"):
        sign_report(None, "main", second_hand)  # type: ignore[arg-type]
    payload = report_payload(second_hand)
    signed = EnvelopeSignature(auditor.public_key.key_id, auditor.sign(pae(REPORT_TYPE, payload)))
    for envelope, named in (
        (companys(log, second_hand), {}),
        (Envelope(REPORT_TYPE, payload, (signed,)), {"signed_by": auditor.public_key}),
    ):
        found = read(file, envelope, log.trust, **named)
        assert (found.verdict, found.exit_status, found.signed_report) == ("unverifiable", 2, None)
        assert "another signed report" in found.failures[0].detail


def test_a_report_on_other_logs_is_no_word_of_the_log_that_signed_it(
    archive: Any, sound: VerificationReport, file: Path
) -> None:
    log, other = archive.log, "ledger.example/test/other"
    found = read(file, companys(log, sound, origins=[other]), log.trust)
    assert (found.verdict, found.signed_report) == ("forked", None)
    assert other in found.failures[0].detail
    several = read(file, companys(log, sound, origins=[other, log.origin]), log.trust)
    assert several.verdict == "verified"
    assert any(f"of {other}, {log.origin}" in line for line in several.as_lines()), several.as_lines()
    assert read(file, companys(log, sound, origins=[]), log.trust).verdict == "verified"


def test_a_report_at_a_checkpoint_that_does_not_count_is_none(
    archive: Any, sound: VerificationReport, file: Path
) -> None:
    log = archive.log
    follower = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    stolen = stolen_key_registry(log, follower)
    log.registry.append(stolen)
    good = companys(log, sound, key=follower, checkpoint=log.note(60, key=follower))
    assert read(file, good, log.trust).verdict == "verified"
    doubtful = companys(log, sound, key=follower, checkpoint=log.note(60, key=log.key))
    found = read(file, doubtful, log.trust)
    assert (found.verdict, found.signed_report) == ("key_not_valid_at_size", None)
    assert found.failures[0].detail.startswith("the checkpoint: signed by")


def stolen_key_registry(log: Any, follower: SoftwareKey) -> Envelope:
    """A registry in which the log's key is stolen and counts for the tree of size 40 alone."""
    document = json.loads(log.add_registry([(log.key, 0, 40), (follower, 41, None)]).payload)
    document["schema"] = "cf-keys/2"
    document["keys"][0]["status"] = "compromised"
    document["keys"][0]["valid"][0] |= {"origin": log.origin, "root": encode_base64(log.tree(40).frontier.root())}
    made: Envelope = log.envelope(KEYS_TYPE, canonical_bytes(document), key=log.root_key)
    return made


@pytest.mark.parametrize("told_by", ["the trust file", "beside the trust file", "beside the report", "the payload"])
def test_a_key_of_the_companys_is_no_auditors(
    archive: Any, sound: VerificationReport, tmp_path: Path, told_by: str
) -> None:
    log = archive.log
    own = AuditorKey((log.root_key if told_by == "the trust file" else log.key)._key)
    for name in ("desk", "post"):
        (tmp_path / name).mkdir()
    trust, file = tmp_path / "desk" / "trust.json", tmp_path / "post" / "report.dsse.json"
    trust.write_text(json.dumps(log.trust.as_json()))
    registry = b"".join(item.to_bytes() + b"\n" for item in log.registry)
    if told_by.startswith("beside"):
        (file if told_by == "beside the report" else trust).with_name("keys.jsonl").write_bytes(registry)
    more = {"key_registry": [item.as_json() for item in log.registry]} if told_by == "the payload" else {}
    payload = report_payload(sound, **more)
    signed = EnvelopeSignature(own.public_key.key_id, own.sign(pae(REPORT_TYPE, payload)))
    envelope = Envelope(REPORT_TYPE, payload, (signed,))
    found = read(file, envelope, None if told_by == "the payload" else trust, signed_by=own.public_key)
    assert (found.verdict, found.exit_status, found.signed_report) == ("unverifiable", 2, None), found.as_lines()
    assert "one of the company's" in found.failures[0].detail
    auditor = AuditorKey(ec.generate_private_key(ec.SECP256R1()))
    assert read(file, attest(sound, auditor), trust, signed_by=auditor.public_key).verdict == "verified"


def test_a_key_signs_reports_at_the_sizes_that_are_its_own(archive: Any, sound: VerificationReport, file: Path) -> None:
    log = archive.log
    follower = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    log.registry.append(log.add_registry([(log.key, 0, 60), (follower, 60, None)]))
    assert read(file, companys(log, sound), log.trust).verdict == "verified"
    assert read(file, companys(log, sound, key=follower), log.trust).verdict == "verified"
    late = companys(log, sound, checkpoint=log.note(40), key=follower)
    assert read(file, late, log.trust).verdict == "key_not_valid_at_size"


def test_an_auditors_word_is_read_with_the_key_that_the_reader_names(
    sound: VerificationReport, file: Path, archive: Any
) -> None:
    for make in WIDE.values():
        key, another = AuditorKey(make()), AuditorKey(make())
        envelope = attest(sound, key)
        found = read(file, envelope, None, signed_by=key.public_key)
        assert (found.verdict, found.signed_report.signed_by) == ("verified", "named_key")
        assert found.signed_report.keys == (key.public_key.key_id,)
        assert any("the key that you named" in line for line in found.as_lines())
        assert read(file, envelope, None, signed_by=another.public_key).verdict == "bad_signature"
        assert read(file, envelope, archive.log.trust).verdict == "unverifiable", "no company's"
        renamed = dataclasses.replace(envelope, payload_type=PROOF_TYPE)
        message = pae(PROOF_TYPE, envelope.payload)
        signed = EnvelopeSignature(key.public_key.key_id, key.sign(message))
        for other in (renamed, Envelope(PROOF_TYPE, envelope.payload, (signed,))):
            assert read(file, other, None, signed_by=key.public_key).verdict == "bad_signature"
    assert verify_path(file.with_name("absent"), None, signed_by=key.public_key).exit_status == 2
    file.write_bytes(b"{}")
    assert verify_path(file, None, signed_by=key.public_key).exit_status == 2


def test_a_report_in_a_bucket_that_is_away_is_not_said_to_be_wrong(
    auditor: AuditorKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    found = verify_path(place_of("s3://some-bucket/report.dsse.json"), None, signed_by=auditor.public_key)
    assert (found.verdict, found.exit_status) == ("unverifiable", 2)
    assert "does not answer" in found.failures[0].detail


def test_no_key_of_the_companys_attests_to_it(archive: Any, sound: VerificationReport) -> None:
    follower, root = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    for own in (archive.log.key._key, archive.log.root_key._key):
        with pytest.raises(ConfigurationError, match="one of the company"):
            attest(sound, AuditorKey(own))
    archive.log.registry.append(archive.log.add_registry([(archive.log.key, 0, 59), (SoftwareKey(follower), 60, None)]))
    (archive.folders[2] / "keys.jsonl").write_bytes(b"".join(item.to_bytes() + b"\n" for item in archive.log.registry))
    with pytest.raises(ConfigurationError, match="one of the company"):
        attest(verify_path(archive.root, archive.log.trust), AuditorKey(follower))
    with pytest.raises(ConfigurationError, match="attests nothing"):
        attest(verify_path(archive.root, None), AuditorKey(root))


def pem(key: Any, *, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def write_key(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_key_file_is_one_of_two_kinds_and_nobody_elses_to_read(tmp_path: Path) -> None:
    good = ec.generate_private_key(ec.SECP256R1())
    path = write_key(tmp_path / "key.pem", pem(good))
    assert read_auditor_key(path).public_key.spki == AuditorKey(good).public_key.spki
    for data, mode, reason in (
        (pem(good), 0o644, "mode 0644"),
        (pem(ec.generate_private_key(ec.SECP384R1())), 0o600, "neither"),
        (pem(rsa.generate_private_key(65537, 2048)), 0o600, "neither"),
        (pem(good, password=b"secret"), 0o600, "no private key"),
        (b"nonsense", 0o600, "no private key"),
        (pem(good) + b"#" * 20_000, 0o600, "more than"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            read_auditor_key(write_key(path, data, mode))
    for absent in (tmp_path / "absent", tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            read_auditor_key(absent)
    with pytest.raises(ConfigurationError, match="no public key"):
        read_auditor_public(write_key(path, pem(good)))


def test_a_file_is_signed_where_somebody_signs_and_nowhere_else(tmp_path: Path) -> None:
    signed, plain = tmp_path / "report.DSSE.json", tmp_path / "report.json"
    check_report_names([signed, plain], signs=True)
    check_report_names([plain])
    for paths, signs in (([signed], False), ([plain], True), ([], True)):
        with pytest.raises(InvalidInput, match=r"dsse\.json"):
            check_report_names(paths, signs=signs)


@pytest.mark.parametrize("program", ["counterfoil", "one file"])
def test_both_programs_sign_with_an_auditors_key_and_read_it_back(
    archive: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.delenv("COUNTERFOIL_HOME", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> int:
        words = list(map(str, arguments))
        if program == "one file":
            return verifier_main(words)
        monkeypatch.setattr(sys, "argv", ["counterfoil", "verify", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main.main()
        return int(ended.value.code or 0)

    trust, out, key = tmp_path / "trust.json", tmp_path / "report.dsse.json", ed25519.Ed25519PrivateKey.generate()
    trust.write_text(json.dumps(archive.log.trust.as_json()))
    private, public = write_key(tmp_path / "key.pem", pem(key)), tmp_path / "key.pub"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    asked = (archive.root, "--trust", trust, "--sign-with", private)
    assert run(*asked) == 2, "where is it to be written?"
    assert run(archive.root, "--trust", trust, "--report", out) == 2, "who is to sign it?"
    assert not out.exists()
    assert run(*asked, "--report", out, "--report", tmp_path / "plain.json") == 0
    assert json.loads((tmp_path / "plain.json").read_text())["verdict"] == "verified"
    assert parse_envelope(out.read_bytes()).payload_type == REPORT_TYPE
    assert run(out, "--signed-by", public) == 0
    assert run(out, "--signed-by", private) == 2
    assert run(out, "--trust", trust) == 2
    assert run(archive.root, "--trust", trust, "--signed-by", public) == 2
    own = write_key(tmp_path / "own.pem", pem(archive.log.key._key))
    second_hand = tmp_path / "second.dsse.json"
    companys_own = tmp_path / "companys.dsse.json"
    companys_own.write_bytes(companys(archive.log, verify_path(archive.root, archive.log.trust)).to_bytes())
    assert run(companys_own, "--trust", trust, "--sign-with", private, "--report", second_hand) == 2
    assert not second_hand.exists()
    out.unlink()
    plain = tmp_path / "kept.json"
    refused = (archive.root, "--trust", trust, "--sign-with", own, "--report", out, "--report", plain)
    assert run(*refused) == 2
    assert json.loads(plain.read_text())["verdict"] == "verified", "what was found is kept all the same"
    path = archive.folders[1] / "records.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-30])
    assert run(*refused) == 1, "a failure is one, whoever refuses to sign it"
    assert json.loads(plain.read_text())["verdict"] == "truncated"
    assert not out.exists()
