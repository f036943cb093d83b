"""What a bucket's client raises, as one of the error tree's: each with what to do.

boto3's own exceptions reach nobody: a bucket that denies, is elsewhere, does not answer or answers nonsense is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ledger_core.errors import ConfigurationError, CounterfoilError, DependencyError, NotFound
from ledger_core.log.patience import OutOfPatienceError

_SCHEME = "s3://"

_NO_BUCKET = frozenset({"NoSuchBucket"})
_ABSENT = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})
_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"})
_UNKNOWN_KEY = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "UnrecognizedClientException", "XAdminUserNotFound"}
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_SKEWED = frozenset({"RequestTimeTooSkewed"})
_BUSY = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "500", "503"})


_READS = frozenset({"get_object", "head_object"})
_LOCKED_UP = frozenset({"InvalidObjectState", "InvalidRequest"})
"""Moved to where it must be fetched from first, or enciphered with a key that its writer did not leave."""


class Unreadable(ConfigurationError):
    """One object that the bucket gives to nobody who asks as we do. Whoever can write can make any number of them."""


class Overfilled(DependencyError):
    """A listing that goes on beyond what any archive of ours has. Whoever can write can make it so long."""


@contextmanager
def told(bucket: str, operation: str, key: str | None = None) -> Iterator[None]:
    """Raise what botocore raises as one of the error tree's."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _of_answer(error, bucket, operation, key) from error
    except OutOfPatienceError as error:
        raise too_slow(bucket, error) from error
    except BotoCoreError as error:
        raise _of_client(error, bucket) from error
    except (ResponseParserError, ValueError) as error:
        # An endpoint that is none, a number or a time in an answer that is none.
        raise DependencyError(
            f"the bucket {bucket} cannot be read: {error}.",
            retryable=False,
            remedy="See COUNTERFOIL_ARCHIVE__ENDPOINT.",
        ) from error


def _of_answer(error: Any, bucket: str, operation: str, key: str | None) -> CounterfoilError:
    answer = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    context: dict[str, Any] = {"s3_code": code, "operation": operation}
    where = f"{_SCHEME}{bucket}/{key}" if key else f"{_SCHEME}{bucket}"
    if code in _NO_BUCKET:
        return ConfigurationError(f"there is no bucket {bucket}.", remedy="See COUNTERFOIL_ARCHIVE__URL.", **context)
    if code in _ABSENT:
        return NotFound(f"{where} is not there.", **context)
    if operation in _READS and (code in _LOCKED_UP or code in _DENIED or code.startswith("KMS")):
        return Unreadable(
            f"{where} is there and cannot be read: {code}.",
            remedy="docs/runbooks/archive.md has the rights that each side needs; or its writer made it so.",
            **context,
        )
    if code in _DENIED:
        return ConfigurationError(
            f"the bucket {bucket} denies {operation} to whose credentials these are.",
            remedy="docs/runbooks/archive.md has the rights that each side needs, and no others.",
            **context,
        )
    if code in _UNKNOWN_KEY:
        return ConfigurationError(
            f"the credentials are not known to {where}: {code}.",
            remedy="They come by boto3's own chain: environment, profile, role of the machine.",
            **context,
        )
    if code in _EXPIRED:
        return ConfigurationError(
            "the credentials have expired.", remedy="Renew the session that they come from.", **context
        )
    if code in _ELSEWHERE:
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = answer.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region") or "another region"
        return ConfigurationError(
            f"the bucket {bucket} is in {region}.", remedy="Set COUNTERFOIL_ARCHIVE__REGION to that.", **context
        )
    if code in _SKEWED:
        return ConfigurationError(
            "this machine's clock is too far from the store's.", remedy="Set the clock, by NTP.", **context
        )
    message = f"{where} answers {operation} with {code or status}: {answer.get('Error', {}).get('Message', '')}"
    return DependencyError(
        message.strip(" :") + ".",
        retryable=code in _BUSY or status >= 500,
        remedy="Try again; then look at the store's own log.",
        **context,
    )


def _of_client(error: Any, bucket: str) -> CounterfoilError:
    """Return the error for what never became an answer: no credentials, no region, no connection."""
    from botocore import exceptions as botocore

    no_credentials = (
        botocore.NoCredentialsError,
        botocore.PartialCredentialsError,
        botocore.CredentialRetrievalError,
        botocore.ProfileNotFound,
        botocore.SSOError,
        botocore.TokenRetrievalError,
    )
    if isinstance(error, no_credentials):
        return ConfigurationError(
            f"there are no credentials for the bucket {bucket}: {error}.".replace("..", "."),
            remedy="They come by boto3's own chain: environment, profile, role of the machine.",
        )
    if isinstance(error, (botocore.NoRegionError, botocore.InvalidRegionError, botocore.ParamValidationError)):
        return ConfigurationError(f"{error}.".replace("..", "."), remedy="Set COUNTERFOIL_ARCHIVE__REGION.")
    cause = getattr(error, "kwargs", {}).get("error")
    if isinstance(cause, OutOfPatienceError):
        return too_slow(bucket, cause)
    return DependencyError(
        f"the bucket {bucket} does not answer: {error}.".replace("..", "."), remedy="Try again when it does."
    )


def too_slow(bucket: str, error: OutOfPatienceError) -> CounterfoilError:
    """Return the error for a bucket that keeps waiting."""
    return DependencyError(
        f"the bucket {bucket} is given up: {error}.",
        remedy="Nothing was decided about what is in it. Look at the service and at the way to it, then try again.",
    )
