"""A proxy's home: how it is used, and what may be done to its memory, its archive and its records."""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import Checkpoint, parse_checkpoint, parse_note
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.recover import main
from ledger_core.signing.service import SigningService
from ledger_core.signing.state import SLOT_BYTES, WitnessState
from ledger_core.signing.witness import Request

ORIGIN, OTHER = "ledger.example/test/main", "ledger.example/test/other"
LEAVES = [leaf_hash(b"%d" % number) for number in range(40)]
FORK = [*LEAVES[:5], *(leaf_hash(b"forged %d" % number) for number in range(35))]


def start(folder: Path, *, archive: bool = False) -> SigningService:
    return open_service(
        folder / "signer",
        trust_path=folder / "trust.json",
        origin_prefix="ledger.example/test/",
        settings=SignerSettings(env="test"),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        archive=folder / "archive" if archive else None,
    )


def grow(service: SigningService, old: int, new: int, origin: str = ORIGIN, leaves: list[bytes] = LEAVES) -> str:
    frontier = Frontier().extend(leaves[:old])
    added = tuple(leaves[old:new])
    asked = Checkpoint(origin, new, frontier.extend(added).root())
    return service.sign_checkpoint(Request(old=frontier, leaves=added, checkpoint=asked))


def used(folder: Path) -> str:
    """Leave a proxy's home in which size 10 and then 20 were signed, and a copy of each file as of size 10."""
    service = start(folder)
    shutil.copy(state(folder), folder / "state.sqlite.at-0")
    (folder / "note-10").write_text(grow(service, 0, 10))
    for name in ("state.sqlite", "last-use"):
        # As a backup would, while the proxy runs.
        shutil.copy(folder / "signer" / name, folder / f"{name}.at-10")
    note = grow(service, 10, 20)
    service.close()
    return note


def state(folder: Path) -> Path:
    return folder / "signer" / "state.sqlite"


def empty(folder: Path) -> None:
    state(folder).write_bytes(b"")


def delete(folder: Path) -> None:
    state(folder).unlink()


def older_copy(folder: Path) -> None:
    shutil.copy(folder / "state.sqlite.at-10", state(folder))


def edit(path: Path, **changes: Any) -> None:
    """Write both slots anew, as somebody would who knows the form."""
    found = WitnessState(path, create=False)
    content = replace(found._read(), **changes)
    for slot in (0, 1):
        found._write(content, slot)
    found.close()


def cut_short(folder: Path) -> None:
    os.truncate(state(folder), SLOT_BYTES + 100)


def of_zeros(folder: Path) -> None:
    state(folder).write_bytes(bytes(2 * SLOT_BYTES))


def newer_slot_torn(folder: Path) -> None:
    """What is left falls back to size 10."""
    data = bytearray(state(folder).read_bytes())
    newer = 0 if int(data[19:21]) > int(data[SLOT_BYTES + 19 : SLOT_BYTES + 21]) else SLOT_BYTES
    data[newer + 200] ^= 1
    state(folder).write_bytes(data)


def garbage(folder: Path) -> None:
    state(folder).write_bytes(b"not a database" * 1000)


def another_keys(folder: Path) -> None:
    other = start(folder / "elsewhere")
    grow(other, 0, 30, leaves=FORK)
    other.close()
    shutil.copy(state(folder / "elsewhere"), state(folder))


def another_keys_with_its_last_use(folder: Path) -> None:
    another_keys(folder)
    shutil.copy(folder / "elsewhere" / "signer" / "last-use", folder / "signer" / "last-use")


def new_and_empty(folder: Path) -> None:
    state(folder).unlink()
    fresh = start(folder / "fresh")
    fresh.close()
    shutil.copy(state(folder / "fresh"), state(folder))


def rows_deleted(folder: Path) -> None:
    edit(state(folder), logs={}, generation=0)


def unbound(folder: Path) -> None:
    edit(state(folder), owner=None)


def first_form_without_rows(folder: Path) -> None:
    """What a copy of a file with a write-ahead log held, taken while the proxy ran."""
    state(folder).unlink()
    with sqlite3.connect(state(folder)) as db:
        db.execute("create table checkpoints (origin text primary key, size integer, root blob) strict")


def first_form_with_old_rows(folder: Path) -> None:
    state(folder).unlink()
    with sqlite3.connect(state(folder)) as db:
        db.execute("create table checkpoints (origin text primary key, size integer, root blob) strict")
        db.execute("insert into checkpoints values (?, 10, ?)", (ORIGIN, Frontier().extend(LEAVES[:10]).root()))


def of_a_later_version(folder: Path) -> None:
    state(folder).write_bytes(state(folder).read_bytes().replace(b"witness-state/2", b"witness-state/3"))


def last_use_deleted(folder: Path) -> None:
    (folder / "signer" / "last-use").unlink()


def last_use_emptied(folder: Path) -> None:
    (folder / "signer" / "last-use").write_bytes(b"")


def last_use_of_another_key(folder: Path) -> None:
    start(folder / "elsewhere").close()
    shutil.copy(folder / "elsewhere" / "signer" / "last-use", folder / "signer" / "last-use")


def first_copy_without_last_use(folder: Path) -> None:
    shutil.copy(folder / "state.sqlite.at-0", state(folder))
    last_use_deleted(folder)


def older_copy_as_of_a_first_start(folder: Path) -> None:
    older_copy(folder)
    last_use_deleted(folder)
    (folder / "signer" / "keys.jsonl").unlink()


def unbound_and_empty_without_last_use(folder: Path) -> None:
    edit(state(folder), owner=None, logs={}, generation=0)
    last_use_deleted(folder)


def last_use_with_more_behind_it(folder: Path) -> None:
    path = folder / "signer" / "last-use"
    path.write_bytes(path.read_bytes() + b"x")


def last_use_deep(folder: Path) -> None:
    (folder / "signer" / "last-use").write_bytes(b"[" * 512)


def anchor(folder: Path, note: str, *, first: int = 0, day: str = "2026/03/30", origin: str = ORIGIN) -> Path:
    size = parse_checkpoint(parse_note(note).text).size
    segment = folder / "archive" / origin / "segments" / day / f"{size:010d}-{first}-{size}"
    segment.mkdir(parents=True)
    (segment / "checkpoint").write_text(note)
    return segment / "checkpoint"


def anchor_alone(folder: Path, note: str | bytes, size: int | str, *, origin: str = ORIGIN) -> None:
    """Anchor a checkpoint apart from any segment, as is done every few minutes."""
    name = size if isinstance(size, str) else f"{size:016d}"
    path = folder / "archive" / origin / "checkpoints" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(note.encode() if isinstance(note, str) else note)


def put_back(folder: Path) -> None:
    """Put the whole folder of the signer back to when size 10 was signed."""
    for name in ("state.sqlite", "last-use"):
        shutil.copy(folder / f"{name}.at-10", folder / "signer" / name)


def recover(folder: Path, *notes: Path, more: tuple[str, ...] = ()) -> int:
    given = [part for note in notes for part in ("--checkpoint", str(note))]
    fixed = ["--state", str(folder / "signer"), "--trust", str(folder / "trust.json")]
    return main([*fixed, "--archive", str(folder / "archive"), *given, *more])
