"""Group `landing`: the files that wait in the home become raw rows, as they came."""

# Without the future import of annotations: Dagster reads the type of `context` from the function itself.
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.assets.step import RESOURCES, step
from orchestration.sources import contracts, unknown_folders, waiting_files

if TYPE_CHECKING:
    from ingest.contract.vocabulary import Contract
    from ingest.landing.land import LandedFile
    from ledger_core.runtime import Runtime

GROUP = "landing"
OWNER = "team:data-engineering"
FILES = dg.AssetKey(["raw", "current_files"])
REGISTERS = ("control_totals", "quarantine")


def landing_assets(contract: "Contract", days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset that lands one source: one output for each of its raw tables."""
    tables = {record_type.name: _table_key(record_type.table) for record_type in contract.record_types}
    first = next(iter(tables.values()))
    checks = [
        dg.AssetCheckSpec(
            "accepted_and_quarantined_are_what_was_read",
            asset=first,
            description="Every row that was read stands in the raw table or in quarantine: nothing half-lands.",
            blocking=True,
        ),
        dg.AssetCheckSpec(
            "no_file_was_rejected",
            asset=first,
            description="Every file that waited could be read as what it claims to be.",
        ),
    ]

    @dg.multi_asset(
        name=f"land_{contract.source}",
        specs=[
            dg.AssetSpec(
                key,
                group_name=GROUP,
                owners=[OWNER],
                kinds={"postgres", contract.format},
                description=f"Raw rows of `{contract.source}`, as they came: " + ", ".join(record_type.reports),
                code_version=str(contract.parser_version),
            )
            for record_type, key in zip(contract.record_types, tables.values(), strict=True)
        ],
        check_specs=checks,
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=RESOURCES,
    )
    def land_source(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        with step(context) as current:
            files = land_waiting(current.runtime, contract.source)
        for name, key in tables.items():
            results = _check_results(first, files) if key == first else []
            landed = [file for file in files if file.record_type == name]
            rejected = [str(file.error) for file in files if file.status == "rejected"]
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={**landing_metadata(landed, current.seconds), "rejections": rejected},
                check_results=results,
            )

    return land_source


def register_asset(days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset of the register: which files there are, their control totals and what was quarantined."""
    known = contracts()
    upstream = [_table_key(record.table) for contract in known.values() for record in contract.record_types]
    keys = [FILES, *(dg.AssetKey(["raw", name]) for name in REGISTERS)]
    about = ("Every file that was landed.", "Totals that files state of themselves.", "Rows kept out, with reasons.")

    @dg.multi_asset(
        name="landing_register",
        specs=[
            dg.AssetSpec(
                key, deps=upstream, group_name=GROUP, owners=[OWNER], kinds={"postgres"}, description=description
            )
            for key, description in zip(keys, about, strict=True)
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "control_totals_hold",
                asset=keys[1],
                description="What a file says about itself is what was read; a failure makes the verdict `incomplete`.",
            ),
            dg.AssetCheckSpec(
                "landing_folders_have_a_source",
                asset=FILES,
                description="No folder under `landing/` is passed over because its name is no source.",
            ),
        ],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=RESOURCES,
    )
    def landing_register(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        with step(context) as current:
            counts = register_counts(current.runtime)
            strangers = unknown_folders(current.runtime.home, {*known, "entries"})
        yield dg.MaterializeResult(
            asset_key=FILES,
            metadata={"dagster/row_count": counts["files"], "files": counts["files"]},
            check_results=[
                dg.AssetCheckResult(
                    asset_key=FILES,
                    check_name="landing_folders_have_a_source",
                    passed=not strangers,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"folders": strangers, "sources": sorted(known)},
                )
            ],
        )
        yield dg.MaterializeResult(
            asset_key=keys[1],
            metadata={"dagster/row_count": counts["control_totals"]},
            check_results=[
                dg.AssetCheckResult(
                    asset_key=keys[1],
                    check_name="control_totals_hold",
                    passed=counts["failed_totals"] == 0,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"failed": counts["failed_totals"], "of": counts["control_totals"]},
                )
            ],
        )
        yield dg.MaterializeResult(asset_key=keys[2], metadata={"dagster/row_count": counts["quarantine"]})

    return landing_register


def land_waiting(runtime: "Runtime", source: str) -> list["LandedFile"]:
    """Land what waits for `source` in the home; files that were landed before are named again and change nothing."""
    from ingest.landing.land import land

    landed: list[LandedFile] = []
    for account, paths in waiting_files(runtime.home, source).items():
        landed += land(runtime, source=source, paths=paths, account=account, book=runtime.settings.book)
    return landed


def landing_metadata(files: list["LandedFile"], seconds: float) -> dict[str, Any]:
    """Return the figures of one record type's landing under keys that never change, so that they plot."""
    new = [file for file in files if file.status == "landed"]
    return {
        "files": len(files),
        "files_landed": len(new),
        "files_known_before": sum(1 for file in files if file.status == "already_landed"),
        "rows_landed": sum(file.accepted for file in new),
        "rows_quarantined": sum(file.quarantined for file in new),
        "dagster/partition_row_count": sum(file.accepted for file in new),
        "duration_seconds": seconds,
    }


def register_counts(runtime: "Runtime") -> dict[str, int]:
    """Return how many files, totals, failed totals and quarantined rows the book has."""
    from sqlalchemy import text

    statement = """
        with files as (select file_id from raw.current_files where book = :book),
        totals as (select passed from raw.control_totals inner join files using (file_id))
        select
            (select count(*) from files) as files,
            (select count(*) from totals) as control_totals,
            (select count(*) from totals where not passed) as failed_totals,
            (select count(*) from raw.quarantine inner join files using (file_id)) as quarantine
    """
    with runtime.engine.connect() as connection:
        return dict(connection.execute(text(statement), {"book": runtime.settings.book}).mappings().one())


def _check_results(asset: dg.AssetKey, files: list["LandedFile"]) -> list[dg.AssetCheckResult]:
    wrong = [file.name for file in files if file.read != file.accepted + file.quarantined]
    rejected = [str(file.error) for file in files if file.status == "rejected"]
    return [
        dg.AssetCheckResult(
            asset_key=asset,
            check_name="accepted_and_quarantined_are_what_was_read",
            passed=not wrong,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"read": sum(file.read for file in files), "files": wrong},
        ),
        dg.AssetCheckResult(
            asset_key=asset,
            check_name="no_file_was_rejected",
            passed=not rejected,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"rejected": len(rejected), "reasons": rejected},
        ),
    ]


def _table_key(table: str) -> dg.AssetKey:
    return dg.AssetKey(table.split("."))
