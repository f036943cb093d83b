"""The dbt project as a graph, from a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestration.dbt_graph import DbtGraph, fingerprint, graph_of, head_comment, load_graph


def test_models_stand_after_what_feeds_them_and_name_their_sources() -> None:
    graph = graph_of(_manifest())
    assert [model.key for model in graph.models] == [
        ("staging", "stg_files"),
        ("marts", "fct_a"),
        ("marts", "fct_b"),
    ]
    assert graph.models[0].depends_on == (("raw", "files"),)
    assert graph.models[2].depends_on == (("marts", "fct_a"), ("staging", "stg_files"))


def test_a_test_of_one_model_stands_on_it_and_a_singular_one_on_the_last_that_it_reads() -> None:
    tests = {test.name: test for test in graph_of(_manifest()).tests}
    assert tests["unique_fct_a_id"].model == ("marts", "fct_a")
    assert tests["assert_a_and_b_agree"].model == ("marts", "fct_b")
    assert tests["assert_a_and_b_agree"].severity == "warn"


def test_a_test_on_a_source_alone_has_no_model_to_stand_on() -> None:
    manifest = _manifest()
    manifest["nodes"]["test.source"] = _test("not_null_raw_files_id", ["source.files"], None)
    assert "not_null_raw_files_id" not in {test.name for test in graph_of(manifest).tests}


def test_disabled_models_are_not_in_the_graph() -> None:
    manifest = _manifest()
    manifest["nodes"]["model.b"]["config"]["enabled"] = False
    assert [model.name for model in graph_of(manifest).models] == ["stg_files", "fct_a"]


def test_an_unchanged_project_is_parsed_once_and_a_changed_one_again(tmp_path: Path) -> None:
    project, cache = tmp_path / "dbt", tmp_path / "cache"
    (project / "models").mkdir(parents=True)
    (project / "models" / "a.sql").write_text("select 1")
    parsed: list[int] = []

    def parse() -> dict[str, Any]:
        parsed.append(1)
        return _manifest()

    first, second = load_graph(project, cache, parse), load_graph(project, cache, parse)
    assert isinstance(first, DbtGraph)
    assert first == second == graph_of(_manifest())
    assert len(parsed) == 1
    (project / "models" / "a.sql").write_text("select 2")
    load_graph(project, cache, parse)
    assert len(parsed) == 2


def test_a_model_without_a_description_is_described_by_its_opening_comment() -> None:
    code = "{{ config(materialized='view') }}\n-- One row per match,\n-- or per group.\nwith a as (\n-- not this\n"
    assert head_comment(code) == "One row per match, or per group."
    assert head_comment("select 1 -- no") == ""


def test_what_dbt_writes_into_its_target_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("select 1")
    before = fingerprint(tmp_path)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "compiled.sql").write_text("select 1")
    assert fingerprint(tmp_path) == before


def _manifest() -> dict[str, Any]:
    return {
        "sources": {"source.files": {"resource_type": "source", "source_name": "raw", "name": "files"}},
        "nodes": {
            "model.b": _model("fct_b", "marts", ["model.a", "model.files"]),
            "model.a": _model("fct_a", "marts", ["model.files"]),
            "model.files": _model("stg_files", "staging", ["source.files"]),
            "test.unique": _test("unique_fct_a_id", ["model.a"], "model.a"),
            "test.singular": _test("assert_a_and_b_agree", ["model.a", "model.b"], None, severity="WARN"),
        },
    }


def _model(name: str, folder: str, parents: list[str]) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "fqn": ["counterfoil", folder, name],
        "description": f"{name} as it is",
        "config": {"enabled": True, "materialized": "table"},
        "checksum": {"checksum": "c" * 64},
        "depends_on": {"nodes": parents},
        "columns": {"id": {"name": "id", "data_type": "bigint", "description": ""}},
    }


def _test(name: str, parents: list[str], attached: str | None, *, severity: str = "ERROR") -> dict[str, Any]:
    return {
        "resource_type": "test",
        "name": name,
        "attached_node": attached,
        "config": {"enabled": True, "severity": severity},
        "depends_on": {"nodes": parents},
        "description": "",
    }
