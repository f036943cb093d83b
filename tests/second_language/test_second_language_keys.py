"""The published vectors of changes of keys, as our own verifier judges them; Node's does so with all the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger_core.errors import CounterfoilError
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.keys import KeyRing, TrustFile, parse_trust, resolve_keys
from ledger_core.log.note import decode_base64, parse_checkpoint, parse_note
from ledger_core.log.verifier import verify_path

VECTOR = json.loads((Path(__file__).parents[2] / "docs" / "formats" / "vectors" / "keys.json").read_text())
ROTATION, COMPROMISE = VECTOR["rotation"], VECTOR["compromise"]
TRUST = parse_trust(json.dumps(VECTOR["trust"]).encode())


def resolved(keys: list[Any], trust: TrustFile = TRUST) -> KeyRing:
    return resolve_keys(trust, map(parse_envelope, keys))


def judged(ring: KeyRing, note: str) -> str:
    parsed = parse_note(note)
    return ring.judge_checkpoint(parsed, parse_checkpoint(parsed.text)).verdict or "verified"


def refusal(keys: list[Any], trust: TrustFile = TRUST) -> str:
    try:
        resolved(keys, trust)
    except CounterfoilError as error:
        return str(error.context.get("verdict", error.code))
    return "verified"


def named(case: dict[str, Any]) -> str:
    return str(case["what"])


@pytest.mark.parametrize("case", ROTATION["notes"], ids=named)
def test_a_note_counts_by_its_key_and_its_size(case: dict[str, Any]) -> None:
    assert (judged(resolved(ROTATION["keys"]), case["note"]) == "verified") is case["holds"]


@pytest.mark.parametrize("case", ROTATION["registries"], ids=named)
def test_a_registry_follows_by_both_thresholds_and_without_a_gap(case: dict[str, Any]) -> None:
    assert refusal(case["keys"]) == case["verdict"]


@pytest.mark.parametrize("case", ROTATION["replayed"], ids=named)
def test_an_old_registry_is_refused_by_whoever_pins_a_newer_one(case: dict[str, Any]) -> None:
    newest = parse_trust(json.dumps(ROTATION["newest_trust"]).encode())
    assert resolved(ROTATION["keys"], newest).version == 3
    assert refusal(case["keys"], newest) == "bad_signature", "what is shown begins before the pinned roots"
    pinned = TrustFile(origin=TRUST.origin, threshold=1, roots=TRUST.roots, registry_version=3)
    assert refusal(case["keys"], pinned) == "truncated"


@pytest.mark.parametrize("case", COMPROMISE["notes"], ids=named)
def test_a_stolen_keys_note_is_judged_as_published(case: dict[str, Any]) -> None:
    assert judged(resolved(COMPROMISE["keys"]), case["note"]) == case["verdict"]


@pytest.mark.parametrize("case", [*ROTATION["runs"], *COMPROMISE["runs"]], ids=named)
def test_segments_of_several_keys_are_judged_as_published(case: dict[str, Any], tmp_path: Path) -> None:
    for segment in case["segments"]:
        folder = tmp_path / segment["folder"]
        folder.mkdir(parents=True)
        for name, data in segment["files"].items():
            (folder / name).write_bytes(decode_base64(data))
    report = verify_path(tmp_path, parse_trust(json.dumps(case.get("trust", VECTOR["trust"])).encode()))
    assert report.verdict == case["verdict"], report.as_lines()


@pytest.mark.parametrize("case", COMPROMISE["proofs"], ids=named)
def test_a_stolen_keys_proof_is_judged_as_published(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text(json.dumps(case["bundle"]))
    report = verify_path(tmp_path / "bundle.json", TRUST)
    assert report.verdict == case["verdict"], report.as_lines()


@pytest.mark.parametrize("case", COMPROMISE["malformed"], ids=named)
def test_a_registry_that_says_two_things_of_a_stolen_key_is_refused(case: dict[str, Any]) -> None:
    assert refusal(case["keys"]) == "invalid_input"
