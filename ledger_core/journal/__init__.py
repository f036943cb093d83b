"""Accounting without a database: money, accounts, entries, balances. Does no I/O, knows no log."""
