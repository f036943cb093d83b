"""What proves a book to somebody else: exported segments, the checker, proofs of entries, the keyring."""
