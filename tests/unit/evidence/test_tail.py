"""A tail that the signing proxy never signed is refused before a record of it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_core.book.posting.head import HeadRow
from ledger_core.errors import InvalidInput
from ledger_core.evidence.replay.tail import tail_lines
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import Checkpoint
from ledger_core.log.record import NO_PREV


def head(size: int) -> HeadRow:
    return HeadRow(
        origin="x", size=size, signed_size=size, last_leaf=NO_PREV, last_recorded_at=None, frontier=Frontier()
    )


def test_a_proxy_that_signed_less_than_there_is_without_the_tail_is_named_at_once(tmp_path: Path) -> None:
    signed = Checkpoint(origin="x", size=7, root=bytes(32))
    with pytest.raises(InvalidInput, match="has signed 7 records, and 10 are there without the tail"):
        list(tail_lines(tmp_path / "never-opened", head(10), signed))
    with pytest.raises(InvalidInput, match="cannot be read"):
        list(tail_lines(tmp_path / "never-opened", head(5), signed))
