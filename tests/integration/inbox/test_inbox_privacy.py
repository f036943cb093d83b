"""What webhooks said is kept encrypted, without card numbers, for a while, and for its own event alone."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, text

from ingest.inbox import store
from ingest.inbox.payloads import Payloads, fingerprint, masked
from ingest.landing.file_keys import rewrap
from ledger_core.base.engine import make_engine
from ledger_core.errors import Erased, IntegrityError
from tests.integration.inbox.conftest import Inbox, event, signed

pytestmark = pytest.mark.integration

CARD = "4111111111111111"


def opened(inbox: Inbox, number: int = 0) -> Any:
    key_id, payload, event_id = inbox.rows("key_id, payload, event_id")[number]
    with store.transaction(inbox.runtime.engine) as connection:
        return Payloads(inbox.runtime).open(connection, key_id, payload, whose=f"stripe/default/{event_id}")


def test_nothing_that_was_said_lies_in_the_database_in_plain(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    with inbox.runtime.engine.connect() as connection:
        row = connection.execute(text("select inbox::text from ops.webhook_inbox as inbox")).scalar_one()
    assert "ch_1" in row
    assert b"ada@example.com".hex() not in row
    assert "ada@example.com" not in row
    assert opened(inbox)["data"]["object"]["billing_details"]["email"] == "ada@example.com"


def test_a_card_number_in_free_text_is_masked_before_it_is_stored_and_an_id_is_not(inbox: Inbox) -> None:
    ids = {"order_id": CARD, "merchantReference": CARD}
    charge = inbox.stripe.charge("ch_1", description=f"card {CARD}", statement=ids)
    inbox.deliver(event("charge.succeeded", charge))
    told = opened(inbox)["data"]["object"]
    assert told["description"] == "card ************1111"
    assert told["statement"] == ids
    assert fingerprint({"note": CARD}) == fingerprint({"note": "************1111"})
    deep = masked({"a": [CARD, {"b": CARD}], "n": int(CARD)})
    assert deep == {"a": ["************1111", {"b": "************1111"}], "n": int(CARD)}


def test_a_fraction_comes_back_as_it_came(inbox: Inbox) -> None:
    body = b'{"id":"evt_1","type":"x","created":1,"data":{"object":{"id":"o","rate":1.10}}}'
    at = inbox.runtime.clock().timestamp()
    inbox.receiver.receive(inbox.receiver.provider("stripe"), "default", signed(body, at), body)
    ((key_id, payload),) = inbox.rows("key_id, payload")
    with store.transaction(inbox.runtime.engine) as connection:
        key = Payloads(inbox.runtime)._key(connection, key_id, "evt_1")
    assert b'"rate":1.10' in AESGCM(key).decrypt(payload[:12], payload[12:], b"stripe/default/evt_1")


def test_what_is_stored_opens_for_its_own_event_alone(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_2")))
    inbox.execute(
        "update ops.webhook_inbox set payload = (select payload from ops.webhook_inbox order by inbox_id limit 1)"
    )
    with pytest.raises(IntegrityError, match="is not what was stored"):
        opened(inbox, 1)
    assert sorted(inbox.drain()) == ["dead", "posted"]


def test_it_opens_under_another_key_of_the_keeper_once_it_was_rewrapped(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    inbox.runtime.wrapping.rotate()
    done = rewrap(inbox.runtime)
    assert (done.rewrapped, done.left) == (1, 0)
    assert opened(inbox)["type"] == "charge.succeeded"
    assert inbox.drain() == ["posted"]


def test_it_is_dropped_some_time_after_it_was_settled_and_its_key_with_it(inbox: Inbox, engine: Engine) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    inbox.deliver(event("charge.succeeded", {"id": "ch_nobody", "object": "charge"}))
    assert inbox.drain() == ["posted", "dead"]
    inbox.execute("update ops.webhook_inbox set settled_at = now() - interval '29 days'")
    assert forget(inbox) == 0
    inbox.execute("update ops.webhook_inbox set settled_at = now() - interval '31 days'")
    assert forget(inbox) == 1
    assert [payload is None for payload in inbox.rows("payload")] == [True, False], "a dead letter may go again"
    with engine.begin() as connection:
        connection.execute(text("update ops.webhook_keys set created_at = now() - interval '40 days'"))
    forget(inbox)
    assert keys(inbox) == 1
    inbox.execute("update ops.webhook_inbox set status = 'ignored' where status = 'dead'")
    assert forget(inbox) == 1
    assert (keys(inbox), inbox.rows()) == (0, ["posted", "ignored"])
    with pytest.raises(Erased, match="is not kept any more"):
        opened(inbox)


def test_whoever_only_reads_sees_what_became_of_an_event_and_not_what_it_said(inbox: Inbox) -> None:
    inbox.deliver(event("charge.succeeded", inbox.stripe.charge("ch_1")))
    reader = make_engine(inbox.runtime.database_url, role="reader", pool_size=1)
    with reader.connect() as connection:
        assert connection.execute(text("select status, reason from ops.webhook_inbox")).one() == ("pending", None)
        with pytest.raises(Exception, match="permission denied"):
            connection.execute(text("select payload from ops.webhook_inbox"))
    reader.dispose()


def forget(inbox: Inbox) -> int:
    with store.transaction(inbox.runtime.engine) as connection:
        return store.forget(connection, kept_days=30)


def keys(inbox: Inbox) -> int:
    found = inbox.execute("select count(*) from ops.file_keys").scalar_one()
    assert isinstance(found, int)
    return found
