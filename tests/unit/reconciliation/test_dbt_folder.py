"""The folder `dbt/` must never shadow the package of that name, and its tables must say what ours say."""

from __future__ import annotations

import csv
import re
from importlib.util import find_spec
from pathlib import Path

import yaml

from ledger_core.journal.money import exponent, is_currency
from reconciliation.breaks.identity import KIND_ORDER
from reconciliation.runs.code_version import project_folder

PROJECT = project_folder()
MODELS = sorted((PROJECT / "models").rglob("*.sql"))


def test_dbt_is_the_installed_package_and_not_our_folder() -> None:
    spec = find_spec("dbt")
    assert spec is not None
    assert spec.origin is None or "site-packages" in spec.origin
    assert "site-packages" in str(next(iter(spec.submodule_search_locations or ())))
    assert not list(PROJECT.rglob("*.py"))
    assert not {"adapters", "cli", "parser", "task", "include"} & {path.name for path in PROJECT.iterdir()}


def test_the_seed_of_currencies_is_the_table_of_the_ledger() -> None:
    rows = list(csv.DictReader((PROJECT / "seeds" / "currencies.csv").read_text().splitlines()))
    assert {row["code"]: int(row["exponent"]) for row in rows} == {
        row["code"]: exponent(row["code"]) for row in rows if is_currency(row["code"])
    }
    assert all(int(row["scale"]) == 10 ** int(row["exponent"]) for row in rows)
    assert {"USD", "JPY", "KWD", "CLF"} <= {row["code"] for row in rows}


def test_every_mart_has_a_grain_sentence_a_contract_and_a_key_or_a_test_on_it() -> None:
    declared = {
        model["name"]: model
        for model in yaml.safe_load((PROJECT / "models/marts/_marts__models.yml").read_text())["models"]
    }
    marts = [path for path in MODELS if path.parent.name == "marts"]
    assert {path.stem for path in marts} == set(declared)
    for path in marts:
        assert path.read_text().startswith("-- Grain: one row per "), path.name
        model = declared[path.stem]
        unique = [test for test in model.get("data_tests", []) if "unique_combination" in test]
        unique += [column for column in model["columns"] if "unique" in column.get("data_tests", [])]
        unique += [each for each in model.get("constraints", []) if each["type"] == "primary_key" and each["columns"]]
        assert len(unique) == 1, f"{path.stem} has no key, and no test on its grain"
        assert all("data_type" in column for column in model["columns"]), path.stem


def test_no_model_reads_a_truth_file_a_clock_or_a_float() -> None:
    for path in [*MODELS, *(PROJECT / "macros").rglob("*.sql"), *(PROJECT / "data_tests").rglob("*.sql")]:
        code = re.sub(r"--.*|\{#.*?#\}", "", path.read_text(), flags=re.DOTALL if path.parent.name == "macros" else 0)
        forbidden = r"\b(truth|now\(\)|current_date|current_timestamp|float8?|real|double precision|random\(\))\b"
        assert not re.search(forbidden, code), path.name


def test_only_staging_names_sources() -> None:
    for path in MODELS:
        if "staging" not in path.parts:
            assert "source(" not in path.read_text(), path.name


def test_the_kinds_of_ids_are_believed_in_the_order_in_which_they_are_tried() -> None:
    macro = (PROJECT / "macros" / "match_kinds.sql").read_text()
    tried = re.findall(r"'kind': '(\w+)'", macro)
    assert tuple(tried) == KIND_ORDER[: len(tried)]


def test_what_any_part_of_a_run_finds_makes_it_incomplete() -> None:
    parts = {path.stem for path in MODELS if path.stem.startswith("int_") and path.stem.endswith("_findings")}
    whole = (PROJECT / "models/marts/fct_source_findings.sql").read_text()
    assert parts == set(re.findall(r"\bint_\w+_findings\b", whole))


def test_models_stay_readable() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in MODELS}
    assert max(lengths.values()) <= 400, lengths
    assert Path(PROJECT / "dbt_project.yml").exists()
