"""The ledger as the close finds it: balanced, signed, and in agreement with what the marts computed from it."""

from __future__ import annotations

from expectations.model import Batch, Suite, between, rows_refused

UNSIGNED_RECORDS_MAX = 10_000

TRIAL_BALANCE = """
    select currency, sum(debits - credits)::text as difference
    from ledger.posted_balances
    where book = :book
    group by currency
"""

# What the clearing accounts still hold under a key although nothing moved there for longer than any grace.
RESIDUE = """
    select ledger_account, key, currency, residue_minor::text as residue_minor, last_on
    from analytics.fct_clearing_residue
    where last_on < :last::date - 31
"""

BRIDGE = """
    select leg, provider, account, currency, amount_minor::text as residual_minor
    from analytics.fct_reconciliation_bridge
    where step = 'residual'
"""

HEAD = "select size - signed_size as unsigned_records from ledger.heads where book = :book"


def suite() -> Suite:
    """Return the suite of the ledger."""
    return Suite(
        name="ledger",
        asset=("ledger", "posted_balances"),
        batches=(
            Batch(name="trial_balance", query=TRIAL_BALANCE),
            Batch(name="head", query=HEAD),
            Batch(name="residue", query=RESIDUE),
            Batch(name="bridge", query=BRIDGE),
        ),
        expectations=(
            rows_refused(
                "trial_balance_is_zero",
                "trial_balance",
                "difference <> '0'",
                severity="error",
                description="Debits equal credits in every currency.",
            ),
            between(
                "unsigned_tail_is_short",
                "unsigned_records",
                "head",
                0,
                UNSIGNED_RECORDS_MAX,
                severity="error",
                description="Records wait for their signature for seconds, not for a night.",
            ),
            rows_refused(
                "clearing_accounts_return_to_zero",
                "residue",
                "residue_minor <> '0'",
                severity="warn",
                description="No key of a clearing account holds money for more than a month.",
            ),
            rows_refused(
                "balances_differ_by_known_causes_alone",
                "bridge",
                "residual_minor <> '0'",
                severity="warn",
                description="What ledger, provider and bank differ by is what breaks and pending items add up to.",
            ),
        ),
    )
