"""Stripe's Reporting API files: payout reconciliation and payouts, itemised."""
