"""Every asset and check of the graph, gathered."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from expectations.suites import all_suites
from orchestration.assets.landing import landing_assets, register_asset
from orchestration.assets.ledger import ledger_assets
from orchestration.assets.outputs import report_asset, segment_asset
from orchestration.assets.quality import suite_checks
from orchestration.assets.reconciliation import reconciliation_assets
from orchestration.dbt_graph import DbtGraph
from orchestration.sources import contracts

REFERENCE = {
    ("raw", "sources"): "Every record type of a source, with its kind and its units: a mirror of the contracts.",
    ("raw", "bank_claims"): "Which bank lines are a provider's: a mirror of the providers' contracts.",
    ("raw", "canonical_events"): "The providers' types and what they mean: a mirror of the sources' contracts.",
}


def assets_of(graph: DbtGraph, days: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return every asset that the close makes."""
    return [
        *(landing_assets(contract, days) for contract in contracts().values()),
        register_asset(days),
        ledger_assets(days),
        reconciliation_assets(graph, days),
        report_asset(days),
        segment_asset(days),
    ]


def checks_of() -> list[dg.AssetChecksDefinition]:
    """Return the checks that stand on assets of other steps."""
    return [suite_checks(all_suites())]


def reference_specs(graph: DbtGraph, assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetSpec]:
    """Return what models read and no step of the close makes, so that lineage shows where it comes from."""
    made = {key for definition in assets for key in definition.keys}
    wanted = sorted({key for model in graph.models for key in model.depends_on if dg.AssetKey(list(key)) not in made})
    return [
        dg.AssetSpec(
            list(key),
            group_name="reference",
            kinds={"postgres"},
            description=REFERENCE.get(key, f"Table {key[0]}.{key[1]}, which the close reads and does not make."),
        )
        for key in wanted
    ]
