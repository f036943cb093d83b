"""`counterfoil verify --sign`: the home's own proxy signs the report; others read it by the roots that they pinned."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from ledger_core.ceremony.drafts import Wish
from ledger_core.ceremony.run import change_now
from ledger_core.errors import IntegrityError, InvalidInput, SignatureLate
from ledger_core.evidence.attest import sign_report
from ledger_core.evidence.export.segment import export_segment
from ledger_core.log.dsse import REPORT_TYPE, Envelope, parse_envelope
from ledger_core.log.verifier import verify_path
from ledger_core.signing.client import SigningClient
from tests.integration.proofs.conftest import ME

pytestmark = pytest.mark.integration

NODE = Path(__file__).parents[2] / "second_language" / "verify.mjs"


@pytest.fixture
def desk(asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's environment, a night in the archive, and the trust file that an auditor has."""
    for name, value in (
        ("COUNTERFOIL_HOME", str(asked.runtime.home)), ("DATABASE_URL", asked.runtime.settings.database_url),
        ("COUNTERFOIL_ENV", "test"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    export_segment(asked.runtime, closed_on=date(2026, 3, 30), book="main")
    made = tmp_path / "desk"
    made.mkdir()
    (made / "trust.json").write_bytes(asked.runtime.trust_path.read_bytes())
    return made


def test_a_report_is_signed_by_the_proxy_and_read_back_years_of_keys_later(asked: Any, desk: Path) -> None:
    out, trust, archive = desk / "report.dsse.json", desk / "trust.json", str(asked.runtime.home / "archive")
    made = CliRunner().invoke(app, ["verify", archive, "--sign", "--report", str(out)], catch_exceptions=False)
    assert made.exit_code == 0, made.output
    envelope = parse_envelope(out.read_bytes())
    payload = json.loads(envelope.payload)
    assert (envelope.payload_type, payload["origin"]) == (REPORT_TYPE, asked.runtime.settings.origin_of("main"))
    for _ in range(2):
        read = CliRunner().invoke(app, ["verify", str(out), "--trust", str(trust), "--json"], catch_exceptions=False)
        told = json.loads(read.stdout)
        assert (read.exit_code, told["verdict"]) == (0, "verified"), told
        assert told["signed_report"]["size"] == payload["size"] == 603
        change_now(asked.runtime, Wish(action="rotate"), actor=ME)
    if shutil.which("node"):
        command = ["node", NODE, "report", out, "--trust", trust]
        assert subprocess.run(command, check=False, timeout=60).returncode == 0
    change_now(asked.runtime, Wish(action="compromise", key=told["signed_report"]["keys"][0]), actor=ME)
    registry = (asked.runtime.home / "signer" / "keys.jsonl").read_bytes()
    (desk / "keys.jsonl").write_bytes(registry)
    assert verify_path(out, trust).verdict == "key_not_valid_at_size", "a stolen key's word counts nowhere"


def test_a_report_of_damage_is_signed_too_and_stays_a_failure(asked: Any, desk: Path) -> None:
    (path,) = (asked.runtime.home / "archive").rglob("records.jsonl.gz")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-30])
    out = desk / "report.dsse.json"
    words = ["verify", str(asked.runtime.home / "archive"), "--sign", "--report", str(out)]
    assert CliRunner().invoke(app, words).exit_code == 1
    report = verify_path(out, desk / "trust.json")
    assert (report.verdict, report.exit_status) == ("truncated", 1)


def test_only_a_log_that_the_report_speaks_of_signs_it_and_only_once_it_is_signed_itself(
    asked: Any, desk: Path
) -> None:
    report = verify_path(asked.runtime.home / "archive", desk / "trust.json")
    with pytest.raises(InvalidInput, match="is to sign it"):
        sign_report(asked.runtime, "other", report)
    report.origins.clear()
    with pytest.raises(SignatureLate):
        sign_report(asked.runtime, "other", report)
    assert sign_report(asked.runtime, "main", report).payload_type == REPORT_TYPE


@pytest.mark.parametrize("what", ["another payload", "another key"])
def test_an_answer_of_the_proxy_that_does_not_count_is_no_report(
    asked: Any, desk: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    real = SigningClient.sign_dsse

    def lying(client: SigningClient, payload_type: str, payload: bytes, **more: Any) -> dict[str, Any]:
        if what == "another payload":
            return real(client, payload_type, payload.replace(b'"records":603', b'"records":604'), **more)
        envelope = parse_envelope(real(client, payload_type, payload, **more))
        return Envelope(payload_type, payload, tuple(type(item)(item.key_id, item.signature[:-1] + b"x")
                                                     for item in envelope.signatures)).as_json()  # fmt: skip

    report = verify_path(asked.runtime.home / "archive", desk / "trust.json")
    monkeypatch.setattr(SigningClient, "sign_dsse", lying)
    with pytest.raises(IntegrityError, match="does not count"):
        sign_report(asked.runtime, "main", report)


def test_a_report_is_signed_by_one(asked: Any, desk: Path) -> None:
    words = ["verify", str(asked.runtime.home / "archive"), "--sign", "--sign-with", str(desk / "key.pem")]
    told = CliRunner().invoke(app, [*words, "--report", str(desk / "report.dsse.json")])
    assert isinstance(told.exception, InvalidInput)
    assert not (desk / "report.dsse.json").exists()
