"""Reports as a provider makes them, of what a test wants to say, for many accounts, read by one run of dbt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from ingest.landing.land import LandedFile, land
from ledger_core.base.engine import make_engine
from ledger_core.base.objects.file import FileStore
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.settings import Settings
from ledger_core.wrapping import open_wrapping
from reconciliation.runs.dbt_runner import Dbt
from reconciliation.runs.pins import store_pin, take_pin

Row = dict[str, str]
MODELS = ("int_psp_items", "int_psp_payouts", "int_payout_items", "int_landing_findings")


@dataclass
class LandingOnly:
    """The part of the runtime that landing uses; its clock moves on with every landing."""

    settings: Settings
    engine: Engine
    raw_store: FileStore
    landings: int = 0

    @cached_property
    def wrapping(self) -> KeyWrapping:
        return open_wrapping(self.settings)

    def clock(self) -> datetime:
        self.landings += 1
        return datetime(2026, 11, 1, 6, 0, tzinfo=UTC) + timedelta(seconds=self.landings)


@dataclass
class Books:
    """Accounts at one provider in one book, each a case of its own."""

    landing: LandingOnly
    folder: Path
    database_url: str
    files: int = field(default=0)

    def land(
        self, account: str, *documents: tuple[str, str], source: str = "stripe_report", **more: Any
    ) -> list[LandedFile]:
        """Land `documents` (name, text) of `account` in one go."""
        paths = []
        for name, written in documents:
            self.files += 1
            path = self.folder / str(self.files) / name
            path.parent.mkdir(parents=True)
            path.write_text(written)
            paths.append(path)
        return land(self.landing, source=source, paths=paths, account=_code(account), **more)

    def run(self, as_of: date = date(2026, 10, 31)) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """Build what comes of the files; return the rows of `MODELS`, by model and account, in order."""
        pin = take_pin(
            self.landing.engine,
            self.landing.settings,
            book="main",
            to=as_of,
            today=date(2026, 11, 1),
            code_version="x",
            home=self.folder,
        )
        engine = make_engine(self.database_url, role="login")
        try:
            with engine.begin() as connection:
                store_pin(connection, pin)
            select = [f"+{model}" for model in MODELS]
            Dbt(home=self.folder, database_url=self.database_url).build(select=select, exclude=("test_type:singular",))
            with engine.connect() as connection:
                return {model: self._by_account(connection, model) for model in MODELS}
        finally:
            engine.dispose()

    def _by_account(self, connection: Any, model: str) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        # Numbers within the run say nothing of a row by themselves.
        for row in connection.execute(text(f"select * from analytics.{model}")).mappings():
            kept = {name: value for name, value in row.items() if name not in ("psp_item_id", "payout_number")}
            found.setdefault(kept.pop("account").replace("_", " "), []).append(kept)
        return {account: sorted(rows, key=str) for account, rows in found.items()}


@pytest.fixture
def books(database_url: str, tmp_path: Path) -> Iterator[Books]:
    engine = make_engine(database_url, role="writer")
    landing = LandingOnly(Settings(home_path=tmp_path / "home"), engine, FileStore(tmp_path / "raw"))
    yield Books(landing, tmp_path, database_url)
    engine.dispose()


def _code(account: str) -> str:
    """Return what an account that a test calls by words is called where it has no blanks."""
    return account.replace(" ", "_")


def _written(rows: Sequence[Row], columns: Sequence[str]) -> str:
    return "".join(
        ",".join(line) + "\n" for line in [columns, *([row.get(name, "") for name in columns] for row in rows)]
    )


_ITEM = {
    "automatic_payout_id": "",
    "automatic_payout_effective_at_utc": "",
    "balance_transaction_id": "",
    "created_utc": "",
    "currency": "eur",
    "gross": "",
    "fee": "0.00",
    "net": "",
    "reporting_category": "charge",
    "source_id": "",
    "description": "",
}
_PAYOUT = {
    "payout_id": "",
    "effective_at_utc": "",
    "currency": "eur",
    "gross": "",
    "fee": "0.00",
    "net": "",
    "reporting_category": "payout",
    "balance_transaction_id": "",
    "payout_expected_arrival_date": "",
    "payout_status": "paid",
}


def _item(number: object, day: int, net: str, *, payout: str = "", paid: int | None = None, **more: str) -> Row:
    return {
        **_ITEM,
        "balance_transaction_id": f"txn_{number}",
        "created_utc": f"2026-10-{day:02} 10:00:00",
        "automatic_payout_id": payout,
        "automatic_payout_effective_at_utc": f"2026-10-{paid:02} 00:00:00" if paid else "",
        "gross": net,
        "net": net,
        "source_id": f"ch_{number}",
        **more,
    }


def _payout(name: str, day: int, net: str, **more: str) -> Row:
    return {
        **_PAYOUT,
        "payout_id": name,
        "balance_transaction_id": f"txn_{name}",
        "effective_at_utc": f"2026-10-{day:02} 00:00:00",
        "payout_expected_arrival_date": f"2026-10-{day:02} 00:00:00",
        "gross": net,
        "net": net,
        **more,
    }


@pytest.fixture
def item() -> Callable[..., Row]:
    """Make a row of an itemised report: number, day of October, net; `payout` and the day it is `paid`."""
    return _item


@pytest.fixture
def payout() -> Callable[..., Row]:
    """Make a row of a payouts report: id, day of October, net."""
    return _payout


@pytest.fixture
def report() -> Callable[..., tuple[str, str]]:
    """Make a report of rows of either kind under the name `name`, without the columns that `drop` names."""

    def make(
        *rows: Row, name: str = "report.csv", drop: Sequence[str] = (), rename: Mapping[str, str] = {}
    ) -> tuple[str, str]:
        columns = [column for column in (rows[0] if rows else _ITEM) if column not in drop]
        renamed = [{rename.get(key, key): value for key, value in row.items()} for row in rows]
        return name, _written(renamed, [rename.get(column, column) for column in columns])

    return make
