"""Private values over HTTP: taken, shown to whom may see them, never answered to a post, and erased."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from api.batches import parse_batch, without_private
from api.commands import fingerprint
from cli.main import app
from ledger_core.client import LedgerClient
from ledger_core.client.http_ledger import HttpLedger
from ledger_core.errors import DuplicateExternalId, LedgerBehind, NotAllowed, NothingToErase
from ledger_core.journal.entries import parse_entry
from ledger_core.journal.erasures import EntryErasure, ErasureDraft, ErasureRequest
from ledger_core.ports import Ask, Declined, Posted, Unchanged

pytestmark = pytest.mark.integration

ENTRIES, ERASURES = "/finance/journal-entries", "/finance/erasures"
ADA = {"payer_iban": "DE89370400440532013000", "payer_name": "Ada Example"}


@pytest.fixture
def posted(http, entry, key):
    answer = http.post(ENTRIES, json=entry(private=ADA), headers=key())
    assert answer.status_code == 201, answer.text
    return answer.json()


def erase(http, key, reason="consent_withdrawn", **asked):
    return http.post(ERASURES, json={**asked, "reason": reason}, headers=key())


def test_a_post_is_answered_with_commitments_and_never_with_what_is_private(http, entry, key):
    sent, headers = entry(private=ADA), key()
    first = http.post(ENTRIES, json=sent, headers=headers)
    assert set(first.json()["commitments"]) == set(ADA)
    assert "private" not in first.json()
    erase(http, key, entries=[{"id": first.json()["id"]}])
    again = http.post(ENTRIES, json=sent, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.content == first.content


@pytest.mark.parametrize("scopes", [("journal:read",), ("journal:read", "private:read")])
def test_private_values_are_shown_to_the_scope_alone_and_erasures_to_every_reader(api, http, key, posted, scopes):
    erase(http, key, entries=[{"id": posted["external_id"], "names": ["payer_iban"]}])
    with api.http(*scopes) as reader:
        answers = [
            reader.get(f"{ENTRIES}/{posted['id']}"),
            reader.get(ENTRIES, params={"external_id": posted["external_id"]}),
        ]
        one, (listed,) = answers[0].json(), answers[1].json()["entries"]
    assert one == listed
    assert one["commitments"] == posted["commitments"]
    assert list(one["erased"]) == ["payer_iban"]
    if "private:read" in scopes:
        assert one["private"] == {"payer_name": ADA["payer_name"]}
        assert one["not_held"] == []
        assert [(answer.headers.get("cache-control"), "etag" in answer.headers) for answer in answers] == [
            ("no-store", False)
        ] * 2
    else:
        assert not {"private", "not_held"} & one.keys()
        assert answers[0].headers["etag"] == f'"{one["hash"]}"'
        assert not any("no-store" in answer.headers.get("cache-control", "") for answer in answers)


def test_an_entry_without_private_values_looks_as_it_did(http, entry, key):
    posted = http.post(ENTRIES, json=entry(), headers=key()).json()
    shown = http.get(f"{ENTRIES}/{posted['id']}").json()
    assert not {"commitments", "private", "erased", "not_held"} & shown.keys()


def test_an_erasure_answers_its_record_and_a_repetition_of_it_the_same_or_nothing(api, http, key, posted):
    headers = key()
    asked = {"entries": [{"id": posted["id"]}], "reason": "consent_withdrawn"}
    first = http.post(ERASURES, json=asked, headers=headers)
    assert first.status_code == 201, first.text
    made = first.json()
    assert made["values"] == [{"id": posted["id"], "names": sorted(ADA), "seq": posted["seq"]}]
    kept = timedelta(days=api.settings.ledger.backups_kept_days)
    assert date.fromisoformat(made["kept_until"]) == date.fromisoformat(made["recorded_at"][:10]) + kept
    again = http.post(ERASURES, json=asked, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    unchanged = http.post(ERASURES, json=asked, headers=key())
    assert (unchanged.status_code, unchanged.json()["status"]) == (200, "unchanged")
    other = http.post(ERASURES, json={**asked, "reason": "mistake"}, headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("scope", ["journal:write", "private:read", "keys:admin"])
def test_an_erasure_wants_its_own_scope(api, key, posted, scope):
    with api.http(scope) as client:
        assert erase(client, key, entries=[{"id": posted["id"]}]).status_code == 403


def test_no_erasure_passes_the_door_of_other_records(http, key):
    body = {"files": [], "fingerprint": "0" * 64, "kept_until": "2026-01-01", "reason": "mistake", "values": []}
    answer = http.post("/finance/records", json={"kind": "erasure", "body": body}, headers=key())
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("asked", "code", "pointer"),
    [
        ({"entries": [{"id": "nobody"}]}, "reference_not_found", "/entries/0/id"),
        ({"entries": [{"id": "nobody", "name": "x"}]}, "invalid_input", "/entries/0/name"),
        ({"entries": [{"names": ["x"]}]}, "invalid_input", "/entries/0/id"),
        ({"entries": [{"id": "x", "names": []}]}, "invalid_input", "/entries/0/names"),
        ({"entries": [{"id": "x", "names": None}]}, "invalid_input", "/entries/0/names"),
        ({"entries": [{"id": "x", "names": ["X"]}]}, "invalid_input", "/entries/0/names/0"),
        ({"entries": "x"}, "invalid_input", "/entries"),
        ({"entries": ["x"]}, "invalid_input", "/entries/0"),
        ({"entries": [{"id": "x"}] * 101}, "invalid_input", "/entries"),
        ({"files": ["x"] * 101}, "invalid_input", "/files"),
        ({"files": [1]}, "invalid_input", "/files/0"),
        ({"files": ["0" * 64]}, "reference_not_found", "/files/0"),
        ({}, "invalid_input", "/entries"),
        ({"entries": [{"id": "x"}], "reason": "why not"}, "invalid_input", "/reason"),
        ({"entries": [{"id": "x"}], "note": "x"}, "invalid_input", "/note"),
    ],
)
def test_what_is_no_erasure_is_refused_with_its_place(http, key, asked, code, pointer):
    problem = erase(http, key, **asked).json()
    assert problem["code"] == code, problem
    assert problem["errors"][0]["pointer"] == pointer


def test_what_an_entry_never_had_is_a_refusal_of_its_own(http, entry, key):
    posted = http.post(ENTRIES, json=entry(), headers=key()).json()
    problem = erase(http, key, entries=[{"id": posted["id"]}]).json()
    assert (problem["status"], problem["code"]) == (422, "nothing_to_erase")


@pytest.mark.parametrize(
    ("private", "pointer"),
    [({"a": 1}, "/private/a"), ([], "/private"), ({"card": "4111111111111111"}, "/private/card")],
)
def test_what_may_not_be_private_is_refused_single_and_in_a_batch(http, entry, key, private, pointer):
    problem = http.post(ENTRIES, json=entry(private=private), headers=key()).json()
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, pointer)
    assert "4111" not in json.dumps(problem)
    batch = http.post(f"{ENTRIES}/batch", json={"entries": [entry(), entry(private=private)]}, headers=key()).json()
    assert [result["status"] for result in batch["results"]] == [201, 422]
    assert batch["results"][1]["problem"]["errors"][0]["pointer"] == f"/entries/1{pointer}"


def test_a_batch_with_private_values_repeats_and_another_value_is_another_request(http, entry, key):
    headers, one, other = key(), entry(private=ADA), entry(private={"a": "x"})
    first = http.post(f"{ENTRIES}/batch", json={"entries": [one, entry(external_id="e"), other]}, headers=headers)
    assert first.status_code == 200
    sent = {"entries": [one, entry(external_id="e"), other]}
    again = http.post(f"{ENTRIES}/batch", json=sent, headers=headers)
    assert again.content == first.content
    for changed in ({"a": "y"}, {"b": "x"}, {}):
        sent["entries"][2] = {**other, "private": changed}
        problem = http.post(f"{ENTRIES}/batch", json=sent, headers=headers).json()
        assert problem["code"] == "idempotency_key_reused", changed


def test_what_is_stored_of_a_batch_is_no_hash_of_a_private_value(api, http, entry, key):
    headers, sent = key(), {"entries": [entry(private={"a": "x"}), entry()]}
    assert http.post(f"{ENTRIES}/batch", json=sent, headers=headers).status_code == 200
    with api.runtime.engine.connect() as connection:
        query = text("select fingerprint from ledger.idempotency where key = :key")
        stored = bytes(connection.execute(query, {"key": headers["idempotency-key"]}).scalar_one())
    other = {"entries": [{**sent["entries"][0], "private": {"a": "another"}}, sent["entries"][1]]}
    assert stored == _mark(other)
    assert stored != _mark({"entries": sent["entries"][1:]})


def test_what_is_stored_of_a_batch_is_no_hash_of_what_did_not_parse(api, http, entry, key):
    """A value may stand anywhere in it: under a key that is none, in another member."""
    headers, right = key(), entry()
    sent = {"entries": [right, {**entry(), "privat": {"payer_name": "Ada Example"}}, "Ada Example"]}
    assert http.post(f"{ENTRIES}/batch", json=sent, headers=headers).json()["posted"] == 1
    with api.runtime.engine.connect() as connection:
        query = text("select fingerprint from ledger.idempotency where key = :key")
        stored = bytes(connection.execute(query, {"key": headers["idempotency-key"]}).scalar_one())
    assert stored == _mark({"entries": [right, {"privat": "Eve"}, "Eve"]})
    assert stored != _mark({"entries": [right, {"privat": "Eve"}, entry()]})


def _mark(body):
    return fingerprint("journal-entries/batch", False, without_private(body, parse_batch(body, "main", atomic=False)))


def test_a_key_that_is_no_name_is_not_shown(http, entry, key):
    answer = http.post(ENTRIES, json=entry(private={"Ada Example": "x"}), headers=key())
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/private")
    assert "Ada" not in answer.text


def test_the_python_client_posts_reads_and_erases(api: object, entry) -> None:
    with LedgerClient(api.url, token=api.token()) as client:
        draft = parse_entry(entry(private=ADA))
        posted = client.post_entry(draft)
        assert set(posted.commitments) == set(ADA)
        assert client.get_entry(posted.id).draft.private == ADA
        made = client.erase(ErasureRequest(reason="objection", entries=(EntryErasure(entry=posted.id),)))
        assert made.record is not None
        assert made.values[0]["names"] == sorted(ADA)
        shown = client.get_entry(posted.id)
        assert shown.draft.private == {}
        assert dict(shown.erased) == dict.fromkeys(ADA, made.record.seq)
        again = client.erase(ErasureRequest(reason="objection", entries=(EntryErasure(entry=posted.id),)))
        assert again.record is None
        with pytest.raises(NothingToErase):
            client.erase(ErasureRequest(reason="objection", entries=(EntryErasure(entry=posted.id, names=("x",)),)))
    with LedgerClient(api.url, token=api.token("journal:write")) as client, pytest.raises(NotAllowed):
        client.erase(ErasureRequest(reason="objection", entries=(EntryErasure(entry="x"),)))


def test_the_ledger_behind_http_takes_private_values_and_erasures(api, entry) -> None:
    settings = api.settings.model_copy(update={"ledger_url": api.url, "ledger_token": api.token()})
    ledger = HttpLedger(settings, "main")
    try:
        ask = Ask(actor=None)
        draft = parse_entry(entry(private=ADA))
        assert isinstance(ledger.append([draft], ask).items[0], Posted)
        (again,) = ledger.append([draft], ask).items
        assert isinstance(again, Declined)
        assert isinstance(again.error, DuplicateExternalId)
        assert again.error.identical
        named = (EntryErasure(entry=draft.external_id),)
        erasure = ErasureDraft(reason="mistake", entries=named, kept_until=date(2026, 1, 1))
        made, again = (ledger.append([erasure], ask).items[0] for _ in range(2))
        assert isinstance(again, Unchanged)
        assert isinstance(made, Posted)
        assert [value["names"] for value in made.said["values"]] == [sorted(ADA)]
        assert (made.said["reason"], made.said["files"]) == ("mistake", [])
        assert date.fromisoformat(made.said["kept_until"]) > date(2026, 1, 1), "the API's own, not the caller's"
    finally:
        ledger.close()


def test_the_command_says_the_same_where_the_ledger_is_behind_http(api, entry, monkeypatch) -> None:
    with LedgerClient(api.url, token=api.token()) as client:
        ids = [client.post_entry(parse_entry(entry(private=ADA))).id for _ in range(2)]
    for name, value in (
        ("COUNTERFOIL_HOME", api.settings.home), ("COUNTERFOIL_ENV", "test"),
        ("DATABASE_URL", api.settings.database_url), ("COUNTERFOIL_LEDGER_URL", api.url),
        ("COUNTERFOIL_LEDGER_TOKEN", api.token()),
    ):  # fmt: skip
        monkeypatch.setenv(name, str(value))

    def run(*words: str) -> Result:
        result = CliRunner().invoke(app, ["erase", "entry", *words, "--reason", "mistake"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    said = run(ids[0]).output
    assert "2 private values, 0 files" in said
    assert "backups may hold them until 20" in said
    made = json.loads(run(ids[1], "--json").stdout)
    assert ([value["id"] for value in made["values"]], made["files"]) == ([ids[1]], [])


def test_values_of_a_book_that_is_behind_are_withheld_over_http_with_the_word(api, http, posted, monkeypatch) -> None:
    behind = LedgerBehind("the database went back in time.", size=1, signed_size=2)
    monkeypatch.setattr(type(api.runtime), "withheld", lambda self, book: behind)
    shown = http.get(f"{ENTRIES}/{posted['id']}").json()
    assert (shown["private"], shown["not_held"], shown["withheld"]) == ({}, sorted(ADA), "ledger_behind")
    with LedgerClient(api.url, token=api.token()) as client:
        assert client.get_entry(posted["id"]).withheld == "ledger_behind"
    with api.http("journal:read") as reader:
        assert "withheld" not in reader.get(f"{ENTRIES}/{posted['id']}").json()
