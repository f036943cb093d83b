"""Names that an object store takes and refuses; no file is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_core.base.objects.file import FileStore
from ledger_core.errors import InvalidInput

STORE = FileStore(Path("/nowhere"))


@pytest.mark.parametrize(
    "name", ["", "/", "a//b", "../a", "a/../b", "a/", "/a", ".hidden", "a/.b", "a\0b", "a\nb", "a" * 1025]
)
def test_a_name_that_could_leave_the_store_or_hide_in_it_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="object name"):
        STORE.path(name)


def test_a_name_maps_to_a_path_below_the_root() -> None:
    assert STORE.path("ledger.example.com/prod/main/x.gz") == Path("/nowhere/ledger.example.com/prod/main/x.gz")


def test_the_address_of_a_store_is_a_file_uri() -> None:
    assert FileStore(Path("/var/an archive")).uri == "file:///var/an%20archive"
