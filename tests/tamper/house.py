"""A book whose nights are archived in a bucket, and somebody who holds the key that writes there and no other."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, date, datetime
from typing import Any

from ledger_core.actor import Actor
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import ExportResult, export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.findings import VerificationReport
from ledger_core.log.segment import MANIFEST_FILE
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime
from tests.conftest import ArchiveBucket

BOOK = "main"
ME = Actor(subject="tester")
FIRST, SECOND, THIRD = date(2026, 3, 30), date(2026, 3, 31), date(2026, 4, 1)


class House:
    """A book whose first night is archived, the bucket that it is archived in, and a thief with the key to that."""

    def __init__(self, runtime: Runtime, bucket: ArchiveBucket) -> None:
        self.runtime, self.bucket = runtime, bucket
        self.origin = runtime.settings.origin_of(BOOK)
        self._sold = 0
        chart = [
            account_draft(code="assets:cash:usd", type="asset", currency="USD"),
            account_draft(code="revenue:sales:usd", type="revenue", currency="USD"),
        ]
        apply_accounts(runtime.ledger(BOOK), chart, Ask(actor=ME))
        self.sell()
        self.first = self.export(FIRST)
        self.size = self.sell()

    def sell(self) -> int:
        """Post an entry; return the size of the log."""
        self._sold += 1
        sides = (("assets:cash:usd", "debit"), ("revenue:sales:usd", "credit"))
        draft = EntryDraft(
            effective_at=datetime(2026, 3, 1, tzinfo=UTC),
            external_id=f"shop:{self._sold}",
            description="",
            postings=tuple(
                PostingDraft(account=code, direction=side, amount_minor=5, currency="USD") for code, side in sides
            ),
        )
        return self.runtime.ledger(BOOK).append([draft], Ask(actor=ME)).size

    def export(self, day: date) -> ExportResult:
        return export_segment(self.runtime, closed_on=day, book=BOOK)

    def verify(self) -> VerificationReport:
        return verify_path(self.bucket.place, self.runtime.trust_path)

    def folder(self, segment: int, first: int, end: int, day: str) -> str:
        return f"{self.origin}/segments/{day}/{segment:010d}-{first}-{end}"

    @property
    def next_folder(self) -> str:
        """Where the second night will be written."""
        return self.folder(2, self.first.next_seq, self.size, "2026/03/31")

    def put(self, name: str, data: bytes, **more: Any) -> None:
        self.bucket.client.put_object(Bucket=self.bucket.name, Key=f"books/{name}", Body=data, **more)

    def content(self, ending: str) -> bytes:
        """Return what the first night wrote under a name that ends so."""
        with self.runtime.archive.open(f"{self.first_folder}/{ending}") as source:
            return source.read()

    @property
    def first_folder(self) -> str:
        return self.first.uri.removeprefix(f"{self.runtime.archive.uri}/")

    def altered_manifest(self, **changes: Any) -> bytes:
        """Return the first night's manifest with other members, and the signature of what it said before."""
        envelope = json.loads(self.content(MANIFEST_FILE))
        payload = {**json.loads(b64decode(envelope["payload"])), **changes}
        data = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
        return json.dumps({**envelope, "payload": b64encode(data).decode()}).encode()

    def require_told(self, *, segments: int, nights: list[ExportResult]) -> VerificationReport:
        """Hold that all ours verifies and what is not is foreign, for whoever reads with and without a database."""
        report = self.verify()
        assert {item.verdict for item in report.failures} == {"foreign"}, report.as_lines()
        assert (report.segments, report.exit_status, report.size) == (segments, 1, nights[-1].next_seq)
        checked = check_book(self.runtime, BOOK)
        assert checked.codes == {"archive_foreign"}, checked.as_lines()
        assert all(night.foreign for night in nights)
        return report
