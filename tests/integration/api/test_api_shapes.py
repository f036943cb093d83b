"""The declared shapes are the real ones: every answer fits its model, and the models' examples are accepted."""

import pytest

from api.schemas import accounts, common, entries, erasures, log
from ledger_core.book.kinds import Kinds
from ledger_core.journal.entries import parse_entry

pytestmark = pytest.mark.integration

ENTRIES, ACCOUNTS, SALES = "/finance/journal-entries", "/finance/accounts", "revenue:sales:usd"


def test_the_example_of_an_entry_can_be_posted(http, key):
    example = entries.JournalEntryDraft.model_config["json_schema_extra"]["examples"][0]
    parse_entry(example)
    assert http.post(ENTRIES, json=example, headers=key()).status_code == 201


def test_an_entry_has_the_members_that_its_model_declares(entry):
    others = {"reverses": None, "corrects": None, "private": {"payer_name": "Ada"}, "book": "main"}
    for name in entries.JournalEntryDraft.model_fields:
        parse_entry({**entry(), name: entry().get(name, others.get(name))})
    assert set(entry()) <= set(entries.JournalEntryDraft.model_fields)


def test_every_answer_fits_its_model(http, entry, key):
    posted = http.post(ENTRIES, json=entry(private={"payer_name": "Ada", "payer_iban": "x"}), headers=key()).json()
    entries.PostedEntry.model_validate(posted)
    asked = {"entries": [{"id": posted["id"], "names": ["payer_iban"]}], "reason": "mistake"}
    for model in (erasures.Erasure, erasures.NothingErased):
        model.model_validate(http.post("/finance/erasures", json=asked, headers=key()).json())
    broken = entry(postings=[])
    batch = http.post(f"{ENTRIES}/batch", json={"entries": [entry(), broken]}, headers=key()).json()
    entries.BatchAnswer.model_validate(batch)
    reversal = http.post(f"{ENTRIES}/{posted['id']}/reversal", json={"description": "oops"}, headers=key()).json()
    entries.PostedEntry.model_validate(reversal)
    dry = http.post(ENTRIES, params={"dry_run": "true"}, json=entry()).json()
    entries.DryRun.model_validate(dry)
    reads = {
        ENTRIES: entries.EntryPage,
        f"{ENTRIES}/{posted['id']}": entries.JournalEntry,
        f"{ENTRIES}/{posted['id']}/proof": log.Proof,
        ACCOUNTS: accounts.AccountPage,
        f"{ACCOUNTS}/{SALES}": accounts.Account,
        f"{ACCOUNTS}/{SALES}/balance": accounts.Balance,
        f"{ACCOUNTS}/{SALES}/balance?effective_at=2026-01-01T00:00:00Z&known_at=2030-01-01T00:00:00Z": accounts.Balance,
        f"{ACCOUNTS}/{SALES}/statement": accounts.Statement,
        "/finance/trial-balance": accounts.TrialBalance,
        "/finance/checkpoints/latest": log.Checkpoint,
        "/finance/checkpoints/1/consistency/2": log.Consistency,
        "/finance/keys": log.Keys,
        "/readyz": log.Ready,
    }
    for path, model in reads.items():
        model.model_validate(http.get(path).json())
    verification = http.post("/finance/verify", json={"selector": {"entry_ids": [posted["id"]]}}).json()
    log.Verification.model_validate(verification)
    run = {"kind": "reconciliation_run", "body": {"manifest": {"run_id": "r-1"}}}
    log.PostedRecord.model_validate(http.post("/finance/records", json=run, headers=key()).json())
    for answer in (http.get("/nowhere"), http.post(ENTRIES, json=broken, headers=key()), http.post(ENTRIES, json={})):
        common.Problem.model_validate(answer.json())


def test_the_declared_kinds_of_records_are_the_accepted_ones():
    declared = log.RecordDraft.model_fields["kind"].annotation.__args__
    assert set(declared) == set(Kinds().scopes)
