"""A home whose signing proxy runs elsewhere: all that is signed over mutual TLS, and what is recorded of refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.book.sequencer.notary import head_sizes
from ledger_core.errors import ConfigurationError, SignerRefused
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.proofs.prove import verify_selection
from ledger_core.log.dsse import PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.ports import Ask, RecordDraft
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.services import SIGNING_PROXY, process_group
from ledger_core.settings import Settings
from ledger_core.settings.rooms import SigningSettings
from ledger_core.signing.calls import verify_calls
from tests.integration.signing_tls.conftest import Proxy, uri

pytestmark = pytest.mark.integration
LEDGER = "spiffe://example.com/ledger"
ACTOR = Actor(subject="tester")


@pytest.fixture
def proxy(settings: Settings, tmp_path: Path) -> Iterator[Proxy]:
    may: dict[str, Any] = {
        "origins": [f"{settings.origin_prefix}*"],
        "calls": ["checkpoint", "dsse", "keys", "health"],
        "payload_types": [PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE],
        "per_second": 1_000,
    }
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    made = Proxy(folder, {LEDGER: may}, prefix=settings.origin_prefix, archive=settings.home / "archive").start()
    yield made
    made.stop()


@pytest.fixture
def elsewhere(settings: Settings, proxy: Proxy) -> Settings:
    files = proxy.authority.issue(uri(LEDGER), stem="ledger")
    signing = SigningSettings(url=proxy.url, ca_file=files.authority, cert_file=files.certificate, key_file=files.key)
    return settings.model_copy(update={"signing": signing})


def pin(proxy: Proxy, settings: Settings) -> None:
    settings.home.mkdir(exist_ok=True)
    shutil.copy(proxy.folder / "trust.json", settings.home / "trust.json")


def test_nothing_is_opened_before_somebody_pinned_the_roots(elsewhere: Settings, proxy: Proxy) -> None:
    with pytest.raises(ConfigurationError, match="there is no trust file"), open_runtime(elsewhere):
        pass
    bare = elsewhere.model_copy(update={"signing": SigningSettings(url=proxy.url)})
    pin(proxy, bare)
    with pytest.raises(ConfigurationError, match="mutual TLS alone"), open_runtime(bare):
        pass


def test_posts_export_and_proof_are_signed_over_mutual_tls_and_every_checkpoint_is_accounted_for(
    elsewhere: Settings, proxy: Proxy, tmp_path: Path
) -> None:
    pin(proxy, elsewhere)
    with open_runtime(elsewhere) as runtime:
        assert process_group(elsewhere).find(SIGNING_PROXY) is None, "none of its own was started"
        ledger = runtime.ledger()
        for number in range(3):
            ledger.append([RecordDraft(kind="security_event", body={"event": "test", "n": number})], Ask(actor=ACTOR))
        exported = export_segment(runtime, closed_on=runtime.clock().date(), book="main")
        assert (exported.first_seq, exported.next_seq) == (0, 4)
        answer = verify_selection(runtime, "main", selector={"segment": 1})
        assert answer.verdict == "verified", answer.failures
        assert check_book(runtime, "main").sound
        checkpoints = tmp_path / "checkpoints"
        checkpoints.write_text(stored_checkpoints(runtime))
    report = verify_calls(proxy.folder / "signer", ledger=checkpoints)
    assert report.sound, (report.findings, report.surplus)
    origin = elsewhere.origin_of("main")
    assert report.checkpoints[origin][0] == len(checkpoints.read_text().splitlines())
    assert report.calls[("dsse", "ok")] == 2, "the manifest and the answer"


def stored_checkpoints(runtime: Runtime) -> str:
    query = text(
        "select h.origin || ' ' || c.size from ledger.checkpoints c join ledger.log_head h using (book) order by c.size"
    )
    with runtime.engine.connect() as connection:
        return "".join(f"{line}\n" for line in connection.execute(query).scalars())


def test_refusals_are_recorded_by_kind_and_minute_with_the_next_success(runtime: Runtime) -> None:
    clock = {"now": datetime.now(UTC)}
    ledger = runtime.ledger()
    runtime.clock = lambda: clock["now"]
    origin = runtime.settings.origin_of("main")
    first = ledger.append([RecordDraft(kind="security_event", body={"event": "test"})], Ask(actor=ACTOR))
    lies = [leaf_hash(b"a lie")] * first.size
    fork = {"origin": origin, "old": Frontier(), "leaves": lies, "root": Frontier().extend(lies).root()}
    for _ in range(3):
        with pytest.raises(SignerRefused):
            runtime.signer.sign_checkpoint(**fork)  # type: ignore[arg-type]
    with pytest.raises(SignerRefused):
        runtime.signer.sign_dsse("application/octet-stream", json.dumps({"origin": origin}).encode())
    clock["now"] += timedelta(minutes=1)
    for number in range(2):
        runtime.security._looked_at.clear()
        ledger.append([RecordDraft(kind="security_event", body={"event": "test", "n": number})], Ask(actor=ACTOR))
    with runtime.engine.connect() as connection:
        found = connection.execute(
            text(
                "select convert_from(canonical, 'utf8')::json->'body' as body from ledger.records"
                " where kind = 'security_event' order by seq"
            )
        ).scalars()
        told = [
            (body["event"], body["reason"], body["count"], body["subject"]) for body in found if body["event"] != "test"
        ]
        driver: Any = connection.connection.driver_connection
        size, signed_size = head_sizes(driver, "main")
    assert sorted(told) == [("fork_rejected", "fork", 3, origin), ("signature_refused", "type", 1, origin)]
    assert size == signed_size
    assert check_book(runtime, "main").sound
    assert not [path for path in (runtime.home / "security").rglob("*") if path.is_file()]
