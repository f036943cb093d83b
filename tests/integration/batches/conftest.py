"""A runtime of each of the two rooms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from tests.integration.batches.moody import CHART, LONG, MOODY
from tests.integration.batches.parcels import PARCEL
from tests.integration.batches.shared import BOOK, ME


@pytest.fixture
def house(settings: Settings) -> Iterator[Runtime]:
    with open_runtime(settings, kinds=[MOODY, LONG]) as runtime:
        apply_accounts(runtime.ledger(), CHART, Ask(actor=ME))
        yield runtime


@pytest.fixture
def room(settings: Settings) -> Iterator[Runtime]:
    with open_runtime(settings, kinds=[PARCEL]) as runtime:
        with runtime.engine.begin() as connection:
            connection.execute(text("reset role"))
            connection.execute(text("create schema room"))
            connection.execute(
                text(
                    "create table room.parcels (book text, seq bigint, number text not null, weight bigint not null, "
                    "primary key (book, seq), unique (book, number))"
                )
            )
            connection.execute(text("grant all on schema room to counterfoil_writer"))
            connection.execute(text("grant all on room.parcels to counterfoil_writer"))
        chart = [
            account_draft(code="assets:cash", type="asset", currency="USD", overdraft="forbidden"),
            account_draft(code="revenue:sales", type="revenue", currency="USD"),
            account_draft(code="assets:spare", type="asset", currency="USD"),
        ]
        apply_accounts(runtime.ledger(BOOK), chart, Ask(actor=ME))
        yield runtime
