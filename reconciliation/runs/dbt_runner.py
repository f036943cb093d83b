"""dbt, in this process and kept warm: a process for each build would cost ten seconds of start-up for one of SQL.

The only importer of dbt, and inside functions alone. dbt is not thread-safe and leaves marks on its process
(logging, warnings), so every call goes through one lock and puts back what it moved. Artefacts and logs lie in the
home; the project folder is only read.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ledger_core.base.engine import parse_url
from ledger_core.errors import CannotRun, DependencyError, IntegrityError
from ledger_core.settings.child import lent
from reconciliation.runs.code_version import code_version, project_folder

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PROFILE = "counterfoil"
ROLE = "counterfoil_dbt"
PASSWORD_VARIABLE = "DBT_ENV_SECRET_COUNTERFOIL_DATABASE"  # noqa: S105
THREADS = 2
AFTER_MERGE = "tag:after_merge"
LASTING = ("staging", "resource_type:seed")
"""Views over sources and constants: the code alone decides them, so they outlive a run. Each node costs dbt 50 ms."""
_QUIETLY = (
    "--quiet", "--no-use-colors", "--log-level", "none", "--log-level-file", "info", "--no-send-anonymous-usage-stats",
)  # fmt: skip
_BRIEFLY = ("--no-write-json", "--no-populate-cache", "--use-fast-test-edges")
"""What dbt looks up before its first node, and writes after its last, and nobody here asks for."""

_CONSTRAINT = re.compile(r"violates (unique|check|not-null) constraint")

_lock = threading.Lock()
_warm: dict[tuple[str, str], Manifest] = {}
"""By schema and code: what the project is does not depend on the home nor on the database that it is run in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResult:
    """What became of one model, seed or test; `rows` is None where the database does not say."""

    name: str
    kind: str
    status: str
    seconds: float
    rows: int | None
    failures: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dbt:
    """The project against one database and one schema; `home` holds its profile, artefacts and logs."""

    home: Path
    database_url: str
    schema: str = "analytics"

    def build(
        self, *, select: Sequence[str] = (), exclude: Sequence[str] = (), with_unit_tests: bool = False
    ) -> list[NodeResult]:
        """Build models, seeds and tests, in order.

        Raises `IntegrityError` naming the tests that failed, `DependencyError` when the database went away, `CannotRun`
        for whatever else stopped dbt.
        """
        arguments = [*_option("--select", select), *_option("--exclude", exclude)]
        if not with_unit_tests:
            arguments += ["--exclude-resource-type", "unit_test"]
        results = self._invoke("build", arguments)
        _refuse_failures(results)
        return results

    def run(self, *, select: Sequence[str] = ()) -> list[NodeResult]:
        """Build models alone, without tests; for benchmarks and exploration."""
        results = self._invoke("run", _option("--select", select))
        _refuse_failures(results)
        return results

    def test(self, *, select: Sequence[str] = ()) -> list[NodeResult]:
        """Run tests alone and return how each went; failures are results here, not errors."""
        return self._invoke("test", _option("--select", select))

    def manifest(self) -> dict[str, Any]:
        """Return the parsed project as dbt's `manifest.json` would have it; needs no database."""
        folder = self.home / "dbt"
        folder.mkdir(parents=True, exist_ok=True)
        self._write_profile(folder / "profiles.yml")
        with _lock, _undisturbed(), self._password_lent():
            document: dict[str, Any] = self._parsed(folder).writable_manifest().to_dict()
        return document

    def docs_page(self, *, with_catalog: bool) -> str:
        """Return dbt's own documentation as one page.

        With a catalog the database is asked for the columns that its relations really have; without one it is not
        asked for anything. Raises `DependencyError` when the database went away, `CannotRun` for whatever else stopped
        dbt.
        """
        folder = self.home / "dbt" / "docs"
        folder.mkdir(parents=True, exist_ok=True)
        self._write_profile(folder / "profiles.yml")
        words = ["docs", "generate", "--static"]
        with _lock, _undisturbed(), self._password_lent():
            from dbt.cli.main import dbtRunner

            if not with_catalog:
                # Compiling asks the database which relations there are: the parsed project is shown as it is.
                self._parse(folder, write_json=True)
                words += ["--no-compile", "--empty-catalog"]
            outcome = dbtRunner().invoke([*_QUIETLY, *words, *_folders(folder), "--threads", str(THREADS)])
        if not outcome.success:
            raise _error_of(str(outcome.exception or "a model does not compile"))
        return (folder / "target" / "static_index.html").read_text(encoding="utf-8")

    def _invoke(self, command: str, arguments: Sequence[str]) -> list[NodeResult]:
        folder = self.home / "dbt"
        folder.mkdir(parents=True, exist_ok=True)
        self._write_profile(folder / "profiles.yml")
        words = [*_QUIETLY, command, *_folders(folder), *_BRIEFLY, "--threads", str(THREADS), *arguments]
        with _lock, _undisturbed(), self._password_lent():
            from dbt.cli.main import dbtRunner

            _relieve_dbt()
            manifest = self._parsed(folder)
            _address(manifest, parse_url(self.database_url).database or "")
            outcome = dbtRunner(manifest=manifest).invoke(words)
        if outcome.exception is not None:
            raise _error_of(str(outcome.exception))
        return [_node_result(result) for result in getattr(outcome.result, "results", [])]

    def _parsed(self, folder: Path) -> Manifest:
        """Return the project, parsed once a process: its graph and its runs ask for the same."""
        key = (self.schema, code_version())
        if key not in _warm:
            _warm[key] = self._parse(folder)
        return _warm[key]

    def _parse(self, folder: Path, *, write_json: bool = False) -> Manifest:
        from dbt.cli.main import dbtRunner

        words = [*_QUIETLY, "parse", *_folders(folder), "--write-json" if write_json else "--no-write-json"]
        outcome = dbtRunner().invoke(words)
        if not outcome.success:
            raise _error_of(str(outcome.exception))
        manifest: Manifest = outcome.result  # type: ignore[assignment]
        return manifest

    def _password_lent(self) -> AbstractContextManager[None]:
        """Let dbt find the password: in the environment, which is where it reads secrets, while one call lasts."""
        return lent(PASSWORD_VARIABLE, parse_url(self.database_url).password or "")

    def _write_profile(self, path: Path) -> None:
        url = parse_url(self.database_url)
        query = {name: value for name, value in url.query.items() if name.startswith("ssl")}
        output = {
            "type": "postgres",
            "host": url.host or url.query.get("host", "127.0.0.1"),
            "port": url.port or 5432,
            "user": url.username,
            # dbt keeps what a variable of this name holds out of its logs and artefacts too.
            "password": f"{{{{ env_var('{PASSWORD_VARIABLE}') }}}}",
            "dbname": url.database,
            "schema": self.schema,
            "role": ROLE,
            "threads": THREADS,
            "application_name": "counterfoil-dbt",
            **query,
        }
        document = yaml.safe_dump({PROFILE: {"target": "counterfoil", "outputs": {"counterfoil": output}}})
        if not path.exists() or path.read_text() != document:
            path.touch(mode=0o600)
            path.write_text(document)


def _address(manifest: Manifest, database: str) -> None:
    """Write `database` wherever the parsed project names one: all that it has of the profile besides the schema."""
    for node in (*manifest.nodes.values(), *manifest.sources.values()):
        if node.database != database:
            named = f'"{node.database}".'
            node.database = database
            node.relation_name = node.relation_name and node.relation_name.replace(named, f'"{database}".', 1)


@cache
def _relieve_dbt() -> None:
    """Spare dbt what costs it more than a small run computes.

    It opens a connection a node, a process of the server that has yet to read the catalogue: each of its threads keeps
    its own, until the call ends. And for the default of a text that nobody shows it walks the whole stack, eleven times
    a call: under a job of Dagster's, or a test, a tenth of a second of looking through every module there is.
    """
    from dbt.adapters.postgres.connections import PostgresConnectionManager
    from dbt.adapters.postgres.impl import PostgresAdapter
    from dbt_common.behavior_flags import BehaviorFlagRendered

    class KeptConnections(PostgresConnectionManager):
        @classmethod
        def open(cls, connection: Any) -> Any:
            opened = super().open(connection)  # type: ignore[no-untyped-call]
            opened.handle.commit()  # or a node that rolls back takes the role back too
            return opened

        def release(self) -> None:
            try:
                self.rollback_if_open()  # type: ignore[no-untyped-call]
            except Exception:
                self.clear_thread_connection()
                raise

    PostgresAdapter.ConnectionManager = KeptConnections
    BehaviorFlagRendered._default_source = staticmethod(  # type: ignore[method-assign]
        lambda: PostgresAdapter.__module__
    )


def _folders(folder: Path) -> list[str]:
    return [
        "--project-dir", str(project_folder()), "--profiles-dir", str(folder),
        "--target-path", str(folder / "target"), "--log-path", str(folder / "logs"),
    ]  # fmt: skip


def _option(name: str, values: Sequence[str]) -> list[str]:
    return [name, *values] if values else []


def _node_result(result: Any) -> NodeResult:
    response = result.adapter_response or {}
    rows = response.get("rows_affected")
    return NodeResult(
        name=result.node.name,
        kind=str(result.node.resource_type),
        status=str(result.status),
        seconds=float(result.execution_time),
        rows=rows if isinstance(rows, int) and rows >= 0 else None,
        failures=int(result.failures or 0),
        message=str(result.message or ""),
    )


def _refuse_failures(results: Sequence[NodeResult]) -> None:
    broken = [result for result in results if result.status in ("error", "runtime error")]
    # What a table promises of itself, the database refuses while it is filled.
    failed = [f"{result.name} ({result.message})" for result in broken if _CONSTRAINT.search(result.message)]
    if broken and not failed:
        raise _error_of(f"{broken[0].name}: {broken[0].message}")
    failed += [f"{result.name} ({result.failures} rows)" for result in results if result.status == "fail"]
    if failed:
        raise IntegrityError(
            f"an invariant of the reconciliation does not hold: {' '.join(', '.join(failed).split())[:800]}.",
            remedy="Do not use the figures of this run; the first line of the test of that name says what it proves.",
        )


def _error_of(message: str) -> CannotRun:
    flat = " ".join(message.split())[:800]
    if "could not connect" in flat or "connection" in flat.lower():
        return DependencyError(
            f"dbt lost the database: {flat}", remedy="Check that the server runs, then run it again."
        )
    return CannotRun(f"dbt stopped: {flat}", remedy="Its log is dbt/logs/dbt.log in the home.")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put back what dbt moves: it silences Dagster's logger, and its imports warn of their own affairs."""
    dagster = logging.getLogger("dagster")
    propagate = dagster.propagate
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            dagster.propagate = propagate
