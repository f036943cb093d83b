"""Erasure: what is dropped, what its record says, what stays, and what a repetition makes of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from ledger_core.book.kinds.erasure import Erasure
from ledger_core.errors import ConfigurationError, InvalidInput, NothingToErase, ReferenceNotFound
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.proofs.prove import entry_proof, verify_selection
from ledger_core.journal.erasures import REASONS, EntryErasure, ErasureDraft
from ledger_core.log.object_tree import place_of
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Declined, Posted, Unchanged
from ledger_core.runtime import open_runtime
from tests.integration.erasure.conftest import ADA, UNTIL, Shop, body_of, entry

pytestmark = pytest.mark.integration


def test_an_erasure_drops_salt_key_and_value_and_says_what_why_who_and_until_when(shop: Shop) -> None:
    posted = shop.post("a", ADA)
    shop.post("b", ADA)
    erased = shop.erase("a", reason="consent_withdrawn")
    body = body_of(erased)
    assert body["values"] == [{"id": posted.id, "names": sorted(ADA), "seq": posted.seq}]
    assert (body["reason"], body["kept_until"], body["files"]) == ("consent_withdrawn", UNTIL.isoformat(), [])
    assert body["actor"] == {"role": "service", "subject": "tester"}
    with shop.runtime.engine.connect() as connection:
        for table in ("private_keys", "private_values"):
            held = text(f"select distinct seq from ledger.{table} where book = :book")
            seqs = connection.execute(held, {"book": shop.book}).scalars().all()
            assert posted.seq not in seqs
            assert len(seqs) == 1
    part = shop.part("a")
    assert part.values == {}
    assert part.erased == dict.fromkeys(ADA, erased.seq)
    assert part.not_held == []
    assert shop.part("b").values == ADA
    report = shop.sound()
    assert report.counts["erased_values"] == 2


def test_one_value_of_an_entry_is_erased_and_the_others_stay(shop: Shop) -> None:
    shop.post("a", ADA)
    shop.erase(EntryErasure(entry="a", names=("payer_iban",)))
    assert shop.part("a").values == {"payer_name": ADA["payer_name"]}
    rest = shop.erase("a")
    assert body_of(rest)["values"][0]["names"] == ["payer_name"]
    shop.sound()


def test_an_erasure_reaches_into_no_other_book(shop: Shop) -> None:
    """Two books of one company, with the same entries at the same seqs."""
    other = Shop(shop.runtime, f"{shop.book}_other").open()
    eve = dict.fromkeys(ADA, "Eve Example")
    posted, beside = shop.post("a", ADA), other.post("a", eve)
    assert posted.seq == beside.seq
    assert (shop.part("a").values, other.part("a").values) == (ADA, eve)
    with pytest.raises(ReferenceNotFound):
        other.erase(posted.id)
    assert body_of(shop.erase("a"))["values"][0]["id"] == posted.id
    assert (other.part("a").values, dict(other.part("a").erased)) == (eve, {})
    other.sound()
    erased = other.erase("a")
    assert body_of(erased)["values"][0]["id"] == beside.id
    assert dict(other.part("a").erased) == dict.fromkeys(ADA, erased.seq)
    shop.sound()
    other.sound()


def test_a_dry_run_says_what_an_erasure_would_and_may_not_write(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.post("a", ADA)
    ledger = shop.runtime.ledger(shop.book)
    known, unknown = (
        ErasureDraft(reason="mistake", entries=(EntryErasure(entry=each),), kept_until=UNTIL) for each in ("a", "b")
    )
    refused = ledger.dry_run(unknown)
    assert refused is not None
    assert isinstance(refused.error, ReferenceNotFound)
    assert ledger.dry_run(known) is None
    assert shop.part("a").values == ADA

    def writes(self: Erasure, conn: Any, book: str, facts: Any, *, size: int) -> Any:
        conn.execute("delete from ledger.private_values where book = %s", [book])

    monkeypatch.setattr(Erasure, "settle", writes)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        ledger.dry_run(known)


def test_erasing_again_changes_nothing(shop: Shop) -> None:
    posted = shop.post("a", ADA)
    shop.erase("a")
    size = shop.sound().size
    for again in ("a", posted.id, posted.id.upper(), EntryErasure(entry="a", names=("payer_name",))):
        assert isinstance(shop.erase(again), Unchanged)
    assert shop.sound().size == size


def test_an_entry_that_is_named_twice_is_erased_once(shop: Shop) -> None:
    posted = shop.post("a", ADA)
    body = body_of(shop.erase(EntryErasure(entry=posted.id, names=("payer_name",)), "a"))
    assert body["values"] == [{"id": posted.id, "names": sorted(ADA), "seq": posted.seq}]
    shop.sound()


def test_two_erasures_in_one_batch_erase_once(shop: Shop) -> None:
    shop.post("a", ADA)
    draft = ErasureDraft(reason="mistake", entries=(EntryErasure(entry="a"),), kept_until=UNTIL)
    items = shop.append(draft, draft).items
    assert [type(item) for item in items] == [Posted, Unchanged]
    shop.sound()


def test_an_atomic_group_that_falls_erases_nothing(shop: Shop) -> None:
    shop.post("a", ADA)
    draft = ErasureDraft(reason="mistake", entries=(EntryErasure(entry="a"),), kept_until=UNTIL)
    unknown = ErasureDraft(reason="mistake", entries=(EntryErasure(entry="nobody"),), kept_until=UNTIL)
    with pytest.raises(ReferenceNotFound):
        shop.append(draft, unknown, atomic=True)
    assert shop.part("a").values == ADA
    assert isinstance(shop.append(draft).items[0], Posted)
    shop.sound()


def test_what_is_not_there_is_refused_by_name(shop: Shop) -> None:
    shop.post("plain")
    shop.post("a", ADA)
    for asked, error, pointer in (
        ("nobody", ReferenceNotFound, "/entries/0/id"),
        ("plain", NothingToErase, "/entries/0/id"),
        (EntryErasure(entry="a", names=("payer_name", "address")), NothingToErase, "/entries/0/names/1"),
    ):
        with pytest.raises(error) as refused:
            shop.erase(asked)
        assert refused.value.pointer == pointer
    with pytest.raises(ReferenceNotFound) as refused:
        shop.erase(files=("0" * 64,))
    assert refused.value.pointer == "/files/0"
    for wrong in ({"reason": "because"}, {}):
        with pytest.raises(InvalidInput):
            shop.append(ErasureDraft(reason=wrong.get("reason", "mistake"), kept_until=UNTIL), atomic=True)
    assert shop.part("a").values == ADA


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_recorded_as_its_code(shop: Shop, reason: str) -> None:
    shop.post("a", ADA)
    assert body_of(shop.erase("a", reason=reason))["reason"] == reason


def test_a_request_repeated_after_the_erasure_is_answered_as_before(shop: Shop) -> None:
    first = shop.append(entry("a", ADA), key="k")
    shop.erase("a")
    again = shop.append(entry("a", ADA), key="k")
    assert again.replayed
    assert again.only.canonical == first.only.canonical
    # What is erased is compared with nothing: whoever guesses learns nothing.
    guessed = shop.append(entry("a", {**ADA, "payer_name": "Eve"}), key="k")
    assert guessed.only.canonical == first.only.canonical
    (item,) = shop.append(entry("a", {**ADA, "payer_name": "Eve"})).items
    assert isinstance(item, Declined)
    assert item.error.identical
    assert shop.rows("ledger.private_values") == 0
    shop.sound()


def test_everything_verifies_after_an_erasure(shop: Shop) -> None:
    runtime, trust = shop.runtime, shop.runtime.trust_path
    shop.post("a", ADA)
    shop.post("b")
    export_segment(runtime, closed_on=date(2026, 1, 1), book=shop.book)
    proof = entry_proof(runtime, shop.book, "a").bundle_text
    shop.erase("a")
    export_segment(runtime, closed_on=date(2026, 1, 2), book=shop.book)
    report = verify_path(place_of(str(runtime.home / "archive")), trust)
    assert report.verdict == "verified", report.as_lines()
    for number, bundle in enumerate((proof, entry_proof(runtime, shop.book, "a").bundle_text)):
        file = runtime.home / f"{number}.json"
        file.write_text(bundle)
        assert verify_path(place_of(str(file)), trust).verdict == "verified"
    selector = {"seq_range": (0, shop.sound().size)}
    assert verify_selection(runtime, shop.book, selector=selector, deep=True).verdict == "verified"


def test_a_program_without_files_erases_none(settings: object) -> None:
    with open_runtime(settings) as runtime, pytest.raises(ConfigurationError):
        Shop(runtime).open().erase(files=("0" * 64,))


@pytest.mark.parametrize("table", ["private_values", "private_keys"])
def test_the_database_lets_nobody_change_drop_or_put_back_a_private_value(shop: Shop, table: str) -> None:
    erased, kept = shop.post("a", ADA), shop.post("b", ADA)
    own = f"book = '{shop.book}'"
    with psycopg.connect(shop.runtime.database_url.replace("+psycopg", "")) as superuser:
        rows = superuser.execute(f"select * from ledger.{table} where {own} and seq = %s", [erased.seq]).fetchall()
        shop.erase("a")
        for statement in (
            f"update ledger.{table} set seq = seq + 1",
            f"truncate ledger.{table}",
            f"delete from ledger.{table} where {own} and seq = {kept.seq}",
            f"delete from ledger.{table} where {own}",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation), superuser.transaction():
                superuser.execute(statement)
        for row in rows:
            places = ", ".join(["%s"] * len(row))
            with pytest.raises(psycopg.errors.RestrictViolation), superuser.transaction():
                superuser.execute(f"insert into ledger.{table} values ({places})", row)
    assert shop.rows(f"ledger.{table}") == 2


@pytest.mark.parametrize("table", ["erased_values", "erased_files", "replays"])
def test_the_database_lets_nobody_unsay_an_erasure(shop: Shop, table: str) -> None:
    shop.post("a", ADA)
    shop.erase("a")
    with psycopg.connect(shop.runtime.database_url.replace("+psycopg", "")) as superuser:
        for statement in (
            f"delete from ledger.{table}",
            f"truncate ledger.{table}",
            f"update ledger.{table} set book = 'x'",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation), superuser.transaction():
                superuser.execute(statement)
