"""A change of keys where the database, the archive or the key itself is away, or says what it likes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine

from ledger_core.actor import Actor
from ledger_core.ceremony import install as installing
from ledger_core.ceremony import shown
from ledger_core.ceremony.drafts import Wish
from ledger_core.ceremony.install import install
from ledger_core.ceremony.offline import sign_draft
from ledger_core.ceremony.run import change_now, install_files, make_draft
from ledger_core.errors import ConfigurationError
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import (
    Checkpoint,
    NoteSignature,
    SignedNote,
    checkpoint_text,
)
from ledger_core.log.record import format_time
from ledger_core.signing.backends import software
from ledger_core.signing.documents import compromised, next_document
from ledger_core.signing.takeover import describe, open_successor
from tests.unit.ceremony.homes import LEAVES, MAIN, NOW, PREFIX, SIDE, desk_of, ring_of, start


def test_a_stolen_key_ends_while_the_database_and_the_archive_are_away(home: Path) -> None:
    good = Checkpoint(MAIN, 5, Frontier().extend(LEAVES[:5]).root())
    with desk_of(home) as desk:
        wiring: Any = desk.runtime
        wiring.engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
        wiring.clock = lambda: NOW
        (home / "archive").write_text("no folder")
        successor = describe(open_successor(desk.folder, desk.settings, desk.ring, fresh=True))
        keys = compromised(desk.ring.keys, desk.ring.keys[0], {MAIN: good}, f"{PREFIX}*", successor=successor)
        payload = next_document(desk.ring, keys, created_at=format_time(NOW))
        change = install(desk, sign_draft(payload, software.load(desk.folder / "root.pem")))
    for item in change.logs.values():
        said = json.loads(parse_envelope((item.statement or "").encode()).payload)
        assert "the database does not answer" in said["why_not_reattested"]
        assert (said["tip"], said["evidence"]) == (None, [])
    assert [item.status for item in ring_of(home).keys] == ["compromised", "active"]
    start(home).close()


def test_of_a_stored_note_one_line_of_the_old_key_over_the_last_checkpoint_is_taken_over_and_nothing_else(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key itself lies elsewhere, the database may hold anything."""
    with desk_of(home) as desk:
        old = software.load(desk.folder / "key.pem")
        (desk.folder / "key.pem").unlink()
        stranger, ended = software.load(desk.folder / "root.pem"), desk.ring.keys[0]
        last = desk.state.last(MAIN)
        assert last is not None
        text = checkpoint_text(last.origin, last.size, last.root)

        def line(key: software.SoftwareKey, over: str = text, name: str = MAIN) -> NoteSignature:
            return NoteSignature(name, key.public_key.note_hash(name), key.sign(over.encode()))

        own, again, other = line(old), line(old), checkpoint_text(MAIN, 4, bytes(32))
        false = NoteSignature(MAIN, old.public_key.note_hash(MAIN), b"false")
        wiring: Any = desk.runtime
        wiring.engine = SimpleNamespace(connect=contextlib.nullcontext)
        for over, lines, taken in (
            (text, [own], [own]),
            (text, [line(stranger), own, again], [own]),
            (text, [false, own], [own]),
            (text, [false, line(stranger), line(old, name=SIDE)], []),
            (other, [line(old, other)], []),
            (other, [own], []),
        ):
            note = str(SignedNote(over, tuple(lines)))
            monkeypatch.setattr(shown, "checkpoint_at", lambda *_args, note=note: SimpleNamespace(note=note))
            assert installing._former_lines(desk, ended, last) == taken
        monkeypatch.setattr(shown, "checkpoint_at", lambda *_args: SimpleNamespace(note="no note"))
        assert installing._former_lines(desk, ended, last) == []
        wiring.engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
        monkeypatch.undo()
        assert installing._former_lines(desk, ended, last) == []


def test_keys_that_a_proxy_elsewhere_keeps_are_not_changed_from_here(home: Path, tmp_path: Path) -> None:
    folder = home / "signer"
    signed = tmp_path / "signed"
    with desk_of(home) as desk:
        payload = next_document(desk.ring, desk.ring.keys, created_at="", threshold=1)
        signed.write_bytes(sign_draft(payload, software.load(folder / "root.pem")).to_bytes() + b"\n")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    signing = SimpleNamespace(url="https://proxy.example:8443")
    runtime: Any = SimpleNamespace(
        home=home, trust_path=home / "trust.json", settings=SimpleNamespace(signing=signing, origin_prefix=PREFIX)
    )
    me = Actor(subject="keeper")
    for action in ("rotate", "revoke", "compromise", "roots"):
        with pytest.raises(ConfigurationError, match="on its own host"):
            make_draft(runtime, Wish(action=action))
        with pytest.raises(ConfigurationError, match="on its own host"):
            change_now(runtime, Wish(action=action), actor=me)
    with pytest.raises(ConfigurationError, match="on its own host"):
        install_files(runtime, [signed], actor=me)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
