"""Groups `reports` and `archive`: what a night leaves behind for people and for auditors."""

# Without the future import of annotations: Dagster reads the type of `context` from the function itself.
import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from sqlalchemy import Connection, text

from ledger_core.errors import NotFound
from orchestration.assets.reconciliation import RUN
from orchestration.assets.step import RESOURCES, step

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

REPORT = dg.AssetKey(["reports", "reconciliation"])
SEGMENT = dg.AssetKey(["archive", "segment"])


def report_asset(days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset that writes the run's page."""

    @dg.multi_asset(
        name="report",
        specs=[
            dg.AssetSpec(
                REPORT,
                deps=[RUN],
                group_name="reports",
                owners=["team:finance-operations"],
                kinds={"python", "html"},
                description="One self-contained page a run: verdict, match rate, breaks and the way of each item.",
            )
        ],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=RESOURCES,
    )
    def report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        with step(context) as current:
            path = write_report(current.runtime, current.window.last)
        return dg.MaterializeResult(
            asset_key=REPORT,
            metadata={
                "path": dg.MetadataValue.path(path),
                "dagster/uri": path.as_uri(),
                "bytes": path.stat().st_size,
                "duration_seconds": current.seconds,
            },
        )

    return report


def segment_asset(days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset that exports the night's signed segment and verifies what it wrote."""

    @dg.multi_asset(
        name="export",
        specs=[
            dg.AssetSpec(
                SEGMENT,
                deps=[RUN],
                group_name="archive",
                owners=["team:audit"],
                kinds={"python", "file"},
                description="The night's records with checkpoint, keys and signed manifest, verifiable without us.",
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "segment_verifies",
                asset=SEGMENT,
                description="The offline verifier accepts what was written, and nobody else wrote to the archive.",
            )
        ],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=RESOURCES,
    )
    def export(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from ledger_core.evidence.export.segment import export_segment

        with step(context) as current:
            runtime = current.runtime
            result = export_segment(runtime, closed_on=current.window.last, book=runtime.settings.book)
            name = result.uri.removeprefix(f"{runtime.archive.uri}/")
            failures = [*verify_failures(runtime, name), *result.foreign]
        return dg.MaterializeResult(
            asset_key=SEGMENT,
            metadata={
                "path": dg.MetadataValue.path(str(runtime.archive.place(name))),
                "dagster/uri": result.uri,
                "segment": result.segment,
                "first_seq": result.first_seq,
                "next_seq": result.next_seq,
                "records": result.records,
                "created": result.created,
                "duration_seconds": current.seconds,
            },
            check_results=[
                dg.AssetCheckResult(
                    passed=not failures, severity=dg.AssetCheckSeverity.ERROR, metadata={"failures": failures}
                )
            ],
        )

    return export


def write_report(runtime: "Runtime", as_of: date) -> Path:
    """Write the page of the newest run of `as_of` into the home's reports; a page that stands already is left alone."""
    from reconciliation.report import render_report

    with runtime.engine.connect() as connection:
        run_id, ordinal = newest_run(connection, runtime.settings.book, as_of)
        path = runtime.home / "reports" / f"{as_of}-{run_id[:12]}-{ordinal}.html"
        if path.exists():
            return path
        page = render_report(connection, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(page, encoding="utf-8")
    draft.replace(path)
    return path


def newest_run(connection: Connection, book: str, as_of: date) -> tuple[str, int]:
    """Return id and ordinal of the run that was merged last for `as_of`. Raises `NotFound`."""
    found = connection.execute(
        text(
            "select run_id, ordinal from recon.runs where book = :book and as_of = :as_of order by ordinal desc limit 1"
        ),
        {"book": book, "as_of": as_of},
    ).one_or_none()
    if found is None:
        raise NotFound(
            f"there is no reconciliation run as of {as_of}.", remedy=f"`counterfoil reconcile --to {as_of}`."
        )
    return found.run_id, found.ordinal


def verify_failures(runtime: "Runtime", name: str) -> list[str]:
    """Verify the archived segment `name` against the pinned trust, as its reader would; return what fails, in words."""
    from ledger_core.log.verifier import verify_path

    report = verify_path(runtime.archive.place(name), runtime.trust_path)
    return [f"{failure.verdict} at {failure.where}: {failure.detail}" for failure in report.failures]
