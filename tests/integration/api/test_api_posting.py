"""Posting over HTTP: once, signed, and the same answer however often it is asked for."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ledger_core.log.merkle import verify_inclusion
from ledger_core.log.note import decode_base64, parse_checkpoint, parse_note

pytestmark = pytest.mark.integration

ENTRIES = "/finance/journal-entries"


def proves(hash_hex, seq, note, inclusion):
    checkpoint = parse_checkpoint(parse_note(note).text)
    path = [decode_base64(node) for node in inclusion]
    return verify_inclusion(bytes.fromhex(hash_hex), seq, checkpoint.size, path, checkpoint.root)


def count_of(http, external_id):
    return len(http.get(ENTRIES, params={"external_id": external_id}).json()["entries"])


def test_a_posted_entry_comes_back_with_a_signature_that_proves_it(http, entry, key):
    sent = entry()
    answer = http.post(ENTRIES, json=sent, headers=key())
    assert answer.status_code == 201
    posted = answer.json()
    assert posted["status"] == "posted"
    assert posted["external_id"] == sent["external_id"]
    assert posted["postings"] == sent["postings"]
    assert answer.headers["location"] == f"{ENTRIES}/{posted['id']}"
    signature = posted["signature"]
    assert proves(posted["hash"], posted["seq"], signature["checkpoint"], signature["inclusion"])


def test_the_caller_stands_in_the_record(api, http, entry, key):
    posted = http.post(ENTRIES, json=entry(), headers=key()).json()
    bundle = http.get(f"{ENTRIES}/{posted['id']}/proof").json()["tlog_proof"]
    with api.runtime.engine.connect() as connection:
        stored = text("select canonical from ledger.records where book = 'main' and seq = :seq")
        canonical = bytes(connection.execute(stored, {"seq": posted["seq"]}).scalar_one())
    assert b'"actor":{"role":"service","subject":"tests"}' in canonical
    assert bundle.startswith("c2sp.org/tlog-proof@v1")


def test_a_repeated_request_gets_the_first_answer_byte_for_byte(http, entry, key):
    sent, headers = entry(metadata={"z": "1", "a": "2"}), key()
    first = http.post(ENTRIES, json=sent, headers=headers)
    http.post(ENTRIES, json=entry(), headers=key())  # the log goes on meanwhile
    again = http.post(ENTRIES, json=sent, headers=headers)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]


def test_another_spelling_of_the_same_request_is_the_same_request(http, entry, key):
    sent, headers = entry(), key()
    first = http.post(ENTRIES, json=sent, headers=headers)
    shuffled = dict(reversed(sent.items())) | {"effective_at": "2026-11-22T09:00:00.000+01:00", "book": "main"}
    again = http.post(ENTRIES, json=shuffled, headers=headers)
    assert again.content == first.content


def test_a_key_used_with_another_body_is_refused_and_writes_nothing(http, entry, key):
    headers, other = key(), entry(description="another")
    http.post(ENTRIES, json=entry(), headers=headers)
    answer = http.post(ENTRIES, json=other, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert count_of(http, other["external_id"]) == 0


def test_fifty_requests_with_one_key_make_one_entry(http, entry, key):
    sent, headers = entry(), key()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: http.post(ENTRIES, json=sent, headers=headers), range(50)))
    done = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in done}) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "in_flight"
            assert int(answer.headers["retry-after"]) >= 1
    assert count_of(http, sent["external_id"]) == 1


def test_fifty_entries_at_once_share_commits(api, http, entry, key):
    drafts = [entry() for _ in range(50)]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda draft: http.post(ENTRIES, json=draft, headers=key()), drafts))
    assert [answer.status_code for answer in answers] == [201] * 50
    assert sorted({answer.json()["seq"] for answer in answers}) == sorted(answer.json()["seq"] for answer in answers)
    checkpoints = {answer.json()["signature"]["checkpoint"] for answer in answers}
    assert len(checkpoints) < 50


def test_a_socket_cut_after_the_request_and_a_retry_make_one_entry(api, http, entry, key):
    sent, headers = entry(), key()
    body = json.dumps(sent).encode()
    request = (
        f"POST {ENTRIES} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {api.token()}\r\nidempotency-key: {headers['idempotency-key']}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body
    with socket.create_connection(("127.0.0.1", api.port)) as cut:
        cut.sendall(request)
    deadline = time.monotonic() + 20
    while not count_of(http, sent["external_id"]) and time.monotonic() < deadline:
        time.sleep(0.02)  # it commits although nobody listens any more
    again = http.post(ENTRIES, json=sent, headers=headers)
    assert again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    assert count_of(http, sent["external_id"]) == 1


def test_a_dry_run_says_what_posting_would_say_and_writes_nothing(http, entry):
    fine = entry()
    answer = http.post(ENTRIES, params={"dry_run": "true"}, json=fine)
    assert (answer.status_code, answer.json()["would_post"]) == (200, True)
    assert count_of(http, fine["external_id"]) == 0
    wrong = entry()
    wrong["postings"][0]["account"] = "assets:nowhere"
    answer = http.post(ENTRIES, params={"dry_run": "true"}, json=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_account")


def test_a_taken_external_id_names_its_entry(http, entry, key):
    sent = entry()
    first = http.post(ENTRIES, json=sent, headers=key()).json()
    for body, identical in ((sent, True), ({**sent, "description": "other"}, False)):
        answer = http.post(ENTRIES, json=body, headers=key())
        assert answer.status_code == 409
        problem = answer.json()
        assert (problem["code"], problem["entry_id"]) == ("duplicate_external_id", first["id"])
        assert problem["identical"] is identical


def test_a_reversal_swaps_the_sides_and_happens_once(http, entry, key):
    posted = http.post(ENTRIES, json=entry(), headers=key()).json()
    headers = key()
    answer = http.post(f"{ENTRIES}/{posted['id']}/reversal", headers=headers)
    assert answer.status_code == 201
    reversal = answer.json()
    assert reversal["reverses"] == posted["id"]
    assert [posting["direction"] for posting in reversal["postings"]] == ["credit", "credit", "debit"]
    assert http.get(f"{ENTRIES}/{posted['id']}").json()["reversed_by"] == reversal["id"]
    again = http.post(f"{ENTRIES}/{posted['id']}/reversal", headers=headers)
    assert again.content == answer.content
    second = http.post(f"{ENTRIES}/{posted['id']}/reversal", headers=key())
    assert (second.status_code, second.json()["code"]) == (409, "already_reversed")


def test_reversing_what_does_not_exist_is_not_found(http, key):
    answer = http.post(f"{ENTRIES}/01a20a78-1102-7e41-b39f-1104e48e2468/reversal", headers=key())
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_batch_answers_each_entry_for_itself_and_in_order(http, entry, key):
    broken = entry()
    broken["postings"][0]["amount"] = "1"
    unknown = entry()
    unknown["postings"][2]["account"] = "revenue:nowhere"
    fine = [entry(), entry()]
    headers = key()
    body = {"entries": [fine[0], broken, unknown, fine[1], {"nonsense": True}]}
    answer = http.post(f"{ENTRIES}/batch", json=body, headers=headers)
    assert answer.status_code == 200
    result = answer.json()
    assert [item["status"] for item in result["results"]] == [201, 422, 422, 201, 422]
    assert (result["posted"], result["refused"]) == (2, 3)
    codes = [item["problem"]["code"] for item in result["results"] if "problem" in item]
    assert codes == ["unbalanced_entry", "unknown_account", "invalid_input"]
    assert result["results"][2]["problem"]["errors"][0]["pointer"] == "/entries/2/postings/2/account"
    for item in (result["results"][0], result["results"][3]):
        note = result["checkpoints"][str(item["checkpoint_size"])]
        assert proves(item["entry"]["hash"], item["entry"]["seq"], note, item["inclusion"])
    again = http.post(f"{ENTRIES}/batch", json=body, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.content == answer.content


def test_an_atomic_batch_stands_or_falls_together(http, entry, key):
    unknown = entry()
    unknown["postings"][2]["account"] = "revenue:nowhere"
    drafts = [entry(), unknown, entry()]
    answer = http.post(f"{ENTRIES}/batch?atomic=true", json={"entries": drafts}, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_account")
    assert answer.json()["errors"][0]["pointer"] == "/entries/1/postings/2/account"
    assert [count_of(http, draft["external_id"]) for draft in drafts] == [0, 0, 0]
    answer = http.post(f"{ENTRIES}/batch?atomic=true", json={"entries": [entry(), entry()]}, headers=key())
    assert answer.json()["posted"] == 2


def test_a_batch_larger_than_one_commit_is_answered_whole_and_repeats_the_same(http, entry, key):
    drafts = [entry() for _ in range(1_500)]
    headers = key()
    answer = http.post(f"{ENTRIES}/batch", json={"entries": drafts}, headers=headers)
    result = answer.json()
    assert (result["posted"], result["refused"]) == (1_500, 0)
    for item in (result["results"][0], result["results"][999], result["results"][1_000], result["results"][-1]):
        note = result["checkpoints"][str(item["checkpoint_size"])]
        assert proves(item["entry"]["hash"], item["entry"]["seq"], note, item["inclusion"])
    again = http.post(f"{ENTRIES}/batch", json={"entries": drafts}, headers=headers)
    assert again.content == answer.content


def test_a_batch_with_heavy_entries_is_cut_by_weight_too(http, entry, key):
    def heavy():
        sides = [{"account": "expenses:processing-fees:usd", "direction": "debit", "amount": "1", "currency": "USD"}]
        sum_side = {"account": "assets:psp:stripe:clearing:usd", "direction": "credit", "currency": "USD"}
        return entry(postings=[*sides * 499, {**sum_side, "amount": "499"}])

    # The first commit's worth is light; what follows is more than one commit may weigh.
    drafts = [*(entry() for _ in range(1_000)), *(heavy() for _ in range(110))]
    headers = key()
    answer = http.post(f"{ENTRIES}/batch", json={"entries": drafts}, headers=headers)
    assert (answer.status_code, answer.json()["posted"]) == (200, 1_110)
    assert http.post(f"{ENTRIES}/batch", json={"entries": drafts}, headers=headers).content == answer.content


def test_limits_of_a_batch_are_said(http, entry, key):
    answer = http.post(f"{ENTRIES}/batch", json={"entries": []}, headers=key())
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/entries")
    draft = entry()
    answer = http.post(f"{ENTRIES}/batch?atomic=true", json={"entries": [draft] * 1_001}, headers=key())
    assert answer.status_code == 422
    assert "1,000" in answer.json()["detail"]


def test_an_account_that_may_not_be_overdrawn_is_not(http, entry, key):
    sent = entry()
    sent["postings"] = [
        {"account": "assets:bank:main:usd", "direction": "credit", "amount": "5", "currency": "USD"},
        {"account": "expenses:processing-fees:usd", "direction": "debit", "amount": "5", "currency": "USD"},
    ]
    answer = http.post(ENTRIES, json=sent, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (422, "insufficient_funds")


def test_a_currency_that_is_not_the_accounts_is_refused(http, entry, key):
    sent = entry()
    sent["postings"] = [
        {"account": "assets:bank:main:eur", "direction": "debit", "amount": "5", "currency": "USD"},
        {"account": "revenue:sales:usd", "direction": "credit", "amount": "5", "currency": "USD"},
    ]
    answer = http.post(ENTRIES, json=sent, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (422, "currency_mismatch")
    assert answer.json()["errors"][0]["pointer"] == "/postings/0/currency"
