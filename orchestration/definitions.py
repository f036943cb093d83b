"""The graph of the nightly close, from landed files to the signed segment: the one entry point of Dagster.

Importing costs Dagster and nothing else; the definitions are made when they are loaded. One job closes a day or a range
of days, one schedule starts it at the cut-off, and `counterfoil close` executes the very same job in its own process.
"""

from __future__ import annotations

from datetime import date

import dagster as dg

from ledger_core.settings import Settings, load_settings
from orchestration.partitions import CUT_OFF_CRON, days_from, previous_day

JOB_NAME = "nightly_close"


@dg.definitions
def defs() -> dg.Definitions:
    """Load the graph for the home and database that the environment names."""
    return build_definitions(load_settings())


def build_definitions(
    settings: Settings,
    *,
    first_on: date | None = None,
    runtime: dg.ResourceDefinition | None = None,
    progress: dg.ResourceDefinition | None = None,
) -> dg.Definitions:
    """Return the whole graph, with a partition a day from `first_on`, else from the first day that has data.

    `runtime` and `progress` replace the resources, for a process that has them already.
    """
    from ledger_core.runtime import system_clock
    from orchestration.assets.graph import assets_of, checks_of, reference_specs
    from orchestration.dbt_graph import project_graph
    from orchestration.first_day import first_day
    from orchestration.resources import progress_resource, runtime_resource

    days = days_from(first_on or first_day(settings, system_clock().date()))
    graph = project_graph(settings)
    assets = assets_of(graph, days)
    job = dg.define_asset_job(
        JOB_NAME,
        selection=dg.AssetSelection.all(),
        executor_def=dg.in_process_executor,
        description="Land, post, build, match, check, report and export: a day, or a range of days as one.",
    )
    return dg.Definitions(
        assets=[*assets, *reference_specs(graph, assets)],
        asset_checks=checks_of(),
        jobs=[job],
        schedules=[cut_off(settings)],
        resources={
            "runtime": runtime or runtime_resource(settings),
            "progress": progress or progress_resource(),
        },
        executor=dg.in_process_executor,
    )


def cut_off(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule that closes the day before each cut-off."""

    def close_yesterday(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        day = previous_day(context.scheduled_execution_time.date()).isoformat()
        return dg.RunRequest(run_key=day, partition_key=day)

    return dg.ScheduleDefinition(
        name=JOB_NAME,
        job_name=JOB_NAME,
        cron_schedule=CUT_OFF_CRON,
        execution_timezone="UTC",
        description="Closes yesterday at the cut-off, 02:00 UTC.",
        execution_fn=close_yesterday,
        # A trial home must not close days by itself; an installation that means it says `production`.
        default_status=(dg.DefaultScheduleStatus.RUNNING if settings.strict else dg.DefaultScheduleStatus.STOPPED),
    )
