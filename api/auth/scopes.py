"""The scopes that a caller may hold, each with what it opens."""

from __future__ import annotations

SCOPES: dict[str, str] = {
    "journal:write": "post and reverse journal entries, open and change accounts",
    "journal:read": "read entries, accounts, balances, statements, proofs and the log",
    "private:read": "read the private values of entries, where they are held",
    "erasures:write": "erase private values of entries, and the stored bytes of files",
    "reconciliation:read": "read runs and breaks",
    "reconciliation:run": "append a reconciliation run's record",
    "reconciliation:resolve": "decide on breaks",
    "reconciliation:approve": "approve decisions on breaks",
    "period:close": "close and re-open periods",
    "payout:create": "ask for payouts",
    "payout:approve": "approve payouts",
    "export:read": "read checkpoints, keys, proofs and the log, and verify",
    "export:write": "append an export's record",
    "security:report": "append a security event's record",
    "keys:admin": "append changes of signing keys",
}
