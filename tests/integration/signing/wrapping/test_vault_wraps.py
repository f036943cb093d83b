"""The back-end in Vault against a real OpenBao: sealed, restarted, revoked, rotated, and whatever else operators do."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import hvac
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger_core.base.wrapping.port import KeyName, Wrapped, bound
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError, KeyNotOpened

pytestmark = pytest.mark.integration

CONTEXT = {"counterfoil": "raw-file", "file_id": "6f0c3a52"}
KEY = bytes(range(32))


@pytest.fixture
def unsealed(bao: Any) -> Iterator[None]:
    """Leave the server open for the next test, whatever this one did."""
    yield
    if bao.process.poll() is not None:
        bao.start()
    if bao.root.sys.is_sealed():
        bao.unseal()


def test_what_it_wraps_opens_by_the_key_and_the_context_outside_of_it(bao: Any, vault_told: Any, opened: Any) -> None:
    bao.make("raw-outside", "aes256-gcm96")
    wrapped = opened(vault_told("raw-outside")).wrap(KEY, CONTEXT)
    assert (wrapped.by.key, wrapped.by.version) == ("transit/raw-outside", "1")
    # Only now: a key that can be had is refused.
    bao.root.secrets.transit.update_key_configuration("raw-outside", exportable=True)
    key = bao.root.secrets.transit.export_key("raw-outside", key_type="encryption-key")["data"]["keys"]["1"]
    data = base64.b64decode(wrapped.data.decode().removeprefix("vault:v1:"))
    assert AESGCM(base64.b64decode(key)).decrypt(data[:12], data[12:], bound(CONTEXT)) == KEY
    with pytest.raises(ConfigurationError, match="can be exported"):
        opened(vault_told("raw-outside"))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"exportable": True}, "can be exported"),
        ({"allow_plaintext_backup": True}, "can be backed up in plain"),
        ({"derived": True}, "another one for each context"),
        ({"kind": "ecdsa-p256"}, "is of type ecdsa-p256"),
        ({"kind": "rsa-2048"}, "is of type rsa-2048"),
    ],
)
def test_a_key_that_is_not_fit_is_refused(
    bao: Any, vault_told: Any, opened: Any, told: dict[str, Any], said: str
) -> None:
    name = f"raw-unfit-{len(said)}-{told.get('kind', 'x')}"
    bao.make(name, **{"kind": "aes256-gcm96", **told})
    with pytest.raises(ConfigurationError, match=said):
        opened(vault_told(name))


def test_both_kinds_of_key_wrap(bao: Any, vault_told: Any, opened: Any) -> None:
    bao.make("raw-chacha", "chacha20-poly1305")
    wrapper = opened(vault_told("raw-chacha"))
    wrapped = wrapper.wrap(KEY, CONTEXT)
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY
    with pytest.raises(KeyNotOpened):
        wrapper.unwrap(wrapped, {**CONTEXT, "file_id": "other"})


@pytest.mark.usefixtures("unsealed")
def test_sealed_restarted_and_away_have_their_names_and_then_it_goes_on(bao: Any, vault_told: Any, opened: Any) -> None:
    bao.make("raw-sealed", "aes256-gcm96")
    wrapper = opened(vault_told("raw-sealed"))
    wrapped = wrapper.wrap(KEY, CONTEXT)
    reasons = []

    def ask() -> None:
        for use in (lambda: wrapper.wrap(KEY, CONTEXT), lambda: wrapper.unwrap(wrapped, CONTEXT)):
            with pytest.raises(DependencyError) as refused:
                use()
            assert refused.value.retryable
            reasons.append(refused.value.context["reason"])

    bao.root.sys.seal()
    ask()
    bao.unseal()
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY
    bao.stop()
    ask()
    bao.start()
    ask()
    bao.unseal()
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY
    assert reasons == ["sealed"] * 2 + ["unreachable"] * 2 + ["sealed"] * 2


def test_a_revoked_token_costs_a_log_in_and_no_key(bao: Any, vault_told: Any, opened: Any) -> None:
    bao.make("raw-revoked", "aes256-gcm96")
    wrapper = opened(vault_told("raw-revoked"))
    wrapped = wrapper.wrap(KEY, CONTEXT)
    for _ in range(2):
        bao.root.auth.token.revoke(wrapper._vault.client.token)
        assert wrapper.unwrap(wrapped, CONTEXT) == KEY


def test_a_key_that_is_made_exportable_wraps_no_more_from_the_next_log_in_on(
    bao: Any, vault_told: Any, opened: Any
) -> None:
    bao.make("raw-opened", "aes256-gcm96")
    wrapper = opened(vault_told("raw-opened"))
    bao.root.secrets.transit.update_key_configuration("raw-opened", exportable=True)
    bao.root.auth.token.revoke(wrapper._vault.client.token)
    with pytest.raises(DependencyError, match="can be exported") as found:
        wrapper.wrap(KEY, CONTEXT)
    assert found.value.context["reason"] == "misconfigured"


def test_the_version_is_pinned_and_versions_that_ended_are_named(bao: Any, vault_told: Any, opened: Any) -> None:
    transit = bao.root.secrets.transit
    bao.make("raw-versions", "aes256-gcm96")
    wrapper = opened(vault_told("raw-versions"))
    transit.rotate_key("raw-versions")
    wrapped = wrapper.wrap(KEY, CONTEXT)
    assert wrapped.by.version == "1", "a rotation there changes nothing here"
    transit.update_key_configuration("raw-versions", min_encryption_version=2)
    with pytest.raises(DependencyError) as ended:
        wrapper.wrap(KEY, CONTEXT)
    assert (ended.value.context["reason"], ended.value.retryable) == ("disabled", False)
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY
    transit.update_key_configuration("raw-versions", min_decryption_version=2)
    with pytest.raises(DependencyError) as shut:
        wrapper.unwrap(wrapped, CONTEXT)
    assert (shut.value.context["reason"], shut.value.retryable) == ("disabled", False)
    with pytest.raises(DependencyError) as absent:
        opened(vault_told("raw-versions", 7))
    assert absent.value.context["reason"] == "not_found"


def test_another_version_that_answers_is_thrown_away(
    bao: Any, vault_told: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bao.make("raw-liar", "aes256-gcm96")
    wrapper = opened(vault_told("raw-liar"))
    bao.root.secrets.transit.rotate_key("raw-liar")
    transit = bao.root.secrets.transit
    monkeypatch.setattr(
        wrapper._vault.client.secrets.transit,
        "encrypt_data",
        lambda name, **told: transit.encrypt_data(name, **{**told, "key_version": 2}),
    )
    with pytest.raises(IntegrityError, match="another version answered"):
        wrapper.wrap(KEY, CONTEXT)


@pytest.mark.parametrize(
    "key", ["", "raw", "../../sys/raw", "transit/../sys/raw", "transit/.", "transit/raw\n", "%2e%2e/x", "a//b"]
)
def test_a_row_leads_to_no_other_path_of_the_server(bao: Any, vault_told: Any, opened: Any, key: str) -> None:
    name = "raw-paths"
    if name not in bao.roles:
        bao.make(name, "aes256-gcm96")
        bao.roles[name] = name
    wrapper = opened(vault_told(name))
    data = wrapper.wrap(KEY, CONTEXT).data
    before = wrapper._vault.client.secrets.transit.decrypt_data

    def never(*words: Any, **told: Any) -> None:
        raise AssertionError("the server was asked")

    wrapper._vault.client.secrets.transit.decrypt_data = never
    try:
        with pytest.raises(KeyNotOpened):
            wrapper.unwrap(Wrapped(by=KeyName(backend="vault", key=key, version="1"), data=data), CONTEXT)
    finally:
        wrapper._vault.client.secrets.transit.decrypt_data = before


def test_a_key_that_is_gone_is_named_and_none_is_made_in_its_place(bao: Any, vault_told: Any, opened: Any) -> None:
    bao.make("raw-gone", "aes256-gcm96")
    wrapper = opened(vault_told("raw-gone"))
    wrapped = wrapper.wrap(KEY, CONTEXT)
    bao.remove("raw-gone")
    with pytest.raises(DependencyError) as gone:
        wrapper.unwrap(wrapped, CONTEXT)
    assert (gone.value.context["reason"], gone.value.retryable) == ("not_found", False)
    with pytest.raises(DependencyError) as missing:
        wrapper.wrap(KEY, CONTEXT)
    assert missing.value.context["reason"] in ("denied", "not_found"), "whoever may only update makes no key"
    with pytest.raises(hvac.exceptions.InvalidPath):
        bao.root.secrets.transit.read_key("raw-gone")


def test_what_a_policy_refuses_is_denied(bao: Any, vault_told: Any, opened: Any) -> None:
    bao.make("raw-denied", "aes256-gcm96")
    bao.make("others", "aes256-gcm96")
    wrapper = opened(vault_told("raw-denied"))
    wrapped = wrapper.wrap(KEY, CONTEXT)
    other = wrapper.wrap(KEY, CONTEXT)
    moved = type(other)(by=type(other.by)(backend="vault", key="transit/others", version="1"), data=other.data)
    with pytest.raises(DependencyError) as denied:
        wrapper.unwrap(moved, CONTEXT)
    assert (denied.value.context["reason"], denied.value.retryable) == ("denied", False)
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY


def test_the_runbooks_policy_is_enough_and_no_more(bao: Any, wrap_policy: str) -> None:
    bao.make("raw", "aes256-gcm96")
    bao.make("others", "aes256-gcm96")
    bao.root.sys.create_or_update_policy("exact-raw", wrap_policy)
    token = bao.root.auth.token.create(policies=["exact-raw"], no_default_policy=True)["auth"]["client_token"]
    client = hvac.Client(url=bao.url, token=token, session=bao.root.adapter.session)
    transit, told = client.secrets.transit, {"plaintext": "eA==", "key_version": 1, "associated_data": "eA=="}
    text = transit.encrypt_data("raw", **told)["data"]["ciphertext"]
    transit.decrypt_data("raw", ciphertext=text, associated_data="eA==")
    transit.read_key("raw")
    client.auth.token.renew_self()
    client.auth.token.lookup_self()
    for attempt in (
        lambda: transit.encrypt_data("raw", plaintext="eA==", associated_data="eA=="),
        lambda: transit.encrypt_data("raw", plaintext="eA==", key_version=1),
        lambda: transit.decrypt_data("raw", ciphertext=text),
        lambda: transit.encrypt_data("others", **told),
        lambda: transit.rewrap_data("raw", ciphertext=text),
        lambda: transit.rotate_key("raw"),
        lambda: transit.update_key_configuration("raw", exportable=True),
        lambda: transit.export_key("raw", key_type="encryption-key"),
        lambda: transit.backup_key("raw"),
        lambda: client.auth.token.create(),
    ):
        with pytest.raises(hvac.exceptions.Forbidden):
            attempt()
