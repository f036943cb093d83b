"""Tile paths are read as C2SP tlog-tiles writes them, and in no other way."""

import pytest

from api.log_tiles import TilePath, parse_tile_path
from ledger_core.errors import NotFound


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("0/000", TilePath(level=0, n=0, width=256)),
        ("0/x001/x234/067", TilePath(level=0, n=1234067, width=256)),
        ("1/000.p/8", TilePath(level=1, n=0, width=8)),
        ("entries/x001/000.p/255", TilePath(level=None, n=1000, width=255)),
    ],
)
def test_a_path_names_its_tile(path, tile):
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    ["", "0", "0/0", "0/1000", "64/000", "00/000", "0/000.p/0", "0/000.p/256", "0/000.p/999", "0/000.p/01", "0/x01/000",
     "0/000/", "../0/000", "0/٠٠٠", "data/000", "0/000.p"],
)  # fmt: skip
def test_any_other_path_is_not_found(path):
    with pytest.raises(NotFound):
        parse_tile_path(path)


def test_a_tile_of_level_one_needs_all_leaves_below_it():
    assert TilePath(level=1, n=0, width=3).end == 3 * 256
