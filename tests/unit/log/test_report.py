"""The report: JSON by its published schema, one page that cannot be made to act, text that moves no cursor."""

from __future__ import annotations

import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from cli.main import app
from ledger_core.errors import ConfigurationError, InvalidInput
from ledger_core.log.__main__ import main as verifier_main
from ledger_core.log.dsse import Envelope
from ledger_core.log.findings import Failure, VerificationReport
from ledger_core.log.report_files import check_report_names, report_text, write_report, write_reports
from ledger_core.log.report_page import report_page
from ledger_core.log.shown import shown
from ledger_core.log.verifier import verify_path

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "formats" / "report.schema.json").read_text())
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{7*7}} ${7*7} %(x)s {0} {style}",
    "\x1b]0;owned\x07\x1b[2J",
    "line\nVERIFIED: all of it",
    "\u202egnp.exe",
    "\udcff\ud800",
    "\u2028\u2029\ufeff\x00\x7f\x85",
    "javascript:alert(1)",
    "&lt;b&gt;&#60;",
    "x" * 10_000,
]


def holds(report: VerificationReport) -> dict[str, Any]:
    document = json.loads(json.dumps(report.as_json()))
    jsonschema.validate(document, SCHEMA)
    return document


def test_what_holds_and_what_fails_is_told_by_the_published_schema(archive: Any, tmp_path: Path) -> None:
    document = holds(verify_path(archive.root, archive.log.trust))
    assert (document["verdict"], document["exit_status"], document["size"]) == ("verified", 0, 60)
    assert [(item["first_seq"], item["next_seq"], item["verdict"]) for item in document["segment_list"]] == [
        (0, 20, "verified"), (20, 45, "verified"), (45, 60, "verified"),
    ]  # fmt: skip
    (signer,) = document["signers"]
    assert (signer["key_id"], signer["assurance"]) == (archive.log.key.public_key.key_id, "software")
    (tmp_path / "proof.json").write_bytes(archive.log.proof_envelope(3))
    assert holds(verify_path(tmp_path / "proof.json", archive.log.trust))["proofs"] == 1
    assert holds(verify_path(archive.root, None))["trust"] is None
    assert holds(verify_path(tmp_path / "absent", archive.log.trust))["exit_status"] == 2
    path = archive.folders[1] / "records.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-30])
    document = holds(verify_path(archive.root, archive.log.trust))
    assert [item["verdict"] for item in document["segment_list"]] == ["verified", "truncated", "verified"]


def test_the_published_table_names_every_member() -> None:
    page = (Path(__file__).parents[3] / "docs" / "formats" / "report.md").read_text()
    missing = [name for name in SCHEMA["properties"] if name not in ("schema", "logs") and f"`{name}`" not in page]
    assert missing == []


class Tags(HTMLParser):
    """The names of all elements and attributes of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def full_of(text: str) -> VerificationReport:
    report = VerificationReport(path=text, verified_at="2026-01-01T00:00:00Z")
    report.add(Failure(verdict="edited", seq=3, where=text, detail=text))
    report.origins.append(text)
    report.notes.append(text)
    report.assurance.append(text)
    report.totals[text] = (1, 10**400)
    report.timestamps_unjudged[text] = 1
    return report


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_of_others_becomes_part_of_the_page(text: str) -> None:
    plain, hostile = Tags(), Tags()
    plain.feed(report_page(full_of("plain").as_json()))
    page = report_page(full_of(text).as_json())
    hostile.feed(page)
    assert hostile.names == plain.names
    assert hostile.attributes == plain.attributes
    assert "script" not in hostile.names
    assert shown(text)[:40].strip() in "".join(hostile.text)
    page.encode("utf-8")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", page)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_of_others_moves_a_cursor_or_adds_a_line(text: str) -> None:
    lines, plain = full_of(text).as_lines(), full_of("plain").as_lines()
    assert len(lines) == len(plain)
    assert all(line.isprintable() for line in lines)
    document = json.dumps(full_of(text).as_json(), ensure_ascii=False)
    assert document.encode("utf-8")


def test_the_page_asks_for_nothing_and_forbids_itself_to() -> None:
    page = report_page(full_of("plain").as_json())
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|<script|<link|@import|url\(", page)


@pytest.mark.parametrize("status", [0, 1, 2])
def test_page_and_text_say_verdict_size_and_what_is_wrong(archive: Any, status: int) -> None:
    if status == 1:
        (archive.folders[2] / "checkpoint").unlink()
    report = verify_path(archive.root, None if status == 2 else archive.log.trust)
    assert report.exit_status == status
    page = report_text(report, ".html")
    assert report.verdict.replace("_", " ").upper() in page
    for failure in report.failures:
        assert failure.verdict in page
    if status == 0:
        assert "size 60" in page
        assert archive.log.key.public_key.key_id in page
        assert "records before seq 60" in page
    assert report_text(report, ".txt").startswith(report.verdict.upper())


def test_a_report_replaces_its_file_whole_or_says_why_it_cannot(archive: Any, tmp_path: Path) -> None:
    report = verify_path(archive.root, archive.log.trust)
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(report, path)
    assert path.read_text().startswith("<!doctype html>")
    assert [item.name for item in tmp_path.iterdir() if "report" in item.name] == ["report.html"]
    with pytest.raises(ConfigurationError):
        write_report(report, tmp_path / "absent" / "report.html")
    for name in ("report", "report.pdf", "absent/report.html"):
        with pytest.raises(InvalidInput):
            check_report_names([tmp_path / name])


def test_both_commands_write_the_reports_that_are_asked_for(
    archive: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = tmp_path / "pinned.json"
    trust.write_text(json.dumps(archive.log.trust.as_json()))
    names = [f"r{suffix}" for suffix in (".json", ".html", ".txt")]
    asked = [word for name in names for word in ("--report", str(tmp_path / name))]
    for run in (
        lambda words: CliRunner().invoke(app, ["verify", *words]).exit_code,
        verifier_main,
    ):
        assert run([str(archive.root), "--trust", str(trust), *asked]) == 0
        jsonschema.validate(json.loads((tmp_path / "r.json").read_text()), SCHEMA)
        assert "VERIFIED" in (tmp_path / "r.html").read_text()
        assert "VERIFIED" in (tmp_path / "r.txt").read_text()
        for name in names:
            (tmp_path / name).unlink()
    assert verifier_main([str(archive.root), "--trust", str(trust), "--report", str(tmp_path / "r.pdf")]) == 2
    assert CliRunner().invoke(app, ["verify", str(archive.root), "--report", str(tmp_path / "r.pdf")]).exit_code != 0
    assert "called .json, .html, .txt" in capsys.readouterr().err


@pytest.mark.parametrize("name", [b"a\xff\xfe", b"\x1b[2J", "\u202e".encode(), b"new\nline", b"<b>"])
def test_a_folder_by_any_name_is_reported_without_a_traceback(
    archive: Any, tmp_path: Path, name: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = tmp_path / "pinned.json"
    trust.write_text(json.dumps(archive.log.trust.as_json()))
    folder = tmp_path / os.fsdecode(name)
    shutil.copytree(archive.folders[0], folder / "sub" / "0000000000-5-9")
    (folder / "link").symlink_to("/")
    for words in ([], ["--json"]):
        assert verifier_main([str(folder), "--trust", str(trust), *words]) == 1
        done = CliRunner().invoke(app, ["verify", str(folder), "--trust", str(trust), *words])
        assert done.exit_code == 1, done.exception
        for said in (capsys.readouterr().out, done.stdout):
            assert re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", said) is None
            assert said.count("\n") == len(said.splitlines())


def test_what_was_found_is_written_before_anybody_is_asked_to_sign_it(archive: Any, tmp_path: Path) -> None:
    report = verify_path(archive.root, archive.log.trust)
    signed, plain = tmp_path / "report.dsse.json", tmp_path / "report.txt"

    def gives_up(_: VerificationReport) -> Envelope:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_reports(report, [signed, plain], gives_up)
    assert plain.read_text().startswith("VERIFIED")
    assert not signed.exists()
