"""What each problem code means, for people: titles of problems, and the text behind their `type` addresses.

A code, once published, is never renamed: clients switch on it.
"""

from __future__ import annotations

TITLES: dict[str, str] = {
    "account_not_open": "The account is frozen or closed",
    "already_reversed": "The entry was reversed before",
    "archive_refused": "The archive does not verify",
    "body_too_large": "The body is larger than this route takes",
    "conflict": "Somebody was there first",
    "currency_mismatch": "The posting's currency is not the account's",
    "delivery_refused": "The webhook is not what its provider signed",
    "dependency_unavailable": "Something this service needs did not answer",
    "duplicate_external_id": "The external_id is taken",
    "erased": "What was stored is erased for good",
    "head_too_large": "The head of the request is too long",
    "idempotency_key_invalid": "The Idempotency-Key cannot be used",
    "idempotency_key_required": "The request needs an Idempotency-Key",
    "idempotency_key_reused": "The Idempotency-Key was used with another request",
    "in_flight": "The first request with this key is still running",
    "insufficient_funds": "The account may not be overdrawn that far",
    "integrity": "The stored truth contradicts itself",
    "internal": "An unforeseen error",
    "invalid_amount": "The amount is not one",
    "invalid_input": "The request is not valid",
    "key_not_opened": "A wrapped key does not open for what it stands beside",
    "ledger_behind": "The database is older than what was signed of it",
    "ledger_forked": "The database and the archive hold two histories",
    "malformed_body": "The body cannot be read as JSON",
    "malformed_request": "What was sent is no HTTP",
    "method_not_allowed": "The route does not take this method",
    "not_canonical": "The content has no canonical form",
    "nothing_to_erase": "The entry has no such private value",
    "not_allowed": "The caller lacks a scope",
    "not_empty": "There is a book already where one is to be rebuilt",
    "not_found": "There is no such thing",
    "not_ready": "The service is not ready",
    "precondition_failed": "The resource changed since it was read",
    "rate_limited": "The signing proxy takes no more in this second",
    "reference_not_found": "The entry refers to one that the book does not hold",
    "request_too_slow": "The request did not come in time",
    "signer_behind": "The signing proxy remembers less than it signed",
    "signer_refused": "The signing proxy refused to sign",
    "signer_unavailable": "The signing proxy did not answer several times in a row",
    "signature_late": "Recorded, and its signature has not arrived yet",
    "too_many_requests": "More is waiting than this process takes",
    "unauthenticated": "Nobody vouches for the caller",
    "unbalanced_entry": "Debits and credits differ",
    "unknown_account": "The book has no such account",
    "unknown_schema": "A record of a schema that this version does not know",
    "unsupported_media_type": "The route takes JSON",
}

MEANINGS: dict[str, str] = {
    "duplicate_external_id": "An external_id belongs to one entry of a book for ever. `entry_id` names that entry and "
    "`identical` says whether it says the same as the one sent: when it does, the work is done already.",
    "delivery_refused": "`reason` says why: signature, stale, future, replayed, malformed or unknown_account. "
    "Nothing was stored.",
    "idempotency_key_required": "Send Idempotency-Key with a value that is new for each thing to be done and the same "
    "for each retry of it. A key is never derived from the body: two equal payments may both be meant.",
    "idempotency_key_reused": "The key was used on this route with another body. Nothing was written.",
    "in_flight": "Wait as long as Retry-After says and send the same request with the same key.",
    "signer_refused": "The signing proxy refused to sign",
    "signature_late": "The record is durable and nothing is acknowledged without its signature. Send the same request "
    "with the same key: it waits for the same record and never makes a second one.",
    "precondition_failed": "If-Match named another version than the current one. Read again, decide again.",
    "too_many_requests": "Nothing of the request was kept. Wait as long as Retry-After says.",
    "dependency_unavailable": "Wait as long as Retry-After says and send the same request with the same key.",
    "ledger_behind": "Nothing is written to this book until an operator has restored a newer backup or replayed the "
    "archive. Nothing of the request was kept: send it again then, with the same key.",
    "signer_behind": "Nothing is written to this book until an operator has given the signing proxy its memory back. "
    "Nothing of the request was kept: send it again then, with the same key.",
    "integrity": "Operators are alerted. Do not repeat the request.",
}

CODE_BY_STATUS: dict[int, str] = {
    400: "invalid_input",
    401: "unauthenticated",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_too_slow",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_input",
    431: "head_too_large",
    503: "dependency_unavailable",
}
