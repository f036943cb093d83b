"""The dbt project by itself: its unit tests, its layout, and that dbt does not find our folder in place of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from reconciliation.runs.code_version import project_folder
from reconciliation.runs.dbt_runner import Dbt

pytestmark = pytest.mark.integration


def test_every_matching_stage_keeps_its_rule_in_the_smallest_case(engine: Engine, tmp_path: Path) -> None:
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
    tested = {path.stem for path in (project_folder() / "models").rglob("int_match_stage_*.sql")}
    assert len(tested) == 5
    declared = (project_folder() / "models/intermediate/_intermediate__unit_tests.yml").read_text()
    assert {name for name in tested if f"model: {name}\n" not in declared} == set()
