"""What a stranger needs to hold the log to its word, over HTTP; and what operators and tools read."""

import json
import re
from base64 import b64decode

import httpx2
import pytest
from sqlalchemy import text

from api.posting import THREAD_ABOVE_ENTRIES
from ledger_core.base.engine import make_engine
from ledger_core.book.ledger import Ledger
from ledger_core.log.keys import TrustFile
from ledger_core.log.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger_core.log.note import decode_base64, parse_checkpoint, parse_note
from ledger_core.log.verifier import verify_path

pytestmark = pytest.mark.integration

ENTRIES = "/finance/journal-entries"


def checkpoint_of(note):
    return parse_checkpoint(parse_note(note).text)


@pytest.fixture
def post(http, entry, key):
    def post_(count=1):
        answer = http.post(f"{ENTRIES}/batch", json={"entries": [entry() for _ in range(count)]}, headers=key())
        return [item["entry"] for item in answer.json()["results"]]

    return post_


def test_a_proof_holds_offline_against_the_pinned_trust(api, http, post, tmp_path):
    made = post()[0]
    proof = http.get(f"{ENTRIES}/{made['id']}/proof").json()
    assert (proof["seq"], proof["hash"]) == (made["seq"], made["hash"])
    point = checkpoint_of(proof["checkpoint"])
    path = [decode_base64(node) for node in proof["inclusion"]]
    assert verify_inclusion(bytes.fromhex(proof["hash"]), proof["seq"], point.size, path, point.root)
    trust = TrustFile.load(api.runtime.trust_path)
    bundle, note = tmp_path / "bundle.json", tmp_path / "entry.tlog-proof"
    bundle.write_text(json.dumps(proof["bundle"]))
    text_form = http.get(f"{ENTRIES}/{made['id']}/proof", headers={"accept": "text/plain"})
    assert text_form.headers["content-type"].startswith("text/plain")
    note.write_text(text_form.text)
    report = verify_path(bundle, trust)
    assert (report.verdict, report.exit_status) == ("verified", 0)


def test_the_log_at_one_size_is_a_prefix_of_the_log_at_another(http, post):
    post()
    before = http.get("/finance/checkpoints/latest").json()
    post(5)
    after = http.get("/finance/checkpoints/latest").json()
    found = http.get(f"/finance/checkpoints/{before['size']}/consistency/{after['size']}").json()
    assert (found["from_checkpoint"], found["to_checkpoint"]) == (before["checkpoint"], after["checkpoint"])
    old, new = checkpoint_of(before["checkpoint"]), checkpoint_of(after["checkpoint"])
    path = [decode_base64(node) for node in found["proof"]]
    assert verify_consistency(old.size, old.root, new.size, new.root, path)


@pytest.mark.parametrize("offset", [0, 1, -1])
def test_corner_sizes_have_a_consistency_proof(http, post, offset):
    post(3)
    size = http.get("/finance/checkpoints/latest").json()["size"]
    from_size = {0: 0, 1: 1, -1: size}[offset]
    answer = http.get(f"/finance/checkpoints/{from_size}/consistency/{size}")
    assert answer.status_code == 200


def test_the_log_is_served_as_tiles(api, http, post):
    post(300)
    note = http.get("/finance/log/main/checkpoint").text
    point = checkpoint_of(note)
    assert point.size > 256
    full = http.get("/finance/log/main/tile/0/000")
    assert len(full.content) == 8192
    assert "immutable" in full.headers["cache-control"]
    rest = point.size - 256
    assert len(http.get(f"/finance/log/main/tile/0/001.p/{min(rest, 255)}").content) == 32 * min(rest, 255)
    upper = http.get("/finance/log/main/tile/1/000.p/1").content
    assert len(upper) == 32
    records = http.get("/finance/log/main/tile/entries/000").content
    at, leaves = 0, []
    while at < len(records):
        length = int.from_bytes(records[at : at + 2], "big")
        leaves.append(leaf_hash(records[at + 2 : at + 2 + length]))
        at += 2 + length
    assert b"".join(leaves) == full.content
    # Past the signature there is no tile.
    assert http.get("/finance/log/main/tile/0/900").status_code == 404


def test_a_log_that_is_not_public_shows_nothing_without_a_token(api):
    for path in ("checkpoint", "tile/0/000", "tile/0/000.p/1", "tile/entries/000"):
        answer = httpx2.get(f"{api.url}/finance/log/main/{path}", trust_env=False)
        assert (answer.status_code, answer.headers["cache-control"]) == (401, "no-store"), path
    with api.http("export:read") as reader:
        assert reader.get("/finance/log/main/tile/0/000.p/1").headers["cache-control"].startswith("private")
        assert reader.get("/finance/log/main/checkpoint").headers["cache-control"] == "no-store"


def test_a_period_is_verified_over_http(http, post):
    made = post(3)
    day = {"effective_from": "2026-11-22T00:00:00+01:00", "effective_before": "2026-11-23T00:00:00+01:00"}
    recorded = {"recorded_from": made[0]["recorded_at"], "recorded_before": "2099-01-01T00:00:00Z"}
    for period, wanted in ((day, {item["seq"] for item in made}), (recorded, {item["seq"] for item in made})):
        answer = http.post("/finance/verify", json={"selector": {"period": period}, "deep": True})
        found = answer.json()
        assert (found["verdict"], found["failures"]) == ("verified", [])
        payload = json.loads(b64decode(found["envelope"]["payload"]))
        assert wanted <= {record["seq"] for record in payload["records"]}


def test_a_period_is_said_in_two_times_of_one_sort(http):
    ok, zone = "2026-11-22T00:00:00Z", "2026-11-23T00:00:00"
    for period, pointer in (
        ("2026", "/selector/period"),
        ({}, "/selector/period"),
        ({"effective_from": ok}, "/selector/period"),
        ({"effective_from": ok, "recorded_before": ok}, "/selector/period"),
        ({"effective_from": ok, "effective_before": ok}, "/selector/period"),
        ({"effective_from": ok, "effective_before": zone}, "/selector/period/effective_before"),
        ({"recorded_from": 5, "recorded_before": ok}, "/selector/period/recorded_from"),
        ({"recorded_from": None, "recorded_before": ok}, "/selector/period/recorded_from"),
        ({"effective_from": ok, "until": ok}, "/selector/period/until"),
    ):
        answer = http.post("/finance/verify", json={"selector": {"period": period}})
        assert answer.status_code == 422, period
        assert answer.json()["errors"][0]["pointer"] == pointer, period


def test_keys_are_shown_and_not_to_be_trusted(http):
    keys = http.get("/finance/keys").json()["keys"]
    assert keys
    assert keys[0]["payloadType"] == "application/vnd.counterfoil.keys.v1+json"


def test_verify_proves_entries_from_the_callers_checkpoint_on(http, post):
    known = http.get("/finance/checkpoints/latest").json()["checkpoint"]
    made = post(2)
    selector = {"entry_ids": [item["id"] for item in made]}
    answer = http.post("/finance/verify", json={"selector": selector, "known_checkpoint": known, "deep": True})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["verdict"], found["failures"]) == ("verified", [])
    payload = json.loads(b64decode(found["envelope"]["payload"]))
    assert {record["seq"] for record in payload["records"]} == {item["seq"] for item in made}
    assert payload["consistency"]


def test_verify_proves_a_range(http, post):
    made = post(3)
    wanted = {"seq_range": {"first": made[0]["seq"], "next": made[-1]["seq"] + 1}}
    assert http.post("/finance/verify", json={"selector": wanted}).json()["verdict"] == "verified"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"selector": {}}, 422),
        ({"selector": {"entry_ids": []}}, 422),
        ({"selector": {"entry_ids": ["x"], "segment": 1}}, 422),
        ({"selector": {"seq_range": {"first": 5, "next": 5}}}, 422),
        ({"selector": {"seq_range": {"first": 0, "next": 5_000}}}, 422),
        ({"selector": {"period": "2026"}}, 422),
        ({"selector": {"segment": True}}, 422),
        ({"selector": {"seq_range": {"first": 0, "next": 1}}, "known_checkpoint": "nonsense"}, 422),
        ({"selector": {"seq_range": {"first": 0, "next": 1}}, "deep": "yes"}, 422),
        ({"selector": {"entry_ids": ["01a20a78-1102-7e41-b39f-1104e48e2468"]}}, 404),
        ({"selector": {"seq_range": {"first": 999_000, "next": 999_001}}}, 404),
        ({"selector": {"segment": 4_000}}, 404),
    ],
)
def test_verify_says_what_is_wrong_with_the_question(http, body, status):
    answer = http.post("/finance/verify", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_projection_that_was_changed_is_a_200_with_evidence(api, http, post):
    made = post()[0]
    superuser = make_engine(api.runtime.database_url, role="login", pool_size=1)
    with superuser.begin() as connection:
        connection.execute(text("set session_replication_role = replica"))
        changed = connection.execute(
            text("update ledger.postings set amount_minor = amount_minor + 1 where seq = :seq and line = 0"),
            {"seq": made["seq"]},
        )
        assert changed.rowcount == 1
    superuser.dispose()
    answer = http.post("/finance/verify", json={"selector": {"entry_ids": [made["id"]]}, "deep": True})
    assert (answer.status_code, answer.json()["verdict"]) == (200, "failed")
    assert answer.json()["failures"][0]["seq"] == made["seq"]
    metrics = http.get("/metrics").text
    assert 'counterfoil_verify_total{verdict="failed"} 1.0' in metrics


def test_metrics_name_routes_by_template_and_count_posts(http, post):
    made = post(2)
    http.get(f"{ENTRIES}/{made[0]['id']}")
    http.get("/some/scanner/path")
    shown = http.get("/metrics").text
    assert 'route="/finance/journal-entries/{entry_id}"' in shown
    assert made[0]["id"] not in shown
    assert "scanner" not in shown
    assert 'counterfoil_entries_total{outcome="posted"}' in shown
    assert 'counterfoil_unsigned_tail_records{book="main"} 0.0' in shown
    assert "counterfoil_sequencer_batch_records_count" in shown
    assert "counterfoil_sign_seconds_count" in shown


def test_metrics_say_what_is_in_progress_and_what_came_of_it(api, http, entry, key, monkeypatch):
    submit, seen = Ledger.submit, []

    def watched(self, *arguments, **named):
        # A batch as long as this is handed over in a thread, so that the server can be asked meanwhile.
        seen.append(httpx2.get(f"{api.url}/metrics", trust_env=False).text)
        return submit(self, *arguments, **named)

    monkeypatch.setattr(Ledger, "submit", watched)
    refused = "counterfoil_entries_total" + '{outcome="refused"} '
    before = http.get("/metrics").text
    good = [entry() for _ in range(THREAD_ABOVE_ENTRIES)]
    wrong = entry(postings=[{**item, "account": f"{item['account']}:none"} for item in good[0]["postings"]])
    answer = http.post(f"{ENTRIES}/batch", json={"entries": [*good, wrong]}, headers=key())
    assert answer.status_code == 200
    after = http.get("/metrics").text
    for shown, waiting, in_progress in ((before, 0, 1), (seen[0], THREAD_ABOVE_ENTRIES + 1, 2), (after, 0, 1)):
        assert f"counterfoil_waiting_entries {waiting}.0" in shown
        assert f"counterfoil_http_requests_in_progress {in_progress}.0" in shown
    counts = [float(shown.partition(refused)[2].split()[0]) for shown in (before, after)]
    assert counts[1] - counts[0] == 1


def test_the_openapi_document_is_complete(http):
    document = http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    ids = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            ids.append(operation["operationId"])
            if not path.startswith("/finance/"):
                continue
            if path.startswith("/finance/webhooks/"):
                # The provider's signature is the credential, and what makes a repetition known.
                assert "security" not in operation
                continue
            assert operation["security"], path
            assert "401" in operation["responses"], path
            assert "HTTPValidationError" not in json.dumps(operation)
            if method == "post" and path != "/finance/verify":
                assert any(item["name"] == "Idempotency-Key" for item in operation["parameters"]), path
            if method in ("post", "patch"):
                assert "requestBody" in operation, path
    assert len(ids) == len(set(ids))
    assert "post_journal_entry" in ids
    names = set(document["components"]["schemas"])
    references = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= names


def test_the_documentation_loads_nothing_from_elsewhere(http):
    page = http.get("/docs")
    assert "//" not in page.text.replace("<!doctype html>", "")
    assert page.headers["content-security-policy"].startswith(
        "default-src 'none'; script-src 'self'; style-src 'self';"
    )
    for name in re.findall(r'(?:src|href)="([^":]+)"', page.text):
        found = http.get(f"/{name}")
        assert found.status_code == 200, name
        assert found.headers["content-type"].partition(";")[0] in ("text/css", "text/javascript", "application/json")


def test_a_browser_that_has_a_script_of_the_page_is_not_sent_it_again(http):
    first = http.get("/docs/swagger-ui-bundle.js")
    again = http.get("/docs/swagger-ui-bundle.js", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_the_page_serves_its_own_files_and_no_other(http):
    for name in ("redoc.standalone.js", "..%2fcore.py", "__init__.py"):
        answer = http.get(f"/docs/{name}")
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
