"""A signed segment of any length, written without a database: what a verifier is given, as fast as it can be made."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import SEGMENT_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.keys import TrustFile
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import NoteSignature, SignedNote, checkpoint_text
from ledger_core.log.record import NO_PREV, Frame, format_time
from ledger_core.log.segment import (
    CHECKPOINT_FILE,
    KEYS_FILE,
    MANIFEST_FILE,
    RECORDS_FILE,
    Manifest,
    RecordsWriter,
    stored_file,
)
from ledger_core.signing.backends.software import SoftwareKey
from ledger_core.signing.bootstrap import first_registry

ORIGIN = "bench.example/test/main"
START = datetime(2026, 1, 1, 8, tzinfo=UTC)
ACTOR = {"role": "service", "subject": "bench"}
BATCH = 1_000
CODES = [f"assets:clearing:{number}" for number in range(1_000)]


def make_segment(root: Path, records: int) -> tuple[Path, Path]:
    """Write a segment of `records` records below `root`; return its folder, and the trust file."""
    key, root_key = (SoftwareKey(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
    registry = first_registry(key, root_key, "bench.example/test/*", START)
    trust = TrustFile(origin="bench.example/test/*", threshold=1, roots=(root_key.public_key,))
    root.mkdir(parents=True, exist_ok=True)
    frontier, total, last = Frontier(), 0, NO_PREV
    cutoff = ""
    with (root / RECORDS_FILE).open("wb") as sink:
        writer = RecordsWriter(sink)
        for lines, leaves, amount, cutoff in _batches(records):  # noqa: B007 - the last one is kept
            writer.write(lines)
            frontier, total, last = frontier.extend(leaves), total + amount, leaves[-1]
        listed = writer.close()
    text = checkpoint_text(ORIGIN, records, frontier.root())
    line = NoteSignature(ORIGIN, key.public_key.note_hash(ORIGIN), key.sign(text.encode()))
    note, keys = str(SignedNote(text, (line,))).encode(), registry.to_bytes() + b"\n"
    manifest = Manifest(
        origin=ORIGIN,
        book="main",
        segment=0,
        closed_on=date(2026, 1, 31),
        first_seq=0,
        next_seq=records,
        previous=None,
        before=Frontier(),
        root=frontier.root(),
        first_prev=NO_PREV,
        last_leaf=last,
        entries=records - 1,
        totals={"USD": (total, total)},
        objects=(listed, stored_file(CHECKPOINT_FILE, note), stored_file(KEYS_FILE, keys)),
        cutoff=cutoff,
        created_at="2026-02-01T00:00:00.000000Z",
        registry_version=1,
        registry_sha256=sha256(registry.payload).hexdigest(),
        software={"name": "counterfoil", "version": "bench"},
        assurance="software",
    )
    payload = manifest.to_bytes()
    signature = EnvelopeSignature(key.public_key.key_id, key.sign(pae(SEGMENT_TYPE, payload)))
    folder = root / manifest.folder
    folder.mkdir(parents=True)
    (root / RECORDS_FILE).rename(folder / RECORDS_FILE)
    (folder / CHECKPOINT_FILE).write_bytes(note)
    (folder / KEYS_FILE).write_bytes(keys)
    (folder / MANIFEST_FILE).write_bytes(Envelope(SEGMENT_TYPE, payload, (signature,)).to_bytes())
    (root / "trust.json").write_text(json.dumps(trust.as_json()))
    return folder, root / "trust.json"


def _batches(records: int) -> Iterator[tuple[list[bytes], list[bytes], int, str]]:
    """Yield lines, their leaf hashes, the sum of their debits, and the time of the last, batch by batch."""
    frames = {kind: Frame("main", kind) for kind in ("book", "journal_entry")}
    book = canonical_bytes({"actor": ACTOR, "legal_entity": "Bench", "name": "main", "origin": ORIGIN})
    prev = NO_PREV
    for start in range(0, records, BATCH):
        lines: list[bytes] = []
        leaves: list[bytes] = []
        amount = 0
        noise = os.urandom(16 * BATCH).hex()
        for seq in range(start, min(start + BATCH, records)):
            body, kind = (_entry(seq), "journal_entry") if seq else (book, "book")
            own = noise[32 * (seq - start) : 32 * (seq - start) + 32]
            id_ = f"{own[:8]}-{own[8:12]}-7{own[13:16]}-{own[16:20]}-{own[20:]}"
            time = format_time(START + timedelta(milliseconds=seq))
            line = frames[kind].around(body, id=id_, prev=prev, recorded_at=time, seq=seq)
            prev = leaf_hash(line)
            lines.append(line)
            leaves.append(prev)
            amount += seq
        yield lines, leaves, amount, time


def _entry(number: int) -> bytes:
    """Return the canonical body of a charge of `number` minor units, as those of `bench.log_book`."""
    day, print_, code = 1 + number % 28, sha256(b"%d" % number).hexdigest(), CODES[number % len(CODES)]
    return (
        f'{{"actor":{{"role":"service","subject":"bench"}},"description":"charge ch_{number:08}","effective_at":'
        f'"2026-01-{day:02}T08:00:00.000000Z","external_id":"bench:{number}","fingerprint":"{print_}",'
        f'"metadata":{{"reference":"txn_{number:08}"}},"postings":[{{"account":"{code}","amount":"{number}",'
        '"currency":"USD","direction":"debit"},'
        f'{{"account":"revenue:sales","amount":"{number}","currency":"USD","direction":"credit"}}]}}'
    ).encode()
