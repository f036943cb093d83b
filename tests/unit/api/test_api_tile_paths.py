"""Tile paths are read as C2SP tlog-tiles writes them, and in no other way."""

import pytest

from api.http.heads import takes_gzip
from api.log_tiles import TilePath, parse_entries_path, parse_tile_path
from ledger_core.errors import NotFound


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("0/000", TilePath(level=0, n=0, width=256)),
        ("0/x001/x234/067", TilePath(level=0, n=1234067, width=256)),
        ("1/000.p/8", TilePath(level=1, n=0, width=8)),
        ("63/x999/x999/x999/x999/x999/x999/999", TilePath(level=63, n=10**21 - 1, width=256)),
    ],
)
def test_a_path_names_its_tile(path, tile):
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    ["", "0", "0/0", "0/1000", "64/000", "00/000", "0/000.p/0", "0/000.p/256", "0/000.p/999", "0/000.p/01", "0/x01/000",
     "0/000/", "../0/000", "0/٠٠٠", "data/000", "0/000.p", "0/x000/067", "0/x000/x001/067",
     "entries/000", "entries/000.p/3"],
)  # fmt: skip
def test_any_other_path_is_not_found(path):
    with pytest.raises(NotFound):
        parse_tile_path(path)


def test_a_tile_of_level_one_needs_all_leaves_below_it():
    assert TilePath(level=1, n=0, width=3).end == 3 * 256


@pytest.mark.parametrize(
    ("path", "tile"),
    [("000", TilePath(level=None, n=0, width=256)), ("x001/000.p/255", TilePath(level=None, n=1000, width=255))],
)
def test_a_path_names_its_bundle(path, tile):
    assert parse_entries_path(path) == tile


@pytest.mark.parametrize("path", ["", "0/000", "00", "x000/001", "000.p/256", "000.p/0", "/000", "000/", "entries/000"])
def test_any_other_path_of_a_bundle_is_not_found(path):
    with pytest.raises(NotFound):
        parse_entries_path(path)


@pytest.mark.parametrize(
    ("given", "takes"),
    [
        ("gzip", True), ("br, GZIP;q=0.5", True), ("x-gzip", True), ("*", True), ("gzip;q=0.001", True),
        ("", False), ("br", False), ("identity", False), ("gzip;q=0", False), ("gzip; q=0.000", False),
        ("*, gzip;q=0", False), ("*;q=0", False), ("gzipped", False),
    ],
)  # fmt: skip
def test_gzip_is_sent_to_those_who_take_it(given, takes):
    assert takes_gzip(given) is takes
