"""Dagster: thin assets, checks and one schedule over the other rooms."""
