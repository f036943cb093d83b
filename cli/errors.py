"""The edge where errors become exit statuses: 0 done, 1 the answer is "no", 2 could not run."""

from __future__ import annotations

from typing import Any

from ledger_core.errors import CounterfoilError, IntegrityError, Refused

DONE, NO, COULD_NOT_RUN = 0, 1, 2


def exit_status(error: CounterfoilError) -> int:
    """Return 1 for what the books answer with "no", 2 for what kept the command from running."""
    return NO if isinstance(error, (Refused, IntegrityError)) else COULD_NOT_RUN


def as_json(error: CounterfoilError) -> dict[str, Any]:
    """Return the error as `--json` prints it."""
    fields = {
        "code": error.code,
        "message": error.message,
        "remedy": error.remedy,
        "file": error.file,
        "line": error.line,
        "pointer": error.pointer,
    }
    return {"error": {name: value for name, value in fields.items() if value is not None}}
