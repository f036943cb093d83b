"""AWS KMS reached: one client a region, few and spread attempts, and one name for whatever its library raises.

A key is named by its ARN, which says region and account as well; not by an alias, which can be moved to another key
under a running process. One client, made once, since each makes a TLS connection and asks for credentials; with
time-outs of its own and no retries but ours. Source: AWS KMS API reference, common errors and those of each operation.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import botocore.config
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from ledger_core.base.keepers.custody import Custody, Patience
from ledger_core.errors import ConfigurationError, DependencyError

CONNECT_SECONDS, READ_SECONDS = 1.0, 2.0
"""A request takes 5 to 30 ms inside a region: whoever waits longer waits for a connection that is gone."""
CLIENT_CONFIG = botocore.config.Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"total_max_attempts": 1, "mode": "standard"},
    tcp_keepalive=True,
    # AWS_ENDPOINT_URL of somebody's shell is not where our key lies.
    ignore_configured_endpoint_urls=True,
)
MADE_INSIDE = ("AWS_KMS", "AWS_CLOUDHSM")
"""Origins of a key whose material nobody brought."""

_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+\Z")
_REASONS: Mapping[str, str] = {
    "ThrottlingException": "throttled",
    "Throttling": "throttled",
    "ThrottledException": "throttled",
    "TooManyRequestsException": "throttled",
    "RequestLimitExceeded": "throttled",
    "LimitExceededException": "throttled",
    "SlowDown": "throttled",
    "DependencyTimeoutException": "slow",
    "RequestTimeout": "slow",
    "KMSInternalException": "failing",
    "KeyUnavailableException": "failing",
    "InternalFailure": "failing",
    "ServiceUnavailable": "failing",
    "ServiceUnavailableException": "failing",
    "NotFoundException": "not_found",
    "InvalidArnException": "wrong_region",
    "DisabledException": "disabled",
    "KMSInvalidStateException": "disabled",
    "InvalidKeyUsageException": "wrong_key",
    "UnsupportedOperationException": "wrong_key",
    "AccessDeniedException": "denied",
    "AccessDenied": "denied",
    "OptInRequired": "denied",
    "ExpiredTokenException": "credentials",
    "ExpiredToken": "credentials",
    "RequestExpired": "credentials",
    "UnrecognizedClientException": "credentials",
    "InvalidClientTokenId": "credentials",
    "InvalidIdentityToken": "credentials",
    "InvalidSignatureException": "credentials",
    "SignatureDoesNotMatch": "credentials",
    "IncompleteSignature": "credentials",
    "IncompleteSignatureException": "credentials",
    "MissingAuthenticationToken": "credentials",
    "MissingAuthenticationTokenException": "credentials",
}
"""By the code that KMS, or STS on the way to it, answers; what is not listed is told by its HTTP status."""
_OF_CREDENTIALS = (
    aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError, aws.UnknownCredentialError,
    aws.NoAuthTokenError, aws.TokenRetrievalError, aws.UnknownTokenProviderError, aws.MetadataRetrievalError,
    aws.SSOError, aws.LoginError, aws.ProfileNotFound, aws.ConfigParseError, aws.ConfigNotFound, aws.InvalidConfigError,
)  # fmt: skip
"""What goes wrong before KMS is asked: a profile, a role, a token."""
_OF_ANOTHER_REGION = re.compile(r"invalid arn|valid region|scoped to", re.IGNORECASE)


class KmsClient:
    """The one client that reaches the key `arn`. Safe for threads."""

    def __init__(self, arn: str, make_client: Callable[[], Any], patience: Patience, custody: Custody) -> None:
        self.arn, self.keeper = arn, f"AWS KMS {arn}"
        self._make_client, self._patience, self._custody = make_client, patience, custody
        self._lock = threading.Lock()
        self._client: Any = None

    def call(self, name: str, wanted: str, **asked: Any) -> Any:
        """Return member `wanted` of what the operation `name` answers. Raises `DependencyError` with its reason."""
        return self.member(self.answer(name, **asked), wanted)

    def answer(self, name: str, **asked: Any) -> Mapping[str, Any]:
        """Return what the operation `name` answers. Raises `DependencyError` with its reason."""
        found: Mapping[str, Any] = self._patience.ask(lambda: self._call_once(name, asked))
        return found

    def member(self, answer: Mapping[str, Any], wanted: str) -> Any:
        """Return member `wanted` of an answer, which must have it. Raises `DependencyError`."""
        if answer.get(wanted) is None:
            raise self._custody.unavailable("failing", self.keeper, f"an answer without {wanted}")
        return answer[wanted]

    def _call_once(self, name: str, asked: Mapping[str, Any]) -> Any:
        with self._lock:
            try:
                self._client = self._client or self._make_client()
                return getattr(self._client, name)(KeyId=self.arn, **asked)
            except (aws.ClientError, aws.BotoCoreError, ResponseParserError) as error:
                trouble = self._trouble(error)
                if trouble.context["reason"] == "credentials":
                    # What is in the files, or behind the role, is read by the next client.
                    self._client = None
                raise trouble from error

    def _trouble(self, error: Exception) -> DependencyError:
        if isinstance(error, aws.ClientError):
            code, said = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            return self._custody.unavailable(_reason_of(error, code, said), self.keeper, f"{code}: {said}")
        if isinstance(error, aws.ReadTimeoutError | aws.ConnectTimeoutError):
            reason = "slow"
        elif isinstance(error, aws.HTTPClientError | aws.ConnectionError):
            reason = "unreachable"
        else:
            reason = "credentials" if isinstance(error, _OF_CREDENTIALS) else "failing"
        return self._custody.unavailable(reason, self.keeper, error)


def check_arn(arn: str) -> None:
    """Raise `ConfigurationError` where a key is not named by its ARN."""
    if _ARN.match(arn) is None:
        raise ConfigurationError(
            f"{arn!r:.100} is not the ARN of a key.",
            remedy="Write arn:aws:kms:<region>:<account>:key/<id>; an alias can be moved to another key.",
        )


def make_client(arn: str, endpoint: str) -> Any:
    """Return a client for the region of the key, over a session of its own: credentials are looked for anew."""
    found = _ARN.match(arn)
    assert found is not None, "the ARN was checked"
    return boto3.session.Session().client(
        "kms", region_name=found["region"], endpoint_url=endpoint or None, config=CLIENT_CONFIG
    )


def code_of(error: DependencyError) -> str:
    """Return the code that KMS answered when `error` was raised; nothing for what is none of its answers."""
    cause = error.__cause__
    return str(cause.response["Error"]["Code"]) if isinstance(cause, aws.ClientError) else ""


def _reason_of(error: aws.ClientError, code: str, said: str) -> str:
    reason = _REASONS.get(code)
    if reason in ("not_found", "credentials") and _OF_ANOTHER_REGION.search(said):
        return "wrong_region"
    if reason is not None:
        return reason
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status == 429:
        return "throttled"
    return "failing" if status >= 500 else "denied" if status == 403 else "wrong_key"
