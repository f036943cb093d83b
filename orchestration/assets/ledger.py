"""Group `ledger`: the company's own postings, through the one write path."""

# Without the future import of annotations: Dagster reads the type of `context` from the function itself.
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.errors import Refused
from orchestration.assets.step import RESOURCES, step
from orchestration.sources import landing_files

if TYPE_CHECKING:
    from ledger_core.files.entries import PostSummary
    from ledger_core.runtime import Runtime

GROUP = "ledger"
OWNER = "team:payments"
ENTRIES = dg.AssetKey(["ledger", "posted_entries"])
BALANCES = dg.AssetKey(["ledger", "posted_balances"])
VIEWS = {
    ENTRIES: "Signed journal entries.",
    dg.AssetKey(["ledger", "posted_postings"]): "Their postings.",
    dg.AssetKey(["ledger", "posted_account_versions"]): "Every version of every account.",
    BALANCES: "Balances, gross and monotone.",
}


def ledger_assets(days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset that posts what waits in `landing/entries` and shows the ledger's signed views."""

    @dg.multi_asset(
        name="post_entries",
        specs=[
            dg.AssetSpec(key, group_name=GROUP, owners=[OWNER], kinds={"postgres"}, description=description)
            for key, description in VIEWS.items()
        ],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=RESOURCES,
    )
    def post_entries(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        with step(context) as current:
            summaries = post_waiting(current.runtime)
            forgotten = current.runtime.forget_old_keys()
            rows = view_counts(current.runtime)
            figures = posting_metadata(summaries, current.seconds) | {"idempotency_keys_forgotten": forgotten}
        for key in VIEWS:
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={"dagster/row_count": rows[key.path[-1]], **(figures if key == ENTRIES else {})},
            )

    return post_entries


def post_waiting(runtime: "Runtime") -> list["PostSummary"]:
    """Post what waits in `landing/entries`; entries that stand already count as done.

    Raises `Refused` for an entry that the books forbid, naming file and line, after the rest of its file was posted.
    """
    from ledger_core.files.entries import post_file

    actor = Actor(subject=runtime.settings.actor)
    ledger = runtime.ledger()
    summaries = []
    for path in landing_files(runtime.home, "entries"):
        summary = post_file(ledger, runtime.engine, path, actor=actor, name=_label(runtime.home, path))
        summaries.append(summary)
        if summary.refused:
            first = summary.errors[0]
            raise Refused(
                f"{summary.refused} entries were refused, the first one: {first.message}",
                file=first.file, line=first.line, pointer=first.pointer,
                remedy="Correct the file and close again: what was posted counts as done.",
            ) from first  # fmt: skip
    return summaries


def posting_metadata(summaries: Sequence["PostSummary"], seconds: float) -> dict[str, int | float]:
    """Return the figures of the night's posting under keys that never change."""
    return {
        "files": len(summaries),
        "entries_read": sum(summary.read for summary in summaries),
        "entries": sum(summary.posted for summary in summaries),
        "entries_known_before": sum(summary.identical for summary in summaries),
        "dagster/partition_row_count": sum(summary.posted for summary in summaries),
        "duration_seconds": seconds,
    }


def view_counts(runtime: "Runtime") -> dict[str, int]:
    """Return how many rows each of the ledger's views has, by its name."""
    statement = """
        select
            (select count(*) from ledger.posted_entries where book = :book) as posted_entries,
            (select count(*) from ledger.posted_postings where book = :book) as posted_postings,
            (select count(*) from ledger.posted_account_versions where book = :book) as posted_account_versions,
            (select count(*) from ledger.posted_balances where book = :book) as posted_balances
    """
    with runtime.engine.connect() as connection:
        return dict(connection.execute(text(statement), {"book": runtime.settings.book}).mappings().one())


def _label(home: Path, path: Path) -> str:
    return str(path.relative_to(home))
