"""Drift and arrival as asset checks: one suite a source, one check an expectation, one step for them all.

Broken invariants are errors; breaks and drift are warnings, which people see and which never turn the graph red.
"""

# Without the future import of annotations: Dagster reads the type of `context` from the function itself.
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from orchestration.assets.reconciliation import RUN
from orchestration.assets.step import RESOURCES, Step, step

if TYPE_CHECKING:
    from expectations.model import Outcome, Suite


def suite_checks(suites: Sequence["Suite"]) -> dg.AssetChecksDefinition:
    """Return the step that validates `suites` over the days of a run; one process imports the library once."""

    @dg.multi_asset_check(
        name="expectations",
        specs=[
            dg.AssetCheckSpec(
                expectation.name,
                asset=list(suite.asset),
                description=expectation.description,
                # After the run: what was built from the raw rows is looked at too, and a warning holds nothing up.
                additional_deps=[RUN],
                metadata={"suite": suite.name, "severity": expectation.severity},
            )
            for suite in suites
            for expectation in suite.expectations
        ],
        required_resource_keys=RESOURCES,
    )
    def expectations(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        assets = {suite.name: list(suite.asset) for suite in suites}
        with step(context) as current:
            outcomes, page = validate_suites(current, suites)
        for outcome in outcomes:
            yield check_result(outcome, assets[outcome.suite], page)

    return expectations


def validate_suites(current: Step, suites: Sequence["Suite"]) -> tuple[list["Outcome"], Path]:
    """Validate `suites` for the book and days of the run; return the outcomes and the page that shows them."""
    from expectations.model import Scope
    from expectations.page import page_of
    from expectations.runner import validate_all

    runtime, window = current.runtime, current.window
    scope = Scope(book=runtime.settings.book, first=window.first, last=window.last)
    results = validate_all(suites, scope, runtime.database_url)
    outcomes = [outcome for outcomes in results for outcome in outcomes]
    page = runtime.home / "reports" / f"{window.last}-quality.html"
    draft = page.with_name(f".{page.name}.{os.getpid()}")
    draft.write_text(page_of(outcomes, scope), encoding="utf-8")
    draft.replace(page)
    return outcomes, page


def check_result(outcome: "Outcome", asset: list[str], page: Path) -> dg.AssetCheckResult:
    """Return the result that shows `outcome`; what could not be evaluated is an error whatever its severity."""
    from expectations.words import observed_words

    broken = outcome.expectation.severity == "error" or outcome.error is not None
    metadata: dict[str, int | str | dg.MetadataValue] = {
        "unexpected": outcome.unexpected_count,
        "observed": observed_words(outcome),
        "page": dg.MetadataValue.path(page),
    }
    if outcome.rows is not None:
        metadata["rows"] = outcome.rows
    if outcome.error is not None:
        metadata["error"] = outcome.error
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=outcome.expectation.name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.ERROR if broken else dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )
