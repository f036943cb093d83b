"""The dbt project by itself: its unit tests, what its sources bring, and that every model says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pytest
from sqlalchemy import Engine, text

from ingest.sources import contracts
from ledger_core.errors import IntegrityError
from reconciliation.runs.code_version import project_folder
from reconciliation.runs.dbt_runner import Dbt

pytestmark = pytest.mark.integration

STAGES = (
    "int_match_duplicates", "int_match_equal", "int_match_unequal", "int_match_groups", "int_match_shared",
    "int_match_window", "int_bank_candidates", "int_bank_groups", "int_bank_pairs", "int_bank_window",
    "int_bank_unmatched",
)  # fmt: skip
COLUMNS = """
select relation.relname as relation, attribute.attname as name, format_type(attribute.atttypid, null) as type
from pg_attribute as attribute
inner join pg_class as relation on attribute.attrelid = relation.oid
where relation.relnamespace = 'analytics'::regnamespace and attribute.attnum > 0 and not attribute.attisdropped
order by relation.relname, attribute.attnum
"""


def macro(name: str, *arguments: str) -> Any:
    """Return what a macro of the project returns: dbt's `return` leaves the macro with a value, as here."""
    returned: list[Any] = []
    source = (project_folder() / f"macros/{name}.sql").read_text()
    template = jinja2.Environment(autoescape=False).from_string(source, globals={"return": returned.append})
    getattr(template.module, name)(*arguments)
    return returned[0]


def test_the_project_keeps_its_rules_and_says_what_it_is(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into recon.pins (target_schema, run_id, book, as_of, signed_size, grace_business_days,"
                " provider_account) values ('analytics', repeat('0', 64), 'main', '2026-10-31', 0, 5, 'default')"
            )
        )
    dbt = Dbt(home=tmp_path, database_url=engine.url.render_as_string(hide_password=False))
    # A unit test reads the columns of its model's inputs: they stand, empty.
    dbt.build()
    results = dbt.test(select=("test_type:unit",))
    assert {result.name: result.message for result in results if result.status != "pass"} == {}
    built: dict[str, dict[str, str]] = {}
    with engine.connect() as connection:
        for row in connection.execute(text(COLUMNS)):
            built.setdefault(row.relation, {})[row.name] = row.type
    _assert_staging_is_canonical(built)
    _assert_everything_is_described(dbt.manifest(), built)


def test_a_table_is_put_in_place_whole_or_not_at_all(engine: Engine, tmp_path: Path) -> None:
    dbt = Dbt(home=tmp_path, database_url=engine.url.render_as_string(hide_password=False))
    dbt.build(select=("+dim_rule_versions",))

    def run(statement: str) -> None:
        with engine.begin() as connection:
            connection.execute(text("set local role counterfoil_dbt"))
            connection.execute(text(statement))

    def rules() -> int:
        with engine.connect() as connection:
            return int(connection.execute(text("select count(*) from analytics.dim_rule_versions")).scalar_one())

    before = rules()
    # What a release made a view of is a table in the next.
    run("drop table analytics.dim_rule_versions")
    run("create view analytics.dim_rule_versions as select 1 as leg")
    dbt.build(select=("dim_rule_versions",))
    assert rules() == before
    run("insert into analytics.match_rules select * from analytics.match_rules where rule = 'payout_reference'")
    with pytest.raises(IntegrityError, match=r"dim_rule_versions .*violates unique constraint .*\(leg, rule\)"):
        dbt.build(select=("dim_rule_versions",))
    assert rules() == before
    run("update analytics.match_rules set description = null")
    with pytest.raises(IntegrityError, match=r"dim_rule_versions .*violates not-null constraint"):
        dbt.build(select=("dim_rule_versions",))
    run("drop table analytics.match_rules cascade")
    dbt.build(select=("+dim_rule_versions",))
    assert rules() == before


def _assert_staging_is_canonical(built: Mapping[str, Mapping[str, str]]) -> None:
    """Assert that each source brings every canonical table of its kind, with exactly the declared columns."""
    expected = {
        f"stg_{source}__{name}": table["columns"]
        for name, table in macro("canonical_tables").items()
        for source in macro("sources_of_kind", table["kind"])
    }
    assert {name: built.get(name) for name in expected} == expected
    records = set(macro("canonical_tables"))
    assert {name for name in built if name.startswith("stg_") and name.split("__")[1] in records} == set(expected), (
        "a staging model of a source that `sources_of_kind` does not list"
    )


def _assert_everything_is_described(manifest: Mapping[str, Any], built: Mapping[str, Mapping[str, str]]) -> None:
    """Assert that dbt's docs show what a row of every model is, and columns that the model really has."""
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed")]
    assert [node["name"] for node in nodes if not node["description"].startswith("One row")] == []
    columns = {(node["name"], name): column for node in nodes for name, column in node["columns"].items()}
    assert [key for key in columns if key[1] not in built[key[0]]] == []
    staged = [node for node in nodes if "staging" in node["fqn"] or "intermediate" in node["fqn"]]
    assert [node["name"] for node in staged if not node["columns"]] == []
    undescribed = [
        (node["name"], name) for node in staged for name, of in node["columns"].items() if not of["description"]
    ]
    assert undescribed == []
    canonical = set(macro("canonical_tables"))
    partly = [
        node["name"]
        for node in staged
        if node["name"].split("__")[-1] in canonical and set(node["columns"]) != set(built[node["name"]])
    ]
    assert partly == [], "the yml of a canonical staging model describes each of its columns"


def test_every_source_stands_under_the_kind_that_its_contract_declares() -> None:
    for kind in ("psp", "bank", "rail"):
        declared = [name for name, contract in contracts().items() if contract.kind == kind]
        assert sorted(macro("sources_of_kind", kind)) == declared


def test_every_stage_of_the_waterfall_has_a_unit_test_and_sql_names_no_source() -> None:
    folder = project_folder() / "models/intermediate"
    unit_tests = "".join(path.read_text() for path in sorted(folder.glob("*__unit_tests.yml")))
    for stage in STAGES:
        assert (project_folder() / f"models/intermediate/{stage}.sql").exists()
        assert f"model: {stage}\n" in unit_tests
    shared = [*project_folder().glob("models/intermediate/*.sql"), *project_folder().glob("models/marts/*.sql")]
    shared += [*project_folder().glob("models/staging/r*/*.sql"), *project_folder().glob("data_tests/*.sql")]
    names = {*contracts(), *(contract.provider for contract in contracts().values() if contract.provider)}
    assert [(path.name, name) for path in shared for name in names if name in path.read_text()] == []
