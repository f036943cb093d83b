"""A reconciliation run: what it may see, the SQL it builds, what it found, its manifest."""
