"""The back-end whose key-encryption key lies in AWS KMS: Encrypt and Decrypt with an encryption context.

Each request names the key by its ARN, Decrypt too, and the answer must name the same. KMS turns its own material
yearly under one ARN, which asks nothing of us; another key is another ARN in the settings. The context is bound by KMS,
and stands in CloudTrail. Invariant: the key was made in KMS and is for encryption alone.
Source: AWS KMS API reference, Encrypt, Decrypt, DescribeKey.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ledger_core.base.keepers.custody import Patience
from ledger_core.base.keepers.kms import MADE_INSIDE, KmsClient, check_arn, code_of
from ledger_core.base.wrapping.custody import WRAPPING, made_there, not_opened
from ledger_core.base.wrapping.port import Context, KeyName, Wrapped
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError

NAME = "awskms"
SPEC, USAGE, ALGORITHM = "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"
MAX_CLIENTS = 8
"""Of older keys; each is a connection."""


class KmsWrapper:
    """A key in KMS, and older ones by the names that they wrapped under. Safe for threads."""

    name = NAME

    def __init__(self, arn: str, make_client: Callable[[str], Any], patience: Patience) -> None:
        self._make_client, self._patience = make_client, patience
        self._lock = threading.Lock()
        self._older: dict[str, KmsClient] = {}
        self._kms = self._client(arn)
        self._refuse_unfit()

    @property
    def current(self) -> KeyName:
        """The key of the settings."""
        return KeyName(backend=NAME, key=self._kms.arn, version="")

    def wrap(self, key: bytes, context: Context) -> Wrapped:
        """Return `key` encrypted by KMS. Raises `DependencyError`; `IntegrityError` where another key encrypted it."""
        answer = self._kms.answer(
            "encrypt", Plaintext=key, EncryptionContext=dict(context), EncryptionAlgorithm=ALGORITHM
        )
        self._hold(answer, self._kms)
        return Wrapped(by=self.current, data=self._kms.member(answer, "CiphertextBlob"))

    def unwrap(self, wrapped: Wrapped, context: Context) -> bytes:
        """Return the key that KMS decrypts, under the ARN that wrapped it. Raises `KeyNotOpened`, `DependencyError`."""
        kms = self._of(wrapped.by)
        try:
            answer = kms.answer(
                "decrypt", CiphertextBlob=wrapped.data, EncryptionContext=dict(context), EncryptionAlgorithm=ALGORITHM
            )
        except DependencyError as error:
            if code_of(error) == "InvalidCiphertextException":
                raise not_opened(kms.keeper, "InvalidCiphertextException") from error
            raise
        self._hold(answer, kms)
        key: bytes = kms.member(answer, "Plaintext")
        return key

    def rotate(self) -> KeyName:
        """Refuse: it is done in KMS."""
        raise made_there(self._kms.keeper)

    def close(self) -> None:
        """Forget the older keys' clients."""
        with self._lock:
            self._older.clear()

    def _of(self, name: KeyName) -> KmsClient:
        if name.key == self._kms.arn:
            return self._kms
        check_arn(name.key)
        with self._lock:
            if name.key not in self._older:
                if len(self._older) >= MAX_CLIENTS:
                    self._older.clear()
                self._older[name.key] = self._client(name.key)
            return self._older[name.key]

    def _client(self, arn: str) -> KmsClient:
        return KmsClient(arn, lambda: self._make_client(arn), self._patience, WRAPPING)

    def _hold(self, answer: Any, kms: KmsClient) -> None:
        named = kms.member(answer, "KeyId")
        if named != kms.arn:
            raise IntegrityError(
                f"{kms.keeper}: another key answered ({named!s:.100}); it was thrown away.",
                remedy="What answers is not what was asked: look at the endpoint before anything else lands.",
            )

    def _refuse_unfit(self) -> None:
        keeper, found = self._kms.keeper, self._kms.call("describe_key", "KeyMetadata")
        if found.get("KeyState") != "Enabled":
            raise WRAPPING.unavailable("disabled", keeper, f"its state is {found.get('KeyState')}")
        if found.get("KeyUsage") != USAGE or found.get("KeySpec") != SPEC:
            raise ConfigurationError(
                f"{keeper} is for {found.get('KeyUsage')}, of kind {found.get('KeySpec')}.",
                remedy=f"Name a key for {USAGE} of kind {SPEC}.",
            )
        if found.get("Origin") not in MADE_INSIDE:
            raise ConfigurationError(
                f"{keeper} was brought to KMS ({found.get('Origin')}), and so can be elsewhere too.",
                remedy="Have KMS make a key, and name that.",
            )
