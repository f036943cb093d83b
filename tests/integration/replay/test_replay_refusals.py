"""An archive that is not whole is not replayed: refused by type, with the verifier's verdict, nothing written."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger_core.base.processes import ProcessGroup
from ledger_core.errors import (
    ArchiveRefused,
    ConfigurationError,
    CounterfoilError,
    IntegrityError,
    InvalidInput,
    NotFound,
)
from ledger_core.evidence.replay import replay as door
from ledger_core.evidence.replay.archive import Segment, verified_logs
from ledger_core.evidence.replay.replay import replay
from ledger_core.log.segment import CHECKPOINT_FILE, KEYS_FILE, MANIFEST_FILE, RECORDS_FILE
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from tests.integration.replay.conftest import Company, Fresh, rows_of

pytestmark = pytest.mark.integration


def segment(archive: Path, number: int) -> Path:
    (folder,) = archive.rglob(f"segments/*/*/*/{number:010d}-*")
    return folder


def change_record(folder: Path) -> None:
    path = folder / RECORDS_FILE
    lines = gzip.decompress(path.read_bytes()).replace(b'"amount":"970"', b'"amount":"971"', 1)
    path.chmod(0o644)
    path.write_bytes(gzip.compress(lines, mtime=0))


def flip(path: Path) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


TAMPERED: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "a record edited": (lambda archive: change_record(segment(archive, 1)), {"edited"}),
    "a segment in the middle taken away": (lambda archive: shutil.rmtree(segment(archive, 2)), {"missing"}),
    "the first segment taken away": (lambda archive: shutil.rmtree(segment(archive, 1)), {"truncated"}),
    "the records of a segment taken away": (lambda archive: (segment(archive, 2) / RECORDS_FILE).unlink(), {"missing"}),
    "a manifest taken away": (lambda archive: (segment(archive, 3) / MANIFEST_FILE).unlink(), {"missing"}),
    "a byte of the stored records": (lambda archive: flip(segment(archive, 2) / RECORDS_FILE), {"edited", "truncated"}),
    "a byte of a checkpoint": (
        lambda archive: flip(segment(archive, 2) / CHECKPOINT_FILE),
        {"edited", "bad_signature"},
    ),
    "a byte of a manifest": (lambda archive: flip(segment(archive, 1) / MANIFEST_FILE), {"edited", "bad_signature"}),
    "a byte of the keys": (lambda archive: flip(segment(archive, 1) / KEYS_FILE), {"edited", "bad_signature"}),
    "a segment called otherwise": (
        lambda archive: segment(archive, 1).rename(segment(archive, 1).with_name("0000000009-0-400")),
        {"forked"},
    ),
}


def test_an_archive_that_does_not_verify_is_not_replayed(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime], tmp_path: Path
) -> None:
    rebuilt = beside(fresh())
    for number, (what, (tamper, verdicts)) in enumerate(TAMPERED.items()):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(company.archive, copy)
        for path in copy.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
        tamper(copy)
        with pytest.raises(ArchiveRefused, match="nothing of it is replayed") as refused:
            replay(rebuilt, copy)
        assert refused.value.context["verdict"] in verdicts, (what, str(refused.value))
        assert not any(rows_of(rebuilt.database_url).values()), what


def test_an_archive_that_changes_between_the_two_passes_is_not_kept(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilt = beside(fresh())
    for number, swap in enumerate((change_record, lambda folder: flip(folder / CHECKPOINT_FILE))):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(company.archive, copy)

        def verified(*given: object, copy: Path = copy, swap: Callable[[Path], None] = swap, **more: object) -> object:
            found = verified_logs(*given, **more)  # type: ignore[arg-type]
            swap(segment(copy, 1))
            return found

        with monkeypatch.context() as patch:
            patch.setattr(door, "verified_logs", verified)
            with pytest.raises(IntegrityError, match=r"changed while it was replayed|the database refuses what"):
                replay(rebuilt, copy)
        assert not any(rows_of(rebuilt.database_url).values())


def test_a_segment_that_is_cut_between_the_two_passes_is_not_kept(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilt = beside(fresh())
    lines = Segment.lines

    def first_half(self: Segment) -> object:
        for found in lines(self):
            yield found[: len(found) // 2]

    monkeypatch.setattr(Segment, "lines", first_half)
    with pytest.raises(ArchiveRefused, match="another root"):
        replay(rebuilt, company.archive)
    assert not any(rows_of(rebuilt.database_url).values())


def test_what_cannot_be_judged_is_not_replayed(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime], tmp_path: Path
) -> None:
    rebuilt = beside(fresh())
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(InvalidInput, match="cannot be judged"):
            replay(rebuilt, place)
    with pytest.raises(NotFound, match="nothing of book other"):
        replay(rebuilt, company.archive, book="other")
    strangers = tmp_path / "strangers"
    with open_runtime(Settings(home_path=strangers, database_url=fresh(), env="test", actor="test")) as other:
        (tmp_path / "foreign.json").write_bytes(other.trust_path.read_bytes())
    ProcessGroup(strangers / "run").stop("signing-proxy")
    with pytest.raises(CounterfoilError) as refused:
        replay(rebuilt, company.archive, trust=tmp_path / "foreign.json")
    assert isinstance(refused.value, ArchiveRefused | InvalidInput)
    assert not any(rows_of(rebuilt.database_url).values())


def test_the_archive_of_another_installation_is_refused_by_name(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime]
) -> None:
    rebuilt = beside(fresh())
    rebuilt.settings = rebuilt.settings.model_copy(
        update={"ledger": rebuilt.settings.ledger.model_copy(update={"domain": "elsewhere.test"})}
    )
    with pytest.raises(ConfigurationError, match=r"this process is set to elsewhere\.test"):
        replay(rebuilt, company.archive)
    assert not any(rows_of(rebuilt.database_url).values())


def test_a_tail_that_is_not_the_one_that_was_signed_is_refused(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime], tmp_path: Path
) -> None:
    company.post(3)
    whole = company.tail(tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    end = int(segment(company.archive, 3).name.rpartition("-")[2])
    rebuilt = beside(fresh())
    edited = whole[-1].replace(b'"currency":"USD"', b'"currency":"EUR"')
    for name, lines, error, why in (
        ("short", whole[:-1], InvalidInput, "it ends at seq"),
        ("gap", [*whole[: end + 1], *whole[end + 2 :]], InvalidInput, "is expected"),
        ("late", whole[end + 1 :], InvalidInput, "is expected"),
        ("edited", [*whole[:-1], edited], IntegrityError, "not the signed root"),
        ("twice", [*whole[: end + 1], *whole[end:]], InvalidInput, "is expected"),
        ("words", [b"no record\n"], InvalidInput, r"words\.jsonl:1"),
    ):
        file = tmp_path / f"{name}.jsonl"
        file.write_bytes(b"".join(lines))
        with pytest.raises(error, match=why):
            replay(rebuilt, company.archive, tail=file)
        assert not any(rows_of(rebuilt.database_url).values()), name
    packed = tmp_path / "tail.jsonl.gz"
    packed.write_bytes(gzip.compress(b"".join(whole[end:])))
    assert replay(rebuilt, company.archive, tail=packed)[0].behind == 0
