"""The back-end whose key lies in AWS KMS: ECDSA P-256 by its hash, Ed25519 by the whole message.

The key is named by its ARN, which says region and account as well; not by an alias, which can be moved to another key
under a running proxy. One client, made once, since each makes a TLS connection and asks for credentials; with time-outs
of its own and no retries but ours, which are few and spread out. Invariant: the key was made in KMS and cannot be had
outside it. Source: AWS KMS API reference, Sign, GetPublicKey, DescribeKey.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import botocore.config
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.log.note import ECDSA_P256, PublicKey
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.custody import Patience, checked, probed, read_public, unavailable

NAME = "awskms"

CONNECT_SECONDS, READ_SECONDS = 1.0, 2.0
"""A signature takes 5 to 30 ms inside a region: whoever waits longer waits for a connection that is gone."""
MAX_RAW_BYTES = 4096
"""The most that Sign takes as a message; a hash always fits."""
CLIENT_CONFIG = botocore.config.Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"total_max_attempts": 1, "mode": "standard"},
    tcp_keepalive=True,
    # AWS_ENDPOINT_URL of somebody's shell is not where our key lies.
    ignore_configured_endpoint_urls=True,
)

_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+\Z")
_SPECS = ("ECC_NIST_P256", "ECC_NIST_EDWARDS25519")
_MADE_INSIDE = ("AWS_KMS", "AWS_CLOUDHSM")

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


class KmsKey:
    """A key in KMS and the one client that reaches it. Safe for threads."""

    name = NAME
    assurance = "kms"

    def __init__(self, arn: str, make_client: Callable[[], Any], patience: Patience) -> None:
        self._arn = arn
        self._keeper = f"AWS KMS {arn}"
        self._make_client = make_client
        self._patience = patience
        self._lock = threading.Lock()
        self._client: Any = None
        self._refuse_unfit(self._call("describe_key", "KeyMetadata"))
        self._public_key = read_public(self._call("get_public_key", "PublicKey"), self._keeper)

    @property
    def public_key(self) -> PublicKey:
        """The public half, read once at the start."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message` (ECDSA: DER). Raises `DependencyError` that names its reason,
        `IntegrityError` where another key signed, or something else than `message`."""
        if self._public_key.algorithm == ECDSA_P256:
            asked = {"Message": sha256(message).digest(), "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
        elif len(message) > MAX_RAW_BYTES:
            raise unavailable("too_long", self._keeper, f"{len(message)} bytes, an Ed25519 key signs {MAX_RAW_BYTES}")
        else:
            asked = {"Message": message, "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"}
        signature: bytes = self._call("sign", "Signature", **asked)
        return checked(self._public_key, message, signature, self._keeper)

    def _call(self, name: str, wanted: str, **asked: Any) -> Any:
        found = self._patience.ask(lambda: self._call_once(name, asked)).get(wanted)
        if found is None:
            raise unavailable("failing", self._keeper, f"an answer without {wanted}")
        return found

    def _call_once(self, name: str, asked: Mapping[str, Any]) -> Any:
        with self._lock:
            try:
                self._client = self._client or self._make_client()
                return getattr(self._client, name)(KeyId=self._arn, **asked)
            except (aws.ClientError, aws.BotoCoreError, ResponseParserError) as error:
                trouble = self._trouble(error)
                if trouble.context["reason"] == "credentials":
                    # What is in the files, or behind the role, is read by the next client.
                    self._client = None
                raise trouble from error

    def _trouble(self, error: Exception) -> DependencyError:
        if isinstance(error, aws.ClientError):
            code, said = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            return unavailable(_reason_of(error, code, said), self._keeper, f"{code}: {said}")
        if isinstance(error, aws.ReadTimeoutError | aws.ConnectTimeoutError):
            reason = "slow"
        elif isinstance(error, aws.HTTPClientError | aws.ConnectionError):
            reason = "unreachable"
        else:
            reason = "credentials" if isinstance(error, _OF_CREDENTIALS) else "failing"
        return unavailable(reason, self._keeper, error)

    def _refuse_unfit(self, found: Mapping[str, Any]) -> None:
        if found.get("KeyState") != "Enabled":
            raise unavailable("disabled", self._keeper, f"its state is {found.get('KeyState')}")
        if found.get("KeyUsage") != "SIGN_VERIFY" or found.get("KeySpec") not in _SPECS:
            raise ConfigurationError(
                f"{self._keeper} is for {found.get('KeyUsage')}, of kind {found.get('KeySpec')}.",
                remedy=f"Name a key for SIGN_VERIFY of kind {' or '.join(_SPECS)}.",
            )
        if found.get("Origin") not in _MADE_INSIDE:
            raise ConfigurationError(
                f"{self._keeper} was brought to KMS ({found.get('Origin')}), and so can be elsewhere too.",
                remedy="Have KMS make a key, and rotate to it.",
            )


def check_settings(settings: SignerSettings) -> None:
    """Raise `ConfigurationError` where the key is not named by its ARN."""
    settings.need("awskms_key")
    if _ARN.match(settings.awskms_key) is None:
        raise ConfigurationError(
            f"{settings.awskms_key!r:.100} is not the ARN of a key.",
            remedy="Write arn:aws:kms:<region>:<account>:key/<id>; an alias can be moved to another key.",
        )


def open_key(settings: SignerSettings, folder: Path, *, patience: Patience | None = None) -> KmsKey:
    """Return the key in KMS; nothing of it lies in `folder`. Raises `ConfigurationError`, `DependencyError`."""
    del folder
    return probed(KmsKey(settings.awskms_key, lambda: make_client(settings), patience or Patience()))


def make_client(settings: SignerSettings) -> Any:
    """Return a client for the region of the key, over a session of its own: credentials are looked for anew."""
    arn = _ARN.match(settings.awskms_key)
    assert arn is not None, "the settings were checked"
    return boto3.session.Session().client(
        "kms", region_name=arn["region"], endpoint_url=settings.awskms_endpoint or None, config=CLIENT_CONFIG
    )


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
