"""Names that an object store takes and refuses; no file is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_core.errors import ConfigurationError, InvalidInput
from ledger_core.store.objects import FileStore, open_store

STORE = FileStore(Path("/nowhere"))


@pytest.mark.parametrize(
    "name", ["", "/", "a//b", "../a", "a/../b", "a/", "/a", ".hidden", "a/.b", "a\0b", "a\nb", "a" * 1025]
)
def test_a_name_that_could_leave_the_store_or_hide_in_it_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="object name"):
        STORE.path(name)


def test_a_name_maps_to_a_path_below_the_root() -> None:
    assert STORE.path("ledger.example.com/prod/main/x.gz") == Path("/nowhere/ledger.example.com/prod/main/x.gz")


def test_an_address_round_trips_through_open_store() -> None:
    store = open_store("file:///var/an%20archive")
    assert isinstance(store, FileStore)
    assert store.root == Path("/var/an archive")
    assert store.uri == "file:///var/an%20archive"


@pytest.mark.parametrize("uri", ["s3://bucket/prefix", "/plain/path", "file://host/path", ""])
def test_an_address_of_another_kind_is_refused_with_a_remedy(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="file:///"):
        open_store(uri)
