"""What is private: openings of commitments, and bodies that hold commitments or say what was erased."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from ledger_core.log.canonical import canonical_bytes

SALT = bytes(range(16))
ACTOR = {"role": "service", "subject": "x"}
ENTRY = {
    "actor": ACTOR,
    "commitments": {"payer_iban": "0" * 64, "payer_name": "f" * 64},
    "description": "",
    "effective_at": "2026-01-31T10:00:00.000000Z",
    "external_id": "e:1",
    "fingerprint": "a" * 64,
    "metadata": {},
    "postings": [
        {"account": "a:1", "amount": "5", "currency": "USD", "direction": side} for side in ("debit", "credit")
    ],
}
VALUE = {"id": "01890a5d-ac96-774b-bcce-b302099a8057", "names": ["payer_iban", "payer_name"], "seq": 41}
FILE = {"file_id": "01890a5d-ac96-774b-bcce-b302099a8057"}
ERASURE = {
    "actor": ACTOR,
    "files": [FILE],
    "fingerprint": "c" * 64,
    "kept_until": "2026-03-07",
    "reason": "consent_withdrawn",
    "values": [VALUE, {**VALUE, "seq": 42}],
}


def private() -> dict[str, Any]:
    """Openings that hold and that do not, and bodies that verifiers accept and refuse."""
    return {"openings": _openings(), "bodies": _bodies()}


def _openings() -> list[dict[str, Any]]:
    found = []
    for value in ("Ada Example", "", "\u00e9\u20ac\U0001f600", 'a "quoted" \\ value\n', "\u007f"):
        canonical = canonical_bytes(value)
        commitment = sha256(SALT + canonical).hexdigest()
        right = {"salt_hex": SALT.hex(), "value": value, "canonical_hex": canonical.hex(), "commitment_hex": commitment}
        found += [{**right, "holds": True}, {**right, "value": f"{value}x", "holds": False}]
    found.append({**found[0], "salt_hex": bytes(16).hex(), "holds": False})
    found.append({**found[0], "commitment_hex": sha256(SALT + b"Ada Example").hexdigest(), "holds": False})
    return found


def _bodies() -> list[dict[str, Any]]:
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        ("no commitment", "journal_entry", {"commitments": {}}),
        ("a commitment that is none", "journal_entry", {"commitments": {"a": "F" * 64}}),
        ("a commitment that is short", "journal_entry", {"commitments": {"a": "f" * 63}}),
        ("commitments that are a list", "journal_entry", {"commitments": ["f" * 64]}),
        ("too many commitments", "journal_entry", {"commitments": {f"n{number}": "f" * 64 for number in range(65)}}),
        ("nothing erased", "erasure", {"files": [], "values": []}),
        ("a reason that is no code", "erasure", {"reason": "He asked"}),
        ("a day that is none", "erasure", {"kept_until": "2026-02-30"}),
        ("no fingerprint", "erasure", {"fingerprint": ""}),
        ("names out of order", "erasure", {"values": [{**VALUE, "names": ["b", "a"]}]}),
        ("a name twice", "erasure", {"values": [{**VALUE, "names": ["a", "a"]}]}),
        ("no names", "erasure", {"values": [{**VALUE, "names": []}]}),
        ("an entry twice", "erasure", {"values": [VALUE, VALUE]}),
        ("a seq that is none", "erasure", {"values": [{**VALUE, "seq": -1}]}),
        ("one member more", "erasure", {"values": [{**VALUE, "value": "x"}]}),
        ("a file with a hash of its bytes", "erasure", {"files": [{**FILE, "sha256": "b" * 64}]}),
        ("a file without its id", "erasure", {"files": [{}]}),
        ("a file twice", "erasure", {"files": [FILE, FILE]}),
        ("values that are none", "erasure", {"values": {}}),
    ]
    whole = {"journal_entry": ENTRY, "erasure": ERASURE}
    found = [{"what": f"the {kind}", "kind": kind, "body": body, "holds": True} for kind, body in whole.items()]
    found += [
        {"what": what, "kind": kind, "body": {**whole[kind], **changed}, "holds": False}
        for what, kind, changed in wrong
    ]
    return found
