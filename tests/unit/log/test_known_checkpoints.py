"""A checkpoint that was kept: held against what is there once, and said to be held against nothing where it was not."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ledger_core.errors import InvalidInput
from ledger_core.log.known import parse_known
from ledger_core.log.verifier import verify_path


def told(archive: Any, size: int, **options: Any) -> list[tuple[str, str]]:
    note = archive.log.note(size, root=options.pop("root", None))
    report = verify_path(archive.root, archive.log.trust, known_checkpoint=note, **options)
    return [(failure.verdict, failure.detail) for failure in report.failures]


def test_a_note_is_given_as_text_as_bytes_or_as_one_of_several(archive: Any, other: Any) -> None:
    note, second = archive.log.note(20), other.log.note(7)
    for given in (note, note.encode(), [note], [note.encode()], (note, second)):
        assert parse_known(given)[0].checkpoint.size == 20
    assert parse_known(None) == parse_known([]) == []
    for two in ([note, note], [note, archive.log.note(45)]):
        with pytest.raises(InvalidInput, match="two known checkpoints are of one log"):
            parse_known(two)


def test_of_the_empty_tree_there_is_one_root_wherever_the_segments_begin(archive: Any) -> None:
    empty = archive.log.tree(0).frontier.root()
    for since in (None, 20):
        assert told(archive, 0, root=empty, since=since) == []
        assert told(archive, 0, root=b"f" * 32, since=since) == [
            ("forked", "the checkpoint you hold commits to another root at size 0")
        ]
        if since is None:
            shutil.rmtree(archive.folders[0])


def test_the_end_itself_is_held_and_what_lies_behind_it_is_truncated_and_said_once(archive: Any) -> None:
    assert told(archive, 60) == []
    assert told(archive, 60, root=b"f" * 32)[0][0] == "forked"
    archive.log.fill(70)
    assert told(archive, 61) == [("truncated", "the checkpoint you hold commits to 61 records, the segments end at 60")]


def test_that_nothing_was_held_against_it_is_said_where_nothing_else_is_wrong(archive: Any) -> None:
    shutil.rmtree(archive.folders[0])
    (unheld,) = told(archive, 19, since=20)
    assert unheld[0] == "unverifiable"
    assert "lies before what was given: nothing was held against it" in unheld[1]
    (archive.folders[1] / "checkpoint").unlink()
    assert [verdict for verdict, _ in told(archive, 19, since=20)] == ["missing"]


def test_whose_key_signed_it_is_said_only_of_a_strangers(archive: Any) -> None:
    for log, is_strange in ((archive.log, False), (type(archive.log)(lines=archive.log.lines), True)):
        report = verify_path(archive.root, archive.log.trust, known_checkpoint=log.note(33))
        assert any("signed by no key that counts here" in note for note in report.notes) is is_strange


def test_where_no_registry_judges_the_text_alone_is_compared(archive: Any) -> None:
    told = dataclasses.replace(archive.log.trust, registry_version=9)
    report = verify_path(archive.root, told, known_checkpoint=archive.log.note(33))
    assert report.verdict == "truncated"
    assert not any("signed by no key" in note for note in report.notes)


def test_a_proof_shows_nothing_of_another_log_of_the_same_size(log: Any, tmp_path: Path) -> None:
    other = type(log)(origin="ledger.example/test/other", key=log.key, root_key=log.root_key, lines=log.lines)
    (tmp_path / "proof.json").write_text(json.dumps(log.bundle(3).as_json()))
    (tmp_path / "keys.jsonl").write_bytes(log.registry[0].to_bytes() + b"\n")
    for kept, verdict in ((log, "verified"), (other, "unverifiable")):
        report = verify_path(tmp_path / "proof.json", log.trust, known_checkpoint=kept.note(60))
        assert report.verdict == verdict, report.as_lines()
