"""The recipes name files and settings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
SECTIONS = {text.partition("\n")[0]: text for text in re.split(r"^## ", RECIPES, flags=re.MULTILINE)[1:]}


@pytest.mark.parametrize("title", SECTIONS)
def test_a_recipe_names_its_files_and_a_test_and_all_of_them_exist(title: str) -> None:
    paths = re.findall(r"`([\w./-]+/[\w./-]*)`", SECTIONS[title])
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [path for path in paths if path.startswith("tests/")] != []
    steps = re.findall(r"^(\d+)\. ", SECTIONS[title], flags=re.MULTILINE)
    assert steps[0] == "1"
    assert len(steps) >= 2


@pytest.mark.parametrize("title", SECTIONS)
def test_a_recipes_names_of_code_stand_in_a_file_that_it_names(title: str) -> None:
    text = SECTIONS[title]
    named = re.findall(r"`([A-Za-z_]*[A-Z_][A-Za-z_]*)`", text)
    files = [ROOT / path for path in re.findall(r"`([\w./-]+/[\w.-]+\.\w+)`", text)]
    # Of a folder of fixtures, the files in it: a recipe's example has its names there.
    for path in re.findall(r"`(tests/fixtures/[\w./-]+)`", text):
        files += [path for path in (ROOT / path).rglob("*") if path.suffix in {".py", ".sql", ".yml"}]
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    environment = [word for word in named if word.startswith("COUNTERFOIL_")]
    assert [word for word in named if word not in code and word not in environment] == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [word for word in environment if word not in readme] == []
