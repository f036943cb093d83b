"""Somebody with the disk of the archive: flipped bytes, swapped, invented, deleted and forged segments."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger_core.errors import IntegrityError
from ledger_core.evidence.check.checker import Code
from ledger_core.evidence.export.segment import export_segment
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import KEYS_TYPE, SEGMENT_TYPE, Envelope, EnvelopeSignature, pae, parse_envelope
from ledger_core.log.findings import VerificationReport
from ledger_core.log.keys import KeyRecord, Validity, registry_payload
from ledger_core.log.merkle import leaf_hash
from ledger_core.log.note import NoteSignature, PublicKey, SignedNote, checkpoint_text, encode_base64
from ledger_core.log.segment import FILES, MANIFEST_FILE, RECORDS_FILE, parse_manifest
from ledger_core.log.stream import RecordStream
from ledger_core.log.verifier import verify_path

pytestmark = pytest.mark.tamper

BOOK = "main"


def segment(attacked: Any, number: int) -> Path:
    (folder,) = (attacked.runtime.home / "archive").rglob(f"{BOOK}/segments/*/*/*/{number:010d}-*")
    return folder


def verify(attacked: Any, path: Path | None = None) -> VerificationReport:
    return verify_path(path or attacked.runtime.home / "archive", attacked.runtime.trust_path)


def write(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1
    write(path, bytes(data))


def refused_export(attacked: Any) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        export_segment(attacked.runtime, closed_on=date(2026, 4, 1), book=BOOK)
    return caught.value


def test_an_untouched_archive_verifies(attacked_home) -> None:
    report = verify(attacked_home)
    assert (report.verdict, report.exit_status, report.segments) == ("verified", 0, 2)
    assert attacked_home.check().sound


@pytest.mark.parametrize("name", FILES)
def test_one_byte_flipped_in_a_file_of_a_segment(attacked_home, name: str) -> None:
    path = segment(attacked_home, 2) / name
    size_bytes = path.stat().st_size
    for at in (0, size_bytes // 10, size_bytes // 2, size_bytes * 9 // 10, size_bytes - 1):
        flip(path, at)
        report = verify(attacked_home)
        assert report.exit_status == 1, (at, report.as_lines())
        assert any(name in failure.where for failure in report.failures), [str(item) for item in report.failures]
        assert refused_export(attacked_home).context["finding"] in ("archive_edited", "signature_invalid")
        codes = attacked_home.check().codes
        assert codes
        assert codes <= {Code.ARCHIVE_EDITED, Code.SIGNATURE_INVALID}
        flip(path, at)
    assert verify(attacked_home).exit_status == 0


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_segment_deleted(attacked_home, name: str) -> None:
    (segment(attacked_home, 1) / name).unlink()
    report = verify(attacked_home)
    assert report.exit_status == 1
    assert report.verdict == "missing", report.as_lines()
    assert Code.ARCHIVE_MISSING in attacked_home.check().codes


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_segment_cut_short_or_emptied(attacked_home, name: str) -> None:
    path = segment(attacked_home, 1) / name
    for data in (path.read_bytes()[:-10], b""):
        write(path, data)
        assert verify(attacked_home).exit_status == 1
        codes = attacked_home.check().codes
        assert codes & {Code.ARCHIVE_EDITED, Code.SIGNATURE_INVALID}


def test_a_segment_in_the_middle_deleted(attacked_home) -> None:
    export_segment(attacked_home.runtime, closed_on=date(2026, 4, 1), book=BOOK)
    shutil.rmtree(segment(attacked_home, 2))
    report = verify(attacked_home)
    assert report.exit_status == 1
    assert report.verdict == "missing", report.as_lines()
    missing = [item for item in attacked_home.check().findings if item.code == Code.ARCHIVE_MISSING]
    assert "segment 2 of 2026-03-31" in missing[0].detail
    with pytest.raises(IntegrityError, match="segment 2 of 2026-03-31 is recorded and not in the archive"):
        export_segment(attacked_home.runtime, closed_on=date(2026, 4, 2), book=BOOK)


def test_the_last_segment_deleted(attacked_home) -> None:
    shutil.rmtree(segment(attacked_home, 2))
    assert verify(attacked_home).exit_status == 0, "nothing in the archive says that there was another night"
    assert attacked_home.check().codes == {Code.ARCHIVE_MISSING}
    assert refused_export(attacked_home).context["finding"] == "archive_missing"


def test_a_segment_swapped_for_another(attacked_home) -> None:
    first, second = segment(attacked_home, 1), segment(attacked_home, 2)
    for name in FILES:
        write(second / name, (first / name).read_bytes())
    report = verify(attacked_home)
    assert report.exit_status == 1
    assert Code.ARCHIVE_EDITED in attacked_home.check().codes
    assert refused_export(attacked_home).context["finding"] == "archive_edited"


def test_a_segment_of_another_log_put_in_its_place(attacked_home) -> None:
    """Validly signed by the same proxy, with the same number, and not of this log."""
    export_segment(attacked_home.runtime, closed_on=date(2026, 3, 31), book="other")
    (foreign,) = (attacked_home.runtime.home / "archive").rglob("other/segments/2026/03/31/*")
    target = segment(attacked_home, 2)
    for name in FILES:
        write(target / name, (foreign / name).read_bytes())
    assert verify(attacked_home, target).exit_status == 1
    assert Code.ARCHIVE_EDITED in attacked_home.check().codes


def test_a_record_removed_from_the_records_file_and_packed_again(attacked_home) -> None:
    path = segment(attacked_home, 2) / RECORDS_FILE
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    for kept in (lines[:-1], lines[1:], lines[:5] + lines[6:], [*lines[:3], lines[4], lines[3], *lines[5:]], lines * 2):
        write(path, gzip.compress(b"".join(kept), mtime=0))
        report = verify(attacked_home)
        assert report.exit_status == 1
        assert any(failure.seq is not None for failure in report.failures), report.as_lines()


def test_a_second_folder_claims_a_segment(attacked_home) -> None:
    folder = segment(attacked_home, 2)
    shutil.copytree(folder, folder.parent / (folder.name + "0"))
    assert attacked_home.check().codes == {Code.ARCHIVE_FOREIGN}
    assert verify(attacked_home).verdict == "forked"
    night = export_segment(attacked_home.runtime, closed_on=date(2026, 4, 1), book=BOOK)
    assert (night.segment, [folder.name + "0" in told for told in night.foreign]) == (3, [True])


@pytest.mark.parametrize("number", [3, 4])
def test_a_segment_invented_behind_the_last(attacked_home, number: int) -> None:
    size = attacked_home.check().size
    folder = segment(attacked_home, 2)
    invented = folder.parent / f"{number:010d}-{size}-{size + 5}"
    shutil.copytree(folder, invented)
    assert attacked_home.check().codes == {Code.ARCHIVE_FOREIGN}
    assert verify(attacked_home).exit_status == 1
    night = export_segment(attacked_home.runtime, closed_on=date(2026, 4, 1), book=BOOK)
    assert (night.segment, [invented.name in told for told in night.foreign]) == (3, [True])


class Forger:
    """Somebody with a key of his own: a registry, checkpoints and manifests that agree with each other."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        spki = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public = PublicKey(spki)

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message, ec.ECDSA(hashes.SHA256()))

    def envelope(self, kind: str, payload: bytes) -> Envelope:
        signature = EnvelopeSignature(self.public.key_id, self.sign(pae(kind, payload)))
        return Envelope(kind, payload, (signature,))

    def note(self, origin: str, size: int, root: bytes) -> str:
        text = checkpoint_text(origin, size, root)
        signature = NoteSignature(origin, self.public.note_hash(origin), self.sign(text.encode()))
        return str(SignedNote(text, (signature,)))

    def registry(self, version: int, previous_sha256: str) -> Envelope:
        record = KeyRecord(
            key=self.public,
            backend="software",
            assurance="hsm",
            status="active",
            purposes=("checkpoint", "dsse"),
            valid=(Validity(origin="*", from_size=0, to_size=None),),
        )
        payload = registry_payload(
            version=version,
            previous_sha256=previous_sha256,
            roots=[self.public],
            threshold=1,
            keys=[record],
            created_at="2026-01-01T00:00:00.000000Z",
        )
        return self.envelope(KEYS_TYPE, payload)


def forge_segment(folder: Path, forger: Forger, registry: Callable[[bytes], list[Envelope]]) -> None:
    """Rewrite a segment's first entry and sign everything anew with the forger's key."""
    manifest = parse_manifest(parse_envelope((folder / MANIFEST_FILE).read_bytes()).payload)
    lines = gzip.decompress((folder / RECORDS_FILE).read_bytes()).splitlines()
    stream = RecordStream(frontier=manifest.before, prev=manifest.first_prev, book=manifest.book)
    forged, prev = [], manifest.first_prev
    for line in lines:
        record = orjson.loads(line)
        if record["kind"] == "journal_entry":
            record["body"]["description"] = "never happened"
        record["prev"] = prev.hex()
        forged.append(canonical_bytes(record))
        prev = leaf_hash(forged[-1])
    stream.feed(forged)
    packed = gzip.compress(b"".join(line + b"\n" for line in forged), mtime=0)
    keys = b"".join(item.to_bytes() + b"\n" for item in registry((folder / "keys.jsonl").read_bytes()))
    note = forger.note(manifest.origin, manifest.next_seq, stream.frontier.root()).encode()
    payload = orjson.loads(parse_envelope((folder / MANIFEST_FILE).read_bytes()).payload)
    payload["tree"]["after"]["root"] = encode_base64(stream.frontier.root())
    payload["chain"]["last_leaf"] = stream.last_leaf.hex()
    contents = {RECORDS_FILE: packed, "keys.jsonl": keys, "checkpoint": note}
    for item in payload["objects"]:
        data = contents[item["name"]]
        item["bytes"], item["sha256"] = len(data), hashlib.sha256(data).hexdigest()
        if "content_sha256" in item:
            plain = gzip.decompress(data)
            item["content_sha256"], item["content_bytes"] = hashlib.sha256(plain).hexdigest(), len(plain)
    for name, data in contents.items():
        write(folder / name, data)
    write(folder / MANIFEST_FILE, forger.envelope(SEGMENT_TYPE, canonical_bytes(payload)).to_bytes())


def test_a_segment_forged_whole_with_a_key_of_ones_own(attacked_home) -> None:
    forger = Forger()
    folder = segment(attacked_home, 2)
    forge_segment(folder, forger, lambda _keys: [forger.registry(1, "0" * 64)])
    report = verify(attacked_home)
    assert report.exit_status == 1
    assert "bad_signature" in {failure.verdict for failure in report.failures}, report.as_lines()
    assert Code.SIGNATURE_INVALID in attacked_home.check().codes
    assert refused_export(attacked_home).context["finding"] == "signature_invalid"


def test_a_key_added_to_the_registry_without_the_roots(attacked_home) -> None:
    forger = Forger()

    def append(keys: bytes) -> list[Envelope]:
        genuine = [parse_envelope(line) for line in keys.splitlines()]
        digest = hashlib.sha256(genuine[-1].payload).hexdigest()
        return [*genuine, forger.registry(len(genuine) + 1, digest)]

    forge_segment(segment(attacked_home, 2), forger, append)
    report = verify(attacked_home)
    assert report.exit_status == 1
    assert "bad_signature" in {failure.verdict for failure in report.failures}, report.as_lines()


def test_a_trust_file_of_somebody_else_verifies_nothing(attacked_home, tmp_path: Path) -> None:
    trust = json.loads(attacked_home.runtime.trust_path.read_text())
    stranger = Forger().public
    trust["roots"] = [{"alg": stranger.algorithm, "key_id": stranger.key_id, "spki": encode_base64(stranger.spki)}]
    (tmp_path / "trust.json").write_text(json.dumps(trust))
    report = verify_path(attacked_home.runtime.home / "archive", tmp_path / "trust.json")
    assert report.exit_status == 1
    assert "bad_signature" in {failure.verdict for failure in report.failures}


def test_the_export_never_signs_over_a_rewritten_database(attacked_home) -> None:
    (first,) = {row[0] for row in attacked_home.rows("select first_seq from ledger.exports where segment = 2")}
    attacked_home.sql(
        "update ledger.records set canonical = set_byte(canonical, 40, get_byte(canonical, 40) # 1) where seq = :seq",
        seq=first + 3,
    )
    error = refused_export(attacked_home)
    assert error.context["seq"] == first + 3
    assert "archived segment 2 at seq" in error.message
    assert len(list((attacked_home.runtime.home / "archive").rglob(MANIFEST_FILE))) == 2
