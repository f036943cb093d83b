"""The files that are carried between hosts: read as written, refused in a sentence when they are anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger_core.ceremony.carried import (
    Carried,
    LogProof,
    NextKey,
    change_bytes,
    next_key_bytes,
    proofs_bytes,
    read_next_key,
    read_proofs,
    read_told_change,
)
from ledger_core.ceremony.install import require_room
from ledger_core.errors import InvalidInput, Refused
from ledger_core.log.dsse import KEYS_TYPE, Envelope, EnvelopeSignature
from ledger_core.log.keys import MAX_DOCUMENTS
from ledger_core.log.merkle import Frontier, consistency_path, leaf_hash, node_hash
from ledger_core.log.note import Checkpoint
from ledger_core.log.registries import MAX_KEYS_BYTES
from ledger_core.signing.backends import software
from ledger_core.signing.change import Change, LogChange
from ledger_core.signing.documents import Successor

MAIN = "books.example/test/main"
LEAVES = [leaf_hash(b"%d" % number) for number in range(11)]


def tree(size: int) -> Checkpoint:
    return Checkpoint(MAIN, size, Frontier().extend(LEAVES[:size]).root())


def node(level: int, index: int) -> bytes:
    if level == 0:
        return LEAVES[index]
    return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))


def path(old: int, new: int) -> tuple[bytes, ...]:
    def read(level: int, index: int) -> bytes:
        if index + 1 << level > new:
            raise KeyError((level, index))
        return node(level, index)

    return tuple(consistency_path(old, new, read))


@pytest.fixture
def key(tmp_path: Path) -> Successor:
    made = software.load_or_create(tmp_path / "key.pem")
    return Successor(key=made.public_key, backend="pkcs11", assurance="hsm")


def test_each_file_is_read_as_it_was_written(tmp_path: Path, key: Successor) -> None:
    file = tmp_path / "file"
    described = NextKey(
        successor=key, registry=(Envelope(KEYS_TYPE, b"{}", (EnvelopeSignature("a", b"b"),)),), last={MAIN: tree(3)}
    )  # fmt: skip
    file.write_bytes(next_key_bytes(described))
    found = read_next_key(file)
    assert (found.last, found.registry) == (described.last, described.registry)
    assert (found.successor.key.spki, found.successor.backend, found.successor.assurance) == (
        key.key.spki,
        "pkcs11",
        "hsm",
    )
    shown = Carried(logs=(LogProof(tip=tree(7), path=path(5, 7), why_not=None, places=("s3://x/y",)),))
    file.write_bytes(proofs_bytes(shown.logs))
    assert read_proofs(file) == shown
    change = Change(
        action="rotated", version=2, sha256="ab", key_id="c", successor="d",
        logs={MAIN: LogChange(size=7, root="r", note="n")},
    )  # fmt: skip
    file.write_bytes(change_bytes(change))
    assert read_told_change(file) == change


@pytest.mark.parametrize("sizes", [(1, 1), (1, 7), (4, 7), (5, 7), (6, 11), (11, 11)])
def test_a_proof_that_holds_is_believed_and_every_change_of_it_is_not(sizes: tuple[int, int]) -> None:
    good, tip = tree(sizes[0]), tree(sizes[1])
    proof = path(*sizes)
    shown = Carried(logs=(LogProof(tip=tip, path=proof),))
    assert shown.why_not_proved(good, tip) is None
    assert "leads to" in (shown.why_not_proved(good, tree(3)) or "") or sizes[1] == 3
    assert Carried().why_not_proved(good, tip) == "no proof was given when the change was installed"
    assert "none to lead on from" in (shown.why_not_proved(None, tip) or "")
    other = Checkpoint(MAIN, good.size, bytes(32))
    assert shown.why_not_proved(other, tip) == "the proof that was given does not hold"
    for wrong in (
        proof[1:] if proof else (bytes(32),),
        (*proof, bytes(32)),
        tuple(bytes(32) for _ in proof) or (b"x" * 32,),
    ):
        shown = Carried(logs=(LogProof(tip=tip, path=wrong),))
        assert shown.why_not_proved(good, tip) == "the proof that was given does not hold"
    refused = Carried(logs=(LogProof(tip=tip, path=proof, why_not="the database has another tree"),))
    assert refused.why_not_proved(good, tip) == "the database has another tree"


READERS: list[Callable[[Path], object]] = [read_next_key, read_proofs, read_told_change]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"schema":"cf-next-key/1"}',
     b'{"schema":"cf-key-proofs/1"}',
     b'{"schema":"cf-key-change/1"}', b'{"schema":"cf-key-change/1","change":7}', b" " * (16 * 1024 * 1024 + 1)],
    ids=lambda data: str(data[:34]),
)  # fmt: skip
def test_what_is_no_such_file_is_refused_in_a_sentence(tmp_path: Path, read: Any, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path / "file")
    assert caught.value.file == str(tmp_path / "file")


@pytest.mark.parametrize("member", ["assurance", "backend", "key_id", "last", "registry", "spki"])
@pytest.mark.parametrize("value", [None, 7, [7], {"x": 7}, "nonsense", [[[]]]])
def test_a_description_with_a_member_of_another_kind_is_refused(
    tmp_path: Path, key: Successor, member: str, value: Any
) -> None:
    if member in ("assurance", "backend") and isinstance(value, str):
        value = ["a text is what it takes"]
    file = tmp_path / "file"
    told = json.loads(next_key_bytes(NextKey(successor=key, registry=(), last={MAIN: tree(3)})))
    file.write_text(json.dumps(told | {member: value}))
    with pytest.raises(InvalidInput):
        read_next_key(file)


@pytest.mark.parametrize("member", ["size", "root", "path", "places", "why_not", "origin"])
@pytest.mark.parametrize("value", [-1, [7], {"x": 7}, True])
def test_a_proof_with_a_member_of_another_kind_is_refused(tmp_path: Path, member: str, value: Any) -> None:
    file = tmp_path / "file"
    told = json.loads(proofs_bytes([LogProof(tip=tree(7), path=path(5, 7))]))
    told["logs"][0][member] = value
    file.write_text(json.dumps(told))
    with pytest.raises(InvalidInput):
        read_proofs(file)


def test_a_registry_that_no_verifier_would_read_is_not_made() -> None:
    """Neither drafted nor installed: the roots would have signed what nobody can check."""
    small = Envelope(KEYS_TYPE, b"{}", ())
    require_room([small], b"x" * 1000, signatures=100)
    # Of a payload of this size, in base64, a little is left for its envelope.
    fits = (MAX_KEYS_BYTES * 3) // 4 - 4096
    require_room([small], b"x" * fits, signatures=3)
    with pytest.raises(Refused, match="verifiers read"):
        require_room([small], b"x" * (fits + 4096), signatures=3)
    with pytest.raises(Refused, match="verifiers read"):
        require_room([Envelope(KEYS_TYPE, b"x" * fits, ())], b"x" * 8192, signatures=1)
    with pytest.raises(Refused, match="verifiers read"):
        require_room([small] * MAX_DOCUMENTS, b"{}", signatures=1)
