"""The ledger: what may be posted, and the log that proves it was. Imports no other room."""
