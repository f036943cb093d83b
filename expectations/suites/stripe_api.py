"""What a sweep of Stripe's API brought: whole objects and known types."""

from __future__ import annotations

from expectations.model import Batch, Suite, matches, never_null, rows_refused

ITEMS = """
    select distinct on (item.id)
        item.*,
        exists (
            select 1 from raw.canonical_events as known
            where known.source = 'stripe_api'
              and known.type = coalesce(nullif(item.reporting_category, ''), item.type)
        ) as is_known_type
    from raw.stripe_api_balance_transactions as item
    inner join raw.current_files as file using (file_id)
    where file.book = :book and file.is_current
      and (to_timestamp(item.created::bigint) at time zone 'UTC')::date between :first::date and :last::date
    order by item.id, file.document_at desc nulls last, item.row_sha256 desc
"""


def suite() -> Suite:
    """Return the suite of the source `stripe_api`."""
    return Suite(
        name="stripe_api",
        asset=("raw", "stripe_api_balance_transactions"),
        batches=(Batch(name="items", query=ITEMS),),
        expectations=(
            never_null("id", "items", severity="error", description="Every item carries the provider's own id."),
            matches(
                "currency", "items", "^[a-z]{3}$", severity="error", description="Currencies are three small letters."
            ),
            rows_refused(
                "net_is_amount_minus_fee",
                "items",
                "amount::numeric - fee::numeric <> net::numeric",
                severity="error",
                description="Within an object, amount minus fee is net, to the last unit.",
            ),
            rows_refused(
                "items_type_is_known",
                "items",
                "not is_known_type",
                severity="warn",
                description="Every category is one we know; a new one becomes a break of its own class.",
            ),
        ),
    )
