"""The nightly close from the command line: the job of the graph, executed in this process.

There is one definition of the close; this module only starts it. A close that is killed and started again loses
nothing and doubles nothing, because every step of it is idempotent: bytes that were landed, entries that stand, a run
with equal input and a segment that was written are found again and left as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from ledger_core.errors import IntegrityError, InvalidInput
from ledger_core.runtime import Runtime
from orchestration.close_result import CloseResult, result_of
from orchestration.dagster_home import dagster_environment, write_dagster_home
from orchestration.definitions import JOB_NAME, build_definitions
from orchestration.failures import original_error
from orchestration.first_day import first_day_with_data
from orchestration.lock import one_close
from orchestration.partitions import Window, check_window
from orchestration.resources import given_progress, given_runtime

if TYPE_CHECKING:
    from dagster import DagsterInstance

LOCK_WAIT_SECONDS = 20.0
"""As long as Postgres may need to notice that the close before was killed."""
IN_PROCESS_TAG = "counterfoil/in_process"
RANGE_START_TAG, RANGE_END_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Dagster documents the tags by their text; the names of its constants are its own."""
CONNECTION_RECYCLE_SECONDS = 3_600
MAX_NAMED = 10
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Progress = Callable[[str], None]


def close(
    runtime: Runtime, *, first: date, last: date, progress: Progress | None = None, night_by_night: bool = False
) -> CloseResult:
    """Close `first`..`last` as one range, or each night for itself; return what came of the last.

    Raises `InvalidInput` for days that have no partition and, when all else is closed, for files that were rejected;
    `DependencyError` while another close runs; `IntegrityError` when an invariant is broken; and what a step raised.
    """
    check_window(Window(first=first, last=last), runtime.settings, runtime.clock().date())
    windows = _nights(first, last) if night_by_night else [Window(first=first, last=last)]
    own_login = runtime.settings.database_url is None
    home = write_dagster_home(runtime.home, runtime.database_url, own_login=own_login)
    # Dagster takes these from the environment alone.
    os.environ.update(dagster_environment(home))
    with (
        one_close(runtime.engine, wait_seconds=LOCK_WAIT_SECONDS),
        dg.DagsterInstance.from_config(str(home)) as instance,
    ):
        # Dagster opens a connection for every event otherwise: 4 ms each, a thousand events a close.
        instance.optimize_for_webserver(
            statement_timeout=60_000, pool_recycle=CONNECTION_RECYCLE_SECONDS, max_overflow=4
        )
        _bury_the_dead(instance)
        first_on = _first_on(runtime, first)
        results = [_close_window(runtime, window, first_on, instance, progress) for window in windows]
    return replace(results[-1], changed=any(result.changed for result in results))


def _nights(first: date, last: date) -> list[Window]:
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return [Window(first=day, last=day) for day in days]


def _first_on(runtime: Runtime, first: date) -> date:
    """Return where the days begin: a first close is of days whose files this very close will land."""
    if runtime.settings.orchestration.first_close_on is not None:
        return runtime.settings.orchestration.first_close_on
    with runtime.engine.connect() as connection:
        return min(first, first_day_with_data(connection, runtime.settings.book) or first)


def _close_window(
    runtime: Runtime, window: Window, first_on: date, instance: DagsterInstance, progress: Progress | None
) -> CloseResult:
    job = build_definitions(
        runtime.settings, first_on=first_on, runtime=given_runtime(runtime), progress=given_progress(progress)
    ).resolve_job_def(JOB_NAME)
    try:
        execution = job.execute_in_process(
            instance=instance,
            run_config=QUIET,
            **_partition(window),
        )
    except (dg.DagsterError, dg.Failure) as error:
        original = original_error(error)
        if original is not None:
            raise original from error
        raise
    result = result_of(window, execution)
    _refuse_broken(result)
    return result


def _partition(window: Window) -> dict[str, Any]:
    """Return how Dagster is told the days: one by its key, several as a range that one run closes."""
    if window.days == 1:
        return {"partition_key": window.last.isoformat(), "tags": {IN_PROCESS_TAG: "true"}}
    bounds = {
        RANGE_START_TAG: window.first.isoformat(),
        RANGE_END_TAG: window.last.isoformat(),
    }
    return {"tags": {**bounds, IN_PROCESS_TAG: "true"}}


def _bury_the_dead(instance: DagsterInstance) -> None:
    """Mark runs whose process was killed as failed: we hold the lock, so none of them can be alive."""
    unfinished = dg.RunsFilter(
        job_name=JOB_NAME,
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED],
        tags={IN_PROCESS_TAG: "true"},
    )
    for run in instance.get_runs(unfinished):
        instance.report_run_failed(run, "The process that executed this run ended before the run did.")


def _refuse_broken(result: CloseResult) -> None:
    if result.rejections:
        raise InvalidInput(
            f"{len(result.rejections)} files were rejected, and the rest of {result.window} was closed: "
            + "; ".join(result.rejections[:MAX_NAMED]),
            remedy="Correct the file or take it out of the landing folder, then close again.",
        )
    broken = [check for check in result.checks if check["severity"] == "ERROR" and not check["passed"]]
    if not broken:
        return
    names: list[Any] = [f"{check['asset']}: {check['name']}" for check in broken]
    raise IntegrityError(
        f"the close of {result.window} ended, and {len(names)} of its checks say that an invariant is broken: "
        + "; ".join(names[:MAX_NAMED]),
        remedy="The figures of each check are in the Dagster UI; `counterfoil check` names the rows.",
    )
