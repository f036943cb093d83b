"""A record of an export is taken for the next segment alone: nobody ends exporting by appending one."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ledger_core.errors import (
    InvalidInput,
    Refused,
)
from ledger_core.evidence.export.segment import export_segment
from ledger_core.ports import Ask, RecordDraft
from ledger_core.reading.heads import read_head
from ledger_core.runtime import Runtime
from tests.integration.batches.shared import ME, export, sale

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"segment": 0}, "/body/segment"),
        ({"segment": 2}, "/body/segment"),
        ({"segment": 10**15}, "/body/segment"),
        ({"first_seq": 1}, "/body/first_seq"),
        ({"next_seq": 0}, "/body/next_seq"),
        ({"next_seq": 4}, "/body/next_seq"),
        ({"next_seq": 10**15}, "/body/next_seq"),
        ({"closed_on": "20261122"}, "/body/closed_on"),
        ({"closed_on": "2026-W47-7"}, "/body/closed_on"),
        ({"closed_on": "2026-11-31"}, "/body/closed_on"),
        ({"closed_on": ""}, "/body/closed_on"),
        ({"closed_on": "2026-11-22T00:00:00"}, "/body/closed_on"),
        ({"uri": "file:///\0"}, None),
    ],
)
def test_an_export_that_is_not_the_next_segment_is_refused_and_exporting_goes_on(
    house: Runtime, members: dict[str, Any], pointer: str | None
) -> None:
    ledger = house.ledger()
    with pytest.raises((Refused, InvalidInput)) as refused:
        ledger.append([export(**members)], Ask(actor=ME), atomic=True)
    if pointer is not None:
        assert refused.value.pointer == pointer
    days = [date(2026, 11, 22), date(2026, 11, 23)]
    made = [export_segment(house, closed_on=day, book="main") for day in days]
    assert [(result.segment, result.created) for result in made] == [(1, True), (2, True)]
    assert made[0].next_seq == made[1].first_seq


def test_a_record_below_the_signature_alone_can_be_exported(house: Runtime) -> None:
    with house.engine.connect() as connection:
        signed_size = read_head(connection, "main").signed_size
    with pytest.raises(Refused, match="what is signed"):
        house.ledger().append([sale("e:1"), export(next_seq=signed_size + 1)], Ask(actor=ME), atomic=True)


def test_a_key_that_somebody_used_for_a_record_does_not_stop_the_exporter(house: Runtime) -> None:
    taken = export(next_seq=4)
    with pytest.raises(Refused):
        house.ledger().append([taken], Ask(actor=ME, key="export/1"), atomic=True)
    event = RecordDraft(kind="security_event", body={"word": "x"})
    house.ledger().append([event], Ask(actor=ME, route="records/export", key="export/1"), atomic=True)
    assert export_segment(house, closed_on=date(2026, 11, 22), book="main").created
