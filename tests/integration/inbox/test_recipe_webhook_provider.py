"""The recipe of a provider of webhooks: one module, and everything knows it."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from ingest.inbox import providers
from ingest.inbox.secrets import add_secret
from ledger_core.errors import DeliveryRefused
from tests.integration.inbox.conftest import CHART, Inbox

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parents[2] / "fixtures" / "recipes" / "webhook_provider"
SECRET = "of_acme_and_ourselves"


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(FOLDER)])
    providers.provider_names.cache_clear()
    yield
    monkeypatch.undo()
    providers.provider_names.cache_clear()


@pytest.mark.usefixtures("acme")
def test_one_module_is_a_provider(inbox: Inbox) -> None:
    folder = inbox.runtime.settings.webhooks_folder
    add_secret(folder, "acme_pay", "default", SECRET)
    (folder / "acme_pay" / "default" / "account.yaml").write_text(json.dumps({"chart": CHART}))
    told = {
        "id": "e-1",
        "type": "settled",
        "payment": "p-1",
        "gross_minor": 500,
        "fee_minor": 20,
        "settled": 1_767_312_000,
    }
    body = json.dumps(told).encode()
    provider = inbox.receiver.provider("acme_pay")
    with pytest.raises(DeliveryRefused):
        inbox.receiver.receive(provider, "default", {"acme-signature": "0"}, body)
    signature = hmac.new(SECRET.encode(), body, sha256).hexdigest()
    received = inbox.receiver.receive(provider, "default", {"acme-signature": signature}, body)
    assert (received.events, received.new, received.reply.content) == (1, 1, b'{"received":true}')
    assert inbox.drain() == ["posted"]
    (entry,) = inbox.entries()
    assert entry.draft.external_id == "acme_pay:default:p-1:charge_captured"
    assert [posting.amount_minor for posting in entry.draft.postings] == [480, 20, 500]
