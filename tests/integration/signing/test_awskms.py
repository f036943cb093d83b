"""The KMS back-end against a KMS on loopback: what goes over the wire, and a name for whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.config
import pytest

from ledger_core.base.keepers import kms as keeper
from ledger_core.base.keepers.custody import Patience
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.backends import awskms
from ledger_core.signing.backends.awskms import KmsKey
from ledger_core.signing.open import choose_backend

pytestmark = pytest.mark.integration

MESSAGE = b"ledger.example/test/main\n7\nroot\n"


class Waits:
    """Sleeps that are written down, on a clock that they move."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def patience(self, **told: Any) -> Patience:
        return Patience(sleep=self.slept.append, clock=lambda: sum(self.slept), **told)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def open_kms(kms: Any, waits: Waits) -> Callable[..., KmsKey]:
    def open_one(arn: str, **told: Any) -> KmsKey:
        told = {"awskms_endpoint": kms.url} | told
        settings = SignerSettings(env="production", backend="awskms", awskms_key=arn, **told)
        choose_backend(settings)
        return awskms.open_key(settings, Path(), patience=waits.patience())

    return open_one


@pytest.fixture(scope="module")
def opened() -> dict[str, KmsKey]:
    """Kept from test to test: reading the service's model takes a tenth of a second, once a client."""
    return {}


@pytest.fixture
def standing(kms: Any, open_kms: Callable[..., KmsKey], opened: dict[str, KmsKey]) -> KmsKey:
    """A key that was open before."""
    if "standing" not in opened:
        opened["standing"] = open_kms(kms.make("standing"))
    return opened["standing"]


@pytest.mark.parametrize(
    ("spec", "size", "wire"),
    [
        ("ECC_NIST_P256", 0, ("DIGEST", "ECDSA_SHA_256", 32)),
        ("ECC_NIST_P256", 32, ("DIGEST", "ECDSA_SHA_256", 32)),
        ("ECC_NIST_P256", 1_000_000, ("DIGEST", "ECDSA_SHA_256", 32)),
        ("ECC_NIST_EDWARDS25519", 1, ("RAW", "ED25519_SHA_512", 1)),
        ("ECC_NIST_EDWARDS25519", 4096, ("RAW", "ED25519_SHA_512", 4096)),
    ],
)
def test_what_kms_signs_verifies_outside_it(
    kms: Any, open_kms: Any, verified: Any, spec: str, size: int, wire: tuple[str, str, int]
) -> None:
    key = open_kms(kms.make(f"signs-{size}", spec))
    assert verified(key, b"x" * size)
    name, asked = kms.asked[-1]
    assert (name, asked["MessageType"], asked["SigningAlgorithm"], len(asked["Message"])) == ("Sign", *wire)
    assert (key.name, key.assurance) == ("awskms", "kms")


def test_a_longer_message_than_an_ed25519_key_takes_is_refused_before_it_is_sent(kms: Any, open_kms: Any) -> None:
    key = open_kms(kms.make("long", "ECC_NIST_EDWARDS25519"))
    before = len(kms.asked)
    with pytest.raises(DependencyError, match="too long") as long:
        key.sign(b"x" * 4097)
    assert "P-256" in str(long.value)
    assert len(kms.asked) == before


def test_one_client_and_one_connection_serve_every_signature(kms: Any, open_kms: Any, verified: Any) -> None:
    key = open_kms(kms.make("one"))
    before = kms.connections
    assert all(verified(key, b"%d" % number) for number in range(30))
    assert kms.connections == before


@pytest.mark.parametrize(
    ("code", "status", "reason", "again", "later"),
    [
        ("ThrottlingException", 400, "throttled", True, True),
        ("TooManyRequestsException", 429, "throttled", True, True),
        ("UnheardOfException", 429, "throttled", True, True),
        ("DependencyTimeoutException", 500, "slow", True, True),
        ("KMSInternalException", 500, "failing", True, True),
        ("KeyUnavailableException", 500, "failing", True, True),
        ("ServiceUnavailable", 503, "failing", True, True),
        ("UnheardOfException", 502, "failing", True, True),
        ("NotFoundException", 400, "not_found", False, False),
        ("DisabledException", 400, "disabled", False, False),
        ("KMSInvalidStateException", 400, "disabled", False, False),
        ("InvalidKeyUsageException", 400, "wrong_key", False, False),
        ("ValidationException", 400, "wrong_key", False, False),
        ("AccessDeniedException", 400, "denied", False, False),
        ("UnheardOfException", 403, "denied", False, False),
        ("ExpiredTokenException", 400, "credentials", False, True),
        ("UnrecognizedClientException", 400, "credentials", False, True),
        ("InvalidSignatureException", 403, "credentials", False, True),
        ("InvalidArnException", 400, "wrong_region", False, False),
    ],
)
def test_each_refusal_has_a_name_and_is_asked_again_only_where_that_helps(
    kms: Any, standing: KmsKey, refusal: Any, code: str, status: int, reason: str, again: bool, later: bool
) -> None:
    kms.trouble.extend([refusal(code, "as told", status)] * 3)
    before = kms.signatures_asked()
    with pytest.raises(DependencyError, match="nothing was signed") as found:
        standing.sign(MESSAGE)
    assert (found.value.context["reason"], found.value.retryable) == (reason, later)
    assert code in str(found.value)
    assert len(kms.trouble) == (0 if again else 2)
    assert kms.signatures_asked() == before
    kms.trouble.clear()
    assert standing.sign(MESSAGE), "and afterwards it signs"


def test_a_throttled_signature_is_waited_for_in_growing_uneven_steps(
    kms: Any, open_kms: Any, refusal: Any, waits: Waits, verified: Any
) -> None:
    key = open_kms(kms.make("throttled"))
    for _ in range(5):
        kms.trouble.extend([refusal("ThrottlingException", "Rate exceeded")] * 2)
        assert verified(key, MESSAGE)
    firsts, seconds = waits.slept[::2], waits.slept[1::2]
    assert all(0.1 <= wait <= 0.2 for wait in firsts)
    assert all(0.2 <= wait <= 0.4 for wait in seconds)
    assert len(set(waits.slept)) == 10, "many that are throttled at once come back one by one"


def test_no_attempt_begins_once_the_time_is_up(kms: Any, waits: Waits, refusal: Any) -> None:
    settings = SignerSettings(backend="awskms", awskms_key=kms.make("late"), awskms_endpoint=kms.url)
    key = awskms.open_key(settings, Path(), patience=waits.patience(attempts=100, total_seconds=2.0))
    kms.trouble.extend([refusal("ThrottlingException", "Rate exceeded")] * 100)
    with pytest.raises(DependencyError, match="throttled"):
        key.sign(MESSAGE)
    assert sum(waits.slept) <= 2.0
    assert len(kms.trouble) > 90
    kms.trouble.clear()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = botocore.config.Config(read_timeout=0.6)
    monkeypatch.setattr(keeper, "CLIENT_CONFIG", keeper.CLIENT_CONFIG.merge(quick))


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(2.0, "slow"), ("drop", "unreachable"), ("html", "failing"), ("half", "failing"), ("{}", "failing")],
)
def test_no_answer_and_no_sense_are_no_signature(
    kms: Any, open_kms: Any, verified: Any, trouble: Any, reason: str
) -> None:
    key = open_kms(kms.make("mute"))
    kms.trouble.extend([trouble] * 3)
    with pytest.raises(DependencyError) as found:
        key.sign(MESSAGE)
    assert (found.value.context["reason"], found.value.retryable) == (reason, True)
    kms.trouble.clear()
    assert verified(key, MESSAGE)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("trouble", [2.0, "drop"])
def test_one_that_answers_the_second_time_signs(kms: Any, open_kms: Any, verified: Any, trouble: Any) -> None:
    key = open_kms(kms.make("second"))
    kms.trouble.append(trouble)
    assert verified(key, MESSAGE)


def test_nobody_there_is_unreachable(kms: Any, open_kms: Any) -> None:
    with pytest.raises(DependencyError) as found:
        open_kms(kms.make("nobody"), awskms_endpoint="http://127.0.0.1:9")
    assert found.value.context["reason"] == "unreachable"


def test_expired_credentials_are_named_and_new_ones_are_read_without_a_restart(
    kms: Any, open_kms: Any, verified: Any, credentials: Any
) -> None:
    credentials("AKIDEXAMPLE", "young")
    key = open_kms(kms.make("expires"))
    kms.expired = "young"
    with pytest.raises(DependencyError, match="expired") as found:
        key.sign(MESSAGE)
    assert (found.value.context["reason"], found.value.retryable) == ("credentials", True)
    credentials("AKIDEXAMPLE", "fresh")
    assert verified(key, MESSAGE)


@pytest.mark.parametrize("bad", ["strangers", "none", "no-profile"])
def test_bad_or_no_credentials_are_named(
    kms: Any, open_kms: Any, credentials: Any, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    if bad == "no-profile":
        monkeypatch.setenv("AWS_PROFILE", "nobody")
    credentials("AKIDSTRANGER" if bad == "strangers" else None)
    with pytest.raises(DependencyError) as found:
        open_kms(kms.make("bad"))
    assert found.value.context["reason"] == "credentials"


@pytest.mark.usefixtures("kms")
def test_neither_a_region_nor_an_endpoint_of_somebodys_shell_leads_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert (
        keeper.make_client("arn:aws:kms:eu-central-1:111122223333:key/k", "").meta.endpoint_url
        == "https://kms.eu-central-1.amazonaws.com"
    )


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_an_endpoint_of_another_region_is_named(kms: Any, open_kms: Any, region: str) -> None:
    with pytest.raises(DependencyError, match="wrong region") as found:
        open_kms(kms.make("region").replace("eu-central-1", region))
    assert not found.value.retryable


@pytest.mark.parametrize(("state", "reason"), [("Disabled", "disabled"), ("PendingDeletion", "disabled")])
def test_a_key_that_is_switched_off_while_it_is_used_signs_nothing(
    kms: Any, open_kms: Any, verified: Any, state: str, reason: str
) -> None:
    arn = kms.make(f"off-{state}")
    key = open_kms(arn)
    kms.keys[arn].state = state
    for attempt in (key.sign, lambda _: open_kms(arn)):
        with pytest.raises(DependencyError) as found:
            attempt(MESSAGE)
        assert found.value.context["reason"] == reason
    kms.keys[arn].state = "Enabled"
    assert verified(key, MESSAGE)


def test_a_key_that_is_gone_is_named(kms: Any, open_kms: Any) -> None:
    arn = kms.make("gone")
    key = open_kms(arn)
    del kms.keys[arn]
    with pytest.raises(DependencyError, match="not found"):
        key.sign(MESSAGE)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"origin": "EXTERNAL"}, "was brought to KMS"),
        ({"spec": "ECC_NIST_P384"}, "of kind ECC_NIST_P384"),
        ({"spec": "RSA_2048"}, "of kind RSA_2048"),
        ({"usage": "KEY_AGREEMENT"}, "is for KEY_AGREEMENT"),
    ],
)
def test_a_key_that_is_not_fit_is_refused_at_the_start(
    kms: Any, open_kms: Any, told: dict[str, str], said: str
) -> None:
    unfit = kms.make("unfit", **told)
    with pytest.raises(ConfigurationError, match=said):
        open_kms(unfit)
    assert kms.signatures_asked(unfit) == 0  # of others: one that was given up may still be under way


@pytest.mark.parametrize(
    "name",
    [
        "", "alias/ledger", "arn:aws:kms:eu-central-1:111122223333:alias/ledger", "1234abcd-12ab-34cd-56ef-123456789",
        "arn:aws:s3:eu-central-1:111122223333:key/x", "arn:aws:kms:eu-central-1:111122223333:key/x\n",
    ],
)  # fmt: skip
def test_a_key_is_named_by_its_arn_and_by_nothing_that_can_be_moved(open_kms: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match="COUNTERFOIL_SIGNING__AWSKMS_KEY" if not name else "is not the ARN"):
        open_kms(name)


@pytest.mark.parametrize("lie", ["another key", "hashed twice"])
def test_a_signature_that_the_key_does_not_verify_is_never_handed_out(kms: Any, open_kms: Any, lie: str) -> None:
    arn = kms.make("liar")
    key = open_kms(arn)
    if lie == "another key":
        kms.make("liar")
    else:
        kms.hashes_twice = True
    with pytest.raises(IntegrityError, match="thrown away"):
        key.sign(MESSAGE)


def test_a_kms_that_hashes_twice_does_not_come_up(kms: Any, open_kms: Any) -> None:
    kms.hashes_twice = True
    with pytest.raises(IntegrityError, match="thrown away"):
        open_kms(kms.make("twice"))
