"""The same report however it came: packed, in another encoding, with a mark, late, twice, renamed, cut, locked."""

from __future__ import annotations

import bz2
import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Callable
from random import Random

import pytest

from ingest.landing import unpacking
from ingest.landing.file_keys import OpeningRuntime
from ingest.landing.stored_bytes import read_stored

pytestmark = pytest.mark.integration

NOISE = Random(1).randbytes(9_999)


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip of two members": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
    "zip": lambda data: zipped(("report.csv", data)),
    "zip, stored": lambda data: zipped(("in/report.csv", data), method=zipfile.ZIP_STORED),
    "zip of a Mac": lambda data: zipped(("__MACOSX/._report.csv", b"x"), (".DS_Store", b"x"), ("report.csv", data)),
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "UTF-16, big end first": lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"),
    "UTF-16 without a mark": lambda data: data.decode().encode("utf-16-le"),
    "UTF-32": lambda data: data.decode().encode("utf-32"),
    "UTF-16 in gzip": lambda data: gzip.compress(data.decode().encode("utf-16")),
}


@pytest.mark.parametrize("how", PACKED)
def test_the_same_content_is_the_same_file_however_it_came(landing, tmp_path, how):
    plain = landing.report(tmp_path / "plain.csv", rows=500, description="Bestellung für Grün")
    (tmp_path / "packed").write_bytes(PACKED[how](plain.read_bytes()))

    [packed] = landing.land(tmp_path / "packed")
    [again] = landing.land(plain)

    assert (packed.status, packed.read, packed.accepted) == ("landed", 500, 500)
    assert (again.status, again.file_id) == ("already_landed", packed.file_id)
    # What is kept is what was inside.
    runtime: OpeningRuntime = landing
    assert b"".join(read_stored(runtime, packed.file_id)) == plain.read_bytes()
    assert landing.counts()["raw.stripe_report_payout_reconciliation"] == 500


def test_a_mark_at_the_start_is_another_file_of_the_same_rows(landing, tmp_path):
    plain = landing.report(tmp_path / "plain.csv")
    (tmp_path / "marked.csv").write_bytes(b"\xef\xbb\xbf" + plain.read_bytes())
    assert [file.status for file in landing.land(plain, tmp_path / "marked.csv")] == ["landed", "landed"]


def test_each_member_of_an_archive_lands_by_itself_and_a_bad_one_keeps_no_other(landing, tmp_path):
    first, second = landing.report(tmp_path / "1.csv"), landing.report(tmp_path / "2.csv", start=10, day="2026-10-02")
    archive = zipped(("a.csv", first.read_bytes()), ("folder/b.csv", b"nothing"), ("c.csv", second.read_bytes()))
    (tmp_path / "october.zip").write_bytes(archive)

    landed = landing.land(tmp_path / "october.zip")

    assert [(file.name, file.status) for file in landed] == [
        ("october.zip/a.csv", "landed"),
        ("october.zip/folder/b.csv", "rejected"),
        ("october.zip/c.csv", "landed"),
    ]
    assert landing.rows("select name from ops.rejected_files") == [{"name": "october.zip/folder/b.csv"}]
    assert landing.counts()["raw.files"] == 2


def locked_zip() -> bytes:
    """Return an archive whose member says that it is under a password: the bit in both of its headers."""
    data = bytearray(zipped(("report.csv", b"a,b\n" * 50)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def of_a_workbook() -> bytes:
    return zipped(("[Content_Types].xml", b"<Types/>"), ("xl/workbook.xml", b"<workbook/>"))


@pytest.mark.parametrize(
    ("data", "said", "remedy"),
    [
        (locked_zip(), "under a password or a key (ZIP)", "without"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA", "under a password or a key (PGP)", "where the key is"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "Excel workbook of the old form", "as CSV"),
        (of_a_workbook(), "this is an Excel workbook", "as CSV"),
        (b"7z\xbc\xaf\x27\x1c" + b"\0" * 100, "compressed (7-zip)", "7z x"),
        (bz2.compress(b"a,b\n" * 100), "compressed (bzip2)", "bunzip2"),
        (gzip.compress(gzip.compress(b"a,b\n" * 100)), "compressed (gzip)", "gunzip"),
        (gzip.compress(zipped(("a.csv", b"a,b\n"))), "compressed (zip", "unzip"),
        (zipped(("a.csv.gz", gzip.compress(b"a,b\n" * 100))), "compressed (gzip)", "gunzip"),
        (zipped(), "the archive holds nothing", "what was sent"),
        (zipped(("__MACOSX/a.csv", b"x"), ("empty/", b"")), "the archive holds nothing", "what was sent"),
        (zipped(("a.csv", b"a" * 100_000), method=zipfile.ZIP_LZMA), "a way that is not read", "deflate"),
        (gzip.compress(NOISE)[:-200], "does not unfold", "fetch it again"),
        (gzip.compress(NOISE)[:-8] + b"\0" * 8, "does not unfold", "fetch it again"),
        (zipped(("a.csv", NOISE))[:-60], "the archive cannot be read", "fetch it again"),
        ("naïve ☃".encode("utf-16")[:-1], "begins as UTF-16 and is not", "Fetch it again"),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_cannot_be_unpacked_is_refused_by_what_it_is(landing, tmp_path, data, said, remedy):
    (tmp_path / "came").write_bytes(data)
    [file] = landing.land(tmp_path / "came")
    assert file.status == "rejected"
    assert said in file.error.message
    assert remedy in file.error.remedy
    assert landing.counts()["raw.files"] == 0
    assert len(landing.rows("select * from ops.rejected_files")) == 1


def test_a_member_whose_bytes_were_changed_is_refused(landing, tmp_path):
    report = landing.report(tmp_path / "report.csv", rows=50)
    data = bytearray(zipped(("report.csv", report.read_bytes()), method=zipfile.ZIP_STORED))
    data[data.index(b"Order")] ^= 1
    (tmp_path / "changed.zip").write_bytes(data)
    [file] = landing.land(tmp_path / "changed.zip")
    assert (file.status, "CRC" in file.error.message) == ("rejected", True)


def test_a_name_in_an_archive_leads_nowhere_and_steers_nothing(landing, tmp_path):
    report = landing.report(tmp_path / "report.csv")
    (tmp_path / "evil.zip").write_bytes(zipped(("../../etc/\x1b[2Jpasswd.csv", report.read_bytes())))
    [file] = landing.land(tmp_path / "evil.zip")
    assert (file.name, file.status) == ("evil.zip/../../etc/?[2Jpasswd.csv", "landed")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["evil.zip", "home", "raw", "report.csv"]


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped(("bomb.csv", data))], ids=["gzip", "zip"])
def test_a_bomb_is_refused_before_it_goes_off(landing, tmp_path, monkeypatch, pack):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1_000_000)
    (tmp_path / "bomb").write_bytes(pack(b"a" * 200_000_000))
    assert (tmp_path / "bomb").stat().st_size < 300_000
    tracemalloc.start()
    [file] = landing.land(tmp_path / "bomb")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (file.status, "unfolds to more than 250 times its size" in file.error.message) == ("rejected", True)
    assert most < 16_000_000


def test_an_archive_of_too_many_files_is_refused(landing, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 3)
    (tmp_path / "many.zip").write_bytes(zipped(*((f"{number}.csv", b"x") for number in range(4))))
    [file] = landing.land(tmp_path / "many.zip")
    assert file.status == "rejected"
    assert "more than 3 files (MAX_MEMBERS)" in file.error.message


def test_what_is_inside_is_read_in_the_memory_of_a_block(landing, tmp_path):
    report = landing.report(tmp_path / "report.csv", rows=150_000)
    (tmp_path / "report.csv.gz").write_bytes(gzip.compress(report.read_bytes()))
    tracemalloc.start()
    [file] = landing.land(tmp_path / "report.csv.gz")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert file.accepted == 150_000
    assert most < report.stat().st_size


def test_a_card_number_in_a_packed_file_is_masked_like_any_other(landing, tmp_path):
    report = landing.report(tmp_path / "report.csv", description="card 4111 1111 1111 1111")
    (tmp_path / "report.csv.gz").write_bytes(gzip.compress(report.read_bytes()))
    [file] = landing.land(tmp_path / "report.csv.gz")
    assert (file.accepted, file.quarantined) == (0, 3)
    kept = b"".join(read_stored(landing, file.file_id))
    assert b"4111 1111" not in kept
    assert len(kept) == report.stat().st_size


def test_a_statement_that_says_utf16_of_itself_stays_as_it_is(landing, tmp_path):
    statement = landing.statement(closing="125.00", narrative="Miete").replace("UTF-8", "UTF-16")
    (tmp_path / "statement.xml").write_bytes(statement.encode("utf-16"))
    [file] = landing.land(tmp_path / "statement.xml", source="camt053")
    assert file.status == "landed", file.error
    assert b"".join(read_stored(landing, file.file_id)) == statement.encode("utf-16")
