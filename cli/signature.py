"""Who signs a verification report that is to be signed: the company by its proxy, or an auditor by its own key file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli.runtime import opened
from ledger_core.errors import InvalidInput

if TYPE_CHECKING:
    from ledger_core.log.dsse import Envelope
    from ledger_core.log.findings import VerificationReport

Seal = Callable[["VerificationReport"], "Envelope"]


@contextmanager
def signature(*, sign: bool, key_file: Path | None, book: str | None, quiet: bool) -> Iterator[Seal | None]:
    """Yield what signs a report, or None; whatever it needs is there before anything is verified.

    Raises `InvalidInput` where both are to sign, `ConfigurationError` for a key that cannot, or no home.
    """
    if sign and key_file is not None:
        raise InvalidInput("a report is signed by one: --sign or --sign-with.", remedy="Verify twice for both.")
    if key_file is not None:
        from ledger_core.log.attest import attest, read_auditor_key

        key = read_auditor_key(key_file)
        yield lambda report: attest(report, key)
    elif sign:
        from ledger_core.evidence.attest import sign_report

        with opened(book, quiet=quiet) as runtime:
            yield lambda report: sign_report(runtime, runtime.settings.book, report)
    else:
        yield None
