"""SWIFT MT940 as text: its fields, the line of an entry, and what banks write into `:86:`."""
