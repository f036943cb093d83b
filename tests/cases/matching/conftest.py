"""Many small companies in one book, landed and reconciled by the real parts: one run answers for all of them."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ingest.landing.land import land
from ledger_core.actor import Actor
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.processes import ProcessGroup
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from reconciliation.breaks.queue import Break, list_breaks
from reconciliation.runs.run import RunResult, reconcile

ACTOR = Actor(subject="test")

_spec = importlib.util.spec_from_file_location("case_companies", Path(__file__).with_name("companies.py"))
assert _spec
assert _spec.loader
companies: Any = importlib.util.module_from_spec(_spec)
sys.modules["case_companies"] = companies
_spec.loader.exec_module(companies)


@dataclass(kw_only=True)
class CaseBook:
    """One book with the companies in it."""

    runtime: Runtime
    folder: Path
    cases: list[Any]

    def load(self) -> None:
        """Post and land everything; adjustments come after what they correct."""
        self.post()
        for case in self.cases:
            provider, bank = case.write(self.folder)
            self.land("stripe_report", provider, account=case.account)
            self.land("camt053", bank)

    def post(self) -> None:
        """Post the entries of all cases, and what corrects them."""
        companies.write_book(self.folder, self.cases)
        apply_chart_file(self.runtime, self.folder / "accounts.yaml", book="main", actor=ACTOR)
        self._post("entries.jsonl", [entry for case in self.cases for entry in case.entries])
        self._post("later.jsonl", self._adjustments())

    def land(self, source: str, folder: Path, *, account: str | None = None) -> None:
        if any(folder.iterdir()):
            landed = land(self.runtime, source=source, paths=[folder], book="main", account=account)
            assert [each.error for each in landed if each.error] == []

    def reconcile(self, to: date) -> RunResult:
        return reconcile(self.runtime, to=to)

    def breaks(self, case: Any = None, *, status: str = "open") -> list[Break]:
        """Return the breaks of one case, told by its ids and its bank account, or of all."""
        with self.runtime.engine.connect() as connection:
            found = list_breaks(connection, "main", status=status)
        return [each for each in found if case is None or self._is_of(case, each)]

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        with self.runtime.engine.connect() as connection:
            return list(connection.execute(text(statement), parameters).all())

    def _post(self, name: str, entries: list[dict[str, Any]]) -> None:
        if entries:
            (self.folder / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries))
            post_file(self.runtime.ledger("main"), self.runtime.engine, self.folder / name, actor=ACTOR)

    def _adjustments(self) -> list[dict[str, Any]]:
        ids = {row.external_id: str(row.id) for row in self.rows("select external_id, id from ledger.entries")}
        return [
            entry | {"corrects": ids[case.corrections[entry["external_id"]]]}
            for case in self.cases
            for entry in case.later
        ]

    @staticmethod
    def _is_of(case: Any, found: Break) -> bool:
        mark = f"_c{case.number:04}"
        texts = [found.key, *found.keys, *(str(value) for piece in found.evidence for value in piece.values())]
        return any(mark in each or case.iban in each for each in texts)


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def open_book(postgres: tuple[EmbeddedPostgres, int], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Open a fresh book for some cases, as a context."""
    embedded, port = postgres

    @contextmanager
    def opened(cases: list[Any]) -> Iterator[CaseBook]:
        name = f"cases_{next(_numbers)}"
        admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"create database {name} template counterfoil_template"))
        home = tmp_path_factory.mktemp("home")
        settings = Settings(home_path=home, database_url=embedded.url(port, name), env="test", actor="test")
        try:
            with open_runtime(settings) as runtime:
                yield CaseBook(runtime=runtime, folder=tmp_path_factory.mktemp("files"), cases=cases)
        finally:
            group = ProcessGroup(home / "run")
            for record in reversed(group.records()):
                group.stop(record.name)
            with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text(f"drop database if exists {name} with (force)"))
            admin.dispose()

    return opened


@pytest.fixture(scope="session")
def make_case() -> Callable[..., Any]:
    """Return the class of a company."""
    return companies.Case
