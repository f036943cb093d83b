"""The ledger's recipes (docs/recipes.md), followed: what is added by the files they name works end to end."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ledger_core.actor import Actor
from ledger_core.evidence.export.segment import export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings

pytestmark = pytest.mark.integration

ME = Actor(subject="recipe")

_MEMORY_BACKEND = '''
"""A back-end of the tests: an Ed25519 key that lives as long as the proxy's process."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger_core.log.note import PublicKey

NAME = "memory"


class MemoryKey:
    name = NAME
    assurance = "memory"

    def __init__(self):
        self._key = Ed25519PrivateKey.generate()
        spki = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public_key = PublicKey(spki)

    def sign(self, message):
        return self._key.sign(message)


def check_settings(settings):
    pass


def open_key(settings, folder):
    return MemoryKey()
'''
_ITS_LINE = """
from ledger_core.signing import open as chosen

chosen.BACKENDS["memory"] = "memory_backend"
"""


@pytest.fixture
def memory_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every Python process that is started from here find the module, and its line in the list."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "memory_backend.py").write_text(_MEMORY_BACKEND)
    (folder / "sitecustomize.py").write_text(_ITS_LINE)
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", str(folder) if not before else f"{folder}{os.pathsep}{before}")


@pytest.mark.usefixtures("memory_backend")
def test_a_signing_back_end_of_one_module_and_one_line_signs_what_the_verifier_accepts(settings: Settings) -> None:
    chosen = settings.model_copy(update={"signing": settings.signing.model_copy(update={"backend": "memory"})})
    with open_runtime(chosen) as runtime:
        health = runtime.signer.health()
        assert (health["backend"], health["assurance"]) == ("memory", "memory")
        ledger = runtime.ledger("main")
        chart = [
            account_draft(code="assets:cash", type="asset", currency="USD"),
            account_draft(code="revenue:sales", type="revenue", currency="USD"),
        ]
        apply_accounts(ledger, chart, Ask(actor=ME))
        entry = EntryDraft(
            effective_at=datetime(2026, 11, 23, tzinfo=UTC),
            external_id="sale-1",
            description="",
            postings=(
                PostingDraft(account="assets:cash", direction="debit", amount_minor=5, currency="USD"),
                PostingDraft(account="revenue:sales", direction="credit", amount_minor=5, currency="USD"),
            ),
        )
        ledger.append([entry], Ask(actor=ME), atomic=True)
        export_segment(runtime, closed_on=date(2026, 11, 23), book="main")
        report = verify_path(runtime.home / "archive", runtime.trust_path)
    assert report.verdict == "verified", report.as_lines()
    assert report.assurance == ["memory"]
    assert not (settings.home / "signer" / "key.pem").exists(), "the key lies nowhere on this disk"
