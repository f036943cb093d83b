"""What a failed verification leaves: both notes of a fork, one record a minute, no value that no record may hold."""

from __future__ import annotations

import json
import logging
import time
from datetime import timedelta
from typing import Any

import pytest

from ledger_core.log.dsse import parse_envelope
from ledger_core.log.keys import TrustFile
from ledger_core.log.merkle import Frontier
from ledger_core.log.verifier import verify_path

pytestmark = pytest.mark.integration

RANGE = {"seq_range": (49, 52)}
EDIT = "update ledger.records set canonical = set_byte(canonical, 60, get_byte(canonical, 60) # 1) where seq = :seq"


def verdicts(found: Any) -> set[str]:
    return {failure["verdict"] for failure in found.failures}


def events(asked: Any) -> list[dict[str, Any]]:
    rows = asked.rows("select canonical from ledger.records where kind = 'security_event' order by seq")
    return [json.loads(bytes(row.canonical))["body"] for row in rows]


@pytest.mark.parametrize("size", [100, 256, 602, 603])
def test_a_checkpoint_of_another_tree_is_a_fork_and_the_answer_holds_both_notes(asked: Any, size: int) -> None:
    other = asked.note(size, b"f" * 32)
    found = asked.select(RANGE, known_checkpoint=other)
    assert (found.verdict, verdicts(found)) == ("failed", {"forked"})
    assert found.payload["known_checkpoint"] == other
    assert found.payload["checkpoint"].splitlines()[:2] == [other.splitlines()[0], "603"]
    assert found.payload["checkpoint"] != other
    assert asked.offline(found) == ("forked", 1)
    assert events(asked)[-1]["failures"] == [{"verdict": "forked", "seq": None, "where": "proof"}]


@pytest.mark.parametrize("size", [1, 100, 256, 602, 603])
def test_a_checkpoint_of_our_own_tree_is_proved_to_lie_in_it(asked: Any, size: int) -> None:
    leaves = [bytes(row.leaf_hash) for row in asked.rows("select leaf_hash from ledger.records order by seq")]
    kept = asked.note(size, Frontier().extend(leaves[:size]).root())
    found = asked.select(RANGE, known_checkpoint=kept)
    assert (found.verdict, asked.offline(found)) == ("verified", ("verified", 0))
    answer = asked.folder / "answer.json"
    report = verify_path(answer, asked.runtime.trust_path, known_checkpoint=kept)
    assert report.verdict == "verified", report.as_lines()
    other = asked.note(size, b"f" * 32)
    assert verify_path(answer, asked.runtime.trust_path, known_checkpoint=other).verdict == "forked"


def test_a_checkpoint_beyond_our_end_is_kept_as_evidence(asked: Any) -> None:
    longer = asked.note(700, b"g" * 32)
    found = asked.select(RANGE, known_checkpoint=longer)
    assert (found.verdict, verdicts(found)) == ("failed", {"truncated"})
    assert found.payload["known_checkpoint"] == longer
    assert asked.offline(found) == ("truncated", 1)


def test_a_row_of_a_checkpoint_that_says_other_than_its_note_fails(asked: Any) -> None:
    asked.attack("update ledger.checkpoints set root = sha256('x') where size = 603")
    found = asked.select(RANGE)
    assert {(item["verdict"], item["where"]) for item in found.failures} == {("edited", "ledger.checkpoints")}


def test_however_often_and_variously_it_is_asked_a_minute_takes_one_record(
    asked: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for seq in (50, 51, 90):
        asked.attack(EDIT, seq=seq)
    with caplog.at_level(logging.ERROR, "counterfoil.security"):
        first = asked.select(RANGE).payload["security_event"]
    assert first["recorded"]
    assert any("verification of book main failed: verdict edited, seq 50" in line for line in caplog.messages)
    for number in range(20):
        found = asked.select({"seq_range": (40 - number, 91)}, deep=bool(number % 2))
        assert found.verdict == "failed"
        assert found.payload["security_event"]["reason"].startswith("counted with the others of ")
    assert asked.select(RANGE).payload["security_event"] == first, "the same question has the same answer"
    assert len(events(asked)) == 1
    later = asked.runtime.clock() + timedelta(minutes=1)
    monkeypatch.setattr(asked.runtime, "clock", lambda: later)
    assert asked.select(RANGE).payload["security_event"]["seq"] > first["seq"]
    counted: list[dict[str, Any]] = []
    deadline = time.monotonic() + 20
    while not counted and time.monotonic() < deadline:
        asked.runtime.security.flush(asked.runtime.ledger("main"))
        time.sleep(0.2)
        counted = [event for event in events(asked) if event.get("reason") == "again"]
    assert [(event["event"], event["count"]) for event in counted] == [("verification_failed", 21)]


@pytest.mark.parametrize("value", ["4111111111111111", "e\u0301", "x" * 60_000, "\u202e"])
def test_what_no_record_may_hold_is_in_the_answer_and_not_in_the_event(asked: Any, value: str) -> None:
    asked.attack("update ledger.entries set description = :value where seq = 50", value=value)
    found = asked.select(RANGE, deep=True)
    assert (found.verdict, found.payload["security_event"]["recorded"]) == ("failed", True)
    assert [item["seq"] for item in found.failures] == [50]
    assert events(asked)[-1]["failures"] == [{"verdict": "edited", "seq": 50, "where": "ledger.entries"}]
    assert asked.offline(found) == ("edited", 1)


def test_the_answer_is_signed_by_a_key_of_the_registry_and_a_flipped_bit_shows(asked: Any) -> None:
    found = asked.select(RANGE)
    envelope = parse_envelope(found.envelope)
    assert asked.offline(found) == ("verified", 0)
    path = asked.folder / "answer.json"
    trust = TrustFile.load(asked.runtime.trust_path)
    for at in range(0, len(envelope.payload), len(envelope.payload) // 25):
        payload = bytearray(envelope.payload)
        payload[at] ^= 1
        forged = type(envelope)(envelope.payload_type, bytes(payload), envelope.signatures)
        path.write_bytes(forged.to_bytes())
        assert verify_path(path, trust).exit_status, f"bit of byte {at}"
