"""What is done to an export before it is verified: to files, lines, documents, places, questions."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import os
import random
import shutil
import sys
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from fuzz_values import RAW, chained, dumped, mutated_bytes, mutated_json

from ledger_core.errors import CounterfoilError
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import KEYS_TYPE, SEGMENT_TYPE, Envelope, EnvelopeSignature, pae, parse_envelope
from ledger_core.log.note import NoteSignature, SignedNote

_conftest = Path(__file__).parents[1] / "unit" / "log" / "conftest.py"
_spec = importlib.util.spec_from_file_location("log_company_for_fuzzing", _conftest)
assert _spec is not None
assert _spec.loader is not None
company = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = company
_spec.loader.exec_module(company)

NAMES = ("records.jsonl.gz", "checkpoint", "keys.jsonl", "manifest.dsse.json")
MAX_MADE_BYTES = 64 * 1024 * 1024
"""The process that makes a case is the one whose memory is limited."""


@dataclass(kw_only=True)
class Case:
    """One changed export; `is_sound` while nobody signed anything anew."""

    random: random.Random
    top: Path
    log: Any
    folders: list[Path]
    target: Path
    trust: Any
    known: list[bytes] = field(default_factory=list)
    since: int | None = None
    is_sound: bool = True
    done: list[str] = field(default_factory=list)

    def folder(self) -> Path:
        return self.random.choice(self.folders)

    def file(self) -> Path:
        return self.folder() / self.random.choice(NAMES)

    def read(self, path: Path) -> bytes:
        try:
            return path.read_bytes() if path.is_file() else b""
        except OSError:
            return b""

    def write(self, path: Path, data: bytes) -> None:
        try:
            path.unlink(missing_ok=True)
            path.write_bytes(data)
        except OSError:
            pass


def signed(case: Case, kind: str, payload: bytes, key: Any) -> bytes:
    if key is not case.log.key and key is not case.log.root_key:
        return company.Log.envelope(case.log, kind, payload, key=key).to_bytes()
    case.is_sound = False
    return Envelope(kind, payload, (EnvelopeSignature(key.public_key.key_id, key.sign(pae(kind, payload))),)).to_bytes()


# --- what is done to an export; each returns nothing and changes the case


def any_file(case: Case) -> None:
    path = case.file()
    case.write(path, mutated_bytes(case.random, case.read(path)))


def swap_files(case: Case) -> None:
    one, other = case.file(), case.file()
    a, b = case.read(one), case.read(other)
    case.write(one, b)
    case.write(other, a)


def lines(case: Case) -> None:
    """Records unpacked, changed line by line, packed again; sometimes listed anew in a manifest that is signed anew."""
    r, folder = case.random, case.folder()
    path = folder / "records.jsonl.gz"
    try:
        unpacked = gzip.zlib.decompressobj(31).decompress(case.read(path), MAX_UNPACKED_BYTES)
    except gzip.zlib.error:
        return
    found = unpacked.split(b"\n")[:-1]
    for _ in range(r.choice([1, 1, 2, 5])):
        at = r.randrange(len(found) + 1)
        kind = r.randrange(8)
        if kind == 0:
            found[at:at] = [r.choice(RAW).replace(b"\n", b"")]
        elif kind == 1:
            del found[at : at + r.choice([1, 1, 10])]
        elif kind == 2:
            found[at:at] = found[at : at + r.choice([1, 5])]
        elif kind == 3:
            r.shuffle(found)
        elif kind == 4 and at < len(found):
            found[at] = mutated_bytes(r, found[at])
        elif kind == 5:
            found[at:at] = r.choice([[b""] * 30_000, [b"{}"] * 3_000, [b"x" * 65_535] * 30, [b"x" * 65_536], [b""]])
        elif at < len(found):
            try:
                found[at] = dumped(r, mutated_json(r, json.loads(found[at])))
            except (ValueError, RecursionError):
                continue
    rechained = r.random() < 0.3
    if rechained:
        found = chained(found)
    data = b"".join(line + b"\n" for line in found)
    if r.random() < 0.1:
        data = data[:-1]
    packed = gzip.compress(data, r.choice([0, 1, 9]), mtime=0)
    case.write(path, packed + gzip.compress(b"{}\n") if r.random() < 0.05 else packed)
    if rechained or r.random() < 0.3:
        relist(case, folder, {"records.jsonl.gz": packed})


def relist(case: Case, folder: Path, files: dict[str, bytes]) -> None:
    path = folder / "manifest.dsse.json"
    try:
        value = json.loads(parse_envelope(case.read(path)).payload)
        for name, data in files.items():
            for item in value["objects"]:
                if item["name"] == name:
                    item.update(bytes=len(data), sha256=sha256(data).hexdigest())
        case.write(path, signed(case, SEGMENT_TYPE, canonical_bytes(value), case.log.key))
    except (CounterfoilError, ValueError, KeyError, TypeError, AttributeError):
        return


def bomb(case: Case) -> None:
    r = case.random
    piece = r.choice([b"\n", b"x", b" ", b"[", b"{}\n", b'{"a":1}\n', b'"' + b"a" * 60_000 + b'"\n'])
    data = packed(piece, r.choice([1, 5, 40]))
    path = case.folder() / "records.jsonl.gz"
    case.write(path, data)
    if r.random() < 0.3:
        relist(case, path.parent, {"records.jsonl.gz": data})


@cache
def packed(piece: bytes, megabytes: int) -> bytes:
    """Return so much of one piece, packed; made once, which takes longer than verifying it."""
    stream = gzip.zlib.compressobj(9, gzip.zlib.DEFLATED, 31)
    block = piece * (1_000_000 // len(piece))
    return b"".join(stream.compress(block) for _ in range(megabytes)) + stream.flush()


def manifest(case: Case) -> None:
    r, path = case.random, case.folder() / "manifest.dsse.json"
    try:
        value = json.loads(parse_envelope(case.read(path)).payload)
    except (CounterfoilError, ValueError):
        return
    for _ in range(r.choice([1, 1, 3])):
        value = mutated_json(r, value)
    payload = mutated_bytes(r, dumped(r, value)) if r.random() < 0.1 else dumped(r, value)
    key = r.choice([case.log.key, case.log.key, case.log.root_key, company.SoftwareKey(STRANGER)])
    case.write(path, signed(case, r.choice([SEGMENT_TYPE] * 5 + [KEYS_TYPE]), payload, key))


def envelope(case: Case) -> None:
    r, path = case.random, case.folder() / r_name(case.random)
    raw = case.read(path)
    try:
        if path.name == "keys.jsonl":
            rows = raw.splitlines()
            at = r.randrange(len(rows))
            rows[at] = dumped(r, mutated_json(r, json.loads(rows[at])))
            case.write(path, b"\n".join(rows) + b"\n")
        else:
            case.write(path, dumped(r, mutated_json(r, json.loads(raw))))
    except (ValueError, IndexError, RecursionError):
        return


def r_name(r: random.Random) -> str:
    return r.choice(["keys.jsonl", "manifest.dsse.json"])


def times_of(wanted: int, size: int) -> int:
    """Return how often `size` bytes are repeated: what another change made large already stays as it is."""
    return wanted if wanted * size <= MAX_MADE_BYTES else 1


def registry(case: Case) -> None:
    r, path = case.random, case.folder() / "keys.jsonl"
    rows = case.read(path).splitlines()
    kind = r.randrange(5)
    if kind == 0:
        rows = rows * times_of(r.choice([2, 3, 500]), sum(map(len, rows)))
    elif kind == 1:
        r.shuffle(rows)
    elif kind == 2 and rows:
        del rows[r.randrange(len(rows))]
    elif rows:
        try:
            value = json.loads(parse_envelope(rows[-1]).payload)
        except (CounterfoilError, ValueError):
            return
        # Another change may have left no document of it.
        if not isinstance(value, dict):
            return
        if kind == 3:
            version = value.get("version")
            value["version"] = version + 1 if isinstance(version, int) else 1
            value["prev_sha256"] = sha256(parse_envelope(rows[-1]).payload).hexdigest()
        value = mutated_json(r, value)
        made = signed(case, KEYS_TYPE, dumped(r, value), r.choice([case.log.root_key, case.log.key]))
        rows = [*rows, made] if kind == 3 else [*rows[:-1], made]
    data = b"\n".join(rows) + b"\n"
    for folder in case.folders if r.random() < 0.5 else [path.parent]:
        case.write(folder / "keys.jsonl", data)


def checkpoint(case: Case) -> None:
    r, path = case.random, case.folder() / "checkpoint"
    text = case.read(path).decode("utf-8", "replace")
    head, _, tail = text.rpartition("\n\n")
    parts = (head + "\n").split("\n")
    at = r.randrange(len(parts))
    choice = r.choice(["9" * 30, "0", "-1", "01", " 7", "", "A" * 44, "\r", "\x1b[2J", "x" * 70_000, "extension", "é"])
    parts[at] = choice if r.random() < 0.7 else parts[at] + choice
    body = "\n".join(parts)
    kind = r.randrange(4)
    if kind == 0:
        body = head + "\n"
        tail = tail * times_of(r.choice([2, 99, 101, 3_000]), len(tail))
    elif kind == 1:
        tail = "".join(f"— name{number} {base64.b64encode(r.randbytes(70)).decode()}\n" for number in range(90)) + tail
    elif kind == 2:
        message = body.encode("utf-8", "surrogatepass")
        line = NoteSignature(
            case.log.origin, case.log.key.public_key.note_hash(case.log.origin), case.log.key.sign(message)
        )
        case.is_sound = False
        case.write(path, str(SignedNote(body, (line,))).encode("utf-8", "surrogatepass"))
        return
    case.write(path, f"{body}\n{tail}".encode("utf-8", "surrogatepass"))


def places(case: Case) -> None:
    """Folders and files that are other than they should be."""
    r, folder = case.random, case.folder()
    kind = r.randrange(10)
    name = r.choice(
        [b"a\nb", b"\x1b[2J", b"\xff\xfe", b"x" * 200, b"..x", b" ", b"0000000000-0-20", "\u202e".encode(), b"A", b"a"]
    )
    try:
        if kind == 0:
            folder.rename(folder.with_name(os.fsdecode(name)))
        elif kind == 1:
            shutil.copytree(folder, folder.parent.parent / os.fsdecode(name) / folder.name, symlinks=True)
        elif kind == 2:
            (folder.parent / os.fsdecode(name)).symlink_to(
                r.choice(["/", "..", ".", "/etc/passwd", "/dev/zero", "loop"])
            )
        elif kind == 3:
            path = case.file()
            path.unlink()
            r.choice([os.mkfifo, os.mkdir, lambda p: p.symlink_to("/dev/zero"), lambda p: p.symlink_to(p)])(path)
        elif kind == 4:
            for number in range(r.choice([5, 300])):
                (folder.parent / f"{number:010}-{number}-{number + 1}").mkdir()
        elif kind == 5:
            shutil.rmtree(folder)
        elif kind == 6:
            case.file().chmod(0)
        elif kind == 7:
            (folder.parent / f"{9:010}-{'9' * 19}-{'9' * 19}").mkdir()
        elif kind == 8:
            anchors = case.top / case.log.origin / "checkpoints"
            anchors.mkdir(parents=True, exist_ok=True)
            (anchors / r.choice(["0000000000000060", "0000000000000099", "x", "9" * 16])).write_bytes(
                r.choice([case.log.note(60).encode(), case.read(folder / "checkpoint"), r.choice(RAW)])
            )
        else:
            case.target = r.choice([folder, folder.parent, case.file(), case.top / "absent", Path("/dev/zero")])
    except OSError:
        return


def trust(case: Case) -> None:
    r, path = case.random, case.top.parent / "trust.json"
    data = dumped(r, mutated_json(r, case.log.trust.as_json()))
    path.write_bytes(mutated_bytes(r, data) if r.random() < 0.3 else data)
    case.trust = path


def question(case: Case) -> None:
    r = case.random
    case.since = r.choice([None, 0, 20, 45, 61, 2**70, -1])
    note = case.log.note(r.choice([0, 1, 20, 33, 60])).encode()
    case.known = [mutated_bytes(r, note) if r.random() < 0.5 else note for _ in range(r.choice([0, 1, 2]))]


def proof(case: Case) -> None:
    """A bundle, bare or in its envelope, or a tlog-proof, in place of the segments."""
    r, path = case.random, case.top.parent / "proof.json"
    bundle = PROOFS["bundle"]
    kind = r.randrange(5)
    if kind == 0:
        data = dumped(r, mutated_json(r, bundle))
    elif kind == 1:
        data = signed(
            case, "application/vnd.counterfoil.proof.v1+json", dumped(r, mutated_json(r, bundle)), case.log.key
        )
    elif kind == 2:
        data = dumped(r, mutated_json(r, json.loads(PROOFS["envelope"])))
    elif kind == 3:
        data = mutated_bytes(r, PROOFS["tlog"])
        (case.top.parent / "keys.jsonl").write_bytes(case.read(case.folder() / "keys.jsonl"))
    else:
        data = mutated_bytes(r, PROOFS["envelope"])
    path.write_bytes(data)
    case.target = path


CHANGES = [
    any_file, any_file, swap_files, lines, lines, lines, bomb, manifest, manifest, envelope, registry, checkpoint,
    places, places, trust, question, proof, proof,
]  # fmt: skip
PROOFS: dict[str, Any] = {}
MAX_UNPACKED_BYTES = 4_000_000
"""Of what may be a bomb already: it is the verifier's memory that is looked at."""
STRANGER = company.ec.generate_private_key(company.ec.SECP256R1())
