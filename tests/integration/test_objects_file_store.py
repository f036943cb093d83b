"""The file store keeps what it was given, once and for ever."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from ledger_core.base.objects.file import STALE_SECONDS, FileStore
from ledger_core.errors import IntegrityError, NotFound


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "archive")


def read(store: FileStore, name: str) -> bytes:
    with store.open(name) as stream:
        return stream.read()


def test_bytes_and_a_file_come_back_as_they_went_in(store: FileStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3_000_000)
    assert store.put_once("a/b/bytes", b"hello").size_bytes == 5
    assert store.put_once("a/file", source).size_bytes == 3_000_000
    assert read(store, "a/b/bytes") == b"hello"
    assert read(store, "a/file") == source.read_bytes()
    assert list(store.list()) == ["a/b/bytes", "a/file"]
    assert list(store.list("a/b")) == ["a/b/bytes"]
    assert list(store.list("nothing/")) == []


def test_an_object_is_read_only_and_leaves_no_file_aside(store: FileStore) -> None:
    store.put_once("a", b"1")
    assert stat.S_IMODE((store.root / "a").stat().st_mode) == 0o400
    assert list((store.root / ".incoming").iterdir()) == []


def test_the_same_content_again_is_a_no_op_that_says_so(store: FileStore) -> None:
    first, second = store.put_once("a", b"1"), store.put_once("a", b"1")
    assert (first.created, second.created) == (True, False)
    assert first.sha256 == second.sha256


def test_other_content_under_a_taken_name_is_refused_and_the_first_stays(store: FileStore) -> None:
    store.put_once("a", b"first")
    with pytest.raises(IntegrityError, match="other content"):
        store.put_once("a", b"second")
    assert read(store, "a") == b"first"


def test_a_missing_object_is_not_found(store: FileStore) -> None:
    assert not store.exists("a")
    with pytest.raises(NotFound, match="a is not in"):
        store.open("a")


def test_of_many_writers_exactly_one_wins_and_the_content_is_whole(store: FileStore) -> None:
    created: list[bool] = []
    refused: list[IntegrityError] = []

    def write(content: bytes) -> None:
        try:
            created.append(store.put_once("a", content).created)
        except IntegrityError as error:
            refused.append(error)

    threads = [threading.Thread(target=write, args=(bytes([n]) * 100_000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (created, len(refused)) == ([True], 7)
    content = read(store, "a")
    assert content == content[:1] * 100_000


def test_a_sweep_removes_empty_folders_and_nothing_else(store: FileStore) -> None:
    store.put_once("a/b/c", b"1")
    (store.root / "a" / "empty" / "below").mkdir(parents=True)
    (store.root / "other").mkdir()
    store.sweep("a")
    store.sweep("not-there")
    assert sorted(path.name for path in store.root.iterdir()) == [".incoming", "a", "other"]
    assert [path.name for path in (store.root / "a").iterdir()] == ["b"]
    assert list(store.list()) == ["a/b/c"]


def test_what_a_killed_writer_left_is_swept_after_a_day_and_not_before(store: FileStore) -> None:
    store.put_once("a", b"1")
    young, old = store.root / ".incoming" / "young", store.root / ".incoming" / "old"
    young.touch()
    old.touch()
    long_ago = old.stat().st_mtime - STALE_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    FileStore(store.root).put_once("b", b"2")
    assert (young.exists(), old.exists()) == (True, False)
