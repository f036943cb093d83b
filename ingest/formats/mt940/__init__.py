"""SWIFT MT940 as text: its fields, the line of an entry, what banks write into `:86:`, which account is meant."""
