"""Commitments and what opens them, and the bodies of records that hold them or say what was erased: by the vectors."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from ledger_core.errors import CounterfoilError
from ledger_core.log.commitments import commitment_of, opens, private_values, seal, unseal
from ledger_core.log.record import NO_PREV, Record
from ledger_core.log.shapes import SHAPES, check_body

VECTORS = json.loads((Path(__file__).parents[3] / "docs/formats/vectors/private.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS["openings"])
def test_an_opening_holds_as_published(vector: dict) -> None:
    salt = bytes.fromhex(vector["salt_hex"])
    assert opens(vector["commitment_hex"], salt, vector["value"]) is vector["holds"]


@pytest.mark.parametrize("vector", VECTORS["bodies"], ids=lambda vector: vector["what"])
def test_a_body_is_accepted_or_refused_as_published(vector: dict) -> None:
    record = Record(
        seq=50, kind=vector["kind"], body=vector["body"], book="main", id=UUID(int=0), prev=NO_PREV, recorded_at=""
    )
    if vector["holds"]:
        check_body(record, SHAPES)
    else:
        with pytest.raises(CounterfoilError):
            check_body(record, SHAPES)


@pytest.mark.parametrize("salt", [b"", bytes(15), bytes(17)])
def test_a_salt_of_another_length_opens_nothing(salt: bytes) -> None:
    assert not opens(commitment_of(salt, "x"), salt, "x")


def test_what_has_no_canonical_form_opens_nothing() -> None:
    assert not opens("0" * 64, bytes(16), "e\u0301")


def test_what_is_sealed_opens_with_its_key_and_name_alone() -> None:
    key, other = bytes(32), bytes([1]) * 32
    sealed = seal("Ada", key=key, name="name")
    assert unseal(sealed, key=key, name="name") == "Ada"
    assert unseal(sealed, key=other, name="name") is None
    assert unseal(sealed, key=key, name="other") is None
    assert unseal(sealed[:-1], key=key, name="name") is None
    assert unseal(b"", key=key, name="name") is None
    assert unseal(sealed, key=b"short", name="name") is None
    assert b"Ada" not in sealed


def test_every_value_has_a_salt_and_a_key_of_its_own() -> None:
    numbers = iter(range(100))
    made = private_values({"b": "x", "a": "x"}, lambda length: bytes([next(numbers)]) * length)
    assert [item.name for item in made] == ["a", "b"]
    assert len({item.salt[:1] for item in made} | {item.key[:1] for item in made}) == 4
    assert [len(item.salt) for item in made] == [16, 16]
    assert all(opens(item.commitment, item.salt, item.value) for item in made)
    assert "x" not in repr(made[0])
