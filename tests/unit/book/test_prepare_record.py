"""A body is held to its shape before it is appended: what is in the log stays there."""

from __future__ import annotations

from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.book.kinds import Kinds
from ledger_core.errors import InvalidInput
from ledger_core.log.canonical import canonical_bytes
from ledger_core.ports import RecordDraft

ACTOR = Actor(subject="tester")
EXPORT: dict[str, Any] = {
    "closed_on": "2026-10-31",
    "segment": 1,
    "first_seq": 0,
    "next_seq": 10,
    "manifest_sha256": "a" * 64,
    "uri": "file:///archive",
}


def prepare_record(kind: str, body: dict[str, Any]) -> Any:
    draft = RecordDraft(kind=kind, body=body)
    return Kinds().of(draft).prepare(draft, ACTOR, canonical_bytes(ACTOR.as_body()))


@pytest.mark.parametrize(
    ("kind", "body", "pointer"),
    [
        ("reconciliation_run", {}, "/body/manifest"),
        ("reconciliation_run", {"manifest": "text"}, "/body/manifest"),
        ("export", {"a": 1}, "/body/closed_on"),
        ("export", {**EXPORT, "segment": "one"}, "/body/segment"),
        ("export", {**EXPORT, "closed_on": "2026-02-30"}, "/body/closed_on"),
        ("export", {**EXPORT, "manifest_sha256": "A" * 64}, "/body/manifest_sha256"),
        ("payout", {"amount": "1"}, "/kind"),
        ("book", {"name": "other"}, "/kind"),
        ("account", {"code": "assets:x"}, "/kind"),
        ("journal_entry", {"postings": []}, "/kind"),
    ],
)
def test_a_record_that_no_verifier_would_accept_is_not_appended(kind: str, body: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        prepare_record(kind, body)
    assert refused.value.pointer == pointer


def test_a_whole_export_is_appended() -> None:
    assert prepare_record("export", EXPORT).kind.name == "export"
