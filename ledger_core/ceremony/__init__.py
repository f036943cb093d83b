"""Changes of keys: drafted here, signed by the holders of the roots elsewhere, installed here, and said to everybody.

`drafts` makes the next version of the registry, `offline` is what a root's holder runs (no home, no database, no
network), `good` finds the last tree beyond doubt, `install` makes the change, `record` writes it into the logs,
`tell` says whom to tell what. Private root keys pass through `offline` alone, and through no log, database or home.
Invariant: nothing here decides whose signature counts; `log.keys` does, for the verifier and for us alike.
"""
