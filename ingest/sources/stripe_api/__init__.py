"""Stripe's API: balance transactions, payouts and disputes, swept by the time at which they were created."""
