"""What is inside the file that came: itself, what gzip folded, the members of a ZIP; in the encoding of its source.

Nothing is unpacked onto a disk: what is read is unfolded as it is read, as often as it is read, so that memory and disk
stay as they are however large the content. Invariant: the content is the same bytes however it came packed, so the same
report twice is known as that. Archives in archives, passwords and what unfolds beyond all measure are refused by name.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ingest.landing.paths import masked_name
from ledger_core.errors import InvalidInput

MAX_MEMBERS = 1_000
MAX_RATIO = 250
"""Reports unfold to ten or twenty times their size."""
FREE_BYTES = 64 * 1024 * 1024
"""Below this nothing is asked: the quietest report is a header and unfolds to anything."""
CHUNK_BYTES = 64 * 1024

GZIP, ZIP, OLE = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06"), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PGP = b"-----BEGIN PGP MESSAGE"
_WIDE = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ENCRYPTED_FLAG = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_WORKBOOK = "[Content_Types].xml"
_BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Content:
    """Something that may be landed: its name, and how it is opened."""

    name: str
    open: Callable[[], BinaryIO]


class Unfolded(io.RawIOBase):
    """A stream that is unfolded while it is read, and begins anew when it is sought to its start."""

    def __init__(self, inner: BinaryIO, *, name: str, packed_bytes: int) -> None:
        self._inner = inner
        self._name = name
        self._limit = max(FREE_BYTES, MAX_RATIO * packed_bytes)
        self._at = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes. Raises `InvalidInput` for what does not unfold, or to more than anything does."""
        try:
            data = self._inner.read(size if size >= 0 else CHUNK_BYTES)
            if size < 0:
                data += b"".join(iter(lambda: self._inner.read(CHUNK_BYTES), b""))
        except _BROKEN as error:
            raise InvalidInput(
                f"the file does not unfold: {error}.", file=self._name, remedy="It was cut or damaged: fetch it again."
            ) from error
        self._at += len(data)
        if self._at > self._limit:
            raise InvalidInput(
                f"the file unfolds to more than {MAX_RATIO} times its size (MAX_RATIO): no report does.",
                file=self._name,
                remedy="Look at what was sent; unpack it by hand if it is a report after all.",
            )
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation("only to the start")
        self._inner.seek(0)
        self._at = 0
        return 0

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._inner.close()
        super().close()


class Transcoded(io.RawIOBase):
    """A text in a wide encoding as the encoding of its source has it, without the mark at its start."""

    def __init__(self, inner: BinaryIO, *, name: str, wide: str, wanted: str) -> None:
        self._inner, self._name, self._wide, self._wanted = inner, name, wide, wanted
        self._begin()

    def _begin(self) -> None:
        self._inner.seek(0)
        self._decoder = codecs.getincrementaldecoder(self._wide)()
        self._left = b""
        self._at = 0
        self._is_over = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes. Raises `InvalidInput` for what is not in the encoding that it says it is in."""
        parts, held = [self._left], len(self._left)
        while not self._is_over and (size < 0 or held < size):
            chunk = self._inner.read(CHUNK_BYTES)
            self._is_over = not chunk
            parts.append(self._turned(chunk))
            held += len(parts[-1])
        data = b"".join(parts)
        found, self._left = (data, b"") if size < 0 else (data[:size], data[size:])
        self._at += len(found)
        return found

    def _turned(self, chunk: bytes) -> bytes:
        try:
            return self._decoder.decode(chunk, final=not chunk).removeprefix("\ufeff").encode(self._wanted)
        except UnicodeError as error:
            raise InvalidInput(
                f"the file begins as {self._wide.upper()} and is not, or holds what {self._wanted.upper()} has no "
                "letter for.",
                file=self._name,
                remedy="Fetch it again without opening it.",
            ) from error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation("only to the start")
        self._begin()
        return 0

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._inner.close()
        super().close()


@contextmanager
def contents(path: Path, *, encoding: str, keeps_wide: bool) -> Iterator[Iterator[Content]]:
    """Yield what is inside the file at `path`; each is opened by itself, and read while the file is.

    Text in UTF-16 or UTF-32 is turned into `encoding`, unless `keeps_wide`: XML says itself how it is written. Raises
    `InvalidInput` when the file cannot be read, and for what is under a password or no archive of reports.
    """
    name = masked_name(_shown(path.name))
    try:
        with path.open("rb") as begun:
            head = begun.read(64)
        file = path.open("rb")
    except OSError as error:
        raise InvalidInput(
            f"the file cannot be read: {error.strerror}.",
            file=name,
            remedy="Check that it is there and that the user who runs this may read it.",
        ) from error
    with file:
        _refuse_locked(head, name)

        def plain(stream: Callable[[], BinaryIO], of: str) -> Content:
            return Content(of, lambda: _in_encoding(stream(), of, encoding=encoding, keeps_wide=keeps_wide))

        if head.startswith(GZIP):
            size = path.stat().st_size
            yield iter([plain(lambda: _gunzipped(path, name, size), name)])
        elif head.startswith(ZIP):
            with _archive(file, name) as archive:
                members = _members(archive, name)
                yield (plain(_opener(archive, each, of), of) for each, of in members)
        else:
            yield iter([plain(lambda: path.open("rb"), name)])


def _opener(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        if member.flag_bits & _ENCRYPTED_FLAG:
            raise _locked(name, "ZIP")
        if member.compress_type not in _METHODS:
            raise InvalidInput(
                "it is packed in a way that is not read here.", file=name, remedy="Have it packed with plain deflate."
            )
        try:
            inner = archive.open(member)
        except _BROKEN as error:
            raise InvalidInput(
                f"the member does not unfold: {error}.", file=name, remedy="It was cut or damaged: fetch it again."
            ) from error
        return cast("BinaryIO", Unfolded(cast("BinaryIO", inner), name=name, packed_bytes=member.compress_size))

    return opened


def _gunzipped(path: Path, name: str, size: int) -> BinaryIO:
    return cast("BinaryIO", Unfolded(cast("BinaryIO", gzip.open(path, "rb")), name=name, packed_bytes=size))


@contextmanager
def _archive(file: BinaryIO, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
    except _BROKEN as error:
        raise InvalidInput(
            f"the archive cannot be read: {error}.", file=name, remedy="It was cut or damaged: fetch it again."
        ) from error
    with archive:
        yield archive


def _members(archive: zipfile.ZipFile, name: str) -> list[tuple[zipfile.ZipInfo, str]]:
    """Return the members that may be reports, each with its name; what systems put beside them is passed over."""
    listed = archive.infolist()
    if any(each.filename == _WORKBOOK for each in listed):
        raise InvalidInput(
            "this is an Excel workbook, which is no report.", file=name, remedy="Fetch the report as CSV."
        )
    members = [each for each in listed if not each.is_dir() and not _is_beside(each.filename)]
    if not members or len(members) > MAX_MEMBERS:
        found = "nothing" if not members else f"more than {MAX_MEMBERS} files (MAX_MEMBERS)"
        raise InvalidInput(f"the archive holds {found}.", file=name, remedy="Look at what was sent.")
    return [(each, f"{name}/{masked_name(_shown(each.filename))}") for each in members]


def _is_beside(filename: str) -> bool:
    parts = filename.replace("\\", "/").split("/")
    return "__MACOSX" in parts or any(part.startswith(".") and part.strip(".") for part in parts)


def _in_encoding(stream: BinaryIO, name: str, *, encoding: str, keeps_wide: bool) -> BinaryIO:
    try:
        head = stream.read(512)
        stream.seek(0)
        wide = None if keeps_wide else _wide_encoding(head)
    except BaseException:
        stream.close()
        raise
    return stream if wide is None else cast("BinaryIO", Transcoded(stream, name=name, wide=wide, wanted=encoding))


def _wide_encoding(head: bytes) -> str | None:
    for mark, encoding in _WIDE:
        if head.startswith(mark):
            return encoding
    # Without a mark, every other byte of Latin text is zero, and none of those between.
    if head.count(0) > len(head) // 4 and 0 in (head[::2].count(0), head[1::2].count(0)):
        return "utf-16-be" if head[:1] == b"\x00" else "utf-16-le"
    return None


def _refuse_locked(head: bytes, name: str) -> None:
    if head.startswith(OLE):
        raise InvalidInput(
            "this is an Excel workbook of the old form, or one under a password.",
            file=name,
            remedy="Fetch the report as CSV.",
        )
    if head.startswith(_PGP):
        raise _locked(name, "PGP")


def _locked(name: str, how: str) -> InvalidInput:
    return InvalidInput(
        f"the file is under a password or a key ({how}), and none is kept here.",
        file=name,
        remedy="Open it where the key is, and ingest what was inside; or have the provider send it without.",
    )


def _shown(name: str) -> str:
    """Return a member's name as it can be shown and kept: without what steers a terminal."""
    return _CONTROL.sub("?", name.replace("\\", "/"))
