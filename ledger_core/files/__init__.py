"""The company's own words as files: its chart of accounts, its journal entries."""
