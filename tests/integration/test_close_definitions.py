"""The graph as Dagster loads it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from ledger_core.actor import Actor
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import parse_entry
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime
from ledger_core.settings import Settings
from ledger_core.settings.rooms import OrchestrationSettings

pytestmark = pytest.mark.integration

GROUPS = {"landing", "ledger", "warehouse", "matching", "breaks", "reports", "archive"}


@pytest.fixture(scope="module")
def settings_of_graph(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home_path=tmp_path_factory.mktemp("graph"), database_url=None, env="test")


def test_importing_the_definitions_is_quick_and_brings_nothing_heavy() -> None:
    code = (
        "import sys, time; started = time.process_time(); import orchestration.definitions;"
        "heavy = {'great_expectations', 'dbt', 'pandas', 'scipy', 'ingest', 'reconciliation'} & set(sys.modules);"
        "print(time.process_time() - started); sys.exit(len(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert float(done.stdout) < 3.0


def test_the_graph_loads_without_a_database_and_shows_every_model_with_its_parents(settings_of_graph: Settings) -> None:
    from orchestration.dbt_graph import project_graph
    from orchestration.definitions import build_definitions

    graph = build_definitions(settings_of_graph).resolve_asset_graph()
    shown = {tuple(key.path) for key in graph.get_all_asset_keys()}
    models = project_graph(settings_of_graph).models
    assert len(models) > 30
    for model in models:
        assert model.key in shown
        assert set(model.depends_on) <= shown


def test_every_asset_that_is_made_has_a_group_an_owner_a_kind_a_description_and_days(
    settings_of_graph: Settings,
) -> None:
    from orchestration.definitions import build_definitions

    graph = build_definitions(settings_of_graph).resolve_asset_graph()
    made = [graph.get(key) for key in graph.get_all_asset_keys() if graph.get(key).is_materializable]
    assert {node.group_name for node in made} == GROUPS
    for node in made:
        assert node.owners, node.key
        assert node.kinds, node.key
        assert node.description, node.key
        assert node.partitions_def is not None, node.key
        assert node.backfill_policy is not None, node.key
        assert node.backfill_policy.max_partitions_per_run is None, node.key


def test_every_dbt_test_and_every_expectation_is_a_check(settings_of_graph: Settings) -> None:
    from expectations.suites import all_suites
    from orchestration.dbt_graph import project_graph
    from orchestration.definitions import build_definitions

    graph = build_definitions(settings_of_graph).resolve_asset_graph()
    shown = {key.name for key in graph.asset_check_keys}
    assert {test.name for test in project_graph(settings_of_graph).tests} <= shown
    assert {each.name for suite in all_suites() for each in suite.expectations} <= shown


def test_a_range_is_told_to_dagster_by_the_tags_that_it_knows() -> None:
    from dagster._core.storage import tags

    from orchestration import close

    known = (tags.ASSET_PARTITION_RANGE_START_TAG, tags.ASSET_PARTITION_RANGE_END_TAG)
    assert known == (close.RANGE_START_TAG, close.RANGE_END_TAG)


def test_loading_again_reads_the_graph_and_parses_nothing(
    settings_of_graph: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration.dbt_graph import project_graph
    from reconciliation.runs.dbt_runner import Dbt

    found = project_graph(settings_of_graph)

    def parse(dbt: Dbt) -> dict[str, object]:
        raise AssertionError("it was parsed already")

    monkeypatch.setattr(Dbt, "manifest", parse)
    assert project_graph(settings_of_graph) == found
    assert len(list((Path(settings_of_graph.home) / "dagster").glob("dbt-graph-*.json"))) == 1


def test_the_schedule_closes_yesterday_and_only_production_starts_it_by_itself(settings_of_graph: Settings) -> None:
    import dagster as dg

    from orchestration.definitions import build_definitions

    for env, status in (("test", "STOPPED"), ("production", "RUNNING")):
        settings = settings_of_graph.model_copy(
            update={"env": env, "orchestration": OrchestrationSettings(first_close_on=date(2026, 10, 1))}
        )
        definitions = build_definitions(settings)
        schedule = definitions.resolve_schedule_def("nightly_close")
        assert schedule.default_status.value == status
        assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "UTC")
        context = dg.build_schedule_context(
            scheduled_execution_time=datetime(2026, 11, 1, 2, tzinfo=UTC),
            repository_def=definitions.get_repository_def(),
        )
        (request,) = schedule.evaluate_tick(context).run_requests or []
        assert request.partition_key == "2026-10-31"


def days_of(settings: Settings) -> list[str]:
    from orchestration.definitions import build_definitions

    graph = build_definitions(settings).resolve_asset_graph()
    (days,) = {graph.get(key).partitions_def for key in graph.get_all_asset_keys() if graph.get(key).is_materializable}
    return list(days.get_partition_keys())


def test_the_days_begin_with_the_first_that_any_file_or_entry_carries_and_move_back_with_older_ones(
    settings: Settings, engine: Engine, runtime: Runtime
) -> None:
    today = datetime.now(UTC).date()
    yesterday = today - timedelta(days=1)
    # Without data: what the next cut-off closes, and today.
    assert days_of(settings) == [yesterday.isoformat(), today.isoformat()]
    land(engine, "main", first_on=today - timedelta(days=30))
    assert days_of(settings)[0] == (today - timedelta(days=30)).isoformat()
    land(engine, "other", first_on=today - timedelta(days=300))
    post(runtime, today - timedelta(days=45))
    assert days_of(settings)[0] == (today - timedelta(days=45)).isoformat()
    assert len(days_of(settings)) == 46
    land(engine, "main", first_on=today - timedelta(days=20), interval_from=today - timedelta(days=60))
    assert days_of(settings)[0] == (today - timedelta(days=60)).isoformat()
    # What is said by hand wins, in either direction.
    for said in (today - timedelta(days=5), today - timedelta(days=400)):
        assert (
            days_of(settings.model_copy(update={"orchestration": OrchestrationSettings(first_close_on=said)}))[0]
            == said.isoformat()
        )


def test_a_database_that_was_never_migrated_has_no_first_day(postgres: tuple[EmbeddedPostgres, int]) -> None:
    from orchestration.first_day import first_day_with_data

    embedded, port = postgres
    bare = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    with bare.connect() as connection:
        assert first_day_with_data(connection, "main") is None
    bare.dispose()


def land(engine: Engine, book: str, *, first_on: date, interval_from: date | None = None) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into raw.files (file_id, book, source, provider, account, name, sha256, stored_sha256, bytes,"
                " object_name, received_at, record_type, parser_version, status, rows_read, rows_accepted,"
                " rows_quarantined, first_on, last_on, interval_from, interval_to)"
                " values (:id, :book, 'stripe_report', 'stripe', 'default', 'f', :sha, :sha, 1, 'o', now(), 'x', 1,"
                " 'landed', 1, 1, 0, :first, :first, :from, :first)"
            ),
            {"id": (made := uuid4()), "book": book, "sha": made.hex * 2, "first": first_on, "from": interval_from},
        )


def post(runtime: Runtime, day: date) -> None:
    actor = Actor(subject="tests")
    ledger = runtime.ledger()
    codes = ("assets:bank:main:usd", "revenue:sales:usd")
    drafts = [
        account_draft(code=code, type=kind, currency="USD")
        for code, kind in zip(codes, ("asset", "revenue"), strict=True)
    ]
    apply_accounts(ledger, drafts, Ask(actor=actor))
    entry = {
        "effective_at": f"{day}T23:30:00Z",
        "external_id": "one",
        "description": "a sale",
        "postings": [
            {"account": codes[0], "direction": "debit", "amount": "100", "currency": "USD"},
            {"account": codes[1], "direction": "credit", "amount": "100", "currency": "USD"},
        ],
        "metadata": {},
    }
    ledger.append([parse_entry(entry)], Ask(actor=actor))
