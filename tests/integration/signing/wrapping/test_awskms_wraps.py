"""The back-end in KMS: what it sends, what it refuses, and each of the answers of the service by its name."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from ledger_core.base.keepers.custody import Patience
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError
from tests.integration.signing.conftest import kms_server

pytestmark = pytest.mark.integration

CONTEXT = {"counterfoil": "raw-file", "file_id": "6f0c3a52"}
KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask three times at once."""
    monkeypatch.setattr("ledger_core.wrapping.Patience", lambda: Patience(sleep=lambda _: None))


def test_what_it_wraps_opens_by_the_key_and_the_context_outside_of_it(kms: Any, kms_keeper: Any, opened: Any) -> None:
    wrapper = opened(kms_keeper.told)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    arn = kms_keeper.told["awskms_key"]
    assert kms_server.opened(kms, arn, wrapped.data, CONTEXT) == KEY
    with pytest.raises(InvalidTag):
        kms_server.opened(kms, arn, wrapped.data, {**CONTEXT, "file_id": "other"})
    assert (wrapped.by.key, wrapped.by.version) == (arn, "")
    wrapper.unwrap(wrapped, CONTEXT)
    asked = [(name, said.get("EncryptionContext"), said["KeyId"]) for name, said in kms.asked]
    assert asked == [("DescribeKey", None, arn), ("Encrypt", CONTEXT, arn), ("Decrypt", CONTEXT, arn)]


@pytest.mark.parametrize(
    ("code", "status", "reason", "later"),
    [
        ("ThrottlingException", 400, "throttled", True),
        ("DependencyTimeoutException", 503, "slow", True),
        ("KMSInternalException", 500, "failing", True),
        ("AccessDeniedException", 400, "denied", False),
        ("ExpiredTokenException", 400, "credentials", True),
        ("DisabledException", 400, "disabled", False),
        ("KMSInvalidStateException", 400, "disabled", False),
        ("NotFoundException", 400, "not_found", False),
        ("IncorrectKeyException", 400, "wrong_key", False),
        ("InvalidKeyUsageException", 400, "wrong_key", False),
    ],
)
def test_each_answer_has_its_name_and_nothing_was_wrapped(
    kms: Any, kms_keeper: Any, opened: Any, refusal: Any, code: str, status: int, reason: str, later: bool
) -> None:
    wrapper = opened(kms_keeper.told)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    for use in (lambda: wrapper.wrap(KEY, CONTEXT), lambda: wrapper.unwrap(wrapped, CONTEXT)):
        kms.trouble.extend([refusal(code, "as told", status)] * 3)
        with pytest.raises(DependencyError) as refused:
            use()
        kms.trouble.clear()
        assert (refused.value.context["reason"], refused.value.retryable) == (reason, later)
        assert "no key was wrapped or opened" in str(refused.value)
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY


@pytest.mark.parametrize("trouble", ["drop", "html", "half", "{}"])
def test_an_answer_that_is_none_is_named(kms: Any, kms_keeper: Any, opened: Any, trouble: str) -> None:
    wrapper = opened(kms_keeper.told)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    for use in (lambda: wrapper.wrap(KEY, CONTEXT), lambda: wrapper.unwrap(wrapped, CONTEXT)):
        kms.trouble.extend([trouble] * 3)
        with pytest.raises(DependencyError) as refused:
            use()
        assert refused.value.context["reason"] == ("unreachable" if trouble == "drop" else "failing")
        kms.trouble.clear()
    kms.trouble.append("drop")
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY, "one that is lost is asked again"


def test_another_key_that_answers_is_found(kms: Any, kms_keeper: Any, opened: Any) -> None:
    wrapper = opened(kms_keeper.told)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    kms.poses_as = kms.make("stranger", "SYMMETRIC_DEFAULT")
    for use in (lambda: wrapper.wrap(KEY, CONTEXT), lambda: wrapper.unwrap(wrapped, CONTEXT)):
        with pytest.raises(IntegrityError, match="another key answered"):
            use()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"spec": "ECC_NIST_P256"}, "is for SIGN_VERIFY, of kind ECC_NIST_P256"),
        ({"usage": "GENERATE_VERIFY_MAC"}, "is for GENERATE_VERIFY_MAC"),
        ({"origin": "EXTERNAL"}, "was brought to KMS"),
    ],
)
def test_a_key_that_is_not_fit_is_refused(kms: Any, opened: Any, told: dict[str, str], said: str) -> None:
    signs = told.get("spec") == "ECC_NIST_P256"
    fit = {"spec": "SYMMETRIC_DEFAULT", "usage": "SIGN_VERIFY" if signs else "ENCRYPT_DECRYPT"}
    arn = kms.make("unfit", **{**fit, **told})
    with pytest.raises(ConfigurationError, match=said):
        opened({"backend": "awskms", "awskms_key": arn, "awskms_endpoint": kms.url})


def test_credentials_that_came_anew_are_read_again(kms: Any, kms_keeper: Any, opened: Any, credentials: Any) -> None:
    credentials("AKIDEXAMPLE", "old")
    wrapper = opened(kms_keeper.told)
    kms.expired = "old"
    with pytest.raises(DependencyError) as expired:
        wrapper.wrap(KEY, CONTEXT)
    assert expired.value.context["reason"] == "credentials"
    credentials("AKIDEXAMPLE", "new")
    assert wrapper.wrap(KEY, CONTEXT)
