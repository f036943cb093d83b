"""A verification report signed by the company: by the key that signs its log, at the newest checkpoint of a book.

The checkpoint and the key registry go with it, so that it is judged years and changes of keys later as a proof is. What
the report says is the word of whoever asked: the proxy signs who says so, not that it is so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger_core.errors import IntegrityError, InvalidInput, SignatureLate
from ledger_core.evidence.keyring import resolve_pinned
from ledger_core.log.attest import report_payload, require_first_hand
from ledger_core.log.dsse import REPORT_TYPE, Envelope, parse_envelope
from ledger_core.log.findings import VerificationReport
from ledger_core.log.note import parse_checkpoint, parse_note

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime


def sign_report(runtime: Runtime, book: str, report: VerificationReport) -> Envelope:
    """Return the report in an envelope that the signing proxy signed in the name of `book`'s log.

    Raises `InvalidInput` for a report of other logs alone or on a signed report, `SignatureLate` while nothing of the
    log is signed, `IntegrityError` where what the proxy answers does not count.
    """
    require_first_hand(report)
    origin = runtime.settings.origin_of(book)
    if report.origins and origin not in report.origins:
        raise InvalidInput(
            f"the report speaks of {', '.join(report.origins)}, and {origin} is to sign it.",
            remedy="Name the book that it speaks of with --book.",
        )
    note = runtime.signer.latest(origin)
    if note is None:
        raise SignatureLate(f"book {book} has no signed checkpoint yet.", remedy="Ask again.")
    keys = runtime.signer.keys()
    payload = report_payload(report, origin=origin, checkpoint=note, key_registry=keys)
    envelope = parse_envelope(runtime.signer.sign_dsse(REPORT_TYPE, payload))
    judgement = resolve_pinned(runtime.trust_path, origin, keys).judge_envelope(
        envelope, origin, parse_checkpoint(parse_note(note).text).size
    )
    if envelope.payload != payload or judgement.verdict is not None:
        why = judgement.detail or "it is over another report"
        raise IntegrityError(
            f"the signing proxy answered with a signature that does not count: {why}.",
            remedy="If its keys were changed just now, give the command again.",
        )
    return envelope
