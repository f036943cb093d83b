"""The Vault back-end against a real OpenBao: sealed, restarted, revoked, rotated, and whatever else operators do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hvac
import pytest

from ledger_core.base.keepers import vault as session
from ledger_core.base.keepers.custody import Patience
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.backends import vault
from ledger_core.signing.backends.vault import TransitKey
from ledger_core.signing.open import choose_backend

pytestmark = pytest.mark.integration

MESSAGE = b"ledger.example/test/main\n7\nroot\n"


class Clock:
    """A clock that is set by hand, and by those who sleep on it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secret_file(bao: Any, tmp_path: Path) -> Path:
    path = tmp_path / "secret-id"
    path.touch(mode=0o600)
    path.write_text(bao.secret_id() + "\n")
    return path


@pytest.fixture
def open_vault(bao: Any, secret_file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TransitKey]:
    # A machine that does much else is no reason to call the server slow.
    monkeypatch.setattr(session, "TIMEOUT_SECONDS", (10.0, 30.0))

    def open_one(name: str, **changed: str) -> TransitKey:
        told = {
            "vault_url": bao.url,
            "vault_key": name,
            "vault_key_version": "1",
            "vault_role_id": bao.roles["ledger"],
            "vault_secret_id_file": str(secret_file),
            "vault_ca_file": str(bao.folder / "ca.pem"),
            "vault_client_cert_file": str(bao.folder / "client.pem"),
            "vault_client_key_file": str(bao.folder / "client.key"),
        }
        settings = SignerSettings(env="production", backend="vault", **told | changed)
        choose_backend(settings)
        return vault.open_key(settings, Path(), patience=Patience(sleep=clock.sleep, clock=clock))

    return open_one


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ed25519"])
@pytest.mark.parametrize("size", [0, 32, 1_000_000])
def test_what_vault_signs_verifies_outside_it(bao: Any, open_vault: Any, verified: Any, kind: str, size: int) -> None:
    bao.make(f"ledger-{kind}-{size}", kind)
    key = open_vault(f"ledger-{kind}-{size}")
    assert verified(key, b"x" * size)
    assert (key.name, key.assurance) == ("vault", "kms")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"exportable": True}, "can be exported"),
        ({"allow_plaintext_backup": True}, "can be backed up in plain"),
        ({"kind": "ed25519", "derived": True, "convergent_encryption": False}, "another one for each context"),
        ({"kind": "ecdsa-p384"}, "is of type ecdsa-p384"),
        ({"kind": "rsa-2048"}, "is of type rsa-2048"),
        ({"kind": "aes256-gcm96"}, "is of type aes256-gcm96"),
    ],
)
def test_a_key_that_is_not_fit_is_refused(bao: Any, open_vault: Any, told: dict[str, Any], said: str) -> None:
    name = f"ledger-unfit-{len(said)}-{told.get('kind')}"
    bao.make(name, **told)
    with pytest.raises(ConfigurationError, match=said):
        open_vault(name)


def test_a_key_that_was_brought_here_is_refused(bao: Any, open_vault: Any) -> None:
    bao.bring("ledger-brought")
    with pytest.raises(ConfigurationError, match="was brought here"):
        open_vault("ledger-brought")


def test_a_key_that_is_made_exportable_signs_no_more_from_the_next_log_in_on(bao: Any, open_vault: Any) -> None:
    bao.make("ledger-opened")
    key = open_vault("ledger-opened")
    bao.root.secrets.transit.update_key_configuration("ledger-opened", exportable=True)
    bao.root.auth.token.revoke(key._vault.client.token)
    for _ in range(3):
        with pytest.raises(DependencyError, match="can be exported") as found:
            key.sign(MESSAGE)
        assert found.value.context["reason"] == "misconfigured"


@pytest.fixture
def unsealed(bao: Any) -> Iterator[None]:
    """Leave the server open for the next test, whatever this one did."""
    yield
    if bao.process.poll() is not None:
        bao.start()
    if bao.root.sys.is_sealed():
        bao.unseal()


@pytest.mark.usefixtures("unsealed")
def test_while_it_is_sealed_nothing_is_signed_and_then_it_goes_on(bao: Any, open_vault: Any, verified: Any) -> None:
    bao.make("ledger-sealed")
    key = open_vault("ledger-sealed")
    bao.root.sys.seal()
    with pytest.raises(DependencyError, match="sealed") as found:
        key.sign(MESSAGE)
    assert (found.value.context["reason"], found.value.retryable) == ("sealed", True)
    bao.unseal()
    assert verified(key, MESSAGE)


@pytest.mark.usefixtures("unsealed")
def test_a_restart_is_unreachable_then_sealed_then_over(bao: Any, open_vault: Any, verified: Any) -> None:
    bao.make("ledger-restarted")
    key = open_vault("ledger-restarted")
    token = key._vault.client.token
    bao.stop()
    with pytest.raises(DependencyError) as down:
        key.sign(MESSAGE)
    bao.start()
    with pytest.raises(DependencyError) as closed:
        key.sign(MESSAGE)
    bao.unseal()
    assert verified(key, MESSAGE)
    assert [item.value.context["reason"] for item in (down, closed)] == ["unreachable", "sealed"]
    assert key._vault.client.token == token, "the log-in outlived it"


def test_a_revoked_token_costs_a_log_in_and_no_signature(bao: Any, open_vault: Any, verified: Any) -> None:
    bao.make("ledger-revoked")
    key = open_vault("ledger-revoked")
    for _ in range(3):
        before = key._vault.client.token
        bao.root.auth.token.revoke(before)
        assert verified(key, MESSAGE)
        assert key._vault.client.token != before


def test_a_token_is_renewed_in_time(bao: Any, open_vault: Any, verified: Any, clock: Clock) -> None:
    bao.make("ledger-renewed")
    key = open_vault("ledger-renewed")
    first = key._vault.client.token

    def renewals(token: str) -> int:
        return int("last_renewal" in bao.root.auth.token.lookup(token)["data"])

    clock.now += 1800
    assert verified(key, MESSAGE)
    assert renewals(first) == 0, "half its hour is left"
    clock.now += 1000
    assert verified(key, MESSAGE)
    assert renewals(first) == 1
    assert key._vault.client.token == first


def test_a_token_whose_longest_time_is_nearly_up_is_replaced_and_not_waited_for(
    bao: Any, open_vault: Any, verified: Any, clock: Clock
) -> None:
    bao.make("ledger-short")
    bao.root.auth.approle.create_or_update_approle(
        "short", token_policies=["ledger"], token_ttl="2s", token_max_ttl="2s"
    )
    role = bao.root.auth.approle.read_role_id("short")["data"]["role_id"]
    (secret := Path(bao.folder / "short-secret")).touch(mode=0o600)
    secret.write_text(bao.secret_id("short"))
    key = open_vault("ledger-short", vault_role_id=role, vault_secret_id_file=str(secret))
    before = key._vault.client.token
    time.sleep(1.2)
    clock.now += 1.5
    assert verified(key, MESSAGE)
    assert key._vault.client.token != before


def test_rotations_under_load_change_nothing_of_who_signs(bao: Any, open_vault: Any, verified: Any) -> None:
    bao.make("ledger-rotated")
    key = open_vault("ledger-rotated")
    over = threading.Event()

    def sign_on(number: int) -> int:
        count = 0
        while not over.is_set():
            assert verified(key, b"%d-%d" % (number, count))
            count += 1
        return count

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(sign_on, number) for number in range(3)]
        for _ in range(5):
            bao.root.secrets.transit.rotate_key("ledger-rotated")
        over.set()
        assert sum(item.result() for item in running) > 5
    second = open_vault("ledger-rotated", vault_key_version="2")
    assert second.public_key.key_id != key.public_key.key_id
    assert verified(second, MESSAGE)


def test_a_version_that_may_sign_no_more_and_one_that_is_not_there_are_named(bao: Any, open_vault: Any) -> None:
    transit = bao.root.secrets.transit
    bao.make("ledger-ended")
    key = open_vault("ledger-ended")
    transit.rotate_key("ledger-ended")
    transit.update_key_configuration("ledger-ended", min_encryption_version=2)
    with pytest.raises(DependencyError) as ended:
        key.sign(MESSAGE)
    assert (ended.value.context["reason"], ended.value.retryable) == ("disabled", False)
    with pytest.raises(DependencyError) as absent:
        open_vault("ledger-ended", vault_key_version="7")
    assert absent.value.context["reason"] == "not_found"
    assert "its versions are 1, 2" in str(absent.value)


def test_a_key_that_is_gone_is_named_and_one_in_its_place_signs_nothing(bao: Any, open_vault: Any) -> None:
    bao.make("ledger-gone")
    key = open_vault("ledger-gone")
    bao.remove("ledger-gone")
    for attempt in (key.sign, lambda _: open_vault("ledger-gone"), lambda _: open_vault("ledger-never")):
        with pytest.raises(DependencyError) as gone:
            attempt(MESSAGE)
        assert (gone.value.context["reason"], gone.value.retryable) == ("not_found", False)
    bao.make("ledger-gone")
    with pytest.raises(IntegrityError, match="thrown away"):
        key.sign(MESSAGE)


def test_what_a_policy_refuses_is_denied_and_no_log_in_is_tried(bao: Any, open_vault: Any, clock: Clock) -> None:
    bao.make("ledger-denied")
    key = open_vault("ledger-denied")
    token = key._vault.client.token
    bao.root.sys.create_or_update_policy("ledger-aside", bao.root.sys.read_policy("ledger")["data"]["rules"])
    try:
        bao.root.sys.create_or_update_policy("ledger", 'path "auth/token/lookup-self" { capabilities = ["read"] }')
        with pytest.raises(DependencyError, match="denied") as denied:
            key.sign(MESSAGE)
    finally:
        bao.root.sys.create_or_update_policy("ledger", bao.root.sys.read_policy("ledger-aside")["data"]["rules"])
    assert not denied.value.retryable
    assert key._vault.client.token == token
    assert key.sign(MESSAGE), "and it signs as soon as it may"


def test_a_refused_secret_id_is_named_and_is_not_tried_again_at_once(
    bao: Any, open_vault: Any, secret_file: Path, clock: Clock
) -> None:
    bao.make("ledger-secret")
    key = open_vault("ledger-secret")
    good = secret_file.read_text()
    secret_file.write_text("11111111-2222-3333-4444-555555555555")
    bao.root.auth.token.revoke(key._vault.client.token)
    said = []
    for pause in (0, 1, 40):
        clock.now += pause
        with pytest.raises(DependencyError) as refused:
            key.sign(MESSAGE)
        assert (refused.value.context["reason"], refused.value.retryable) == ("credentials", True)
        assert "11111111" not in str(refused.value)
        said.append("a moment ago" in str(refused.value))
    assert said == [False, True, False]
    secret_file.write_text(good)
    assert key.sign(MESSAGE), "another one is tried at once"


def test_a_rate_limit_is_waited_for(bao: Any, open_vault: Any, clock: Clock) -> None:
    bao.make("ledger-limited")
    key = open_vault("ledger-limited")
    bao.root.write_data("sys/quotas/rate-limit/few", data={"path": "transit/", "rate": 0.001})
    before = clock.now
    try:
        with pytest.raises(DependencyError, match="quota") as limited:
            [key.sign(MESSAGE) for _ in range(3)]
    finally:
        bao.root.delete("sys/quotas/rate-limit/few")
    assert (limited.value.context["reason"], limited.value.retryable) == ("throttled", True)
    assert 0.3 <= clock.now - before <= 0.6, "asked three times"


def test_neither_a_proxy_nor_a_bundle_of_somebodys_shell_leads_elsewhere(
    bao: Any, open_vault: Any, verified: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bao.make("ledger-shell")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bao.folder / "other-ca.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("VAULT_TOKEN", "s.somebodys")
    monkeypatch.setenv("VAULT_ADDR", "https://127.0.0.1:9")
    assert verified(open_vault("ledger-shell"), MESSAGE)


@pytest.mark.parametrize("changed", ["no client certificate", "another authority"])
def test_who_is_not_known_on_either_side_is_not_spoken_to(bao: Any, open_vault: Any, changed: str) -> None:
    bao.make("ledger-tls") if changed == "another authority" else None
    told = (
        {"vault_client_cert_file": "", "vault_client_key_file": ""}
        if changed == "no client certificate"
        else {"vault_ca_file": str(bao.folder / "other-ca.pem")}
    )
    with pytest.raises(DependencyError) as refused:
        open_vault("ledger-tls", **told)
    assert refused.value.context["reason"] == "unreachable"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"vault_url": "http://127.0.0.1:8200"}, "without TLS"),
        ({"vault_key_version": "latest"}, "is no number"),
        ({"vault_key_version": "0"}, "is no number"),
        ({"vault_key": ""}, "COUNTERFOIL_SIGNING__VAULT_KEY"),
        ({"vault_client_key_file": ""}, "one half is set"),
        ({"vault_ca_file": "/nowhere/ca.pem"}, "no such file"),
        ({"vault_secret_id_file": "/nowhere/secret"}, "no secret id"),
    ],
)
def test_settings_that_cannot_be_are_named(open_vault: Any, changed: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        open_vault("ledger-settings", **changed)


def test_the_runbooks_policy_is_enough_and_no_more(bao: Any, runbook_block: Any) -> None:
    bao.make("ledger")
    bao.make("another")
    bao.root.sys.create_or_update_policy("exact", runbook_block("hcl"))
    token = bao.root.auth.token.create(policies=["exact"], no_default_policy=True)["auth"]["client_token"]
    client = hvac.Client(url=bao.url, token=token, session=bao.root.adapter.session)
    transit, item = client.secrets.transit, [{"input": "eA=="}]
    transit.sign_data("ledger", key_version=1, batch_input=item)
    transit.read_key("ledger")
    client.auth.token.renew_self()
    client.auth.token.lookup_self()
    for attempt in (
        lambda: transit.sign_data("ledger", batch_input=item),
        lambda: transit.sign_data("another", key_version=1, batch_input=item),
        lambda: transit.rotate_key("ledger"),
        lambda: transit.update_key_configuration("ledger", exportable=True),
        lambda: transit.export_key("ledger", key_type="signing-key"),
        lambda: transit.backup_key("ledger"),
        lambda: client.auth.token.create(),
    ):
        with pytest.raises(hvac.exceptions.Forbidden):
            attempt()
