"""The verifier on segments: sound ones, and every way to damage one, each with its typed verdict and seq."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.log.merkle import leaf_hash
from ledger_core.log.verifier import verify_path
from ledger_core.signing.backends.software import SoftwareKey


def records_of(folder: Path) -> list[bytes]:
    return gzip.decompress((folder / "records.jsonl.gz").read_bytes()).splitlines()


def put_records(folder: Path, lines: list[bytes]) -> None:
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        packed.write(b"".join(line + b"\n" for line in lines))
    (folder / "records.jsonl.gz").write_bytes(file.getvalue())


def first_failure(path: Path, archive: Any, **options: Any) -> tuple[str, int | None]:
    report = verify_path(path, archive.log.trust, **options)
    assert report.exit_status == 1, report.as_lines()
    failure = next(item for item in report.failures if item.verdict == report.verdict)
    return report.verdict, failure.seq


def test_a_run_of_segments_verifies_and_counts_what_is_in_it(archive: Any) -> None:
    report = verify_path(archive.root, archive.log.trust)
    assert (report.verdict, report.exit_status, report.failures) == ("verified", 0, [])
    assert (report.segments, report.records, report.entries, report.size) == (3, 60, 59, 60)
    debits, credits = report.totals["USD"]
    assert debits == credits > 0
    assert report.assurance == ["software"]
    assert report.accounts == 3


def test_one_segment_verifies_without_the_ones_before_it(archive: Any) -> None:
    report = verify_path(archive.folders[1], archive.log.trust)
    assert (report.verdict, report.records, report.first_seq) == ("verified", 25, 20)
    assert "before seq 20" in report.notes[0]


def test_nothing_pinned_is_cannot_tell(archive: Any, tmp_path: Path) -> None:
    assert verify_path(archive.root, None).exit_status == 2
    assert verify_path(archive.root, tmp_path / "no-trust.json").exit_status == 2


def test_a_trust_file_for_another_log_is_cannot_tell(archive: Any) -> None:
    pinned = json.dumps({**archive.log.trust.as_json(), "origin": "elsewhere.example/test/*"})
    (archive.root / "trust.json").write_text(pinned)
    report = verify_path(archive.folders[0], archive.root / "trust.json")
    assert (report.verdict, report.exit_status) == ("unverifiable", 2)


def test_a_path_without_segments_is_cannot_tell(archive: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello")
    for name in ("empty", "text", "absent"):
        assert verify_path(tmp_path / name, archive.log.trust).exit_status == 2


@pytest.mark.parametrize("seq", [20, 21, 33, 43, 44])
def test_an_edited_amount_is_named_by_its_seq(archive: Any, seq: int) -> None:
    folder = archive.folders[1]
    lines = records_of(folder)
    lines[seq - 20] = lines[seq - 20].replace(b'"amount":"1', b'"amount":"2', 1)
    put_records(folder, lines)
    assert first_failure(archive.root, archive) == ("edited", seq)


@pytest.mark.parametrize("seq", [20, 30, 44])
@pytest.mark.parametrize("member", [b'"prev":"', b'"seq":', b'"recorded_at":"20', b'"id":"'])
def test_an_edited_envelope_member_is_named_by_its_seq(archive: Any, seq: int, member: bytes) -> None:
    folder = archive.folders[1]
    lines = records_of(folder)
    line = lines[seq - 20]
    at = line.rindex(member) + len(member)
    lines[seq - 20] = line[:at] + (b"9" if line[at : at + 1] != b"9" else b"8") + line[at + 1 :]
    put_records(folder, lines)
    assert first_failure(archive.root, archive) == ("edited", seq)


def test_every_single_byte_change_of_a_segment_is_found_and_placed(archive: Any) -> None:
    folder = archive.folders[1]
    original = records_of(folder)
    chance = random.Random(7)
    for _ in range(60):
        lines = list(original)
        row = chance.randrange(len(lines))
        line = bytearray(lines[row])
        at = chance.randrange(len(line))
        line[at] ^= 1 << chance.randrange(8)
        if b"\n" in line:
            continue
        lines[row] = bytes(line)
        put_records(folder, lines)
        verdict, seq = first_failure(folder, archive)
        assert verdict == "edited"
        assert seq == 20 + row, (bytes(line)[max(0, at - 20) : at + 20], seq, 20 + row)


def test_a_missing_record_is_named(archive: Any) -> None:
    folder = archive.folders[1]
    lines = records_of(folder)
    del lines[10]
    put_records(folder, lines)
    assert first_failure(archive.root, archive) == ("missing", 30)


def test_a_missing_tail_is_truncated(archive: Any) -> None:
    folder = archive.folders[2]
    put_records(folder, records_of(folder)[:-2])
    assert first_failure(archive.root, archive) == ("truncated", 58)


def test_two_records_that_changed_places_are_reordered(archive: Any) -> None:
    folder = archive.folders[1]
    lines = records_of(folder)
    lines[5], lines[6] = lines[6], lines[5]
    put_records(folder, lines)
    assert first_failure(archive.root, archive) == ("reordered", 25)


def test_a_second_record_for_a_seq_is_a_fork(archive: Any) -> None:
    folder = archive.folders[1]
    lines = records_of(folder)
    lines.insert(7, lines[6].replace(b"charge", b"refund"))
    put_records(folder, lines)
    assert first_failure(archive.root, archive) == ("forked", 26)


def test_an_edit_with_every_later_hash_made_anew_does_not_reach_the_signed_root(archive: Any) -> None:
    folder = archive.folders[2]
    lines = records_of(folder)
    lines[3] = lines[3].replace(b"charge", b"refund")
    for row in range(4, len(lines)):
        at = lines[row].index(b'"prev":"') + 8
        lines[row] = lines[row][:at] + leaf_hash(lines[row - 1]).hex().encode() + lines[row][at + 64 :]
    put_records(folder, lines)
    assert first_failure(archive.root, archive)[0] == "edited"


def test_a_segment_signed_by_a_forged_key_is_a_bad_signature(archive: Any, tmp_path: Path) -> None:
    forged = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    log = archive.log
    other = type(archive)(root=tmp_path / "forged", log=log)
    folder = other.export(0, 20, key=forged, note=log.note(20, key=forged))
    assert first_failure(folder, archive) == ("bad_signature", None)


def test_a_registry_of_a_forged_root_is_a_bad_signature(archive: Any, tmp_path: Path) -> None:
    thief = type(archive.log)(lines=archive.log.lines)
    folder = type(archive)(root=tmp_path / "forged", log=thief).export(0, 20)
    assert first_failure(folder, archive) == ("bad_signature", None)


def test_a_manifest_or_checkpoint_changed_after_signing_fails(archive: Any) -> None:
    folder = archive.folders[0]
    note = (folder / "checkpoint").read_text()
    (folder / "checkpoint").write_text(note.replace("\n20\n", "\n21\n"))
    assert first_failure(folder, archive)[0] == "bad_signature"


def test_a_missing_segment_is_named_by_the_first_seq_it_held(archive: Any) -> None:
    shutil.rmtree(archive.folders[1])
    assert first_failure(archive.root, archive) == ("missing", 20)


@pytest.mark.parametrize("name", ["records.jsonl.gz", "checkpoint", "keys.jsonl", "manifest.dsse.json"])
def test_a_missing_file_is_missing(archive: Any, name: str) -> None:
    (archive.folders[1] / name).unlink()
    assert first_failure(archive.root, archive)[0] == "missing"


@pytest.mark.parametrize("name", ["records.jsonl.gz", "checkpoint", "keys.jsonl", "manifest.dsse.json"])
def test_any_damage_to_any_file_fails_without_a_traceback(archive: Any, name: str) -> None:
    path = archive.folders[1] / name
    original = path.read_bytes()
    chance = random.Random(name)
    damaged = [b"", b"\0" * 100, b"{" * 5000, original[: len(original) // 2], original + original, b"\xff\xfe"]
    for _ in range(10):
        data = bytearray(original)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(data))
    for data in damaged:
        path.write_bytes(data)
        report = verify_path(archive.root, archive.log.trust)
        assert report.exit_status == 1, (data[:50], report.as_lines())


def test_a_swapped_export_is_a_fork(archive: Any, tmp_path: Path) -> None:
    other = type(archive)(root=tmp_path / "other", log=archive.log)
    other.export(0, 20, edit=lambda value: value.update(created_at="2026-02-02T00:00:00.000000Z"))
    shutil.rmtree(archive.folders[0])
    shutil.copytree(other.folders[0], archive.folders[0])
    assert first_failure(archive.root, archive) == ("forked", 20)


def test_a_checkpoint_kept_from_before_must_lie_in_the_log(archive: Any) -> None:
    trust = archive.log.trust
    assert verify_path(archive.root, trust, known_checkpoint=archive.log.note(33)).verdict == "verified"
    forged = archive.log.note(33, root=b"x" * 32)
    assert first_failure(archive.root, archive, known_checkpoint=forged)[0] == "forked"


def test_a_checkpoint_kept_from_before_shows_a_missing_last_segment(archive: Any) -> None:
    kept = archive.log.note(60)
    shutil.rmtree(archive.folders[2])
    assert first_failure(archive.root, archive, known_checkpoint=kept) == ("truncated", 45)


def test_a_bomb_unfolds_no_further_than_the_manifest_says(archive: Any) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packed.compress(b"\n" * 2**20) for _ in range(256)) + packed.flush()
    (archive.folders[1] / "records.jsonl.gz").write_bytes(bomb)
    report = verify_path(archive.folders[1], archive.log.trust)
    assert report.exit_status == 1
    assert any("unfolds" in failure.detail for failure in report.failures)


def test_wrong_totals_in_a_signed_manifest_are_unbalanced(archive: Any, tmp_path: Path) -> None:
    other = type(archive)(root=tmp_path / "other", log=archive.log)
    folder = other.export(0, 20, edit=lambda value: value["totals"][0].update(debits="1"))
    assert first_failure(folder, archive)[0] == "unbalanced"


def test_the_report_is_json_and_text(archive: Any) -> None:
    report = verify_path(archive.root, archive.log.trust)
    assert json.loads(json.dumps(report.as_json()))["verdict"] == "verified"
    assert report.as_lines()[0].startswith("VERIFIED")


def test_progress_is_told(archive: Any) -> None:
    seen: list[int] = []
    verify_path(archive.root, archive.log.trust, progress=seen.append)
    assert seen[-1] == 60
