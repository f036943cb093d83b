"""A superuser edits, deletes or invents a row of a projection: the check names table, seq and what differs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ledger_core.evidence.check.checker import Code

pytestmark = pytest.mark.tamper


@dataclass(frozen=True)
class Edit:
    """`statement` as superuser; then `code` on `table`, with `says` somewhere in the finding."""

    statement: str
    code: Code
    table: str
    says: str = ""


def update(table: str, column: str, value: str, where: str, code: Code, says: str | None = None) -> Edit:
    return Edit(
        f"update ledger.{table} set {column} = {value} where book = 'main' and {where}",
        code,
        f"ledger.{table}",
        column if says is None else says,
    )


def delete(table: str, where: str, code: Code, says: str = "missing") -> Edit:
    return Edit(f"delete from ledger.{table} where book = 'main' and {where}", code, f"ledger.{table}", says)


E, P, B, A = Code.ENTRIES_MISMATCH, Code.POSTINGS_MISMATCH, Code.BALANCES_MISMATCH, Code.ACCOUNTS_MISMATCH
X, T, H, C, K = (
    Code.EXPORTS_MISMATCH, Code.TILES_MISMATCH, Code.HEAD_MISMATCH, Code.CHECKPOINT_MISMATCH, Code.IDEMPOTENCY_MISMATCH,
)  # fmt: skip

EDITS = {
    "entry description": update("entries", "description", "'another order'", "seq = 20", E),
    "entry external id": update("entries", "external_id", "'shop:x'", "seq = 20", E),
    "entry id": update("entries", "id", "gen_random_uuid()", "seq = 20", E, "id is"),
    "entry time": update("entries", "effective_at", "effective_at + interval '1 microsecond'", "seq = 20", E),
    "entry time beyond any calendar": update("entries", "effective_at", "'infinity'", "seq = 20", E),
    "entry metadata": update("entries", "metadata", """'{"order": "o-999"}'""", "seq = 20", E),
    "entry metadata of another shape": update("entries", "metadata", "'[1e400]'", "seq = 20", E),
    "entry said to reverse": update(
        "entries", "reverses", "(select id from ledger.entries where seq = 9)", "seq = 20", E
    ),
    "reversal unlinked": update("entries", "reverses", "null", "reverses is not null", E),
    "entry said to correct": update("entries", "corrects", "gen_random_uuid()", "seq = 20", E),
    "entry deleted": delete("entries", "seq = 20", E),
    "entry invented": Edit(
        "insert into ledger.entries select book, 4, gen_random_uuid(), 'x', effective_at, '', metadata, null, null"
        " from ledger.entries where seq = 20", E, "ledger.entries", "no origin in the log",
    ),
    "posting amount": update("postings", "amount_minor", "amount_minor + 1", "seq = 20 and line = 0", P),
    "posting direction": update("postings", "direction", "'credit'", "seq = 20 and line = 0", P),
    "posting account": update("postings", "account_id", "3", "seq = 20 and line = 0", P),
    "posting currency": update("postings", "currency", "'EUR'", "seq = 20 and line = 0", P),
    "posting time": update("postings", "effective_at", "effective_at - interval '1 day'", "seq = 20 and line = 0", P),
    "posting deleted": delete("postings", "seq = 20 and line = 1", P),
    "posting invented": Edit(
        "insert into ledger.postings select book, seq, 9, account_id, direction, amount_minor, currency, effective_at"
        " from ledger.postings where seq = 20 and line = 0", P, "ledger.postings", "no origin in the log",
    ),
    "postings of the last entry deleted": delete("postings", "seq = (select max(seq) from ledger.postings)", P),
    "balance debits": update("balances", "debits", "debits + 1", "account_id = 2", B),
    "balance credits": update("balances", "credits", "credits + 1", "account_id = 2", B),
    "balance not a number": update("balances", "debits", "'NaN'", "account_id = 2", B),
    "balance last seq": update("balances", "last_seq", "last_seq - 1", "account_id = 2", B),
    "balance deleted": delete("balances", "account_id = 2", B),
    "balance invented": Edit(
        "insert into ledger.balances values ('main', 99, 5, 5, 1)", B, "ledger.balances", "no origin in the log"
    ),
    "account opened up": update("accounts", "overdraft", "'forbidden'", "account_id = 2", A),
    "account frozen": update("accounts", "status", "'frozen'", "account_id = 2", A),
    "account of another type": update("accounts", "type", "'liability'", "account_id = 2", A, "type is"),
    "account turned around": update("accounts", "normal_balance", "'credit'", "account_id = 2", A),
    "account currency": update("accounts", "currency", "'EUR'", "account_id = 2", A),
    "account code": update("accounts", "code", "'assets:mine'", "account_id = 2", A),
    "account metadata": update("accounts", "metadata", """'{"role": "none"}'""", "account_id = 2", A),
    "account history": update("accounts", "opened_seq", "opened_seq + 1", "account_id = 2", A),
    "account deleted": delete("accounts", "account_id = 2", A),
    "account invented": Edit(
        "insert into ledger.accounts select book, 99, 'assets:x', type, normal_balance, currency, status, overdraft,"
        " metadata, opened_seq, changed_seq from ledger.accounts where account_id = 2",
        A, "ledger.accounts", "no origin",
    ),
    "account version edited": update("account_versions", "overdraft", "'forbidden'", "account_id = 2", A),
    "account version deleted": delete(
        "account_versions", "seq = (select max(seq) from ledger.account_versions)", A
    ),
    "account version invented": Edit(
        "insert into ledger.account_versions select book, 100, account_id, code, type, normal_balance, currency,"
        " status, overdraft, metadata from ledger.account_versions where account_id = 2",
        A, "ledger.account_versions", "no origin",
    ),
    "export moved": update("exports", "uri", "'file:///elsewhere'", "segment = 1", X),
    "export of another hash": update("exports", "manifest_sha256", "repeat('0', 64)", "segment = 1", X),
    "export of another day": update("exports", "closed_on", "'2026-04-01'", "segment = 1", X),
    "export range": update("exports", "next_seq", "next_seq + 1", "segment = 1", X),
    "export deleted": delete("exports", "segment = 1", X),
    "export invented": Edit(
        "insert into ledger.exports select book, 9, '2026-05-01', first_seq, next_seq, manifest_sha256, uri, 7"
        " from ledger.exports where segment = 1", X, "ledger.exports", "no origin in the log",
    ),
    "tile hashes": Edit(
        "update ledger.tiles set hashes = set_byte(hashes, 100, get_byte(hashes, 100) # 1) where n = 0",
        T, "ledger.tiles level 0", "hashes",
    ),
    "tile root": Edit(
        "update ledger.tiles set root = set_byte(root, 0, get_byte(root, 0) # 1) where n = 0",
        T, "ledger.tiles level 0", "root",
    ),
    "tile deleted": Edit("delete from ledger.tiles", T, "ledger.tiles level 0", "missing"),
    "tile invented": Edit(
        "insert into ledger.tiles select book, 0, 1, root, hashes from ledger.tiles",
        T, "ledger.tiles level 0", "no origin",
    ),
    "tile invented above": Edit(
        "insert into ledger.tiles select book, 3, 0, root, hashes from ledger.tiles", T, "ledger.tiles", "levels"
    ),
    "head origin": update("log_head", "origin", "'elsewhere.test/test/main'", "true", H),
    "head last leaf": update("log_head", "last_leaf", "set_byte(last_leaf, 0, get_byte(last_leaf, 0) # 1)", "true", H),
    "head time": update("log_head", "last_recorded_at", "last_recorded_at + interval '1 day'", "true", H),
    "head frontier": update("log_head", "frontier", "set_byte(frontier, 0, get_byte(frontier, 0) # 1)", "true", H),
    "head frontier cut": update("log_head", "frontier", "substring(frontier from 33)", "true", H),
    "head signed size": update("log_head", "signed_size", "signed_size - 1", "true", H),
    "head deleted": Edit("delete from ledger.log_head", H, "ledger.log_head", "no head"),
    "checkpoint root": update("checkpoints", "root", "set_byte(root, 0, get_byte(root, 0) # 1)", "size = 1", C, "root"),
    "checkpoint frontier": update(
        "checkpoints", "frontier", "set_byte(frontier, 0, get_byte(frontier, 0) # 1)", "size = 1", C, "peaks"
    ),
    "checkpoint of another note": update(
        "checkpoints", "note", "(select note from ledger.checkpoints where size > 1 order by size limit 1)",
        "size = 1", C, "note",
    ),
    "last checkpoint deleted": Edit(
        "delete from ledger.checkpoints where size = (select max(size) from ledger.checkpoints)",
        H, "ledger.log_head", "largest checkpoint",
    ),
    "answer moved past the end": update("idempotency", "first_seq", "100000", "key = 'single'", K, "past the end"),
    "answer moved to another's": update("idempotency", "first_seq", "20", "key = 'single'", K, "shares seq 20"),
    "answer moved to another kind": update(
        "idempotency", "first_seq", "0", "key = 'single'", K, "book, not a journal_entry"
    ),
    "answer emptied": update("idempotency", "count", "0", "key = 'single'", K, "0 records"),
    "answer stretched past the end": update("idempotency", "count", "100000", "key = 'single'", K, "past the end"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_the_check_says_which_row_was_changed(name: str, attacked) -> None:
    edit = EDITS[name]
    assert attacked.sql(edit.statement) > 0, "the attack touched nothing"
    report = attacked.check()
    assert report.exit_status == 1
    found = [item for item in report.findings if item.code == edit.code and item.table == edit.table]
    assert found, [str(item) for item in report.findings]
    assert any(edit.says in item.detail for item in found), [str(item) for item in found]


def test_an_untouched_company_is_sound(attacked) -> None:
    report = attacked.check()
    assert report.sound, [str(item) for item in report.findings]
    assert report.exit_status == 0
    assert report.counts["records"] == report.size == report.signed_size
    assert report.counts["entries"] == 301
    assert report.counts["exports"] == report.counts["segments"] == 2
    assert report.counts["tiles"] == 1


def test_a_finding_names_the_seq_and_both_values(attacked) -> None:
    attacked.sql("update ledger.postings set amount_minor = 7 where seq = 20 and line = 0")
    (finding,) = attacked.check().findings
    (stated,) = attacked.rows("select canonical from ledger.records where seq = 20")[0]
    assert (finding.code, finding.table, finding.seq) == (Code.POSTINGS_MISMATCH, "ledger.postings", 20)
    amount = finding.detail.rpartition("the log says ")[2]
    assert finding.detail == f"seq 20 line 0: amount_minor is 7, the log says {amount}"
    assert f'"amount":"{amount}"'.encode() in bytes(stated)


def test_many_findings_are_listed_up_to_a_cap_and_the_rest_is_counted(attacked) -> None:
    changed = attacked.sql("update ledger.entries set description = 'x'")
    report = attacked.check()
    listed = [item for item in report.findings if item.code == Code.ENTRIES_MISMATCH]
    assert len(listed) == 20
    assert report.not_listed == {"entries_mismatch": changed - 20}
