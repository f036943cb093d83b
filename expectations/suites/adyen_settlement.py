"""Adyen's settlement reports: whole rows of known types, and fees like the weeks before."""

from __future__ import annotations

from expectations.model import Batch, Suite, between, matches, never_null, rows_refused

FEE_RATE_DRIFT_MAX = 0.01
"""Interchange moves by tenths of a percent with the cards of a week; a whole point is a changed contract."""
TRAILING_DAYS = 28

_ROWS = """
    select
        item.*,
        coalesce(nullif(item.net_credit_nc, ''), '0')::numeric
        - coalesce(nullif(item.net_debit_nc, ''), '0')::numeric as net,
        left(coalesce(nullif(item.booking_date, ''), item.creation_date), 10)::date as day
    from raw.adyen_settlement_items as item
    inner join raw.current_files as file using (file_id)
    where file.book = :book and file.is_current
      and left(coalesce(nullif(item.booking_date, ''), item.creation_date), 10)::date
          between :first::date - {days} and :last::date
"""
"""By the day as written: a suite judges weeks, and no zone makes a week of a day."""

# Which types are known is the contract's to say: its mirror in the database is asked, as the models ask it.
ITEMS = f"""
    select
        item.*,
        exists (
            select 1 from raw.canonical_events as known
            where known.source = 'adyen_settlement' and known.type = item.type
        ) as is_known_type
    from ({_ROWS.format(days=0)}) as item
"""  # noqa: S608 - constants of this module

RATES = f"""
    with charges as (
        select
            item.net_currency as currency, item.day >= :first::date as is_now,
            coalesce(nullif(item.gross_credit_gc, ''), '0')::numeric as gross,
            coalesce(nullif(item.gross_credit_gc, ''), '0')::numeric - item.net as fee
        from ({_ROWS.format(days=TRAILING_DAYS)}) as item
        where item.type = 'Settled' and item.gross_currency = item.net_currency
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
    """Return the suite of the source `adyen_settlement`."""
    return Suite(
        name="adyen_settlement",
        asset=("raw", "adyen_settlement_items"),
        batches=(Batch(name="items", query=ITEMS), Batch(name="rates", query=RATES)),
        expectations=(
            never_null(
                "batch_number", "items", severity="error", description="Every line belongs to a settlement batch."
            ),
            matches(
                "net_currency", "items", "^[A-Z]{3}$", severity="error", description="Currencies are three capitals."
            ),
            rows_refused(
                "items_type_is_known",
                "items",
                "not is_known_type",
                severity="warn",
                description="Every type is one we know; a new one becomes a break of its own class.",
            ),
            rows_refused(
                "payments_have_a_gross",
                "items",
                "type in ('Settled', 'Refunded') and gross_debit_gc = '' and gross_credit_gc = ''",
                severity="warn",
                description="What a shopper paid or got back has a gross.",
            ),
            between(
                "fee_rate_like_the_weeks_before",
                "fee_rate_drift",
                "rates",
                0,
                FEE_RATE_DRIFT_MAX,
                severity="warn",
                unit="points",
                description="Fees over gross of unconverted payments, by currency, against the four weeks before.",
            ),
        ),
    )
