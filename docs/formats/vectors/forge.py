"""Forgeries for the vectors: bundles and segments that the right key signed, each with the verdict due."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from company import (
    BOOK,
    KEY,
    ORIGIN,
    SIZE,
    START,
    THIEF,
    TRUST,
    beside,
    encoded,
    entry,
    envelope,
    lines,
    note,
    proof_envelope,
    segment_files,
)

from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import PROOF_TYPE, SEGMENT_TYPE, parse_envelope
from ledger_core.log.merkle import Frontier, RangeTree, consistency_path, leaf_hash, leaf_hashes
from ledger_core.log.note import checkpoint_text, encode_base64
from ledger_core.log.proof import ProofBundle, TlogProof
from ledger_core.log.record import NO_PREV, format_time
from ledger_core.log.segment import stored_file


def forged_bundles(bundle: ProofBundle) -> list[dict[str, Any]]:
    """Bundles in envelopes that the right key signed, each with the verdict due."""
    sound = bundle.as_json()
    bad = beside(bundle.checkpoint, note(bundle.checkpoint.partition("\n\n")[0] + "\n", KEY, KEY.sign(b"another text")))
    listed = {"verdict": "edited", "seq": 5, "where": "ledger.records", "detail": "cut"}
    tree = RangeTree(Frontier(), leaf_hashes(lines()))
    path = [encode_base64(part) for part in consistency_path(5, SIZE, tree.node)]
    lie = note(checkpoint_text(ORIGIN, 5, leaf_hash(b"another tree")), KEY)
    same = note(checkpoint_text(ORIGIN, SIZE, leaf_hash(b"another tree")), KEY)
    forgeries: list[tuple[str, str, dict[str, Any]]] = [
        ("an older checkpoint of another tree", "forked", {"consistency": [{"checkpoint": lie, "path": path}]}),
        ("two trees of one size", "forked", {"consistency": [{"checkpoint": same, "path": []}]}),
        ("it says of itself that it failed", "failed", {"verdict": "failed"}),
        ("it lists what failed and says verified", "edited", {"verdict": "verified", "failures": [listed]}),
        ("a stored row differs", "edited", {"verdict": "verified", "rows": [{"seq": 5, "crosscheck": "differs"}]}),
        ("it proves no record", "unverifiable", {"verdict": "verified", "records": []}),
        ("it is of another log than its checkpoint", "forked", {"origin": "vectors.example/test/other"}),
        ("a record in the place of another", "edited", {"records": [{**sound["records"][1], "seq": 6}]}),
        ("a bad line of the key beside its good one", "bad_signature", {"checkpoint": bad}),
    ]
    return [
        {"what": what, "verdict": verdict, "bundle": proof_envelope({**sound, **change})}
        for what, verdict, change in forgeries
    ]


def forged_tlog_proofs(proof: TlogProof) -> list[dict[str, Any]]:
    """tlog-proofs that do not hold, each with the verdict due."""
    assert proof.extra is not None
    sound = str(proof)
    root = Frontier().extend(leaf_hashes(lines())).root()
    by_thief = note(checkpoint_text(ORIGIN, SIZE, root), THIEF)
    other_root = note(checkpoint_text(ORIGIN, SIZE, leaf_hash(b"another tree")), KEY)
    forgeries = [
        ("a record that was changed", "edited", replace(proof, extra=proof.extra.replace(b"charge", b"refund"))),
        ("the record of another place", "edited", replace(proof, extra=lines()[6])),
        ("another index", "edited", replace(proof, index=4)),
        ("an index past the checkpoint", "unsigned_pending", replace(proof, index=SIZE)),
        ("a path that ends early", "edited", replace(proof, path=proof.path[:-1])),
        ("a path that goes on", "edited", replace(proof, path=(*proof.path, root))),
        ("a path in another order", "edited", replace(proof, path=proof.path[::-1])),
        ("a checkpoint of another tree", "edited", replace(proof, checkpoint=other_root)),
        ("a checkpoint by another key", "bad_signature", replace(proof, checkpoint=by_thief)),
        ("no record", "unverifiable", replace(proof, extra=None)),
        ("another version of the format", "unverifiable", sound.replace("@v1", "@v2")),
        ("an index with a zero in front", "unverifiable", sound.replace("index 5", "index 05")),
        ("no index", "unverifiable", sound.replace("index 5\n", "")),
        ("lines that end as on Windows", "unverifiable", sound.replace("\n", "\r\n")),
    ]
    return [{"what": what, "verdict": verdict, "tlog_proof": str(text)} for what, verdict, text in forgeries]


def forged_segments(sound: dict[str, bytes]) -> list[dict[str, Any]]:
    """Segments signed with the right key wherever their forger would hold it, each with the verdict due.

    `folder` and `trust` stand where they are others than the sound segment's.
    """
    records = lines()
    root = Frontier().extend(leaf_hashes(records)).root()
    day = f"{ORIGIN}/segments/2026/01/31"
    elsewhere = {"moved to another date": f"{ORIGIN}/segments/2026/02/01/0000000000-0-{SIZE}"}
    elsewhere["under another number"] = f"{day}/0000000001-0-{SIZE}"
    elsewhere["in another book's place"] = f"{day.replace('/main/', '/other/')}/0000000000-0-{SIZE}"
    made: list[dict[str, Any]] = [
        {"what": what, "verdict": "forked", "files": {}, "folder": folder} for what, folder in elsewhere.items()
    ]
    pinned = {**TRUST.as_json(), "registry_version": 2}
    made.append({"what": "a registry below the pinned version", "verdict": "truncated", "files": {}, "trust": pinned})
    notes = {
        "a checkpoint of another log": ("forked", checkpoint_text("vectors.example/test/other", SIZE, root)),
        "a checkpoint over more": ("truncated", checkpoint_text(ORIGIN, SIZE + 1, root)),
        "a checkpoint over less": ("unsigned_pending", checkpoint_text(ORIGIN, SIZE - 1, root)),
        "a checkpoint of another root": ("forked", checkpoint_text(ORIGIN, SIZE, leaf_hash(b""))),
    }
    for what, (verdict, text) in notes.items():
        signed = note(text, KEY, name=text.partition("\n")[0]).encode()
        made.append({"what": what, "verdict": verdict, "files": forged_files(sound, {"checkpoint": signed}, {})})
    value = json.loads(parse_envelope(sound["manifest.dsse.json"]).payload)
    listed, totals = value["objects"], value["totals"]
    packed = next(item for item in listed if item["name"] == "records.jsonl.gz")
    others = [item for item in listed if item is not packed]
    changes: dict[str, tuple[str, dict[str, Any]]] = {
        "two totals of one currency": ("edited", {"totals": [{**totals[0], "debits": "1"}, *totals]}),
        "a file listed twice": ("edited", {"objects": [*listed, listed[0]]}),
        "a file that no segment has": ("edited", {"objects": [*listed, {**listed[0], "name": "../checkpoint"}]}),
        "a day by its week": ("edited", {"closed_on": "2026-W05-6"}),
        "a book by a name that none has": ("edited", {"book": "../main"}),
        "more lines than there are": ("edited", {"objects": [*others, {**packed, "lines": SIZE + 1}]}),
        "another length of the content": ("edited", {"objects": [*others, {**packed, "content_bytes": 9}]}),
        "another length of a file": ("edited", {"objects": [packed, *({**item, "bytes": 9} for item in others)]}),
        "another count of entries": ("edited", {"entries": SIZE}),
        "other totals": ("unbalanced", {"totals": []}),
        "a file that is not listed": ("edited", {"objects": []}),
        "a first segment that starts from something": ("forked", {"chain": {"first_prev": "1" * 64}}),
        "another last record": ("edited", {"chain": {"last_leaf": "1" * 64}}),
        "another registry of that version": ("forked", {"key_registry": {"sha256": "1" * 64}}),
        "a registry that is not here": ("truncated", {"key_registry": {"version": 2}}),
    }
    for what, (verdict, change) in changes.items():
        made.append({"what": what, "verdict": verdict, "files": forged_files(sound, {}, change)})
    made.append(
        {"what": "an envelope of another type", "verdict": "bad_signature",
         "files": forged_files(sound, {}, {}, payload_type=PROOF_TYPE)}
    )  # fmt: skip
    return [*made, *({"what": what, **case} for what, case in forged_records().items())]


def forged_files(
    sound: dict[str, bytes], files: dict[str, bytes], change: dict[str, Any], *, payload_type: str = SEGMENT_TYPE
) -> dict[str, str]:
    """Return the files that differ, and the manifest that lists them, changed and signed again."""
    value = json.loads(parse_envelope(sound["manifest.dsse.json"]).payload)
    for item in value["objects"]:
        if item["name"] in files:
            item.update(stored_file(item["name"], files[item["name"]]).as_json())
    for name, part in change.items():
        value[name] = {**value[name], **part} if isinstance(part, dict) else part
    return encoded({**files, "manifest.dsse.json": envelope(payload_type, canonical_bytes(value), KEY).to_bytes()})


def forged_records() -> dict[str, dict[str, Any]]:
    """Segments whose seventh record was signed although it breaks a rule."""
    body = entry(6)
    odd = [{**item, "currency": "EUR"} if at == 2 else item for at, item in enumerate(body["postings"])]
    huge = [{**item, "amount": str(2**63)} for item in body["postings"][1:]]
    one = {"account": "a", "amount": "5", "currency": "USD", "direction": "debit"}
    nameless = [one, {**one, "direction": "credit"}, {**one, "account": "", "amount": "7"}]
    long = [{**item, "account": "é" * 513} for item in body["postings"]]
    two = [{**item, "currency": "EUR"} for item in body["postings"]]
    changed: dict[str, tuple[str, dict[str, Any]]] = {
        "a third posting whose account has no name": ("unbalanced", {"postings": nameless}),
        "an account of more than 1,024 bytes": ("not_canonical", {"postings": long}),
        "accounts posted in two currencies": ("unbalanced", {"postings": two}),
        "a day that no month has": ("not_canonical", {"effective_at": "2026-02-30T08:00:00.000000Z"}),
        "metadata that is no text": ("not_canonical", {"metadata": {"a": 1}}),
        "a member that no entry has": ("unknown_schema", {"memo": "x"}),
        "an actor without a role": ("not_canonical", {"actor": {"subject": "x"}}),
    }
    forgeries: dict[str, tuple[str, dict[str, Any]]] = {
        what: (verdict, {"body": canonical_bytes({**body, **change})}) for what, (verdict, change) in changed.items()
    }
    forgeries |= {
        "an id that is no UUID": ("not_canonical", {"id": "00000006-0000-7000-8000-00000000000A"}),
        "a kind that nobody knows": ("unknown_schema", {"kind": "dream"}),
        "debits and credits of two currencies": ("unbalanced", {"body": canonical_bytes({**body, "postings": odd})}),
        "an amount beyond 64 bits": ("not_canonical", {"body": canonical_bytes({**body, "postings": huge})}),
        "a record of another book": ("not_canonical", {"book": "other"}),
        "a record as late as the one before": (
            "not_canonical",
            {"recorded_at": format_time(START + timedelta(seconds=5))},
        ),
        "a second opening of the book": ("not_canonical", {"kind": "book", "body": canonical_bytes(BOOK)}),
        "a wrong seq": ("edited", {"seq": 7}),
        "a wrong predecessor": ("edited", {"prev": NO_PREV}),
    }
    return {
        what: {"verdict": verdict, "files": encoded(segment_files(lines({6: members})))}
        for what, (verdict, members) in forgeries.items()
    }
