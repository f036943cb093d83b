"""The tamper-evident log: canonical bytes, Merkle tree, checkpoints, proofs, segment format, verifier.

The auditors' verifier is made of this package and `ledger_core/errors.py` alone, so nothing here imports
beyond the standard library, `cryptography` and (when present) `orjson`; nothing here signs, and nothing here
reads a database.
"""
