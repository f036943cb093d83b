"""Files made to hurt the verifier: pipes, devices, links in a circle, and small files that want much memory."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger_core.log.reading import load_json
from ledger_core.log.segment import FILES
from ledger_core.log.verifier import verify_path

MB = 1_000_000
SIZE_BYTES = 4 * MB
MEMORY_BYTES = 200 * MB
"""The interpreter with `cryptography` takes some fifty of them."""

MEASURE = """
import json, re, resource, sys
from pathlib import Path
from ledger_core.log.verifier import verify_path
statuses = [verify_path(Path(path), Path(sys.argv[1])).exit_status for path in sys.argv[2:]]
if sys.platform == "darwin":
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
else:
    peak_bytes = 1024 * int(re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps([statuses, peak_bytes]))
"""
"""On Linux `ru_maxrss` of a child begins at what its parent held when it was forked: the kernel's own mark does not."""


def measured(trust: Path, *paths: Path) -> set[int]:
    """Verify in a process of its own, and hold its peak; the machine may be slow, so that only a hang is too long."""
    command = [sys.executable, "-c", MEASURE, str(trust), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    statuses, peak_bytes = json.loads(done.stdout)
    assert peak_bytes < MEMORY_BYTES, f"{peak_bytes:,}"
    return set(statuses)


@pytest.fixture
def trust(tmp_path: Path, archive: Any) -> Path:
    path = tmp_path / "pinned.json"
    path.write_text(json.dumps(archive.log.trust.as_json()))
    return path


def special(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "circle":
        path.symlink_to(path)
    elif kind == "dangling":
        path.symlink_to(path.with_name("nowhere"))
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["pipe", "device", "circle", "dangling", "folder"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_regular_file_is_missing_and_nothing_waits_for_it(archive: Any, name: str, kind: str) -> None:
    special(archive.folders[1] / name, kind)
    for path in (archive.root, archive.folders[1]):
        report = verify_path(path, archive.log.trust)
        assert (report.verdict, report.exit_status) == ("missing", 1), report.as_lines()


@pytest.mark.parametrize("kind", ["pipe", "device", "circle", "dangling"])
@pytest.mark.parametrize("name", ["proof.json", "keys.jsonl"])
def test_a_proof_or_its_keys_that_are_no_regular_files_cannot_tell(
    archive: Any, tmp_path: Path, name: str, kind: str
) -> None:
    folder = tmp_path / "proofs"
    folder.mkdir()
    (folder / "proof.json").write_bytes(json.dumps({**archive.log.bundle(3).as_json(), "keys": []}).encode())
    special(folder / name, kind)
    assert verify_path(folder / "proof.json", archive.log.trust).exit_status == 2


def test_a_link_to_a_regular_file_is_read(archive: Any, tmp_path: Path) -> None:
    """As annexed and deduplicated archives have them; what it holds is verified in any case."""
    for name in FILES:
        path = archive.folders[1] / name
        path.rename(tmp_path / name)
        path.symlink_to(tmp_path / name)
    assert verify_path(archive.root, archive.log.trust).verdict == "verified"


def filled(start: bytes, piece: bytes, end: bytes, size_bytes: int = SIZE_BYTES) -> bytes:
    return start + piece * ((size_bytes - len(start) - len(end)) // len(piece)) + end


def enveloped(payload: bytes, kind: str) -> bytes:
    name = f"application/vnd.counterfoil.{kind}.v1+json"
    value = {"payload": base64.b64encode(payload).decode(), "payloadType": name, "signatures": [{"sig": "AAAA"}]}
    return json.dumps(value).encode()


JSONS: dict[str, Callable[[int], bytes]] = {
    "lists": lambda size: filled(b'{"a":[', b"[],", b"0]}", size),
    "objects": lambda size: filled(b'{"a":[', b"{},", b"0]}", size),
    "numbers": lambda size: filled(b'{"a":[', b"9999,", b"0]}", size),
    "texts": lambda size: filled(b'{"a":[', b'"",', b"0]}", size),
    "depth": lambda size: filled(b'{"a":', b"[", b"]", size),
    "one number": lambda size: filled(b'{"a":', b"9", b"}", size),
    "one text": lambda size: filled(b'{"a":"', "\u20ac".encode(), b'"}', size),
    "escapes": lambda size: filled(b'{"a":"', b"\\u20ac", b'"}', size),
    "blanks": lambda size: filled(b"{", b" ", b"}", size),
}


@pytest.mark.parametrize("place", ["manifest", "small manifest", "keys", "keys bare", "proof", "proof bare"])
def test_a_small_file_does_not_cost_much_memory(archive: Any, trust: Path, tmp_path: Path, place: str) -> None:
    paths = []
    for number, make in enumerate(JSONS.values()):
        path = tmp_path / str(number) / archive.folders[1].name
        shutil.copytree(archive.folders[1], path)
        size_bytes = SIZE_BYTES * 3 // 4
        if place == "proof":
            path = tmp_path / f"{number}.json"
            path.write_bytes(enveloped(make(size_bytes), "proof"))
        elif place == "proof bare":
            path = tmp_path / f"{number}.json"
            path.write_bytes(make(SIZE_BYTES))
        elif place.startswith("keys"):
            data = make(SIZE_BYTES) if place == "keys bare" else enveloped(make(size_bytes), "keys")
            (path / "keys.jsonl").write_bytes(data)
        else:
            payload = make(size_bytes if place == "manifest" else 700_000)
            (path / "manifest.dsse.json").write_bytes(enveloped(payload, "segment"))
        paths.append(path)
    assert measured(trust, *paths) == {2 if place.startswith("proof") else 1}


def test_a_registry_of_a_great_many_lines_is_not_read_to_its_end(archive: Any, trust: Path, tmp_path: Path) -> None:
    paths = []
    for number, line in enumerate([b"{}", b"", b'{"payload":"","payloadType":"a","signatures":[{"sig":""}]}']):
        paths.append(tmp_path / str(number) / archive.folders[1].name)
        shutil.copytree(archive.folders[1], paths[-1])
        (paths[-1] / "keys.jsonl").write_bytes(filled(b"", line + b"\n", b""))
    assert measured(trust, *paths) == {1}


def packed(piece: bytes, count: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(stream.compress(piece) for _ in range(count)) + stream.flush()


@pytest.mark.parametrize("signed", [True, False])
def test_compressed_records_cost_no_more_than_what_is_signed_or_was_ever_a_record(
    archive: Any, trust: Path, tmp_path: Path, signed: bool
) -> None:
    pieces = [b"\n" * MB, b"x" * MB, (b"[" + b"[]," * 20_000 + b"0]\n") * 16, b"{}\n" * 300_000]
    paths = []
    for number, piece in enumerate(pieces):
        paths.append(tmp_path / str(number) / archive.folders[1].name)
        shutil.copytree(archive.folders[1], paths[-1])
        (paths[-1] / "records.jsonl.gz").write_bytes(packed(piece, 60))
        if not signed:
            (paths[-1] / "manifest.dsse.json").unlink()
            (paths[-1] / "checkpoint").unlink()
    assert measured(trust, *paths) == {1}


def test_a_manifest_that_nobody_signed_does_not_say_how_much_is_read(archive: Any, trust: Path) -> None:
    folder = archive.folders[1]
    stranger = type(archive.log)().key
    (folder / "records.jsonl.gz").write_bytes(packed(b" " * MB, 60))
    archive.forge(
        folder,
        edit=lambda value: value["objects"][0].update(content_bytes=2**52, lines=2**52),
        key=stranger,
    )
    report = verify_path(folder, archive.log.trust)
    assert report.verdict == "bad_signature"
    assert any("a line is longer" in item.detail or "unfolds" in item.detail for item in report.failures)


def test_json_is_counted_before_it_is_parsed() -> None:
    assert load_json(b'{"a":[1,2]}', max_values=4) == {"a": [1, 2]}
    for data in (b'{"a":[1,2]}', '{"a":[1,2]}'):
        with pytest.raises(ValueError, match="more than 2 values"):
            load_json(data, max_values=2)
    with pytest.raises(ValueError, match="more than"):
        load_json(b"[" + b"0," * 100_000 + b"0]")
