"""PayPal's settlement reports: whole rows of known codes, and fees like the weeks before."""

from __future__ import annotations

from expectations.model import Batch, Suite, between, matches, never_null, rows_refused

FEE_RATE_DRIFT_MAX = 0.01
"""Prices of a week move by tenths of a percent with its countries; a whole point is a changed contract."""
TRAILING_DAYS = 28

_ROWS = """
    select item.*, item.selected_on::date as day
    from raw.paypal_stl_items as item
    inner join raw.current_files as file using (file_id)
    where file.book = :book and file.is_current
      and item.selected_on::date between :first::date - {days} and :last::date
"""
"""By the day as PayPal counts it: a suite judges weeks, and no zone makes a week of a day."""

# Which codes are known is the contract's to say: its mirror in the database is asked, as the models ask it.
ITEMS = f"""
    select
        item.*,
        exists (
            select 1 from raw.canonical_events as known
            where known.source = 'paypal_stl' and known.type = item.event_code
        ) as is_known_code
    from ({_ROWS.format(days=0)}) as item
"""  # noqa: S608 - constants of this module

RATES = f"""
    with charges as (
        select
            item.gross_currency as currency, item.day >= :first::date as is_now,
            item.gross_amount::numeric as gross,
            coalesce(nullif(item.fee_amount, ''), '0')::numeric as fee
        from ({_ROWS.format(days=TRAILING_DAYS)}) as item
        where item.event_code like 'T00%' and item.gross_side = 'CR' and item.fee_side in ('DR', '')
    ),
    per_currency as (
        select
            currency,
            count(*) filter (where is_now) as items,
            sum(fee) filter (where is_now) / nullif(sum(gross) filter (where is_now), 0) as rate,
            sum(fee) filter (where not is_now) / nullif(sum(gross) filter (where not is_now), 0) as rate_before
        from charges
        group by currency
    )
    select currency, items, round(abs(rate - rate_before), 6)::float8 as fee_rate_drift
    from per_currency
"""  # noqa: S608 - constants of this module


def suite() -> Suite:
    """Return the suite of the source `paypal_stl`."""
    return Suite(
        name="paypal_stl",
        asset=("raw", "paypal_stl_items"),
        batches=(Batch(name="items", query=ITEMS), Batch(name="rates", query=RATES)),
        expectations=(
            never_null("transaction_id", "items", severity="error", description="Every row is of a transaction."),
            matches(
                "gross_currency", "items", "^[A-Z]{3}$", severity="error", description="Currencies are three capitals."
            ),
            rows_refused(
                "items_code_is_known",
                "items",
                "not is_known_code",
                severity="warn",
                description="Every code is one we know; a new one becomes a break of its own class.",
            ),
            rows_refused(
                "withdrawals_name_a_bank_reference",
                "items",
                "event_code like 'T04%' and gross_side = 'DR' and coalesce(bank_reference_id, '') = ''",
                severity="warn",
                description="By its number at the bank a withdrawal finds its line; without it only its amount does.",
            ),
            between(
                "fee_rate_like_the_weeks_before",
                "fee_rate_drift",
                "rates",
                0,
                FEE_RATE_DRIFT_MAX,
                severity="warn",
                unit="points",
                description="Fees over gross of payments received, by currency, against the four weeks before.",
            ),
        ),
    )
