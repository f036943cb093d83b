"""Which version of an object counts, and what about its versions nobody of ours can have caused: no bucket is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from ledger_core.errors import InvalidInput
from ledger_core.log import object_tree
from ledger_core.log.bucket import Bucket, ObjectVersion, first_written, oddities
from ledger_core.log.object_tree import ObjectPlace, ObjectTree, place_of
from ledger_core.log.places import absolute

LONG_AGO, LATER = datetime(2026, 3, 30, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
FOLDER = "books/d/e/main/segments/2026/03/30/0000000001-0-3"


def version(key: str, number: str, *, is_marker: bool = False) -> ObjectVersion:
    return ObjectVersion(key=key, version_id=number, size_bytes=1, is_marker=is_marker, written_at=LONG_AGO)


class Listing(Bucket):
    """A bucket whose listing is given; whatever else is asked of it fails the test."""

    def __init__(self, *found: list[ObjectVersion]) -> None:
        super().__init__("some-bucket")
        self.found = {versions[0].key: versions for versions in found}

    def versions(self, prefix: str, *, after: str = "") -> Iterator[tuple[str, list[ObjectVersion]]]:
        yield from ((key, found) for key, found in self.found.items() if key.startswith(prefix) and key > after)


def tree(*found: list[ObjectVersion]) -> ObjectTree:
    made = ObjectTree(Listing(*found), "books")
    made.load()
    return made


def test_the_version_written_first_counts_and_a_marker_never_does() -> None:
    third, second, first = (version("k", number) for number in "321")
    marker = version("k", "4", is_marker=True)
    assert first_written([marker, third, second, first]) == first
    assert first_written([marker]) is None
    assert first_written([]) is None


def test_one_version_is_nothing_odd_and_each_thing_laid_over_it_is_told() -> None:
    first, second, marker = version("k", "1"), version("k", "2"), version("k", "3", is_marker=True)
    assert list(oddities([first])) == []
    assert [what.split(" (")[0] for what in oddities([marker, first])] == ["a delete marker hides it"]
    assert len(list(oddities([marker, second, first]))) == 2
    assert len(list(oddities([marker]))) == 1


def test_a_place_that_no_manifest_can_name_is_foreign() -> None:
    made = tree(
        [version(f"{FOLDER}/checkpoint", "1")],
        [version(f"{FOLDER}/checkpoint.tsr", "1")],
        [version(f"{FOLDER}/else", "1")],
        [version(f"{FOLDER}/deeper/checkpoint", "1")],
        [version("books/checkpoint", "1")],
        [version("books/d/e/main/checkpoints/0000000000000003", "1")],
        [version("books/d/e/main/checkpoints/3", "1")],
    )
    assert [place.removeprefix("s3://some-bucket/") for place, _ in made.foreign] == [
        f"{FOLDER}/else", f"{FOLDER}/deeper/checkpoint", "books/checkpoint", "books/d/e/main/checkpoints/3",
    ]  # fmt: skip
    assert made.anchors == {"books/d/e/main/checkpoints": [3]}


def test_a_neighbour_whose_name_begins_alike_is_not_below_the_address() -> None:
    assert tree([version("books-of-others/x", "1")]).foreign == []


def test_what_is_hidden_or_gone_raises_as_a_file_does() -> None:
    key = f"{FOLDER}/checkpoint"
    made = tree([version(key, "2", is_marker=True)])
    for missing in (key, f"{FOLDER}/keys.jsonl"):
        with pytest.raises(FileNotFoundError, match="not there"):
            made.version(missing)


def test_the_folders_of_a_bucket_are_what_the_names_spell_each_with_when_its_manifest_was_first_written() -> None:
    hidden = [version(f"{FOLDER}/checkpoint", "2", is_marker=True)]
    other = FOLDER.replace("0000000001-0-3", "0000000002-3-5")
    laid_over = ObjectVersion(
        key=f"{other}/manifest.dsse.json", version_id="2", size_bytes=1, is_marker=False, written_at=LATER
    )
    made = tree(hidden, [laid_over, version(f"{other}/manifest.dsse.json", "1")])
    assert made.load() == {FOLDER: None, other: LONG_AGO}


def test_a_version_that_is_signed_for_is_read_and_one_that_is_gone_is_named() -> None:
    key = f"{FOLDER}/checkpoint"
    made = tree([version(key, "3"), version(key, "2"), version(key, "1")])
    assert made.version(key).version_id == "1"
    made.name(key, "2")
    assert made.version(key).version_id == "2"
    made.name(key, "9")
    with pytest.raises(FileNotFoundError, match="version 9, which a manifest names, is not there"):
        made.version(key)


def test_what_lies_beyond_the_files_that_are_kept_is_asked_for_and_not_out_of_sight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(object_tree, "MAX_OBJECTS", 2)
    junk = [[version(f"books/a/b/c/segments/0001/01/01/000000000{number}-0-3/checkpoint", "1")] for number in range(5)]
    made = tree(*junk, [version(f"{FOLDER}/manifest.dsse.json", "1")])
    assert FOLDER in made.load()
    assert made.version(f"{FOLDER}/manifest.dsse.json").version_id == "1"
    assert made.foreign == []


def test_an_address_is_a_path_or_a_place_in_a_bucket(tmp_path: Path) -> None:
    assert place_of("a/b") == Path("a/b")
    assert place_of((tmp_path / "a b").as_uri()) == tmp_path / "a b"
    place = place_of("s3://some-bucket/books/")
    assert isinstance(place, ObjectPlace)
    assert (str(place), place.name) == ("s3://some-bucket/books", "books")
    assert str(place / "x" / "y") == "s3://some-bucket/books/x/y"
    assert absolute(place / "x") == PurePosixPath("/some-bucket/books/x")
    assert str(place_of("s3://some-bucket")) == "s3://some-bucket"
    with pytest.raises(InvalidInput):
        place_of("s3://Some_Bucket/x")
