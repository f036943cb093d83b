"""docs/attacks.md: every attack names a test that exists.

Only the table is read here: whether a named test does what its line says is for its reader.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| `(tests/[\w/]+\.py)::(\w+)` \|$")


def test_every_attack_names_a_test_that_exists():
    rows = [
        line
        for line in (ROOT / "docs/attacks.md").read_text(encoding="utf-8").splitlines()
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
