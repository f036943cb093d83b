"""Groups `warehouse`, `matching` and `breaks`: the pinned run, its dbt models, and the breaks that it merges.

One step a run: the models are built by one warm, in-process dbt, because a process for each costs ten seconds of
start-up for a second of SQL. The graph still shows every model, and every dbt test as a check on its model.
"""

# Without the future import of annotations: Dagster reads the type of `context` from the function itself.
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.assets.step import RESOURCES, Step, step
from orchestration.dbt_graph import DbtGraph, DbtModel, DbtTest, Key

if TYPE_CHECKING:
    from reconciliation.runs.run import RunResult

OWNER = "team:finance-operations"
RUN = dg.AssetKey(["recon", "runs"])
BREAKS = dg.AssetKey(["recon", "breaks"])
PINS = (dg.AssetKey(["recon", "pins"]), dg.AssetKey(["recon", "pin_files"]))
DIFFERENCES: Key = ("marts", "fct_differences")
BUILT_AFTER_MERGE = {"fct_breaks", "fct_reconciliation_statement"}
MAX_REASONS = 20
"""Shown with the verdict; the mart of findings has them all."""


def reconciliation_assets(graph: DbtGraph, days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset of a run: pin, models, breaks and the run's own record."""
    tests = {test.name: test for test in graph.tests}

    @dg.multi_asset(
        name="reconcile",
        specs=[*_own_specs(graph), *(model_spec(model) for model in graph.models)],
        check_specs=[*(test_spec(test) for test in graph.tests), *_own_checks()],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=RESOURCES,
    )
    def reconcile(context: dg.AssetExecutionContext) -> Iterator[Any]:
        with step(context) as current:
            result = match(current)
        yield from _results(graph, tests, result, current.seconds)

    return reconcile


def match(current: Step) -> "RunResult":
    """Reconcile up to the last day of the window, unless that day was closed and nothing has come in since."""
    from reconciliation.runs.run import reconcile
    from reconciliation.runs.standing import standing_run

    book = current.runtime.settings.book
    with current.runtime.engine.connect() as connection:
        standing = standing_run(connection, book, current.window.last)
    return standing or reconcile(current.runtime, to=current.window.last, book=book, progress=current.say)


def model_spec(model: DbtModel) -> dg.AssetSpec:
    """Return the asset of one dbt model; its code version is the digest of its SQL."""
    columns = [
        dg.TableColumn(name, type=kind or "text", description=description) for name, kind, description in model.columns
    ]
    return dg.AssetSpec(
        list(model.key),
        deps=[list(key) for key in model.depends_on],
        group_name=group_of(model),
        owners=[OWNER],
        kinds={"dbt", "postgres", "view" if model.materialized == "view" else "table"},
        description=model.description,
        code_version=model.checksum[:12],
        metadata={"dagster/column_schema": dg.TableSchema(columns=columns)} if columns else {},
    )


def test_spec(test: DbtTest) -> dg.AssetCheckSpec:
    """Return the check that shows one dbt test on its model."""
    return dg.AssetCheckSpec(
        test.name,
        asset=list(test.model),
        description=test.description or None,
        metadata={"dbt_severity": test.severity},
    )


def group_of(model: DbtModel) -> str:
    """Return the group of a model: what matches, what is a break, and the rest of the warehouse."""
    if model.name in BUILT_AFTER_MERGE:
        return "breaks"
    if model.name.startswith("int_match") or model.name in {"fct_matches", "fct_differences"}:
        return "matching"
    return "warehouse"


def run_metadata(result: "RunResult", seconds: float) -> dict[str, Any]:
    """Return the figures of a run under keys that never change, so that they plot."""
    return {
        "run_id": result.run_id,
        "created": result.created,
        "as_of": str(result.as_of),
        "verdict": result.verdict,
        "reasons": _reasons(result),
        "match_rate": float(result.match_rate),
        "break_count": sum(result.breaks_by_class.values()),
        "pending_count": result.pending,
        "duration_seconds": seconds,
        "summary": dg.MetadataValue.md(_summary(result)),
    }


def _own_specs(graph: DbtGraph) -> list[dg.AssetSpec]:
    after = [list(model.key) for model in graph.models if model.key == DIFFERENCES]
    common = {"owners": [OWNER], "kinds": {"python", "postgres"}}
    return [
        *(
            dg.AssetSpec(
                key,
                deps=[["raw", "current_files"], ["ledger", "posted_entries"]],
                group_name="warehouse",
                description="What the run reads: its clock, the signed size of the book and the set of files.",
                **common,
            )
            for key in PINS
        ),
        dg.AssetSpec(
            BREAKS,
            deps=after,
            group_name="breaks",
            description="Breaks with a life of their own: a difference found again is the same break.",
            **common,
        ),
        dg.AssetSpec(
            RUN,
            deps=[BREAKS, *([list(model.key) for model in graph.models if model.name in BUILT_AFTER_MERGE])],
            group_name="breaks",
            description="The run's manifest, appended to the log as a `reconciliation_run` record.",
            **common,
        ),
    ]


def _own_checks() -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            "no_open_breaks", asset=BREAKS, description="Nothing differs. A break warns, it does not fail."
        ),
        dg.AssetCheckSpec(
            "verdict_is_reconciled",
            asset=RUN,
            description="`reconciled`, or `reconciled_with_pending`; else a warning.",
        ),
    ]


def _results(
    graph: DbtGraph, tests: Mapping[str, DbtTest], result: "RunResult", seconds: float
) -> Iterator[dg.MaterializeResult]:
    """Yield every asset after what feeds it: pin, models, breaks, what reads the breaks, the run."""
    nodes: Mapping[str, Any] = {node.name: node for node in result.nodes}
    late = _fed_by_breaks(graph)
    for key in PINS:
        yield dg.MaterializeResult(asset_key=key, metadata={"as_of": str(result.as_of)})
    for model in graph.models:
        if model.key not in late:
            yield _model_result(model, tests, nodes)
    yield _breaks_result(result)
    for model in graph.models:
        if model.key in late:
            yield _model_result(model, tests, nodes)
    yield _run_result(result, seconds)


def _fed_by_breaks(graph: DbtGraph) -> set[Key]:
    fed: set[Key] = {("recon", "breaks")}
    for model in graph.models:
        if fed & set(model.depends_on):
            fed.add(model.key)
    return fed


def _model_result(model: DbtModel, tests: Mapping[str, DbtTest], nodes: Mapping[str, Any]) -> dg.MaterializeResult:
    node = nodes.get(model.name)
    metadata = {} if node is None else {"duration_seconds": round(node.seconds, 3)}
    if node is not None and node.rows is not None:
        metadata["dagster/row_count"] = node.rows
    return dg.MaterializeResult(
        asset_key=list(model.key),
        metadata={**metadata, "built": node is not None},
        check_results=_test_results(tests.values(), model, nodes),
    )


def _test_results(tests: Any, model: DbtModel, nodes: Mapping[str, Any]) -> Sequence[dg.AssetCheckResult]:
    results = []
    for test in tests:
        if test.model != model.key:
            continue
        node = nodes.get(test.name)
        warns = test.severity == "warn" or (node is not None and node.status == "warn")
        results.append(
            dg.AssetCheckResult(
                asset_key=list(model.key),
                check_name=test.name,
                # Not run means: the run was found made already, and it stands only because its tests passed.
                passed=node is None or node.status in {"pass", "success"},
                severity=dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
                metadata={"failures": getattr(node, "failures", 0) or 0, "run": node is not None},
            )
        )
    return results


def _breaks_result(result: "RunResult") -> dg.MaterializeResult:
    figures = {"break_count": sum(result.breaks_by_class.values()), "by_class": dict(result.breaks_by_class)}
    check = dg.AssetCheckResult(
        asset_key=BREAKS,
        check_name="no_open_breaks",
        passed=figures["break_count"] == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=figures,
    )
    return dg.MaterializeResult(asset_key=BREAKS, metadata=figures, check_results=[check])


def _run_result(result: "RunResult", seconds: float) -> dg.MaterializeResult:
    check = dg.AssetCheckResult(
        asset_key=RUN,
        check_name="verdict_is_reconciled",
        passed=result.verdict in {"reconciled", "reconciled_with_pending"},
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"verdict": result.verdict, "reasons": _reasons(result)},
    )
    return dg.MaterializeResult(asset_key=RUN, metadata=run_metadata(result, seconds), check_results=[check])


def _reasons(result: "RunResult") -> list[dict[str, str]]:
    return [dict(reason) for reason in result.reasons[:MAX_REASONS]]


def _summary(result: "RunResult") -> str:
    rows = "\n".join(f"| {name} | {count} |" for name, count in sorted(result.breaks_by_class.items()))
    return f"**{result.verdict}** as of {result.as_of}\n\n| class | breaks |\n| --- | --- |\n{rows}"
