"""The files that a landing is given: which they are, and what they may be called.

A name is shown and kept, so a card number in it is masked like one in free text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ingest.contract.cards import find_cards, mask
from ledger_core.errors import InvalidInput

_NO_DIGIT = re.compile(r"[^0-9-]")


def expand(paths: Iterable[Path]) -> list[Path]:
    """Return the files that `paths` name; a folder stands for its files in order, hidden ones aside.

    Raises `InvalidInput` for what is neither.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(each for each in path.iterdir() if _is_delivered(each))
        elif path.is_file():
            files.append(path)
        else:
            problem = "is no regular file" if path.exists() else "does not exist"
            raise InvalidInput(f"the file {problem}.", file=str(path), remedy="Check the path.")
    return files


def _is_delivered(path: Path) -> bool:
    """Tell whether a folder's member is meant to land: a file, or a link to one that is gone, which is then named."""
    return not path.name.startswith(".") and (path.is_file() or (path.is_symlink() and not path.exists()))


def masked_name(name: str) -> str:
    """Return a file's name with the card numbers in it masked, whatever they are glued to."""
    digits = _NO_DIGIT.sub(" ", name)
    for card in find_cards(digits):
        place = digits.index(card)
        hidden = mask(card)
        kept = [star if star == "*" else own for star, own in zip(hidden, name[place : place + len(card)], strict=True)]
        name = name[:place] + "".join(kept) + name[place + len(card) :]
        digits = digits[:place] + hidden + digits[place + len(card) :]
    return name
