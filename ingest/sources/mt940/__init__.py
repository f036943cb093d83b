"""SWIFT bank statements, MT940."""
