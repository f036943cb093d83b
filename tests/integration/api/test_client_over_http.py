"""The Python client against the real API: every call, and a connection that is cut at the worst moment."""

import asyncio
import socket
import threading
import uuid
from datetime import UTC, datetime

import pytest

from ledger_core import errors
from ledger_core.client import AsyncLedgerClient, LedgerClient
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import parse_entry

pytestmark = pytest.mark.integration

SALES = "revenue:sales:usd"


@pytest.fixture
def draft(entry):
    return lambda **members: parse_entry(entry(**members))


class CuttingProxy:
    """Pass bytes on, but cut the first `cuts` connections when the answer arrives, as a broken balancer does."""

    def __init__(self, port: int, cuts: int) -> None:
        self.target, self.cuts, self.seen = port, cuts, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                incoming, _ = self.listener.accept()
            except OSError:
                return
            self.seen += 1
            with incoming, socket.create_connection(("127.0.0.1", self.target)) as outgoing:
                outgoing.sendall(_message(incoming))
                answer = _message(outgoing)
                if self.seen > self.cuts:
                    incoming.sendall(answer)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.listener.close()
        self.thread.join(5)


def _message(connection: socket.socket) -> bytes:
    """Read one HTTP message: head, and as much body as it declares."""
    connection.settimeout(30)
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def test_an_acknowledgement_lost_on_the_way_posts_once(api, http, draft):
    sent = draft()
    proxy = CuttingProxy(api.port, cuts=2)
    with LedgerClient(f"http://127.0.0.1:{proxy.port}", token=api.token(), timeout_seconds=15) as client:
        posted = client.post_entry(sent)
    proxy.close()
    assert proxy.seen == 3
    assert posted.replayed
    found = http.get("/finance/journal-entries", params={"external_id": sent.external_id}).json()["entries"]
    assert [item["id"] for item in found] == [posted.id]


def test_every_call_works_and_speaks_in_types(api, draft):
    with api.client() as client:
        first = client.post_entry(draft())
        assert first.status == "posted"
        assert first.draft.postings[2].amount_minor == 10_000
        client.dry_run(draft())
        batch = client.post_batch([draft(), draft()], atomic=True)
        assert batch.posted == 2
        assert batch.items[0].checkpoint_size in batch.checkpoints
        reversal = client.reverse(first.id, description="mistake")
        assert reversal.draft.reverses == first.id
        assert client.get_entry(first.id).reversed_by == reversal.id
        ids = [item.id for item in client.iter_entries(limit=2)]
        assert {first.id, reversal.id} <= set(ids)
        assert client.list_entries(account=SALES, limit=1).items
        assert client.get_proof(first.id)["seq"] == first.seq
        opened = client.create_account(account_draft(code=f"assets:{uuid.uuid4().hex}", type="asset", currency="KWD"))
        code = opened.draft.code
        frozen = client.change_account(code, if_match=opened.etag, status="frozen")
        assert frozen.status == "frozen"
        with pytest.raises(errors.PreconditionFailed):
            client.change_account(code, if_match=opened.etag, status="open")
        assert client.get_account(code).etag == frozen.etag
        assert client.list_accounts(limit=2).next_cursor
        assert client.get_balance(SALES, effective_at=datetime(2020, 1, 1, tzinfo=UTC)).balance == 0
        assert client.get_statement(SALES, limit=2).items[0].amount_minor > 0
        assert client.get_trial_balance()["balanced"] is True
        assert client.verify({"entry_ids": [first.id]})["verdict"] == "verified"
        point = client.latest_checkpoint()
        assert client.consistency(1, point.size)["to_checkpoint"] == point.note
        assert client.keys()
        record = client.append_record("reconciliation_run", {"manifest": {"run_id": "r-1"}})
        assert record.kind == "reconciliation_run"


def test_refusals_come_as_their_types(api, draft, entry):
    with api.client() as client:
        sent = draft()
        posted = client.post_entry(sent)
        with pytest.raises(errors.DuplicateExternalId) as taken:
            client.post_entry(sent)
        assert (taken.value.entry_id, taken.value.identical) == (posted.id, True)
        client.reverse(posted.id)
        with pytest.raises(errors.AlreadyReversed):
            client.reverse(posted.id)
        with pytest.raises(errors.NotFound):
            client.get_account("assets:nowhere")
        unknown = entry()
        unknown["postings"][0]["account"] = "assets:nowhere"
        with pytest.raises(errors.UnknownAccount) as culprit:
            client.post_entry(parse_entry(unknown))
        assert culprit.value.pointer == "/postings/0/account"
        client.post_entry(draft(), key="one-key")
        with pytest.raises(errors.KeyReused):
            client.post_entry(draft(), key="one-key")
    with LedgerClient(api.url, token="nonsense") as stranger, pytest.raises(errors.Unauthenticated):
        stranger.latest_checkpoint()


def test_the_async_client_posts_many_at_once(api, draft):
    async def post_all():
        async with AsyncLedgerClient(api.url, token=api.token()) as client:
            return await asyncio.gather(*(client.post_entry(draft()) for _ in range(40)))

    posted = asyncio.run(post_all())
    assert len({item.seq for item in posted}) == 40
