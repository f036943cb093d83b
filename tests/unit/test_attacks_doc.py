"""docs/attacks.md and docs/tampering.md: every attack names a test that exists, every attack of the suite is named.

Only the table is read here: whether a named test does what its line says is for its reader.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("docs/attacks.md", "docs/tampering.md")
SOUND = (
    "test_an_untouched_archive_verifies",
    "test_an_untouched_company_is_sound",
    "test_what_nobody_touched_verifies_and_checks",
)
"""Of the tamper suite, what shows that nothing is found where nobody was."""
LINE = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| `(tests/[\w/]+\.py)::(\w+)` \|$")


def test_every_attack_names_a_test_that_exists():
    rows = [
        line
        for page in PAGES
        for line in (ROOT / page).read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith(("| n |", "| --- |"))
    ]
    wrong = []
    for row in rows:
        parts = LINE.match(row)
        if parts is None:
            wrong.append(f"not a line of the table: {row}")
            continue
        path, name = parts[4], parts[5]
        file = ROOT / path
        if not file.exists() or not re.search(rf"def {name}\(", file.read_text(encoding="utf-8")):
            wrong.append(f"{path}::{name} does not exist")
    assert wrong == []


def test_every_attack_of_the_tamper_suite_is_named():
    told = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    missing = [
        f"{path.name}::{name}"
        for path in sorted((ROOT / "tests/tamper").glob("test_*.py"))
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        if f"::{name}`" not in told and name not in SOUND
    ]
    assert missing == []
