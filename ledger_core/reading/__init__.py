"""All SQL that reads schema `ledger` for others: heads, entries, accounts, balances, tiles. Nothing here writes."""
