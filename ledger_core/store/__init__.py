"""Postgres and object stores: where the ledger's truth is kept, and what proves that it was kept."""
