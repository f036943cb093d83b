"""The published vectors of signed reports, as our own verifier judges them; Node's does so with all the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from ledger_core.log.keys import parse_trust
from ledger_core.log.note import PublicKey, decode_base64
from ledger_core.log.verifier import verify_path
from tests.second_language.test_second_language import needs_node, node

VECTOR = json.loads((Path(__file__).parents[2] / "docs" / "formats" / "vectors" / "report.json").read_text())
TRUST = parse_trust(json.dumps(VECTOR["trust"]).encode())


@pytest.mark.parametrize("case", VECTOR["company"], ids=lambda case: case["what"])
def test_a_companys_report_is_judged_as_published(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.dsse.json"
    path.write_text(json.dumps(case["envelope"]))
    report = verify_path(path, TRUST)
    assert report.verdict == case["verdict"], report.as_lines()


@pytest.mark.parametrize("case", VECTOR["auditors"], ids=lambda case: case["what"])
def test_an_auditors_report_is_judged_as_published(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.dsse.json"
    path.write_text(json.dumps(case["envelope"]))
    report = verify_path(path, None, signed_by=PublicKey(decode_base64(VECTOR["auditor_spki"])))
    assert report.verdict == case["verdict"], report.as_lines()


@needs_node
def test_the_second_verifier_reads_signed_reports_as_files(tmp_path: Path) -> None:
    trust, key = tmp_path / "trust.json", tmp_path / "auditor.pub"
    trust.write_text(json.dumps(VECTOR["trust"]))
    public = load_der_public_key(decode_base64(VECTOR["auditor_spki"]))
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for cases, option in ((VECTOR["company"], ("--trust", trust)), (VECTOR["auditors"], ("--key", key))):
        for number, case in enumerate(cases):
            path = tmp_path / f"{number}.dsse.json"
            path.write_text(json.dumps(case["envelope"]))
            status, answer = node("report", path, *option)
            assert (status == 0) == (case["verdict"] == "verified"), (case["what"], answer)
