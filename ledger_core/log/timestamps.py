"""Time-stamp tokens of RFC 3161 over a checkpoint: what an authority that nobody here controls says of when it existed.

A token counts under roots that the trust file pins, and under none that came with it. Its certificates need to have
been valid when it was made, not today. The library is loaded when there is a token to judge; where it is not
installed, or nothing is pinned, the token is left unjudged, and the report says so: it proves more, never less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha384, sha512

from ledger_core.log.findings import BAD_SIGNATURE, EDITED, FOREIGN, MISDATED, MISSING, VerificationReport
from ledger_core.log.object_tree import Place
from ledger_core.log.reading import read_bounded, why_unread
from ledger_core.log.segment import CHECKPOINT_FILE, TIMESTAMP_FILE, Manifest

MAX_TOKEN_BYTES = 64 * 1024
MAX_NOTE_BYTES = 64 * 1024
CLOCKS_APART = timedelta(minutes=1)
"""How far the ledger's clock may go before the authority's, which tells whole seconds and an accuracy at best."""
PEM_START = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenJudgement:
    """`made_at` where the token counts; else `refusal` says why it does not, or `unjudged` why nobody can tell.

    `verdict` is that of a refusal.
    """

    made_at: datetime | None = None
    refusal: str | None = None
    verdict: str = BAD_SIGNATURE
    unjudged: str | None = None


def timestamp_failure(
    path_of: Callable[[str], Place],
    manifest: Manifest,
    recorded_at: str,
    roots: Sequence[str],
    report: VerificationReport,
) -> tuple[str, str] | None:
    """Return verdict and detail of what is wrong with the token of a segment, and count one that is right.

    The manifest lists it, or it is somebody else's; `path_of` says where the segment's files are, `recorded_at` when
    the last of its records was taken.
    """
    path, stored = path_of(TIMESTAMP_FILE), manifest.stored(TIMESTAMP_FILE)
    token = read_bounded(path, MAX_TOKEN_BYTES)
    if stored is None:
        return None if token is None else (FOREIGN, "the manifest does not list it")
    if token is None:
        return MISSING, why_unread(path, MAX_TOKEN_BYTES)
    if sha256(token).hexdigest() != stored.sha256:
        return EDITED, "the file is not the one that the manifest lists"
    judgement = judge_token(token, read_bounded(path_of(CHECKPOINT_FILE), MAX_NOTE_BYTES) or b"", roots)
    if judgement.refusal is not None:
        return judgement.verdict, judgement.refusal
    if late := why_late(judgement.made_at, recorded_at):
        return MISDATED, f"the last record {late}"
    report.count_timestamp(manifest.next_seq, judgement.made_at, judgement.unjudged)
    return None


def why_late(made_at: datetime | None, recorded_at: str) -> str | None:
    """Return what is wrong with a record of that time in a tree stamped at `made_at`; None where nothing is."""
    if made_at is None or not recorded_at:
        return None
    try:
        is_late = datetime.fromisoformat(recorded_at) - CLOCKS_APART > made_at
    except OverflowError:
        return None  # the first minute of the calendar
    except (ValueError, TypeError):
        return f"says it was recorded at {recorded_at}, which is no time that could be before its tree's stamp"
    if not is_late:
        return None
    return f"says it was recorded at {recorded_at}, and its tree was stamped at {as_text(made_at)}"


def said_time(token: bytes) -> datetime | None:
    """Return when `token` says that it was made, whoever made it; None where nobody can tell."""
    try:
        from rfc3161_client import decode_timestamp_response

        return decode_timestamp_response(token).tst_info.gen_time
    except (ImportError, ValueError):
        return None


def as_text(moment: datetime) -> str:
    """Return an authority's time as reports show it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def judge_token(token: bytes, data: bytes, roots: Sequence[str]) -> TokenJudgement:
    """Return what `token`, a response in DER, says of `data`, by the certificates in PEM that are pinned as `roots`."""
    if not roots:
        return TokenJudgement(unjudged="the trust file pins no authority (timestamp_roots)")
    try:
        from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response
    except ImportError:
        return TokenJudgement(unjudged="rfc3161-client is not installed here")
    from cryptography.x509 import load_pem_x509_certificate

    try:
        builder = VerifierBuilder()
        for root in roots:
            builder = builder.add_root_certificate(load_pem_x509_certificate(root.encode()))
    except ValueError as error:
        return TokenJudgement(unjudged=f"a certificate in the trust file cannot be read: {error}")
    try:
        response = decode_timestamp_response(token)
        stamped = response.tst_info.message_imprint.message
    except ValueError as error:
        return TokenJudgement(refusal=f"the time-stamp does not hold: {error}")
    if stamped not in (sha256(data).digest(), sha384(data).digest(), sha512(data).digest()):
        return TokenJudgement(refusal="the time-stamp is over something else than this checkpoint", verdict=EDITED)
    try:
        builder.build().verify_message(response, data)
        made_at = response.tst_info.gen_time
    except (VerificationError, ValueError) as error:
        return TokenJudgement(refusal=f"the time-stamp does not hold: {error}")
    return TokenJudgement(made_at=made_at)
