"""A small company's log and archive, signed by keys made for the test."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import KEYS_TYPE, PROOF_TYPE, SEGMENT_TYPE, Envelope, EnvelopeSignature, pae, parse_envelope
from ledger_core.log.findings import CANNOT_TELL
from ledger_core.log.keys import KeyRecord, TrustFile, Validity, registry_payload
from ledger_core.log.merkle import Frontier, RangeTree, inclusion_path, leaf_hash
from ledger_core.log.note import NoteSignature, SignedNote, checkpoint_text
from ledger_core.log.proof import ProofBundle, ProvedRecord
from ledger_core.log.record import NO_PREV, assemble, format_time
from ledger_core.log.segment import Manifest, Previous, RecordsWriter, manifest_sha256, stored_file
from ledger_core.log.stream import RecordStream
from ledger_core.log.verifier import verify_path
from ledger_core.signing.backends.software import SoftwareKey
from ledger_core.signing.bootstrap import first_registry

ORIGIN = "ledger.example/test/main"
START = datetime(2026, 1, 31, 8, tzinfo=UTC)
ACTOR = {"role": "service", "subject": "tests"}


def entry_body(number: int, *, amount: int | None = None, **changes: Any) -> dict[str, Any]:
    """Return a charge with its fee: three postings that balance."""
    gross = 1_000 + number * 7 if amount is None else amount
    fee = gross // 30 + 1
    body = {
        "actor": ACTOR,
        "description": f"charge ch_{number}",
        "effective_at": format_time(START + timedelta(minutes=number)),
        "external_id": f"stripe:txn_{number}",
        "fingerprint": sha256(b"%d" % number).hexdigest(),
        "metadata": {"order": f"o-{number}", "reference": f"txn_{number}"},
        "postings": [
            {"account": "assets:clearing:usd", "amount": str(gross - fee), "currency": "USD", "direction": "debit"},
            {"account": "expenses:fees:usd", "amount": str(fee), "currency": "USD", "direction": "debit"},
            {"account": "revenue:sales:usd", "amount": str(gross), "currency": "USD", "direction": "credit"},
        ],
    }
    return {**body, **changes}


BOOK_BODY = {"actor": ACTOR, "legal_entity": "Example", "name": "main", "origin": ORIGIN}


@dataclass(kw_only=True)
class Log:
    """A log in memory, and the keys that sign it."""

    origin: str = ORIGIN
    lines: list[bytes] = field(default_factory=list)
    key: SoftwareKey = field(default_factory=lambda: SoftwareKey(ec.generate_private_key(ec.SECP256R1())))
    root_key: SoftwareKey = field(default_factory=lambda: SoftwareKey(ec.generate_private_key(ec.SECP256R1())))

    def __post_init__(self) -> None:
        self.registry = [first_registry(self.key, self.root_key, "ledger.example/test/*", START)]
        self.trust = TrustFile(origin="ledger.example/test/*", threshold=1, roots=(self.root_key.public_key,))

    def append(self, body: dict[str, Any], kind: str = "journal_entry", **changes: Any) -> bytes:
        """Append a record in order; `changes` override members of it."""
        seq = len(self.lines)
        members = {
            "body": canonical_bytes(body),
            "book": "main",
            "id": f"{seq:08x}-0000-7000-8000-000000000000",
            "kind": kind,
            "prev": leaf_hash(self.lines[-1]) if self.lines else NO_PREV,
            "recorded_at": format_time(START + timedelta(seconds=seq)),
            "seq": seq,
        }
        self.lines.append(assemble(**{**members, **changes}))
        return self.lines[-1]

    def fill(self, size: int) -> Log:
        """Append entries until there are `size` records."""
        if not self.lines:
            self.append(BOOK_BODY, "book")
        while len(self.lines) < size:
            self.append(entry_body(len(self.lines)))
        return self

    def tree(self, size: int | None = None) -> RangeTree:
        """Return the whole tree at `size`."""
        return RangeTree(Frontier(), [leaf_hash(line) for line in self.lines[:size]])

    def note(self, size: int | None = None, *, key: SoftwareKey | None = None, root: bytes | None = None) -> str:
        """Return a signed checkpoint."""
        key = key or self.key
        tree = self.tree(size)
        text = checkpoint_text(self.origin, tree.size, root or tree.frontier.root())
        signature = NoteSignature(self.origin, key.public_key.note_hash(self.origin), key.sign(text.encode()))
        return str(SignedNote(text, (signature,)))

    def envelope(self, payload_type: str, payload: bytes, *, key: SoftwareKey | None = None) -> Envelope:
        """Return a signed envelope."""
        key = key or self.key
        signature = EnvelopeSignature(key.public_key.key_id, key.sign(pae(payload_type, payload)))
        return Envelope(payload_type, payload, (signature,))

    def add_registry(
        self,
        valid: Sequence[tuple[SoftwareKey, int, int | None]] | None = None,
        *,
        purposes: Sequence[str] = ("checkpoint", "dsse"),
        version: int | None = None,
        previous: Envelope | None = None,
        created_at: str = "2026-03-01T00:00:00.000000Z",
    ) -> Envelope:
        """Return the next registry document: `valid` are keys and the first and last size that each counts for."""
        before = previous or self.registry[-1]
        payload = registry_payload(
            version=json.loads(before.payload)["version"] + 1 if version is None else version,
            previous_sha256=sha256(before.payload).hexdigest() if version != 1 else "0" * 64,
            roots=[self.root_key.public_key],
            threshold=1,
            keys=[
                KeyRecord(
                    key=key.public_key,
                    backend="software",
                    assurance="software",
                    status="active",
                    purposes=tuple(purposes),
                    valid=(Validity(origin="ledger.example/test/*", from_size=first, to_size=last),),
                )
                for key, first, last in valid or [(self.key, 0, None)]
            ],
            created_at=created_at,
        )
        return self.envelope(KEYS_TYPE, payload, key=self.root_key)

    def bundle(self, *seqs: int, size: int | None = None) -> ProofBundle:
        """Return a proof of the records `seqs`."""
        tree = self.tree(size)
        return ProofBundle(
            origin=self.origin,
            checkpoint=self.note(size),
            records=tuple(
                ProvedRecord(
                    seq=seq, canonical=self.lines[seq], inclusion=tuple(inclusion_path(seq, tree.size, tree.node))
                )
                for seq in seqs
            ),
            keys=tuple(self.registry),
            assurance="software",
        )

    def proof_envelope(self, *seqs: int) -> bytes:
        """Return a signed proof, as stored."""
        return self.envelope(PROOF_TYPE, json.dumps(self.bundle(*seqs).as_json()).encode()).to_bytes()


@dataclass(kw_only=True)
class Archive:
    """Segments of a log under `root`; `lines` may lie about the log, as an attacker's would."""

    root: Path
    log: Log
    book: str = "main"
    folders: list[Path] = field(default_factory=list)
    previous: Previous | None = None

    def export(
        self,
        first: int,
        following: int,
        *,
        lines: Sequence[bytes] | None = None,
        edit: Callable[[dict[str, Any]], None] | None = None,
        key: SoftwareKey | None = None,
        note: str | None = None,
    ) -> Path:
        """Write the segment [first, following) and return its folder."""
        log = self.log
        before = Frontier().extend(leaf_hash(line) for line in log.lines[:first])
        first_prev = leaf_hash(log.lines[first - 1]) if first else NO_PREV
        cutoff_before = json.loads(log.lines[first - 1])["recorded_at"] if first else ""
        stream = RecordStream(frontier=before, prev=first_prev)
        stream.feed(log.lines[first:following])
        file = io.BytesIO()
        writer = RecordsWriter(file)
        writer.write(log.lines[first:following] if lines is None else lines)
        records, data = writer.close(), file.getvalue()
        checkpoint = (note or log.note(following)).encode()
        keys = b"".join(envelope.to_bytes() + b"\n" for envelope in log.registry)
        newest = log.registry[-1].payload
        version, digest = json.loads(newest)["version"], sha256(newest).hexdigest()
        manifest = Manifest(
            origin=log.origin,
            book=self.book,
            segment=len(self.folders),
            closed_on=date(2026, 1, 31) + timedelta(days=len(self.folders)),
            first_seq=first,
            next_seq=following,
            previous=self.previous,
            before=before,
            root=stream.frontier.root(),
            first_prev=first_prev,
            last_leaf=stream.last_leaf,
            entries=stream.entries,
            totals=stream.totals(),
            objects=(records, stored_file("checkpoint", checkpoint), stored_file("keys.jsonl", keys)),
            cutoff=stream.recorded_at or cutoff_before,
            created_at="2026-02-01T00:00:00.000000Z",
            registry_version=version,
            registry_sha256=digest,
            software={"version": "0.1.0"},
            assurance="software",
        )
        payload = manifest.to_bytes()
        if edit is not None:
            value = json.loads(payload)
            edit(value)
            payload = canonical_bytes(value)
        folder = self.root / manifest.folder
        folder.mkdir(parents=True)
        (folder / "records.jsonl.gz").write_bytes(data)
        (folder / "checkpoint").write_bytes(checkpoint)
        (folder / "keys.jsonl").write_bytes(keys)
        (folder / "manifest.dsse.json").write_bytes(log.envelope(SEGMENT_TYPE, payload, key=key).to_bytes())
        self.previous = Previous(segment=len(self.folders), manifest_sha256=manifest_sha256(payload))
        self.folders.append(folder)
        return folder

    def body(self, seq: int = 1) -> dict[str, Any]:
        """Return the body of a record."""
        return json.loads(self.log.lines[seq])["body"]  # type: ignore[no-any-return]

    def append_odd(self, body: dict[str, Any], kind: str = "journal_entry", *, run: int = 0, **members: Any) -> Path:
        """Append one odd record, `run` sound ones on each side so that whole batches are compared; export them."""
        log, first = self.log, len(self.log.lines)
        log.fill(first + run)
        log.append(body, kind, **members)
        log.fill(first + 2 * run + 1)
        self.export(first, len(log.lines))
        return self.root

    def forge(
        self,
        folder: Path,
        *,
        files: dict[str, bytes] | None = None,
        edit: Callable[[dict[str, Any]], None] | None = None,
        payload_type: str = SEGMENT_TYPE,
        key: SoftwareKey | None = None,
    ) -> None:
        """Put `files` into the segment, list them in the manifest, change what else it says, and sign it again."""
        path = folder / "manifest.dsse.json"
        value = json.loads(parse_envelope(path.read_bytes()).payload)
        for name, data in (files or {}).items():
            (folder / name).write_bytes(data)
            listed = next(item for item in value["objects"] if item["name"] == name)
            listed.update(bytes=len(data), sha256=sha256(data).hexdigest())
        if edit is not None:
            edit(value)
        path.write_bytes(self.log.envelope(payload_type, canonical_bytes(value), key=key).to_bytes())


@pytest.fixture
def forge_one() -> Callable[..., None]:
    """Check one forgery: `forge_one(archive, make, verdict, reason, seq)`.

    `make` forges in the archive and returns the path to verify. Verdict, place and a piece of the detail are compared:
    another check that happens to fail as well is not this one.
    """

    def check(
        archive: Archive, make: Callable[[Archive], Path], verdict: str, reason: str, seq: int | None = None
    ) -> None:
        report = verify_path(make(archive), archive.log.trust)
        told = [item for item in report.failures if reason in item.detail]
        assert told, report.as_lines()
        assert told[0].verdict == verdict
        assert seq is None or told[0].seq == seq
        assert report.exit_status == (2 if report.verdict in CANNOT_TELL else 1)

    return check


@pytest.fixture
def log() -> Log:
    return Log().fill(60)


@pytest.fixture
def archive(tmp_path: Path, log: Log) -> Archive:
    """Three segments: [0, 20), [20, 45), [45, 60)."""
    made = Archive(root=tmp_path / "archive", log=log)
    for first, following in ((0, 20), (20, 45), (45, 60)):
        made.export(first, following)
    return made


@pytest.fixture
def other(archive: Archive) -> Archive:
    """Another book of the same company, in the same archive, signed by the same key."""
    log = Log(origin="ledger.example/test/other", key=archive.log.key, root_key=archive.log.root_key)
    log.registry = archive.log.registry
    body = {"actor": {"role": "service", "subject": "tests"}, "legal_entity": "Example", "name": "other"}
    log.append({**body, "origin": log.origin}, "book", book="other")
    for number in range(1, 30):
        log.append(json.loads(archive.log.lines[number])["body"], book="other")
    made = Archive(root=archive.root, log=log, book="other")
    made.export(0, 12)
    made.export(12, 30)
    return made
