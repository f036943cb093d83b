"""The one module that imports Great Expectations, and it does so inside a function: importing it costs 9 CPU-seconds.

An ephemeral context: nothing is written, no page of the library is rendered (those load scripts from the network), no
row leaves the database but counts and a few figures.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from expectations.model import Batch, Expectation, Outcome, Scope, Suite
from ledger_core.base.engine import parse_url

if TYPE_CHECKING:
    from sqlalchemy import Engine

MAX_ERROR_CHARS = 300
_ROWS_REFUSED, _RANGE = "UnexpectedRowsExpectation", "ExpectColumnValuesToBeBetween"


def validate(suite: Suite, scope: Scope, database_url: str, *, role: str = "reader") -> list[Outcome]:
    """Return the outcome of every expectation of `suite` over `scope`, in the suite's order.

    The connection acts as `counterfoil_<role>`. An expectation that raises has not passed and says why.
    """
    return [outcome for outcomes in validate_all([suite], scope, database_url, role=role) for outcome in outcomes]


def validate_all(
    suites: Sequence[Suite], scope: Scope, database_url: str, *, role: str = "reader"
) -> list[list[Outcome]]:
    """Return the outcomes of several suites over one connection."""
    with warnings.catch_warnings():
        # The library and what it imports warn of each other; nothing of it is ours to mend.
        warnings.simplefilter("ignore")
        logging.getLogger("great_expectations").setLevel(logging.WARNING)
        import great_expectations as gx

        # This module sets a level of its own while it is imported, and tells of every folder it makes.
        logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        address = _connection_string(database_url, role)
        source = context.data_sources.add_postgres("counterfoil", connection_string=address)
        try:
            return [_validate(source, suite, scope) for suite in suites]
        finally:
            source.get_engine().dispose()


def _validate(source: Any, suite: Suite, scope: Scope) -> list[Outcome]:
    import great_expectations as gx

    found: dict[str, Outcome] = {}
    for batch in suite.batches:
        expectations = [each for each in suite.expectations if each.batch == batch.name]
        if not expectations:
            continue
        asset = source.add_query_asset(name=f"{suite.name}.{batch.name}", query=_as_select(scope.fill(batch.query)))
        definition = asset.add_batch_definition_whole_table(name="whole")
        built = gx.ExpectationSuite(
            name=f"{suite.name}.{batch.name}", expectations=[_build(gx, each) for each in expectations]
        )
        result = definition.get_batch().validate(built, result_format="SUMMARY")
        by_name = {each.expectation_config.meta["name"]: each for each in result.results}
        rows = _count(source.get_engine(), batch, scope, expectations)
        for each in expectations:
            low, high = _extent(source.get_engine(), batch, scope, each)
            found[each.name] = _outcome(suite, each, by_name[each.name], rows=rows, low=low, high=high)
    return [found[each.name] for each in suite.expectations]


def _as_select(query: str) -> str:
    """Return `query` as the library wants it, which takes nothing that begins with `with`."""
    return f"select * from (\n{query}\n) as batch"  # noqa: S608 - the suites' own SQL


def _build(gx: Any, expectation: Expectation) -> Any:
    severity = "critical" if expectation.severity == "error" else "warning"
    kind = getattr(gx.expectations, expectation.kind)
    return kind(
        **expectation.arguments,
        meta={"name": expectation.name},
        severity=severity,
        description=expectation.description,
    )


def _count(engine: Engine, batch: Batch, scope: Scope, expectations: Sequence[Expectation]) -> int | None:
    """Return the rows of `batch` where an expectation refuses rows: of those the library says no total."""
    if not any(each.kind == _ROWS_REFUSED for each in expectations):
        return None
    row = _ask(engine, f"select count(*) from ({scope.fill(batch.query)}) as batch")  # noqa: S608 - our own SQL
    return None if row is None else int(row[0])


def _extent(
    engine: Engine, batch: Batch, scope: Scope, expectation: Expectation
) -> tuple[Decimal | None, Decimal | None]:
    """Return the least and the greatest figure that a range is asked about."""
    if expectation.kind != _RANGE:
        return None, None
    column = expectation.arguments["column"]
    wanted = f"min({column})::text, max({column})::text"
    row = _ask(engine, f"select {wanted} from ({scope.fill(batch.query)}) as batch")  # noqa: S608 - our own SQL
    low, high = row if row is not None else (None, None)
    return None if low is None else Decimal(low), None if high is None else Decimal(high)


def _ask(engine: Engine, query: str) -> tuple[Any, ...] | None:
    """Return the one row of `query`; None where it fails, for then the expectation has failed too and says why."""
    from sqlalchemy.exc import DBAPIError

    try:
        with engine.connect() as connection:
            plain = connection.execution_options(no_parameters=True)
            return tuple(plain.exec_driver_sql(query).one())
    except DBAPIError:
        return None


def _outcome(
    suite: Suite,
    expectation: Expectation,
    result: Any,
    *,
    rows: int | None,
    low: Decimal | None,
    high: Decimal | None,
) -> Outcome:
    details = result.result or {}
    raised = [each["exception_message"] for each in _exceptions(result.exception_info) if each["raised_exception"]]
    total = details.get("element_count", rows)
    return Outcome(
        suite=suite.name,
        expectation=expectation,
        passed=bool(result.success) and not raised,
        unexpected_count=_unexpected(details),
        rows=total,
        checked=None if total is None else total - int(details.get("missing_count") or 0),
        low=low,
        high=high,
        error=raised[0].splitlines()[0][:MAX_ERROR_CHARS] if raised else None,
    )


def _exceptions(info: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return what was raised: the library nests it by metric when a metric failed, and not when it did not."""
    if not info:
        return []
    return [info] if "raised_exception" in info else list(info.values())


def _unexpected(details: dict[str, Any]) -> int:
    if details.get("unexpected_count") is not None:
        return int(details["unexpected_count"])
    observed = details.get("observed_value")
    return int(observed) if isinstance(observed, int) else 0


def _connection_string(database_url: str, role: str) -> str:
    url = parse_url(database_url)
    options = f"-crole=counterfoil_{role} -ctimezone=UTC"
    plain = url.set(query={}).render_as_string(hide_password=False)
    return f"{plain}?{urlencode({**url.query, 'options': options}, doseq=True)}"
