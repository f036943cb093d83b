"""The trace id of a delivery, kept from the request to the entry.

Source: W3C Trace Context, section 3.2. What cannot be read is left out, as the recommendation asks, and a new id
begins.
"""

from __future__ import annotations

import re
import secrets

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


def trace_id_of(traceparent: str | None) -> str:
    """Return the trace id that a header `traceparent` names, or a new one."""
    found = _TRACEPARENT.fullmatch((traceparent or "").strip())
    # Version ff is none; only a later version than 00 may have more behind it.
    if (
        found
        and found[1] != "ff"
        and found[2] != _NO_TRACE
        and found[3] != _NO_SPAN
        and (found[1] != "00" or not found[4])
    ):
        return found[2]
    return secrets.token_hex(16)
