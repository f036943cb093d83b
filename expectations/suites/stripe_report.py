"""Stripe's report files: whole rows, known categories, and volumes, fee rates and currencies like the weeks before.

Days are compared with days of the same weekday, because a shop's Monday looks like its Mondays; a day without three
such predecessors is not judged.
"""

from __future__ import annotations

from expectations.model import Batch, Suite, between, matches, never_null, rows_refused

FEE_RATE_DRIFT_MAX = 0.01
"""Fees move by tenths of a percent when a price list changes; a whole point is a changed contract or a wrong sign."""
VOLUME_RATIO = (0.4, 2.5)
"""Of the median of the same weekday; a campaign doubles a day, a lost half-file halves it."""
CURRENCY_SHARE_DRIFT_MAX = 0.15
TRAILING_DAYS = 28
WEEKDAYS_NEEDED = 3

_NEWEST = """
    select distinct on (item.balance_transaction_id)
        item.*, left(item.created_utc, 10)::date as created_on
    from raw.stripe_report_payout_reconciliation as item
    inner join raw.current_files as file using (file_id)
    where file.book = :book and file.is_current
      and left(item.created_utc, 10)::date between :first::date - {days} and :last::date
    order by item.balance_transaction_id, file.document_at desc nulls last, item.row_sha256 desc
"""

# Which categories are known is the contract's to say. Its mirror in the database is asked, as the models ask it: a list
# of our own would warn of what the run classifies, or be silent where it finds `unclassified_type`.
ITEMS = f"""
    select
        item.*,
        exists (
            select 1 from raw.canonical_events as known
            where known.source = 'stripe_report' and known.type = item.reporting_category
        ) as is_known_category
    from ({_NEWEST.format(days=0)}) as item
"""  # noqa: S608 - constants of this module

VOLUMES = f"""
    with items as ({_NEWEST.format(days=TRAILING_DAYS)}),
    per_day as (select created_on, count(*) as items from items group by created_on),
    judged as (
        select today.created_on, today.items, usual.median_items, usual.weekdays
        from per_day as today
        inner join lateral (
            select percentile_cont(0.5) within group (order by earlier.items) as median_items, count(*) as weekdays
            from per_day as earlier
            where earlier.created_on < today.created_on
              and earlier.created_on >= today.created_on - {TRAILING_DAYS}
              and extract(isodow from earlier.created_on) = extract(isodow from today.created_on)
        ) as usual on true
        where today.created_on >= :first::date
    )
    select
        created_on, items,
        case when weekdays >= {WEEKDAYS_NEEDED}
            then round((items / median_items)::numeric, 4)::float8 end as volume_ratio
    from judged
"""  # noqa: S608 - constants of this module

RATES = f"""
    with items as ({_NEWEST.format(days=TRAILING_DAYS)}),
    charges as (
        select
            upper(currency) as currency, created_on >= :first::date as is_now,
            gross::numeric as gross, fee::numeric as fee
        from items
        where reporting_category = 'charge'
    ),
    per_currency as (
        select
            currency,
            count(*) filter (where is_now) as items,
            sum(fee) filter (where is_now) / nullif(sum(gross) filter (where is_now), 0) as rate,
            sum(fee) filter (where not is_now) / nullif(sum(gross) filter (where not is_now), 0) as rate_before,
            count(*) filter (where is_now)::numeric / nullif(sum(count(*) filter (where is_now)) over (), 0) as share,
            count(*) filter (where not is_now)::numeric
                / nullif(sum(count(*) filter (where not is_now)) over (), 0) as share_before
        from charges
        group by currency
    )
    select
        currency, items,
        round(abs(rate - rate_before), 6)::float8 as fee_rate_drift,
        round(abs(share - share_before), 6)::float8 as share_drift
    from per_currency
"""  # noqa: S608 - constants of this module


def suite() -> Suite:
    """Return the suite of the source `stripe_report`."""
    return Suite(
        name="stripe_report",
        asset=("raw", "stripe_report_payout_reconciliation"),
        batches=(
            Batch(name="items", query=ITEMS),
            Batch(name="volumes", query=VOLUMES),
            Batch(name="rates", query=RATES),
        ),
        expectations=(
            never_null(
                "balance_transaction_id",
                "items",
                severity="error",
                description="Every item carries the provider's own id.",
            ),
            matches(
                "currency",
                "items",
                "^[A-Za-z]{3}$",
                severity="error",
                description="Currencies are three letters, any case.",
            ),
            rows_refused(
                "net_is_gross_minus_fee",
                "items",
                "gross::numeric - fee::numeric <> net::numeric",
                severity="error",
                description="Within a row, gross minus fee is net, to the last digit.",
            ),
            rows_refused(
                "items_reporting_category_is_known",
                "items",
                "not is_known_category",
                severity="warn",
                description="Every category is one we know; a new one becomes a break of its own class.",
            ),
            never_null(
                "payment_intent_id",
                "items",
                mostly=0.5,
                severity="warn",
                description="At least half of the items name their payment intent; fees and payouts have none.",
            ),
            between(
                "volume_like_the_weeks_before",
                "volume_ratio",
                "volumes",
                *VOLUME_RATIO,
                severity="warn",
                unit="times",
                description="Items a day, against the median of the same weekday over four weeks.",
            ),
            between(
                "fee_rate_like_the_weeks_before",
                "fee_rate_drift",
                "rates",
                0,
                FEE_RATE_DRIFT_MAX,
                severity="warn",
                unit="points",
                description="Fees over gross of charges, by currency, against the four weeks before.",
            ),
            between(
                "currency_mix_like_the_weeks_before",
                "share_drift",
                "rates",
                0,
                CURRENCY_SHARE_DRIFT_MAX,
                severity="warn",
                unit="points",
                description="Each currency's share of charges, against the four weeks before.",
            ),
        ),
    )
