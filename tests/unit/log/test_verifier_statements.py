"""A proof's own words can only make it worse, what proves nothing is not verified, and a revoked key stays revoked."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.log.dsse import PROOF_TYPE
from ledger_core.log.merkle import consistency_path, inclusion_path
from ledger_core.log.proof import Consistency, TlogProof
from ledger_core.log.verifier import verify_path
from ledger_core.signing.backends.software import SoftwareKey


def verdict(path: Path, log: Any, data: Any, **options: Any) -> tuple[str, int]:
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    report = verify_path(path, options.pop("trust", log.trust), **options)
    return report.verdict, report.exit_status


def both_ways(log: Any, file: Path, **members: Any) -> set[tuple[str, int]]:
    """The verdicts on a bundle with more members, bare and in a signed envelope."""
    value = {**log.bundle(3).as_json(), **members}
    enveloped = log.envelope(PROOF_TYPE, json.dumps(value).encode()).to_bytes()
    return {verdict(file, log, value), verdict(file, log, enveloped)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "given").mkdir()
    return tmp_path / "given" / "proof.json"


FAILURE = {"verdict": "truncated", "seq": 3, "where": "ledger.records", "detail": "cut"}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"verdict": "verified", "failures": []}, ("verified", 0)),
        ({"verdict": "failed"}, ("failed", 1)),
        ({"verdict": "failed", "failures": []}, ("failed", 1)),
        ({"verdict": "failed", "failures": [FAILURE]}, ("truncated", 1)),
        ({"verdict": "verified", "failures": [FAILURE]}, ("truncated", 1)),
        ({"failures": [FAILURE]}, ("truncated", 1)),
        ({"verdict": "failed", "failures": [{**FAILURE, "verdict": "unsigned_pending"}]}, ("failed", 1)),
        ({"verdict": "verified", "failures": [{**FAILURE, "verdict": "invented"}]}, ("failed", 1)),
        ({"verdict": "verified", "failures_not_listed": 1}, ("failed", 1)),
        ({"verdict": "verified", "rows": [{"seq": 3, "crosscheck": "differs"}]}, ("edited", 1)),
        ({"verdict": "verified", "rows": [{"seq": 3, "crosscheck": "match"}]}, ("verified", 0)),
        ({"verdict": "edited"}, ("edited", 1)),
        ({"verdict": "FAILED"}, ("failed", 1)),
        ({"verdict": "VERIFIED"}, ("failed", 1)),
        ({"verdict": ""}, ("failed", 1)),
        ({"verdict": "unsigned_pending"}, ("unsigned_pending", 2)),
        ({"verdict": "unknown_schema"}, ("unknown_schema", 2)),
        ({"verdict": "unverifiable"}, ("unverifiable", 2)),
        ({"verdict": True}, ("unverifiable", 2)),
        ({"verdict": ["verified"]}, ("unverifiable", 2)),
        ({"verdict": "verified", "failures": 1}, ("unverifiable", 2)),
        ({"verdict": "verified", "failures": ["cut"]}, ("unverifiable", 2)),
        ({"verdict": "verified", "rows": [1]}, ("unverifiable", 2)),
    ],
)
def test_a_failed_verification_never_reads_as_verified(
    log: Any, file: Path, members: dict[str, Any], expected: tuple[str, int]
) -> None:
    assert both_ways(log, file, **members) == {expected}


def test_a_proof_of_nothing_cannot_tell(log: Any, file: Path) -> None:
    tree = log.tree()
    older = Consistency(checkpoint=log.note(33), path=tuple(consistency_path(33, 60, tree.node)))
    for bundle in (log.bundle(), dataclasses.replace(log.bundle(), consistency=(older,))):
        assert verdict(file, log, bundle.as_json()) == ("unverifiable", 2)
        enveloped = log.envelope(PROOF_TYPE, json.dumps({**bundle.as_json(), "verdict": "verified"}).encode())
        assert verdict(file, log, enveloped.to_bytes()) == ("unverifiable", 2)


def test_a_segment_without_records_cannot_tell(archive: Any) -> None:
    folder = archive.export(60, 60)
    assert verify_path(folder, archive.log.trust).exit_status == 2
    assert verify_path(archive.root, archive.log.trust).verdict == "verified", "the others prove theirs"


def test_a_record_without_its_bytes_cannot_tell(log: Any, file: Path) -> None:
    value = log.bundle(3).as_json()
    del value["records"][0]["canonical"]
    assert verdict(file, log, value) == ("unverifiable", 2)


def test_a_kept_checkpoint_is_held_against_a_proof(log: Any, file: Path) -> None:
    tree = log.tree()
    older = Consistency(checkpoint=log.note(33), path=tuple(consistency_path(33, 60, tree.node)))
    proof = dataclasses.replace(log.bundle(3), consistency=(older,)).as_json()
    for size, expected in ((60, ("verified", 0)), (33, ("verified", 0)), (34, ("unverifiable", 2))):
        assert verdict(file, log, proof, known_checkpoint=log.note(size)) == expected
    for size in (60, 33):
        forged = log.note(size, root=b"f" * 32)
        assert verdict(file, log, proof, known_checkpoint=forged) == ("forked", 1)
    assert verdict(file, log, proof, since=0) == ("unverifiable", 2)


@pytest.fixture
def revoked(log: Any) -> Any:
    """The log's key counts up to size 40 since version 2; a thief holds it, and signs the tree of 60."""
    new = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    log.registry.append(log.add_registry([(log.key, 0, 40), (new, 40, None)]))
    return log


def tlog_proof(log: Any) -> bytes:
    path = tuple(inclusion_path(50, 60, log.tree().node))
    return str(TlogProof(index=50, path=path, checkpoint=log.note(), extra=log.lines[50])).encode()


def keys_of(*registry: Any) -> bytes:
    return b"".join(item.to_bytes() + b"\n" for item in registry)


def test_a_shortened_registry_does_not_bring_a_revoked_key_back(revoked: Any, file: Path, tmp_path: Path) -> None:
    pinned = tmp_path / "trust.json"
    pinned.write_text(json.dumps(revoked.trust.as_json()))
    short = dataclasses.replace(revoked.bundle(50), keys=(revoked.registry[0],)).as_json()
    forms = (short, tlog_proof(revoked), revoked.envelope(PROOF_TYPE, json.dumps(short).encode()).to_bytes())
    file.with_name("keys.jsonl").write_bytes(keys_of(revoked.registry[0]))
    for data in forms:
        assert verdict(file, revoked, data, trust=pinned) == ("verified", 0), "nobody told the auditor"
        beside = pinned.with_name("keys.jsonl")
        beside.write_bytes(keys_of(*revoked.registry))
        assert verdict(file, revoked, data, trust=pinned) == ("key_not_valid_at_size", 1)
        beside.unlink()
        for version, expected in ((1, ("verified", 0)), (2, ("truncated", 1))):
            told = dataclasses.replace(revoked.trust, registry_version=version)
            assert verdict(file, revoked, data, trust=told) == expected
    file.with_name("keys.jsonl").write_bytes(keys_of(*revoked.registry))
    for data in forms:
        assert verdict(file, revoked, data) == ("key_not_valid_at_size", 1), "what lies beside the proof counts too"


def test_a_registry_cut_inside_its_last_line_is_no_registry(revoked: Any, file: Path) -> None:
    whole = keys_of(*revoked.registry)
    for cut in (len(whole) - 2, len(whole) - 300, len(keys_of(revoked.registry[0])) + 1):
        file.with_name("keys.jsonl").write_bytes(whole[:cut])
        assert verdict(file, revoked, tlog_proof(revoked))[1] == 1


def test_a_strangers_registry_beside_a_bundle_is_passed_over(log: Any, file: Path) -> None:
    file.with_name("keys.jsonl").write_bytes(keys_of(*type(log)().registry))
    assert verdict(file, log, log.bundle(3).as_json()) == ("verified", 0)


def test_segments_under_a_shortened_registry_do_not_bring_a_revoked_key_back(
    archive: Any, revoked: Any, tmp_path: Path
) -> None:
    pinned = tmp_path / "pinned" / "trust.json"
    pinned.parent.mkdir()
    pinned.write_text(json.dumps(revoked.trust.as_json()))
    assert verify_path(archive.root, pinned).verdict == "verified"
    pinned.with_name("keys.jsonl").write_bytes(keys_of(*revoked.registry))
    assert verify_path(archive.root, pinned).verdict == "key_not_valid_at_size"
    told = dataclasses.replace(revoked.trust, registry_version=2)
    assert verify_path(archive.root, told).verdict == "truncated"
    assert verify_path(archive.folders[0], told).verdict == "truncated"


def test_a_proofs_registry_that_differs_from_the_one_beside_it_is_a_fork(log: Any, file: Path) -> None:
    file.with_name("keys.jsonl").write_bytes(keys_of(log.add_registry(version=1)))
    assert verdict(file, log, log.bundle(3).as_json()) == ("forked", 1)


@pytest.mark.parametrize("version", [-1, "2", True, 1.5, None])
def test_a_pinned_registry_version_is_a_number(log: Any, tmp_path: Path, archive: Any, version: Any) -> None:
    pinned = tmp_path / "trust.json"
    pinned.write_text(json.dumps({**log.trust.as_json(), "registry_version": version}))
    assert verify_path(archive.root, pinned).exit_status == 2
