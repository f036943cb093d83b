"""Key-encryption keys that lie in files: made once by whoever is first, closed to others, known to `cryptography`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger_core.base.wrapping.file import FileWrapper, fingerprint
from ledger_core.base.wrapping.port import bound
from ledger_core.errors import ConfigurationError, DependencyError

CONTEXT = {"file_id": "a"}


def test_what_it_wraps_opens_outside_of_it(tmp_path: Path) -> None:
    wrapped = FileWrapper(tmp_path / "wrapping").wrap(b"k" * 32, CONTEXT)
    (file,) = (tmp_path / "wrapping").iterdir()
    assert (file.name, file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == ("0001.key", 0o600, 0o700)
    key = bytes.fromhex(file.read_text())
    assert (wrapped.by.key, wrapped.by.version) == (fingerprint(key), "1")
    assert AESGCM(key).decrypt(wrapped.data[:12], wrapped.data[12:], b'{"file_id":"a"}') == b"k" * 32


def test_many_who_make_the_first_key_at_once_end_up_with_one(tmp_path: Path) -> None:
    for number in range(10):
        folder = tmp_path / str(number)
        with ThreadPoolExecutor(8) as pool:
            wrapped = list(pool.map(lambda _, folder=folder: FileWrapper(folder).wrap(b"k" * 32, CONTEXT), range(8)))
        assert [path.name for path in folder.iterdir()] == ["0001.key"]
        assert {FileWrapper(folder).unwrap(each, CONTEXT) for each in wrapped} == {b"k" * 32}


def test_nothing_of_a_key_is_kept_between_two_calls(tmp_path: Path) -> None:
    wrapper = FileWrapper(tmp_path)
    wrapped = wrapper.wrap(b"k" * 32, CONTEXT)
    assert wrapper.unwrap(wrapped, CONTEXT)
    (tmp_path / "0001.key").rename(tmp_path / "elsewhere")
    with pytest.raises(DependencyError, match="not found"):
        wrapper.unwrap(wrapped, CONTEXT)
    (tmp_path / "elsewhere").rename(tmp_path / "0007.key")
    assert wrapper.unwrap(wrapped, CONTEXT) == b"k" * 32, "under whatever number it is put back"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_wraps_and_opens_nothing(tmp_path: Path, mode: int) -> None:
    wrapper = FileWrapper(tmp_path)
    wrapped = wrapper.wrap(b"k" * 32, CONTEXT)
    (tmp_path / "0001.key").chmod(mode)
    for use in (lambda: wrapper.wrap(b"k" * 32, CONTEXT), lambda: wrapper.unwrap(wrapped, CONTEXT)):
        with pytest.raises(ConfigurationError, match=f"{mode:04o}"):
            use()


@pytest.mark.parametrize("text", ["", "\n", "ab" * 31, "ab" * 33 + "\n", "zz" * 32, "ab" * 32 + "\n\n"])
def test_a_file_that_is_no_key_is_refused_and_none_is_made_in_its_place(tmp_path: Path, text: str) -> None:
    (tmp_path / "0001.key").write_text(text)
    (tmp_path / "0001.key").chmod(0o600)
    with pytest.raises(ConfigurationError, match="no key of 32 bytes"):
        FileWrapper(tmp_path).wrap(b"k" * 32, CONTEXT)
    assert [path.name for path in tmp_path.iterdir()] == ["0001.key"]


def test_the_highest_wraps_and_there_is_a_highest_number(tmp_path: Path) -> None:
    wrapper = FileWrapper(tmp_path)
    assert [wrapper.current.version, wrapper.rotate().version, wrapper.rotate().version] == ["1", "2", "3"]
    assert wrapper.wrap(b"k" * 32, CONTEXT).by == wrapper.current
    (tmp_path / "0003.key").rename(tmp_path / "9999.key")
    with pytest.raises(ConfigurationError, match="MAX_KEYS"):
        wrapper.rotate()


def test_a_context_has_one_form_whatever_the_order_it_was_written_in() -> None:
    assert bound({"a": "1", "b": "2"}) == bound({"b": "2", "a": "1"})
    assert bound({"a": "1"}) != bound({"a": "1", "b": ""})
