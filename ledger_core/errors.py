"""Every error that Counterfoil raises on purpose.

```
CounterfoilError                 code, message, remedy, where (file, line, pointer), context
├─ InvalidInput                  malformed: a file, a body, an argument                      HTTP 400/422  exit 2
│  ├─ NotCanonical               outside the profile cf-jcs/1, or other bytes than its one form
│  ├─ UnknownSchema              well-formed, of a kind or version that this software does not know
│  ├─ InvalidAmount              not an exact, positive whole number of minor units
│  └─ DeliveryRefused            reason: a webhook that its provider did not sign, now, for us  HTTP 400
├─ Refused                       well-formed, but the books forbid it                        HTTP 422      exit 1
│  ├─ UnbalancedEntry · UnknownAccount · CurrencyMismatch · AccountNotOpen
│  ├─ InsufficientFunds · KeyReused · ReferenceNotFound · NothingToErase
│  └─ Conflict                   somebody was there first                                    HTTP 409
│     ├─ DuplicateExternalId     entry_id, identical
│     ├─ AlreadyReversed
│     ├─ PreconditionFailed      the version named by If-Match is not the current one      HTTP 412
│     ├─ NotEmpty                a book is to be rebuilt where there is one
│     └─ InFlight                retry_after_seconds
├─ NotFound                      asked for by name, not there                                HTTP 404      exit 2
│  └─ Erased                     it was there, and its key was dropped for good              HTTP 410
├─ NotAllowed                    who is calling may not do that                              HTTP 403      exit 2
│  └─ Unauthenticated            nobody vouches for who is calling                           HTTP 401
├─ IntegrityError                the stored truth contradicts itself: page someone           HTTP 500      exit 1
│  ├─ KeyNotOpened               reason: a wrapped key that is another file's, or was changed
│  ├─ SignerRefused              the signing proxy will not sign: a fork, a foreign origin, a retired key
│  ├─ ArchiveRefused             verdict: the archive does not verify, and nothing of it is replayed
│  ├─ LedgerForked               seq: the database and the archive hold two histories
│  ├─ LedgerBehind               size, signed_size: an older database than the one that was signed        HTTP 503
│  └─ SignerBehind               size, signed_size: the proxy knows less than was signed                  HTTP 503
└─ CannotRun                     nothing is wrong with the question                                        exit 2
   ├─ ConfigurationError
   ├─ TooManyRequests            retry_after_seconds                                         HTTP 429
   └─ DependencyError            retryable, retry_after_seconds                              HTTP 503
      ├─ SignatureLate           durable and not yet signed: the same key asks again
      ├─ SignerMovedOn           latest: the proxy signed a size that the consistency proof does not start from
      ├─ SignerUnavailable       it did not answer several times in a row, and is not asked for a moment
      └─ RateLimited             more was asked of the proxy than this client may ask a second
```

An error carries typed attributes, never only a message. Edges map it: `api/http/problems.py` to HTTP (anything else is
a 500 there), `cli/errors.py` to an exit status, `orchestration/failures.py` to a retry policy. Whoever else catches
`Exception` or more has a reason of its own: the sequencer's threads stop their book and raise it again; what was begun
(a file aside, a signature owed) is put back before it is raised again; an address of a database that cannot be
read becomes a `ConfigurationError`, since no base of what SQLAlchemy raises there is documented; and the thread that
anchors counts it, logs it whole and goes on.
"""

from __future__ import annotations

from typing import Any, ClassVar


class CounterfoilError(Exception):
    """Say what was wrong, where, and what to do about it.

    `file` and `line` (one-based) name a place in a file, `pointer` (RFC 6901) a place in a JSON document.
    """

    code: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        file: str | None = None,
        line: int | None = None,
        pointer: str | None = None,
        **context: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.file = file
        self.line = line
        self.pointer = pointer
        self.context = context

    @property
    def where(self) -> str:
        """Return `file:line pointer` with whatever of it is known."""
        place = self.file or ""
        if self.line is not None:
            place = f"{place}:{self.line}" if place else f"line {self.line}"
        return " ".join(part for part in (place, self.pointer) if part)

    def located(self, *, file: str | None = None, line: int | None = None) -> CounterfoilError:
        """Return this error with `file` and `line` filled in where it did not know them."""
        self.file = self.file or file
        self.line = self.line if self.line is not None else line
        return self

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} {self.remedy}" if self.remedy else text


class InvalidInput(CounterfoilError):
    """The input cannot be read as what it claims to be."""

    code = "invalid_input"


class InvalidAmount(InvalidInput):
    """An amount or a currency cannot be read exactly."""

    code = "invalid_amount"


class NotCanonical(InvalidInput):
    """The value lies outside profile cf-jcs/1, or the bytes are not the one form the profile allows."""

    code = "not_canonical"


class UnknownSchema(InvalidInput):
    """A record of a kind or a version that this software cannot judge."""

    code = "unknown_schema"


class DeliveryRefused(InvalidInput):
    """A webhook that is not what its provider signed, for us and just now; `reason` is one of a short list."""

    code = "delivery_refused"

    def __init__(self, message: str, *, reason: str, **rest: Any) -> None:
        super().__init__(message, reason=reason, **rest)
        self.reason = reason


class Refused(CounterfoilError):
    """The input is well-formed and the books forbid it."""

    code = "refused"


class UnbalancedEntry(Refused):
    code = "unbalanced_entry"


class UnknownAccount(Refused):
    code = "unknown_account"


class CurrencyMismatch(Refused):
    code = "currency_mismatch"


class AccountNotOpen(Refused):
    code = "account_not_open"


class InsufficientFunds(Refused):
    code = "insufficient_funds"


class KeyReused(Refused):
    """The idempotency key was used before, with another body."""

    code = "idempotency_key_reused"


class ReferenceNotFound(Refused):
    """What refers to an entry, or to a file, names one that the book does not hold."""

    code = "reference_not_found"


class NothingToErase(Refused):
    """An erasure names a private value that the entry never had."""

    code = "nothing_to_erase"


class Conflict(Refused):
    code = "conflict"


class DuplicateExternalId(Conflict):
    """The `external_id` is taken for ever; `entry_id` holds it, `identical` says whether it says the same."""

    code = "duplicate_external_id"

    def __init__(self, message: str, *, entry_id: str, identical: bool, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.entry_id = entry_id
        self.identical = identical


class AlreadyReversed(Conflict):
    code = "already_reversed"


class PreconditionFailed(Conflict):
    """The caller changed a version that is no longer the current one; `current` names that."""

    code = "precondition_failed"


class NotEmpty(Conflict):
    """A book is to be rebuilt in a database that holds it, or another one."""

    code = "not_empty"


class InFlight(Conflict):
    """The first request with this key is still running."""

    code = "in_flight"

    def __init__(self, message: str, *, retry_after_seconds: int = 1, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.retry_after_seconds = retry_after_seconds


class NotFound(CounterfoilError):
    code = "not_found"


class Erased(NotFound):
    """What was stored is noise since its key was dropped; nobody has it any more, and no backup brings it back."""

    code = "erased"


class NotAllowed(CounterfoilError):
    code = "not_allowed"


class Unauthenticated(NotAllowed):
    """No credential, or one that does not hold."""

    code = "unauthenticated"


class IntegrityError(CounterfoilError):
    """Stored truth contradicts itself; `seq` names the first record concerned where one is known."""

    code = "integrity"


class KeyNotOpened(IntegrityError):
    """A wrapped key that does not open for what it stands beside: it is another's, or was changed."""

    code = "key_not_opened"


class SignerRefused(IntegrityError):
    """The signing proxy refuses for good: what was asked contradicts what it signed, or is none of its business."""

    code = "signer_refused"


class ArchiveRefused(IntegrityError):
    """The archive does not verify; `verdict` is the verifier's."""

    code = "archive_refused"


class LedgerForked(IntegrityError):
    """The database and the archive hold two histories; `seq` is the first record that differs."""

    code = "ledger_forked"


class LedgerBehind(IntegrityError):
    """The database holds fewer records than a checkpoint over it; nothing is written before they are back."""

    code = "ledger_behind"


class SignerBehind(IntegrityError):
    """The signing proxy remembers less than it signed; nothing is written before it has its memory back."""

    code = "signer_behind"


class CannotRun(CounterfoilError):
    code = "cannot_run"


class ConfigurationError(CannotRun):
    code = "configuration"


class TooManyRequests(CannotRun):
    """More is waiting than this process takes; nothing of this request was kept."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_seconds: int = 1, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.retry_after_seconds = retry_after_seconds


class DependencyError(CannotRun):
    """Something this process needs did not answer."""

    code = "dependency_unavailable"

    def __init__(self, message: str, *, retryable: bool = True, retry_after_seconds: int = 1, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds


class SignatureLate(DependencyError):
    """The record is durable and its signature has not arrived; the same request, sent again, waits for it."""

    code = "signature_late"


class SignerMovedOn(DependencyError):
    """The proxy has signed another size meanwhile; `latest` is that checkpoint, the size to prove consistency from."""

    code = "signer_moved_on"

    def __init__(self, message: str, *, latest: str | None, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.latest = latest


class SignerUnavailable(DependencyError):
    """The proxy did not answer several times in a row; nobody waits for it before `retry_after_seconds` are over."""

    code = "signer_unavailable"


class RateLimited(DependencyError):
    """The proxy takes no more of this client's calls in this second; nothing of this one was done."""

    code = "rate_limited"
