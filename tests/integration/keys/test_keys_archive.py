"""What a stolen key signed into the archive on the night of its theft: ours counts as soon as the log shows it.

And the thief of both keys, the one that signs and the one that writes to the archive: what he signs there is foreign.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.book.ledger import Ledger
from ledger_core.ceremony.drafts import Wish
from ledger_core.ceremony.run import change_now
from ledger_core.errors import DependencyError, Refused
from ledger_core.evidence.anchor import anchor_checkpoints, anchor_name
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import require_recordable
from ledger_core.log.dsse import SEGMENT_TYPE, Envelope, EnvelopeSignature, pae, parse_envelope
from ledger_core.log.note import NoteSignature, SignedNote, checkpoint_text
from ledger_core.log.segment import MANIFEST_FILE, manifest_sha256, parse_manifest
from ledger_core.log.verifier import verify_path
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings
from ledger_core.signing.backends.software import SoftwareKey, load
from tests.conftest import ArchiveBucket
from tests.integration.keys.conftest import Company

pytestmark = pytest.mark.integration

ME = Actor(subject="keeper")


def stolen_after_the_first_night(company: Any) -> datetime:
    """Have the first night lie in the archive since yesterday; return a time before everything that comes."""
    early = datetime.now(UTC) - timedelta(days=1)
    for path in (company.runtime.home / "archive").rglob("checkpoint"):
        os.utime(path, (early.timestamp(), early.timestamp()))
    return early + timedelta(hours=1)


def end_the_key(company: Any, before: datetime) -> None:
    change_now(company.runtime, Wish(action="compromise", before=before), actor=ME)


def night_that_is_not_recorded(company: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def dying(*_: Any, **__: Any) -> Any:
        raise DependencyError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", dying)
        with pytest.raises(DependencyError):
            company.night()


def note_by(key: SoftwareKey, origin: str, size: int) -> bytes:
    text = checkpoint_text(origin, size, bytes(32))
    line = NoteSignature(origin, key.public_key.note_hash(origin), key.sign(text.encode()))
    return str(SignedNote(text, (line,))).encode()


def test_an_anchor_of_before_the_end_of_a_stolen_key_is_neither_foreign_nor_believed(company: Any) -> None:
    company.night()
    stolen_at = stolen_after_the_first_night(company)
    size = company.post()
    assert anchor_checkpoints(company.runtime, {}) == [anchor_name(company.origin, size)]
    end_the_key(company, stolen_at)
    report = verify_path(company.runtime.home / "archive", company.runtime.trust_path)
    assert report.verdict == "verified", report.as_lines()
    assert any(f"at size {size} is anchored here that a compromised key signed" in text for text in report.notes)
    checked = check_book(company.runtime, "main")
    assert checked.sound, checked.as_lines()
    company.require_sound()


def test_an_anchor_that_the_thief_signed_over_another_tree_is_foreign(company: Any) -> None:
    company.night()
    stolen_at = stolen_after_the_first_night(company)
    thief = load(company.signer / "key.pem")
    size = company.post()
    end_the_key(company, stolen_at)
    for false in (size, size + 100):
        company.runtime.archive.put_once(anchor_name(company.origin, false), note_by(thief, company.origin, false))
        checked = check_book(company.runtime, "main")
        assert checked.codes == {"archive_foreign"}, checked.as_lines()
        assert any("compromised key" in finding.detail for finding in checked.findings)


def test_a_night_that_was_archived_and_not_recorded_when_the_key_was_stolen_is_gone_on_with(
    company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.night()
    stolen_at = stolen_after_the_first_night(company)
    company.post()
    night_that_is_not_recorded(company, monkeypatch)
    end_the_key(company, stolen_at)
    checked = check_book(company.runtime, "main")
    assert checked.sound, checked.as_lines()
    assert any("segment 2 is archived and not yet recorded" in note for note in checked.notes)
    # A ledger that is exported from elsewhere takes the record that one beside its database would write.
    name = next(
        name for name in company.runtime.archive.list() if f"/{2:010d}-" in name and name.endswith(MANIFEST_FILE)
    )
    with company.runtime.archive.open(name) as source:
        require_recordable(company.runtime, book="main", body=record_of(source.read()))
    company.post()
    company.night()
    company.require_sound()


def record_of(envelope: bytes, version_id: str | None = None) -> dict[str, Any]:
    """Return what an export record says of a manifest."""
    payload = parse_envelope(envelope).payload
    found = parse_manifest(payload)
    body = {
        "closed_on": found.closed_on.isoformat(),
        "first_seq": found.first_seq,
        "manifest_sha256": manifest_sha256(payload),
        "next_seq": found.next_seq,
        "segment": found.segment,
    }
    return body if version_id is None else {**body, "version_id": version_id}


@pytest.fixture
def in_a_bucket(settings: Settings, bucket: ArchiveBucket, tmp_path: Path) -> Iterator[tuple[Company, ArchiveBucket]]:
    with open_runtime(settings.model_copy(update={"archive": bucket.settings})) as runtime:
        yield Company(runtime, tmp_path), bucket


def test_what_the_thief_of_both_keys_signs_into_the_next_place_is_foreign_and_the_nights_go_on(
    in_a_bucket: tuple[Company, ArchiveBucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, bucket = in_a_bucket
    company.night()
    time.sleep(2)  # the service's times are whole seconds
    stolen_at = datetime.now(UTC)
    time.sleep(1)
    thief = load(company.signer / "key.pem")
    company.post()
    night_that_is_not_recorded(company, monkeypatch)
    store = company.runtime.archive
    name = next(name for name in store.list() if f"/{2:010d}-" in name and name.endswith(MANIFEST_FILE))
    with store.open(name) as source:
        payload = parse_envelope(source.read()).payload
    # The same place and range, and other sums: only the log says that they are false.
    end_the_key(company, stolen_at)
    false = json.dumps({**json.loads(payload), "entries": 7}, sort_keys=True, separators=(",", ":")).encode()
    signature = EnvelopeSignature(thief.public_key.key_id, thief.sign(pae(SEGMENT_TYPE, false)))
    forged = Envelope(SEGMENT_TYPE, false, (signature,)).to_bytes()
    planted = name.replace("/2026/01/", "/2025/12/")
    bucket.client.put_object(Bucket=bucket.name, Key=f"books/{planted}", Body=forged)
    laid = bucket.client.put_object(Bucket=bucket.name, Key=f"books/{name}", Body=forged)
    with pytest.raises(Refused, match="the archive holds no signed segment"):
        require_recordable(company.runtime, book="main", body=record_of(forged, laid["VersionId"]))
    company.post()
    company.night()
    company.night()
    report = verify_path(bucket.place, company.runtime.trust_path)
    assert {item.verdict for item in report.failures} == {"foreign"}, report.as_lines()
    assert report.segments == 4
    assert check_book(company.runtime, "main").codes == {"archive_foreign"}
