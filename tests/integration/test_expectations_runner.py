"""The suites against real rows: what passes, what warns, what is an error."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from expectations.model import Batch, Expectation, Scope, Suite, between, never_null, rows_refused
from expectations.runner import validate
from expectations.suites import camt053, ledger, stripe_report
from expectations.words import observed_words, state_of
from ingest.landing.raw_tables import mirror_contract
from ingest.sources.stripe_report.contract import CONTRACT

pytestmark = pytest.mark.integration
LAST = date(2026, 10, 31)


@pytest.fixture
def stripe_days(engine: Engine) -> Engine:
    """Five weeks of charges, forty a day, with one fee rate, of a source whose contract is mirrored as landing does."""
    with engine.begin() as connection:
        mirror_contract(connection.connection.cursor(), CONTRACT)
        for back in range(35, -1, -1):
            _land_items(connection, LAST - timedelta(days=back), rows=40, fee="0.30")
    return engine


def test_steady_weeks_pass_every_expectation(stripe_days: Engine, database_url: str) -> None:
    outcomes = validate(stripe_report.suite(), Scope(book="main", first=LAST, last=LAST), database_url)
    assert [(outcome.expectation.name, outcome.error) for outcome in outcomes if not outcome.passed] == []
    assert all(outcome.error is None for outcome in outcomes)


def test_a_day_with_a_tenth_of_its_volume_and_thrice_its_fees_warns(stripe_days: Engine, database_url: str) -> None:
    day = LAST + timedelta(days=1)
    with stripe_days.begin() as connection:
        _land_items(connection, day, rows=4, fee="0.90")
    outcomes = validate(stripe_report.suite(), Scope(book="main", first=day, last=day), database_url)
    failed = {outcome.expectation.name: outcome.expectation.severity for outcome in outcomes if not outcome.passed}
    assert failed == {"volume_like_the_weeks_before": "warn", "fee_rate_like_the_weeks_before": "warn"}


def test_a_row_whose_net_is_not_gross_minus_fee_is_an_error(stripe_days: Engine, database_url: str) -> None:
    with stripe_days.begin() as connection:
        _land_items(connection, LAST, rows=1, fee="0.30", net="9.00")
    outcomes = validate(stripe_report.suite(), Scope(book="main", first=LAST, last=LAST), database_url)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    assert [(each.expectation.name, each.expectation.severity) for each in failed] == [
        ("net_is_gross_minus_fee", "error")
    ]
    assert failed[0].unexpected_count == 1


def test_every_category_of_the_contract_is_known_and_any_other_warns(stripe_days: Engine, database_url: str) -> None:
    with stripe_days.begin() as connection:
        for category in CONTRACT.events:
            _land_items(connection, LAST, rows=1, fee="0.30", category=category)
    assert _unknown_categories(database_url) == 0
    with stripe_days.begin() as connection:
        _land_items(connection, LAST, rows=1, fee="0.30", category="quantum_refund")
        _land_items(connection, LAST, rows=2, fee="0.30", category="")
    assert _unknown_categories(database_url) == 3


def test_a_category_that_the_contract_gives_up_is_unknown_from_then_on(stripe_days: Engine, database_url: str) -> None:
    """No list beside the contract's: with `charge` gone from it, all forty charges of the day are strangers."""
    fewer = {name: event for name, event in CONTRACT.events.items() if name != "charge"}
    with stripe_days.begin() as connection:
        mirror_contract(connection.connection.cursor(), replace(CONTRACT, events=fewer))
    assert _unknown_categories(database_url) == 40


def _unknown_categories(database_url: str) -> int:
    outcomes = validate(stripe_report.suite(), Scope(book="main", first=LAST, last=LAST), database_url)
    (outcome,) = [each for each in outcomes if each.expectation.name == "items_reporting_category_is_known"]
    assert outcome.error is None
    assert outcome.passed == (outcome.unexpected_count == 0)
    return outcome.unexpected_count


def test_rows_of_a_file_that_a_newer_version_replaced_are_not_judged(stripe_days: Engine, database_url: str) -> None:
    with stripe_days.begin() as connection:
        wrong = _land_items(connection, LAST, rows=1, fee="0.30", net="9.00")
        corrected = _land_file(connection, "stripe_report", "corrected", 0)
        connection.execute(
            text("insert into raw.file_replacements values (:older, :newer, :day, :day)"),
            {"older": wrong, "newer": corrected, "day": LAST},
        )
    outcomes = validate(stripe_report.suite(), Scope(book="main", first=LAST, last=LAST), database_url)
    assert [outcome.expectation.name for outcome in outcomes if not outcome.passed] == []


def test_a_book_without_any_rows_passes_and_every_expectation_says_that_it_had_nothing_to_check(
    database_url: str,
) -> None:
    scope = Scope(book="main", first=LAST, last=LAST)
    for suite in (stripe_report.suite(), camt053.suite()):
        outcomes = validate(suite, scope, database_url)
        assert {(each.error, state_of(each), observed_words(each)) for each in outcomes} == {
            (None, "nothing", "no rows")
        }


def test_what_was_found_is_told_in_rows_and_figures(stripe_days: Engine, database_url: str) -> None:
    day = LAST + timedelta(days=1)
    with stripe_days.begin() as connection:
        _land_items(connection, day, rows=4, fee="0.90")
    outcomes = validate(stripe_report.suite(), Scope(book="main", first=day, last=day), database_url)
    words = {each.expectation.name: observed_words(each) for each in outcomes}
    assert words["items_balance_transaction_id_is_filled"] == "0 of 4 rows lack it"
    assert words["net_is_gross_minus_fee"] == "0 of 4 rows fail"
    assert words["volume_like_the_weeks_before"] == "0.1 times the usual (expected 0.4 to 2.5); 1 of 1 row outside"
    assert words["fee_rate_like_the_weeks_before"] == (
        "6 percentage points off (expected at most 1); 1 of 1 row outside"
    )
    assert words["currency_mix_like_the_weeks_before"] == "0 percentage points off (expected at most 15)"


def test_a_first_day_has_rows_and_nothing_to_compare_them_with(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:
        mirror_contract(connection.connection.cursor(), CONTRACT)
        _land_items(connection, LAST, rows=4, fee="0.30")
    outcomes = validate(stripe_report.suite(), Scope(book="main", first=LAST, last=LAST), database_url)
    drift = {observed_words(each) for each in outcomes if each.expectation.unit != "number"}
    assert drift == {"none of 1 row can be compared with the weeks before"}
    assert {state_of(each) for each in outcomes} == {"passed", "nothing"}


def test_a_statement_that_opens_with_another_balance_warns(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:
        _land_statement(connection, LAST - timedelta(days=1), opening="100.00", closing="150.00")
        _land_statement(connection, LAST, opening="151.00", closing="160.00")
    outcomes = validate(camt053.suite(), Scope(book="main", first=LAST, last=LAST), database_url)
    failed = {outcome.expectation.name: outcome.expectation.severity for outcome in outcomes if not outcome.passed}
    assert failed == {"statement_balances_continue": "warn"}


def test_the_ledger_of_an_empty_book_passes_but_for_marts_that_no_run_has_built(database_url: str) -> None:
    outcomes = validate(ledger.suite(), Scope(book="main", first=LAST, last=LAST), database_url)
    assert {outcome.expectation.name for outcome in outcomes if outcome.passed} == {
        "trial_balance_is_zero",
        "unsigned_tail_is_short",
    }
    assert all("does not exist" in (outcome.error or "") for outcome in outcomes if not outcome.passed)


def test_an_expectation_that_cannot_be_evaluated_has_not_passed_and_says_why(database_url: str) -> None:
    suite = Suite(
        name="broken",
        asset=("raw", "files"),
        batches=(Batch(name="files", query="select * from raw.files where book = :book"),),
        expectations=(
            never_null("no_such_column", "files", severity="warn", description="x"),
            rows_refused("fine", "files", "false", severity="warn", description="x"),
            between("also_fine", "bytes", "files", 0, 10, severity="warn", description="x"),
            Expectation(
                name="bad_sql",
                batch="files",
                kind="UnexpectedRowsExpectation",
                arguments={"unexpected_rows_query": "select nonsense from {batch}"},
                severity="error",
                description="x",
            ),
        ),
    )
    outcomes = validate(suite, Scope(book="main", first=LAST, last=LAST), database_url)
    assert [(each.passed, each.error is None) for each in outcomes] == [
        (False, False),
        (True, True),
        (True, True),
        (False, False),
    ]


def _land_file(connection: object, source: str, name: str, rows: int) -> uuid.UUID:
    file_id = uuid.uuid4()
    connection.execute(  # type: ignore[attr-defined]
        text(
            "insert into raw.files (file_id, book, source, provider, account, name, sha256, stored_sha256, bytes,"
            " object_name, received_at, record_type, parser_version, status, rows_read, rows_accepted,"
            " rows_quarantined, first_on, last_on)"
            " values (:id, 'main', :source, 'stripe', 'default', :name, :sha, :sha, 1, :name, :at, 'x', 1, 'landed',"
            " :rows, :rows, 0, :day, :day)"
        ),
        {
            "id": file_id,
            "source": source,
            "name": name,
            "sha": file_id.hex * 2,
            "at": datetime(2026, 11, 1, tzinfo=UTC),
            "rows": rows,
            "day": LAST,
        },
    )
    return file_id


def _land_items(
    connection: object, day: date, *, rows: int, fee: str, net: str | None = None, category: str = "charge"
) -> uuid.UUID:
    file_id = _land_file(connection, "stripe_report", f"items-{day}-{uuid.uuid4()}", rows)
    connection.execute(  # type: ignore[attr-defined]
        text(
            "insert into raw.stripe_report_payout_reconciliation"
            " (file_id, ordinal, row_sha256, balance_transaction_id,"
            " created_utc, currency, gross, fee, net, reporting_category, payment_intent_id)"
            " select :id, n, '', 'txn_' || cast(:id as text) || n, :at, 'usd', '10.00',"
            " :fee, :net, :category, 'pi_' || n from generate_series(1, :rows) n"
        ),
        {
            "id": file_id,
            "at": f"{day} 10:00:00",
            "fee": fee,
            "net": net or str(Decimal("10.00") - Decimal(fee)),
            "rows": rows,
            "category": category,
        },
    )
    return file_id


def _land_statement(connection: object, day: date, *, opening: str, closing: str) -> None:
    file_id = _land_file(connection, "camt053", f"statement-{day}", 1)
    connection.execute(  # type: ignore[attr-defined]
        text(
            "insert into raw.camt053_statements (file_id, ordinal, row_sha256, statement_id, electronic_sequence,"
            " account_iban, currency, opening_amount, opening_indicator, opening_on, closing_amount, closing_indicator,"
            " closing_on) values (:id, 1, '', :day, '1', 'DE00', 'EUR', :opening, 'CRDT', :day, :closing, 'CRDT', :day)"
        ),
        {"id": file_id, "day": str(day), "opening": opening, "closing": closing},
    )
