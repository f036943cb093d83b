"""Time-stamps in proof bundles: which the answer brings, and what the verifier says of each."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ledger_core.actor import Actor
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.proofs.prove import Verification, verify_selection
from ledger_core.log.findings import VerificationReport
from ledger_core.log.keys import TrustFile
from ledger_core.log.merkle import consistency_path
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.log.proof import Consistency, ProofBundle
from ledger_core.log.record import format_time
from ledger_core.log.report_page import report_page
from ledger_core.log.segment import TIMESTAMP_FILE, stored_file
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask, RecordDraft
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from ledger_core.settings.rooms import ArchiveSettings
from tests.integration.authority import Authority, make_authority, serving
from tests.unit.log.conftest import Archive, Log, entry_body

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl"),
]
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "formats" / "report.schema.json").read_text())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with serving(tmp_path_factory.mktemp("tsa") / "ca") as made:
        yield made


# --- what `POST /finance/verify` answers


@dataclasses.dataclass
class Book:
    """A book whose nights are stamped, and its auditor, who pins the authority."""

    runtime: Runtime
    folder: Path
    root: str
    nights: int = 0

    def post(self, count: int = 1) -> int:
        """Append records; return the seq of the last."""
        drafts = [RecordDraft(kind="security_event", body={"what": f"event {number}"}) for number in range(count)]
        return self.runtime.ledger("main").append(drafts, Ask(actor=Actor(subject="tester"))).size - 1

    def night(self) -> int:
        """Export; return the size of the tree that was stamped."""
        self.nights += 1
        return export_segment(self.runtime, closed_on=date(2026, 3, self.nights), book="main").next_seq

    def ask(self, *seqs: int, **more: Any) -> Verification:
        return verify_selection(self.runtime, "main", selector={"seq_range": (min(seqs), max(seqs) + 1)}, **more)

    def read(self, found: Verification, *roots: str, **more: Any) -> VerificationReport:
        path = self.folder / "answer.json"
        path.write_text(json.dumps(found.envelope))
        trust = dataclasses.replace(TrustFile.load(self.runtime.trust_path), timestamp_roots=roots)
        return verify_path(path, trust, **more)


@pytest.fixture
def book(settings: Settings, authority: Authority, tmp_path: Path) -> Iterator[Book]:
    archive = ArchiveSettings(tsa_url=authority.url)
    with open_runtime(settings.model_copy(update={"archive": archive})) as runtime:
        yield Book(runtime, tmp_path, authority.root)


def stamped_sizes(found: Verification) -> list[int]:
    return [
        parse_checkpoint(parse_note(item["checkpoint"]).text).size
        for item in found.payload["consistency"]
        if "timestamp" in item
    ]


def test_an_answer_brings_the_first_stamped_tree_that_holds_what_was_asked_for(book: Book) -> None:
    early = book.post()
    first = book.night()
    late = book.post()
    second = book.night()
    beyond = book.post()
    for asked, sizes, says in (
        ((early,), [first], f"1 of 1 records, those before seq {first}, existed at 20"),
        ((early, late), [second], f"those before seq {second}, existed at 20"),
        ((late,), [second], "1 of 1 records"),
        ((late, beyond), [second], f"those before seq {second}, existed at 20"),
        ((beyond,), [], None),
    ):
        found = book.ask(*asked)
        assert (found.verdict, stamped_sizes(found)) == ("verified", sizes)
        report = book.read(found, book.root)
        assert (report.verdict, report.timestamps) == ("verified", len(sizes)), report.as_lines()
        assert says is None or any(says in note for note in report.notes), report.notes
        if sizes:
            assert str(report.newest_timestamp).startswith(f"size {sizes[0]} at 20")
    assert len(set(stamped_sizes(book.ask(early)) + stamped_sizes(book.ask(late)))) == 2


def test_the_stamp_of_a_tree_goes_beside_the_checkpoint_that_the_caller_kept(book: Book) -> None:
    seq = book.post()
    kept = book.runtime.signer.latest(book.runtime.settings.origin_of("main"))
    size = book.night()
    book.post()
    found = book.ask(seq, known_checkpoint=kept)
    assert (len(found.payload["consistency"]), stamped_sizes(found)) == (2, [size])
    report = book.read(found, book.root, known_checkpoint=kept)
    assert (report.verdict, report.timestamps) == ("verified", 1), report.as_lines()


def test_where_no_authority_is_pinned_the_stamp_is_not_judged_and_that_is_said(book: Book) -> None:
    seq = book.post()
    book.night()
    report = book.read(book.ask(seq))
    assert (report.verdict, report.timestamps) == ("verified", 0)
    assert any("1 time-stamps are not judged" in line for line in report.as_lines())


@pytest.mark.parametrize("broken", ["token", "manifest", "checkpoint", "gone"])
def test_whoever_damages_the_archive_takes_the_stamp_away_and_fails_no_answer(
    book: Book, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    seq = book.post()
    book.night()
    assert stamped_sizes(book.ask(seq))
    names = {"token": TIMESTAMP_FILE, "manifest": "manifest.dsse.json", "checkpoint": "checkpoint"}
    if broken == "gone":
        shutil.rmtree(book.runtime.home / "archive")
    else:
        (path,) = (book.runtime.home / "archive").rglob(f"segments/**/{names[broken]}")
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-20] + b"x" * 20)
    with caplog.at_level(logging.WARNING, "counterfoil.proofs"):
        found = book.ask(seq)
    assert (found.verdict, stamped_sizes(found)) == ("verified", [])
    assert book.read(found, book.root).verdict == "verified"
    if broken == "manifest":
        assert "goes without its time-stamp" in caplog.text


def test_a_stamp_that_the_roots_pinned_by_now_refuse_goes_into_no_answer(
    book: Book, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seq = book.post()
    size = book.night()
    assert stamped_sizes(book.ask(seq)) == [size]
    another = make_authority(tmp_path / "another").root
    for roots, sizes in (((another,), []), ((another, book.root), [size])):
        trust = dataclasses.replace(TrustFile.load(book.runtime.trust_path), timestamp_roots=roots)
        book.runtime.trust_path.unlink()
        book.runtime.trust_path.write_text(json.dumps(trust.as_json()))
        with caplog.at_level(logging.WARNING, "counterfoil.proofs"):
            found = book.ask(seq)
        assert stamped_sizes(found) == sizes
        assert book.read(found, *roots).verdict == "verified"
    assert f"goes without the time-stamp of size {size}: the time-stamp does not hold" in caplog.text


def test_without_an_authority_the_archive_is_not_looked_at(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_runtime(settings) as runtime:
        made = Book(runtime, settings.home, "")
        seq = made.post()
        made.night()
        monkeypatch.setattr(type(runtime.archive), "versions", None)
        assert made.ask(seq).verdict == "verified"


# --- what the verifier says of what somebody made


def log_until(last: datetime) -> Log:
    """A log whose last record says that it was taken then, and the others long before."""
    log = Log().fill(40)
    log.append(entry_body(40), recorded_at=format_time(last))
    return log


def with_stamp(bundle: ProofBundle, token: bytes, *, older: Consistency | None = None) -> ProofBundle:
    if older is None:
        return dataclasses.replace(bundle, timestamp=token)
    return dataclasses.replace(bundle, consistency=(dataclasses.replace(older, timestamp=token),))


def older_tree(log: Log, size: int, *, root: bytes | None = None) -> Consistency:
    tree = log.tree()
    return Consistency(checkpoint=log.note(size, root=root), path=tuple(consistency_path(size, tree.size, tree.node)))


def verify_made(log: Log, bundle: ProofBundle, folder: Path, *roots: str) -> VerificationReport:
    (folder / "bundle.json").write_text(json.dumps(bundle.as_json()))
    report = verify_path(folder / "bundle.json", dataclasses.replace(log.trust, timestamp_roots=roots))
    jsonschema.validate(json.loads(json.dumps(report.as_json())), SCHEMA)
    return report


@pytest.mark.parametrize("is_older", [False, True], ids=["its own", "an older one"])
@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        ("as it should be", "verified"),
        ("of nobody", "bad_signature"),
        ("cut", "bad_signature"),
        ("of another checkpoint", "edited"),
        ("of an authority that is not pinned", "bad_signature"),
        ("of the same checkpoint with another signature", "edited"),
        ("too long", "unverifiable"),
    ],
)
def test_a_token_counts_over_the_note_beside_it_and_by_who_is_pinned(
    authority: Authority, tmp_path: Path, what: str, verdict: str, is_older: bool
) -> None:
    log = Log().fill(40)
    bundle, older = log.bundle(3, 17), older_tree(log, 20) if is_older else None
    note = bundle.checkpoint if older is None else older.checkpoint
    make: dict[str, Callable[[], bytes]] = {
        "as it should be": lambda: authority.stamp(note.encode()),
        "of nobody": lambda: b"nonsense",
        "cut": lambda: authority.stamp(note.encode())[:-40],
        "of another checkpoint": lambda: authority.stamp(log.note(19).encode()),
        "of an authority that is not pinned": lambda: make_authority(tmp_path / "other").stamp(note.encode()),
        "of the same checkpoint with another signature": lambda: authority.stamp(
            log.note(20 if is_older else 40).encode()
        ),
        "too long": lambda: b"x" * 70_000,
    }
    report = verify_made(log, with_stamp(bundle, make[what](), older=older), tmp_path, authority.root)
    assert report.verdict == verdict, report.as_lines()
    assert report.timestamps == (what == "as it should be")
    if what == "as it should be":
        size = 20 if is_older else 40
        assert any(f"2 of 2 records, those before seq {size}, existed at" in line for line in report.as_lines())
        page = report_page(report.as_json())
        assert "1 hold, the newest over size" in page
        assert f"those before seq {size}, existed at" in page


def test_an_older_stamp_vouches_for_the_records_below_its_tree_alone(authority: Authority, tmp_path: Path) -> None:
    log = Log().fill(40)
    older = older_tree(log, 20)
    bundle = with_stamp(log.bundle(3, 20, 21), authority.stamp(older.checkpoint.encode()), older=older)
    report = verify_made(log, bundle, tmp_path, authority.root)
    assert any("1 of 3 records, those before seq 20, existed at" in note for note in report.notes), report.notes
    none = with_stamp(log.bundle(20, 21), authority.stamp(older.checkpoint.encode()), older=older)
    report = verify_made(log, none, tmp_path, authority.root)
    assert (report.verdict, report.timestamps) == ("verified", 1)
    assert not any("existed at" in note for note in report.notes)


def test_each_stamp_of_a_bundle_counts_and_the_newest_is_of_the_largest_tree(
    authority: Authority, tmp_path: Path
) -> None:
    log = Log().fill(40)
    older = older_tree(log, 20)
    both = with_stamp(log.bundle(3), authority.stamp(older.checkpoint.encode()), older=older)
    both = with_stamp(both, authority.stamp(both.checkpoint.encode()))
    report = verify_made(log, both, tmp_path, authority.root)
    assert (report.verdict, report.timestamps) == ("verified", 2)
    assert str(report.newest_timestamp).startswith("size 40 at")


def test_a_stamp_over_a_tree_that_is_not_shown_to_be_ours_vouches_for_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    log = Log().fill(40)
    forged = older_tree(log, 20, root=b"f" * 32)
    bundle = with_stamp(log.bundle(3), authority.stamp(forged.checkpoint.encode()), older=forged)
    report = verify_made(log, bundle, tmp_path, authority.root)
    assert (report.verdict, report.timestamps) == ("forked", 0)
    assert not any("existed at" in note for note in report.notes)


@pytest.mark.parametrize(("ahead_seconds", "verdict"), [(30, "verified"), (150, "misdated")])
def test_a_record_that_says_it_was_taken_after_its_tree_was_stamped_is_misdated(
    authority: Authority, tmp_path: Path, ahead_seconds: int, verdict: str
) -> None:
    log = log_until(datetime.now(UTC) + timedelta(seconds=ahead_seconds))
    bundle = log.bundle(3, 40)
    report = verify_made(log, with_stamp(bundle, authority.stamp(bundle.checkpoint.encode())), tmp_path, authority.root)
    assert (report.verdict, [item.seq for item in report.failures]) == (verdict, [40] if verdict == "misdated" else [])
    assert report.exit_status == (verdict == "misdated")


@pytest.mark.parametrize(("ahead_seconds", "verdict"), [(30, "verified"), (150, "misdated")])
def test_a_segment_whose_last_record_says_so_is_misdated_too(
    authority: Authority, tmp_path: Path, ahead_seconds: int, verdict: str
) -> None:
    log = log_until(datetime.now(UTC) + timedelta(seconds=ahead_seconds))
    archive = Archive(root=tmp_path / "archive", log=log)
    folder = archive.export(0, 41)
    token = authority.stamp((folder / "checkpoint").read_bytes())
    (folder / TIMESTAMP_FILE).write_bytes(token)

    def listed(manifest: dict[str, Any]) -> None:
        manifest["objects"].append(stored_file(TIMESTAMP_FILE, token).as_json())

    archive.forge(folder, edit=listed)
    report = verify_path(archive.root, dataclasses.replace(log.trust, timestamp_roots=(authority.root,)))
    assert (report.verdict, report.timestamps) == (verdict, int(verdict == "verified")), report.as_lines()
