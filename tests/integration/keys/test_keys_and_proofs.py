"""A bundle and a tlog-proof that somebody kept, read years later: after rotations, and after a key was stolen.

An auditor has the trust file of the first day, and at most the key registry of today beside it: the bundles that are
read here bring the registry of the day on which they were made.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.ceremony.run import current_trust
from ledger_core.evidence.proofs.prove import verify_selection
from ledger_core.log.dsse import PROOF_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.merkle import Frontier, RangeTree, inclusion_path, leaf_hash
from ledger_core.log.note import (
    encode_base64,
    parse_checkpoint,
    parse_note,
)
from ledger_core.log.proof import TlogProof, parse_bundle
from ledger_core.log.verifier import verify_path
from ledger_core.signing.backends.software import SoftwareKey
from tests.integration.keys.conftest import note_by

pytestmark = pytest.mark.integration

ME = Actor(subject="keeper")


@dataclass(slots=True)
class Shelf:
    """What an auditor keeps in a folder of its own."""

    company: Any
    folder: Path

    def keep(self, name: str, envelope: dict[str, Any]) -> Path:
        """Put away a bundle."""
        place = self.folder / name
        place.mkdir()
        path = place / "bundle.json"
        path.write_text(json.dumps(envelope))
        return path

    def verdict(self, path: Path, *, registry: str | None = None, trust: bytes | None = None, **more: Any) -> str:
        """Verify with the first day's trust file, or `trust`; `registry` is what lies beside it."""
        desk = self.folder / "desk"
        desk.mkdir(exist_ok=True)
        beside = desk / "keys.jsonl"
        beside.unlink(missing_ok=True)
        if registry is not None:
            beside.write_text(registry)
        (desk / "trust.json").write_bytes(trust or self.company.first_trust.read_bytes())
        return verify_path(path, desk / "trust.json", **more).verdict

    @property
    def registry(self) -> str:
        return (self.company.signer / "keys.jsonl").read_text()

    def ask(self, first: int, following: int, known: str | None = None) -> dict[str, Any]:
        found = verify_selection(
            self.company.runtime, "main", selector={"seq_range": (first, following)}, known_checkpoint=known
        )
        assert found.verdict == "verified", found.failures
        return found.envelope


@pytest.fixture
def shelf(company: Any, tmp_path: Path) -> Shelf:
    folder = tmp_path / "shelf"
    folder.mkdir()
    return Shelf(company, folder)


def bundle_of(envelope: dict[str, Any]) -> Any:
    return parse_bundle(json.loads(b64decode(envelope["payload"])))


def test_bundles_of_every_day_are_read_after_two_rotations_with_the_trust_of_the_first(shelf: Shelf) -> None:
    company = shelf.company
    company.post()
    paths = [shelf.keep("first", shelf.ask(0, 2))]
    kept = [bundle_of(json.loads(paths[0].read_text())).checkpoint]
    for name in ("second", "third"):
        company.rotate()
        paths.append(shelf.keep(f"{name}-at-once", shelf.ask(0, 2, kept[-1])))
        company.post()
        paths.append(shelf.keep(name, shelf.ask(1, 3, kept[0])))
        kept.append(bundle_of(json.loads(paths[-1].read_text())).checkpoint)
    assert len({parse_note(note).signatures[0].key_hash for note in kept}) == 3
    today = current_trust(company.runtime)[0]
    for path in paths:
        assert shelf.verdict(path) == "verified", path
        assert shelf.verdict(path, registry=shelf.registry) == "verified", path
    # Whoever pins today's registry is not shown an older one alone, and takes the same bundle beside today's.
    assert shelf.verdict(paths[0], trust=today) == "truncated"
    assert shelf.verdict(paths[0], trust=today, registry=shelf.registry) == "verified"
    assert shelf.verdict(paths[-1], trust=today) == "verified"
    for note in kept[:2]:
        path = shelf.keep(f"from-{parse_checkpoint(parse_note(note).text).size}", shelf.ask(1, 3, note))
        assert shelf.verdict(path, known_checkpoint=note) == "verified"


def test_tlog_proofs_of_every_day_are_read_after_two_rotations(shelf: Shelf) -> None:
    company = shelf.company
    places = []
    for number in range(3):
        company.post()
        bundle = bundle_of(shelf.ask(1, 2))
        (record,) = bundle.records
        place = shelf.folder / f"day-{number}"
        place.mkdir()
        text = TlogProof(index=1, path=record.inclusion, checkpoint=bundle.checkpoint, extra=record.canonical)
        (place / "one.tlog-proof").write_text(str(text))
        (place / "keys.jsonl").write_text(shelf.registry)
        places.append(place)
        if number < 2:
            company.rotate()
    for place in places:
        assert shelf.verdict(place / "one.tlog-proof") == "verified"
        assert shelf.verdict(place / "one.tlog-proof", registry=shelf.registry) == "verified"


def thiefs(key: SoftwareKey, company: Any, size: int, *, tail: bytes | None = None) -> dict[str, Any]:
    """A bundle that a thief makes of our records and one of its own, under a checkpoint of `size` by the stolen key."""
    with company.runtime.engine.connect() as connection:
        rows = connection.exec_driver_sql("select canonical from ledger.records order by seq").all()
    records = [bytes(row[0]) for row in rows][: size - (tail is not None)] + ([tail] if tail is not None else [])
    tree = RangeTree(Frontier(), [leaf_hash(record) for record in records])
    origin, last = company.origin, len(records) - 1
    path = [encode_base64(item) for item in inclusion_path(last, len(records), tree.node)]
    registry = [json.loads(item) for item in (company.signer / "keys.jsonl").read_text().splitlines()]
    payload = json.dumps(
        {
            "schema": "cf-proof/1",
            "origin": origin,
            "checkpoint": note_by(key, origin, len(records), tree.frontier.root()),
            "records": [{"seq": last, "canonical": encode_base64(records[last]), "inclusion": path}],
            "keys": registry,
            "verdict": "verified",
        }
    ).encode()
    signature = EnvelopeSignature(key.public_key.key_id, key.sign(pae(PROOF_TYPE, payload)))
    return Envelope(PROOF_TYPE, payload, (signature,)).as_json()


def test_after_a_theft_bundles_count_up_to_the_good_tree_and_no_further(shelf: Shelf) -> None:
    company = shelf.company
    below = shelf.keep("below", shelf.ask(0, 2))
    company.post()
    company.night()
    size = company.archived().size
    thief = company.signing_key()
    at_good = shelf.keep("at", thiefs(thief, company, size))
    company.post()
    beyond = shelf.keep("beyond", shelf.ask(0, 2))
    forged = shelf.keep("forged", thiefs(thief, company, size, tail=b'{"seq":1}'))
    before = shelf.registry
    for path in (below, at_good, beyond):
        assert shelf.verdict(path) == "verified", "nobody knows of the theft yet"

    company.compromise()
    today, pinned = shelf.registry, current_trust(company.runtime)[0]
    for trust in (None, pinned):
        assert shelf.verdict(at_good, registry=today, trust=trust) == "verified"
        assert shelf.verdict(below, registry=today, trust=trust) == "key_not_valid_at_size"
        assert shelf.verdict(beyond, registry=today, trust=trust) == "key_not_valid_at_size"
        assert shelf.verdict(forged, registry=today, trust=trust) == "forked"
    # An older registry within the bundle does not bring the key back to whoever pins today's.
    assert before != today
    assert shelf.verdict(beyond, trust=pinned) == "truncated"
    # What was kept below is shown to lie in our tree by whoever asks from there on; a lie of its size is not.
    kept = bundle_of(json.loads(below.read_text())).checkpoint
    again = shelf.keep("again", shelf.ask(0, 2, kept))
    assert shelf.verdict(again, registry=today, trust=pinned, known_checkpoint=kept) == "verified"
    lie = thiefs(thief, company, parse_checkpoint(parse_note(kept).text).size, tail=b'{"seq":1}')
    found = verify_selection(
        company.runtime, "main", selector={"seq_range": (0, 2)}, known_checkpoint=bundle_of(lie).checkpoint
    )
    assert (found.verdict, {item["verdict"] for item in found.failures}) == ("failed", {"forked"})
