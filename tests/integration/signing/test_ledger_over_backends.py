"""A ledger whose key somebody else keeps, and what it says while that keeper answers with a refusal, or not at all.

The proxy is a process, the ledger posts over it. Each answer has its name on the way up to whoever posts; nothing is
acknowledged, shown or exported without a signature; once the keeper is well again the tail is signed by itself, and the
same request is told what became of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.book.sequencer.notary import head_sizes
from ledger_core.errors import CounterfoilError, DependencyError
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from ledger_core.settings.rooms import SigningSettings

pytestmark = pytest.mark.integration

ME = Actor(subject="tester")
OF_KMS = ("throttled", "slow", "wrong_key", "wrong_region", "credentials", "denied", "disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A ledger over a keeper; `breaks` lets it answer so, `mends` makes it well."""

    runtime: Runtime
    breaks: Callable[[str], None]
    mends: Callable[[], None]

    def sizes(self) -> tuple[int, int]:
        with self.runtime.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            return head_sizes(driver, "main")

    def shown(self) -> int:
        with self.runtime.engine.connect() as connection:
            return int(connection.execute(text("select count(*) from ledger.posted_entries")).scalar_one())

    def post(self, number: int) -> Any:
        entry = EntryDraft(
            effective_at=datetime(2026, 3, 1, tzinfo=UTC),
            external_id=f"shop:{number}",
            description=f"order {number}",
            postings=(
                PostingDraft(account="assets:cash:usd", direction="debit", amount_minor=number, currency="USD"),
                PostingDraft(account="revenue:sales:usd", direction="credit", amount_minor=number, currency="USD"),
            ),
        )
        return self.runtime.ledger().append([entry], Ask(actor=ME, key=f"order-{number}"))


def opened(settings: Settings, signing: dict[str, Any]) -> Any:
    given = SigningSettings.model_validate({"wait_seconds": 2.0, **signing})
    return open_runtime(settings.model_copy(update={"signing": given}))


def chart(runtime: Runtime) -> None:
    accounts = [
        account_draft(code="assets:cash:usd", type="asset", currency="USD"),
        account_draft(code="revenue:sales:usd", type="revenue", currency="USD"),
    ]
    apply_accounts(runtime.ledger(), accounts, Ask(actor=ME))


@pytest.fixture
def over_kms(settings: Settings, kms: Any, refusal: Any, credentials: Callable[..., None]) -> Iterator[Kept]:
    credentials("AKIDEXAMPLE", "young")
    told: dict[str, Any] = {
        "throttled": refusal("ThrottlingException", "Rate exceeded"),
        "slow": 2.5,
        "wrong_key": refusal("InvalidKeyUsageException", "the key is for encryption"),
        "wrong_region": refusal("InvalidArnException", "Invalid arn eu-west-1"),
        "denied": refusal("AccessDeniedException", "is not authorized to perform: kms:Sign"),
        "disabled": refusal("DisabledException", "is disabled"),
    }

    def breaks(reason: str) -> None:
        if reason == "credentials":
            kms.expired = "young"
        else:
            kms.trouble.extend([told[reason]] * 10_000)

    def mends() -> None:
        kms.trouble.clear()
        credentials("AKIDEXAMPLE", "fresh")

    arn = kms.make(f"ledger-{time.monotonic_ns()}")
    signing = {"backend": "awskms", "awskms_key": arn, "awskms_endpoint": kms.url}
    with opened(settings, signing) as runtime:
        chart(runtime)
        yield Kept(runtime=runtime, breaks=breaks, mends=mends)
        kms.trouble.clear()


@pytest.fixture
def over_vault(settings: Settings, bao: Any, tmp_path: Path) -> Iterator[Kept]:
    name = f"ledger-{time.monotonic_ns()}"
    bao.make(name)
    (tmp_path / "secret").touch(mode=0o600)
    (tmp_path / "secret").write_text(bao.secret_id())
    signing = {
        "backend": "vault", "vault_url": bao.url, "vault_key": name, "vault_key_version": "1",
        "vault_role_id": bao.roles["ledger"], "vault_secret_id_file": str(tmp_path / "secret"),
        "vault_ca_file": str(bao.folder / "ca.pem"), "vault_client_cert_file": str(bao.folder / "client.pem"),
        "vault_client_key_file": str(bao.folder / "client.key"),
    }  # fmt: skip

    def breaks(reason: str) -> None:
        {"sealed": bao.root.sys.seal, "unreachable": bao.stop}[reason]()

    def mends() -> None:
        if bao.process.poll() is not None:
            bao.start()
        if bao.root.sys.is_sealed():
            bao.unseal()

    with opened(settings, signing) as runtime:
        chart(runtime)
        yield Kept(runtime=runtime, breaks=breaks, mends=mends)
        mends()


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        *(("over_kms", name) for name in OF_KMS),
        *(("over_vault", name) for name in ("sealed", "unreachable")),
    ],
)
def test_while_the_keeper_refuses_nothing_is_acknowledged_or_shown_and_its_answer_has_a_name(
    request: pytest.FixtureRequest, kept: str, reason: str
) -> None:
    ledger: Kept = request.getfixturevalue(kept)
    ledger.post(1)
    before = ledger.sizes()
    assert before[0] == before[1]
    ledger.breaks(reason)
    with pytest.raises(DependencyError) as named:
        ledger.runtime.signer.health()
    assert named.value.context["reason"] == reason
    assert "nothing was signed" in named.value.message
    with pytest.raises(CounterfoilError) as refused:
        ledger.post(2)
    assert isinstance(refused.value, DependencyError), refused.value
    assert ledger.sizes()[1] == before[1], "no signature"
    assert ledger.shown() == 1, "what is not signed is not posted"
    with pytest.raises(DependencyError):
        export_segment(ledger.runtime, closed_on=ledger.runtime.clock().date() - timedelta(days=1), book="main")
    ledger.mends()
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = ledger.post(2)
            break
        except DependencyError:
            assert time.monotonic() < deadline, "it does not come back"
            time.sleep(0.2)
    assert ledger.shown() == 2, "posted once"
    assert len(answer.posted) == 1
    assert ledger.sizes()[0] == ledger.sizes()[1]
    assert check_book(ledger.runtime, "main").sound
