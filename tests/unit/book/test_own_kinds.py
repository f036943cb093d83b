"""The ledger's own kinds: one module each, one shape each, one line in the format's table of bodies each."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import ledger_core.book.kinds as kinds
from ledger_core.log.shapes import SHAPES, Shape

FORMAT = Path(__file__).parents[3] / "docs" / "formats" / "record.md"
NO_RECORD = {"faulty"}
"""What a refused draft becomes: never appended."""


def described() -> dict[str, tuple[set[str], set[str], bool]]:
    """Return what the format says of each kind: its members, those that may be absent, and whether it holds more."""
    bodies = FORMAT.read_text(encoding="utf-8").partition("## Bodies")[2]
    found = {}
    for row in re.findall(r"^\| (`[^|]*) \| ([^|]*) \|$", bodies, flags=re.MULTILINE):
        # What stands in brackets is of a member.
        flat = re.sub(r"\[.*?\]|\{.*?\}|\(.*?\)", "", row[1])
        members = re.findall(r"`(\w+)`(\??)", flat)
        said = ({name for name, _ in members}, {name for name, mark in members if mark}, "and more" in flat)
        found |= dict.fromkeys(re.findall(r"`(\w+)`", row[0]), said)
    return found


def as_described(shape: Shape) -> tuple[set[str], set[str], bool]:
    return set(shape.required | shape.optional), set(shape.optional), shape.open


def test_every_own_kind_has_a_module_that_is_called_as_it_is_and_every_module_is_one() -> None:
    modules = {module.name for module in pkgutil.iter_modules(kinds.__path__)} - NO_RECORD
    assert modules == {kind.name for kind in kinds.OWN}


def test_every_own_kind_has_the_shape_that_verifiers_know_and_every_shape_is_of_one() -> None:
    assert {kind.name: kind.shape for kind in kinds.OWN} == dict(SHAPES)


def test_the_format_describes_the_members_of_every_kind() -> None:
    assert described() == {name: as_described(shape) for name, shape in SHAPES.items()}
