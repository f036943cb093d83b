"""Proofs from stored records: one entry's bundle, consistency between sizes."""
