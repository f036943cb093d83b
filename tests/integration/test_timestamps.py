"""Time-stamp tokens over checkpoints, from a real authority: `openssl ts -reply` behind HTTP on the loopback."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from ledger_core.actor import Actor
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.log import timestamps
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.findings import VerificationReport
from ledger_core.log.keys import TrustFile
from ledger_core.log.segment import MANIFEST_FILE, TIMESTAMP_FILE, parse_manifest, segment_folder
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from ledger_core.settings.rooms import ArchiveSettings
from tests.integration.authority import Authority, make_authority, openssl, serving

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl"),
]


@pytest.fixture(scope="module")
def stamper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with serving(tmp_path_factory.mktemp("tsa") / "ca") as made:
        yield made


@pytest.fixture
def authority(stamper: Authority) -> Iterator[Authority]:
    yield stamper
    stamper.answer = None


@pytest.fixture
def stamped(settings: Settings, authority: Authority) -> Iterator[Runtime]:
    """A book whose archive asks the authority."""
    archive = ArchiveSettings(tsa_url=authority.url)
    with open_runtime(settings.model_copy(update={"archive": archive})) as runtime:
        accounts = [account_draft(code="assets:cash:usd", type="asset", currency="USD")]
        apply_accounts(runtime.ledger("main"), accounts, Ask(actor=Actor(subject="tester")))
        yield runtime


def export(runtime: Runtime, day: int = 30) -> Path:
    result = export_segment(runtime, closed_on=date(2026, 3, day), book="main")
    return runtime.home / "archive" / result.uri.removeprefix(f"{runtime.archive.uri}/")


def verify(runtime: Runtime, *roots: str) -> VerificationReport:
    trust = TrustFile.load(runtime.trust_path)
    return verify_path(runtime.home / "archive", dataclasses.replace(trust, timestamp_roots=roots))


def pin(runtime: Runtime, *roots: str) -> None:
    trust = dataclasses.replace(TrustFile.load(runtime.trust_path), timestamp_roots=roots)
    runtime.trust_path.unlink()
    runtime.trust_path.write_text(json.dumps(trust.as_json()))


def test_a_token_is_stored_listed_and_holds_under_the_pinned_root(stamped: Runtime, authority: Authority) -> None:
    folder = export(stamped)
    report = verify(stamped, authority.root)
    assert (report.verdict, report.timestamps) == ("verified", 1), report.as_lines()
    assert str(report.newest_timestamp).startswith(f"size {report.size} at 20")
    assert report.as_json()["timestamps"]["verified"] == 1
    # As openssl reads it, which knows nothing of us.
    said = openssl("ts", "-verify", "-data", str(folder / "checkpoint"), "-in", str(folder / "checkpoint.tsr"),
                   "-CAfile", "ca.pem", folder=authority.folder)  # fmt: skip
    assert "Verification: OK" in said


def test_roots_stand_in_the_trust_file_and_survive_it(stamped: Runtime, authority: Authority, tmp_path: Path) -> None:
    export(stamped)
    trust = json.loads(stamped.trust_path.read_text())
    (tmp_path / "pinned.json").write_text(json.dumps({**trust, "timestamp_roots": [authority.root]}))
    loaded = TrustFile.load(tmp_path / "pinned.json")
    assert loaded.as_json()["timestamp_roots"] == [authority.root]
    assert verify_path(stamped.home / "archive", tmp_path / "pinned.json").timestamps == 1


def test_without_a_pinned_authority_a_token_is_not_judged_and_that_is_said(stamped: Runtime) -> None:
    export(stamped)
    report = verify(stamped)
    assert (report.verdict, report.timestamps) == ("verified", 0)
    assert any("1 time-stamps are not judged" in line for line in report.as_lines())


def test_a_token_of_another_authority_does_not_hold(stamped: Runtime, tmp_path: Path) -> None:
    export(stamped)
    report = verify(stamped, make_authority(tmp_path / "other").root)
    assert (report.verdict, report.failures[0].where.endswith("/checkpoint.tsr")) == ("bad_signature", True)


def test_a_token_that_was_replaced_by_another_good_one_is_edited(stamped: Runtime, authority: Authority) -> None:
    first, second = export(stamped), export(stamped, 31)
    token = first / "checkpoint.tsr"
    token.chmod(0o600)
    token.write_bytes((second / "checkpoint.tsr").read_bytes())
    report = verify(stamped, authority.root)
    assert [item.verdict for item in report.failures] == ["edited"]


def test_a_token_that_is_gone_is_missing(stamped: Runtime, authority: Authority) -> None:
    (export(stamped) / "checkpoint.tsr").unlink()
    assert verify(stamped, authority.root).verdict == "missing"


def test_a_token_that_no_manifest_lists_is_foreign(stamped: Runtime, authority: Authority) -> None:
    authority.answer = lambda _query: b""
    folder = export(stamped)
    (folder / "checkpoint.tsr").write_bytes(b"anything")
    assert verify(stamped, authority.root).verdict == "foreign"


@pytest.mark.parametrize("planted", [b"x" * 100_000, b"nonsense"], ids=["too long", "of nobody"])
def test_a_token_that_somebody_laid_into_an_interrupted_night_enters_no_manifest(
    stamped: Runtime, authority: Authority, planted: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    pin(stamped, authority.root)
    name = segment_folder(stamped.settings.origin_of("main"), date(2026, 3, 30), 1, 0, 2)
    stamped.archive.put_once(f"{name}/{TIMESTAMP_FILE}", planted)
    folder = export(stamped)
    assert folder == stamped.home / "archive" / name
    manifest = parse_manifest(parse_envelope((folder / MANIFEST_FILE).read_bytes()).payload)
    assert manifest.stored(TIMESTAMP_FILE) is None
    assert "goes without its time-stamp" in caplog.text
    assert check_book(stamped, "main").codes == {"archive_foreign"}


@pytest.mark.parametrize("is_pinned", [True, False], ids=["pinned", "of an authority that the auditor alone pins"])
def test_a_token_older_than_the_last_record_enters_no_manifest(
    stamped: Runtime,
    authority: Authority,
    is_pinned: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if is_pinned:
        pin(stamped, authority.root)
    # As though the ledger's clock went five minutes before the authority's.
    monkeypatch.setattr(timestamps, "CLOCKS_APART", timedelta(minutes=-5))
    asked = authority.asked
    folder = export(stamped)
    assert authority.asked == asked + 1
    manifest = parse_manifest(parse_envelope((folder / MANIFEST_FILE).read_bytes()).payload)
    assert manifest.stored(TIMESTAMP_FILE) is None
    assert not (folder / TIMESTAMP_FILE).exists()
    assert "goes without its time-stamp: the last record says it was recorded at" in caplog.text
    assert verify(stamped, authority.root).verdict == "verified"


def _of_something_else(authority: Authority) -> bytes:
    openssl("ts", "-query", "-digest", "00" * 32, "-sha256", "-cert", "-out", "other", folder=authority.folder)
    return authority.reply((authority.folder / "other").read_bytes())


@pytest.mark.parametrize("broken", ["nothing", "nonsense", "something else", "too much"])
def test_an_authority_that_gives_no_token_does_not_stop_the_night(
    stamped: Runtime, authority: Authority, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    answers = {"nothing": b"", "nonsense": b"\x30\x03abc", "too much": b"x" * 100_000}
    authority.answer = lambda _query: answers.get(broken) or _of_something_else(authority)
    if broken == "nothing":
        authority.answer = lambda _query: b""
    folder = export(stamped)
    assert not (folder / "checkpoint.tsr").exists()
    assert "goes without a time-stamp" in caplog.text
    assert verify(stamped, authority.root).verdict == "verified"


def test_an_authority_that_is_away_does_not_stop_the_night(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    away = ArchiveSettings(tsa_url="http://127.0.0.1:9/tsa")
    with open_runtime(settings.model_copy(update={"archive": away})) as runtime:
        runtime.ledger("main")
        folder = export(runtime)
        assert sorted(path.name for path in folder.iterdir()) == [
            "checkpoint", "keys.jsonl", "manifest.dsse.json", "records.jsonl.gz",
        ]  # fmt: skip
    assert "goes without a time-stamp" in caplog.text


def test_no_authority_is_asked_where_none_is_set(settings: Settings, authority: Authority) -> None:
    asked = authority.asked
    with open_runtime(settings) as runtime:
        runtime.ledger("main")
        export(runtime)
    assert authority.asked == asked
