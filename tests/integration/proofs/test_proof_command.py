"""`counterfoil proof` writes both forms, and `counterfoil verify` and a program in another language read them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app

pytestmark = pytest.mark.integration

NODE = Path(__file__).parents[2] / "second_language" / "verify.mjs"


@pytest.mark.parametrize("name", ["proof.json", "one.tlog-proof"])
def test_a_proof_that_was_written_is_verified_by_ours_and_by_the_other(
    asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable, value in (
        ("COUNTERFOIL_HOME", str(asked.runtime.home)), ("DATABASE_URL", asked.runtime.settings.database_url),
        ("COUNTERFOIL_ENV", "test"),
    ):  # fmt: skip
        monkeypatch.setenv(variable, value)
    desk = tmp_path / "desk"
    desk.mkdir()
    trust = desk / "trust.json"
    trust.write_bytes(asked.runtime.trust_path.read_bytes())
    path = desk / name
    made = CliRunner().invoke(app, ["proof", "shop:47", "--out", str(path)], catch_exceptions=False)
    assert made.exit_code == 0, made.output
    assert (desk / "keys.jsonl").exists() is (name == "one.tlog-proof")
    verified = CliRunner().invoke(app, ["verify", str(path), "--trust", str(trust), "--json"], catch_exceptions=False)
    assert (verified.exit_code, json.loads(verified.stdout)["verdict"]) == (0, "verified")
    if name == "one.tlog-proof" and shutil.which("node"):
        command = ["node", NODE, "proof", path, "--trust", trust]
        assert subprocess.run(command, check=False, timeout=60).returncode == 0
    path.write_bytes(path.read_bytes().replace(b"A", b"B", 1))
    broken = CliRunner().invoke(app, ["verify", str(path), "--trust", str(trust), "--json"])
    assert broken.exit_code != 0
