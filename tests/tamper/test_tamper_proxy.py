"""Old states, two writers, a thief with the service's credentials, and a proxy that is asked to lie."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from ledger_core.actor import Actor
from ledger_core.errors import CounterfoilError, IntegrityError, InvalidInput, SignerRefused
from ledger_core.evidence.check.checker import Code
from ledger_core.evidence.export.segment import export_segment
from ledger_core.journal.entries import EntryDraft, reversal_of
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.ports import Ask
from ledger_core.reading.entries import get_entry

pytestmark = pytest.mark.tamper

BOOK = "main"
THIEF = Actor(subject="thief")


def another(attacked: Any, number: int, external_id: str) -> EntryDraft:
    """Return a well-formed entry that nobody posted yet: entry `number` the other way round."""
    with attacked.runtime.engine.connect() as connection:
        entry = get_entry(connection, BOOK, f"shop:{number}")
    assert entry is not None
    return reversal_of(entry, effective_at=entry.draft.effective_at, external_id=external_id)


def test_an_older_database_restored(attacked_clone, own_home: Path) -> None:
    with attacked_clone(template="tamper_earlier", home=own_home) as restored:
        report = restored.check()
        assert {Code.BEHIND_PROXY, Code.BEHIND_ARCHIVE} <= report.codes
        assert not {Code.FORKED, Code.ROOT_MISMATCH, Code.HEAD_MISMATCH} & report.codes
        with pytest.raises(IntegrityError):
            export_segment(restored.runtime, closed_on=date(2026, 4, 1), book=BOOK)


def test_an_older_database_restored_takes_no_new_entry(attacked_clone, own_home: Path) -> None:
    with attacked_clone(template="tamper_earlier", home=own_home) as restored:
        before = restored.rows("select size, signed_size from ledger.log_head")
        with pytest.raises(IntegrityError):
            restored.runtime.ledger(BOOK).append([another(restored, 20, "new:1")], Ask(actor=THIEF))
        (after,) = restored.rows("select size, signed_size from ledger.log_head")
        assert after.signed_size == before[0].signed_size


def test_of_two_writers_on_two_copies_the_second_is_stopped(attacked_clone, own_home: Path) -> None:
    with attacked_clone(home=own_home) as first, attacked_clone(home=own_home) as second:
        first_ledger, second_ledger = first.runtime.ledger(BOOK), second.runtime.ledger(BOOK)
        first_ledger.append([another(first, 20, "new:first")], Ask(actor=THIEF))
        with pytest.raises(IntegrityError):
            second_ledger.append([another(second, 21, "new:second")], Ask(actor=THIEF))
        assert first.check().sound
        report = second.check()
        assert report.signed_size == first.check().signed_size - 1, "nothing of the second writer's was signed"
        assert report.codes <= {Code.BEHIND_PROXY, Code.FORKED}
        assert report.codes


@pytest.mark.parametrize(
    "statement",
    [
        f"{verb} ledger.{table}{rest}"
        for table in (
            "records", "checkpoints", "tiles", "account_versions", "entries", "postings", "exports", "erased_values",
            "erased_files", "replays",
        )
        for verb, rest in (("update", " set book = book"), ("delete from", ""), ("truncate", ""))
    ]
    + [
        f"{verb} ledger.{table}{rest}"
        for table in ("private_values", "private_keys")
        for verb, rest in (("update", " set book = book"), ("truncate", ""))
    ]
    + [
        "alter table ledger.records disable trigger append_only",
        "drop table ledger.records",
        "delete from ledger.log_head",
        "delete from ledger.balances",
        "create table ledger.mine ()",
        "set session_replication_role = replica",
    ],
)  # fmt: skip
def test_the_services_own_role_cannot_change_what_is_recorded(unharmed, statement: str) -> None:
    with unharmed.runtime.engine.connect() as connection, pytest.raises(ProgrammingError, match=r"denied|owner"):
        connection.execute(text(statement))


@pytest.mark.parametrize("statement", ["update ledger.records set kind = kind", "truncate ledger.postings"])
def test_a_superuser_who_slips_is_stopped_by_the_triggers(unharmed, engine_of, statement: str) -> None:
    from sqlalchemy.exc import IntegrityError as RestrictViolation

    with engine_of(unharmed).connect() as connection, pytest.raises(RestrictViolation, match="append-only"):
        connection.execute(text(statement))


def test_what_the_services_role_may_write_is_still_found(attacked) -> None:
    """A thief of the service's credentials may raise a balance and cannot make the log say so."""
    with attacked.runtime.engine.begin() as connection:
        connection.execute(text("update ledger.balances set debits = debits + 1000000 where account_id = 2"))
    assert attacked.check().codes == {Code.BALANCES_MISMATCH}


def test_a_thief_can_append_a_lie_and_it_bears_his_name(attacked_home) -> None:
    posted = attacked_home.runtime.ledger(BOOK).append([another(attacked_home, 20, "lie:1")], Ask(actor=THIEF))
    assert attacked_home.check().sound
    (record,) = attacked_home.rows("select canonical from ledger.records where seq = :seq", seq=posted.posted[0].seq)
    assert b'"subject":"thief"' in bytes(record[0])


def last_of(attacked: Any) -> Any:
    origin = attacked.runtime.settings.origin_of(BOOK)
    note = attacked.runtime.signer.latest(origin)
    return parse_checkpoint(parse_note(note).text)


def forged(origin: str, old_size: int, size: int) -> dict[str, Any]:
    """What a thief asks for: another history of `old_size` records, grown to `size`."""
    old = Frontier().extend(leaf_hash(b"forged %d" % number) for number in range(old_size))
    leaves = [leaf_hash(b"forged %d" % number) for number in range(old_size, size)]
    return {"origin": origin, "old": old, "leaves": leaves, "root": old.extend(leaves).root()}


def test_the_proxy_refuses_another_root_for_a_size_it_signed(attacked_home) -> None:
    last = last_of(attacked_home)
    with pytest.raises(SignerRefused):
        attacked_home.runtime.signer.sign_checkpoint(**forged(last.origin, 0, last.size))


def test_the_proxy_refuses_a_larger_tree_that_does_not_contain_the_last(attacked_home) -> None:
    last = last_of(attacked_home)
    with pytest.raises(SignerRefused):
        attacked_home.runtime.signer.sign_checkpoint(**forged(last.origin, last.size, last.size + 1))


def test_the_proxy_answers_a_smaller_size_with_what_it_signed(attacked_home) -> None:
    last = last_of(attacked_home)
    note = attacked_home.runtime.signer.sign_checkpoint(**forged(last.origin, 0, last.size - 1))
    assert parse_checkpoint(parse_note(note).text) == last


def test_the_proxy_signs_nothing_for_a_log_that_is_not_its_clients(attacked_home) -> None:
    with pytest.raises(SignerRefused):
        attacked_home.runtime.signer.sign_checkpoint(**forged("bank.example/prod/main", 0, 1))


def test_the_proxy_signs_no_payload_of_another_type(attacked_home) -> None:
    with pytest.raises((SignerRefused, InvalidInput)):
        attacked_home.runtime.signer.sign_dsse("application/vnd.counterfoil.keys.v1+json", b"{}")


def test_a_proxy_that_forgot_what_it_signed_is_noticed(company, attacked_clone, own_home: Path) -> None:
    for path in (own_home / "signer").glob("state.sqlite*"):
        path.unlink()
    with pytest.raises(CounterfoilError) as caught, attacked_clone(home=own_home) as attacked:
        attacked.check()
    assert "signing-proxy did not come up" in caught.value.message
    assert "no record of what it signed" in (own_home / "run" / "signing-proxy.log").read_text()
