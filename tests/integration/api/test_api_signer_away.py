"""While the signing proxy is away: nothing is acknowledged, nothing is lost, and everybody is told what is missing."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from ledger_core.base.processes import ProcessGroup

pytestmark = pytest.mark.integration

ENTRIES = "/finance/journal-entries"
API_SETTINGS = {"signing": {"wait_seconds": 2.0}, "ledger": {"unsigned_tail_max_seconds": 30.0}}


@contextmanager
def proxy_stopped(api):
    """Freeze the proxy as a hung machine would."""
    record = ProcessGroup(api.settings.home / "run").find("signing-proxy")
    os.kill(record.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(record.pid, signal.SIGCONT)


def test_a_late_signature_is_a_503_and_the_same_key_waits_for_the_same_entry(api, http, entry, key):
    sent, headers = entry(), key()
    http.post(ENTRIES, json=entry(), headers=key())
    with proxy_stopped(api):
        late = http.post(ENTRIES, json=sent, headers=headers)
        assert (late.status_code, late.json()["code"]) == (503, "signature_late"), late.text
        assert int(late.headers["retry-after"]) >= 1
        pending = http.get(ENTRIES, params={"external_id": sent["external_id"]}).json()
        assert pending["entries"][0]["status"] == "pending"
        assert pending["state"]["signed_size"] < pending["state"]["as_of_seq"]
        again = http.post(ENTRIES, json=sent, headers=headers)
        assert again.status_code == 503
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done = http.post(ENTRIES, json=sent, headers=headers)
        if done.status_code == 201:
            break
        time.sleep(0.2)
    assert done.status_code == 201, done.text
    assert done.json()["id"] == pending["entries"][0]["id"]


def test_the_client_waits_it_out_and_posts_once(api, http, entry):
    from ledger_core.journal.entries import parse_entry

    draft = parse_entry(entry())
    posted = []
    with api.client() as client:
        client.post_entry(parse_entry(entry()))
        with proxy_stopped(api):
            thread = threading.Thread(target=lambda: posted.append(client.post_entry(draft)))
            thread.start()
            time.sleep(3)
            assert not posted
        thread.join(60)
    assert posted[0].status == "posted"
    found = http.get(ENTRIES, params={"external_id": draft.external_id}).json()["entries"]
    assert [item["id"] for item in found] == [posted[0].id]


def test_readiness_names_the_signer_when_it_hangs(api, http):
    assert http.get("/readyz").json()["status"] == "ready"
    record = ProcessGroup(api.settings.home / "run").find("signing-proxy")
    os.kill(record.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (answer := http.get("/readyz")).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.json()["missing"][0]["dependency"] == "signer"
    assert http.get("/livez").status_code == 200
