"""The back-end on a token over a real SoftHSM: what it wraps, what it refuses, and how it comes back."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

from ledger_core.base.keepers.token import load_library
from ledger_core.base.wrapping.port import bound
from ledger_core.errors import ConfigurationError, DependencyError, KeyNotOpened
from tests.integration.signing.wrapping.conftest import destroy_secret, make_secret

pytestmark = pytest.mark.integration

CONTEXT = {"counterfoil": "raw-file", "file_id": "6f0c3a52"}
KEY = bytes(range(32))


def test_what_it_wraps_opens_on_the_token_by_the_key_and_the_context(
    soft_token: Any, token_told: Any, opened: Any
) -> None:
    make_secret(soft_token, "outside", b"\x05\x01")
    wrapper = opened(token_told("outside"))
    wrapped = wrapper.wrap(KEY, CONTEXT)
    assert wrapped.by.key == "id:0501"
    opened.close()
    found = []

    def step(session: Any) -> None:
        key = session.get_key(object_class=ObjectClass.SECRET_KEY, label="outside")
        how = GCMParams(wrapped.data[:12], bound(CONTEXT), 128)
        found.append(key.decrypt(wrapped.data[12:], mechanism=Mechanism.AES_GCM, mechanism_param=how))

    soft_token.work(step)
    assert found == [KEY]


def _finalize(token: Any, wrapper: Any) -> None:
    load_library(token.module).finalize()


def _close(token: Any, wrapper: Any) -> None:
    wrapper._token._opened.session.close()


def _log_out(token: Any, wrapper: Any) -> None:
    handle = wrapper._token._opened.session.handle
    assert ctypes.CDLL(token.module).C_Logout(ctypes.c_ulong(handle)) == 0


@pytest.mark.parametrize("lose", [_finalize, _close, _log_out])
@pytest.mark.parametrize("use", ["wrap", "unwrap"])
def test_a_lost_session_is_no_wrong_context_and_the_next_request_goes_on(
    soft_token: Any, token_told: Any, opened: Any, lose: Any, use: str
) -> None:
    label = f"lost{lose.__name__} {use}"
    make_secret(soft_token, label)
    wrapper = opened(token_told(label))
    wrapped = wrapper.wrap(KEY, CONTEXT)
    lose(soft_token, wrapper)
    with pytest.raises(DependencyError) as lost:
        wrapper.wrap(KEY, CONTEXT) if use == "wrap" else wrapper.unwrap(wrapped, CONTEXT)
    assert (lost.value.context["reason"], lost.value.retryable) == ("session_lost", True)
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY


def test_another_key_that_comes_under_the_label_wraps_nothing(soft_token: Any, token_told: Any, opened: Any) -> None:
    make_secret(soft_token, "moved")
    wrapper = opened(token_told("moved"))
    _finalize(soft_token, wrapper)
    with pytest.raises(DependencyError):
        wrapper.wrap(KEY, CONTEXT)
    destroy_secret(soft_token, "moved")
    make_secret(soft_token, "moved")
    with pytest.raises(DependencyError) as moved:
        wrapper.wrap(KEY, CONTEXT)
    assert (moved.value.context["reason"], moved.value.retryable) == ("wrong_key", False)


def test_a_wrong_context_loses_no_session(soft_token: Any, token_told: Any, opened: Any) -> None:
    make_secret(soft_token, "kept")
    wrapper = opened(token_told("kept"))
    wrapped = wrapper.wrap(KEY, CONTEXT)
    session = wrapper._token._opened
    for _ in range(3):
        with pytest.raises(KeyNotOpened):
            wrapper.unwrap(wrapped, {})
    assert wrapper._token._opened is session


@pytest.mark.parametrize("env", ["staging", "production"])
def test_production_refuses_a_token_that_is_a_program(soft_token: Any, token_told: Any, opened: Any, env: str) -> None:
    make_secret(soft_token, f"program {env}")
    with pytest.raises(ConfigurationError, match="is a program"):
        opened(token_told(f"program {env}"), env)
    assert opened(token_told(f"program {env}")).wrap(KEY, CONTEXT), "no session was left behind"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"extractable": True}, "could leave it.*EXTRACTABLE"),
        ({"sensitive": False}, "could leave it.*SENSITIVE"),
        ({"bits": 128}, "AES of 16 bytes"),
        ({"bits": 192}, "AES of 24 bytes"),
        ({"decrypt": False}, "may not encrypt and decrypt"),
        ({"encrypt": False}, "may not encrypt and decrypt"),
    ],
)
def test_a_key_that_is_not_fit_is_refused(
    soft_token: Any, token_told: Any, opened: Any, told: dict[str, Any], said: str
) -> None:
    label = f"unfit {said} {told}"
    make_secret(soft_token, label, **told)
    with pytest.raises(ConfigurationError, match=said):
        opened(token_told(label))


def test_a_key_that_was_brought_to_the_token_is_refused(soft_token: Any, token_told: Any, opened: Any) -> None:
    soft_token.work(
        lambda session: session.create_object(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES, Attribute.VALUE: bytes(32),
                Attribute.TOKEN: True, Attribute.LABEL: "brought", Attribute.ID: b"brought",
                Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False,
                Attribute.ENCRYPT: True, Attribute.DECRYPT: True,
            }
        )
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match="came from outside"):
        opened(token_told("brought"))


def test_two_keys_of_one_label_are_told_apart_by_the_id_alone(soft_token: Any, token_told: Any, opened: Any) -> None:
    make_secret(soft_token, "twins", b"\x06\x01")
    make_secret(soft_token, "twins", b"\x06\x02")
    with pytest.raises(ConfigurationError, match="several keys of that name"):
        opened(token_told("twins"))
    first = opened({**token_told("twins"), "pkcs11_key_id": "0601"}).wrap(KEY, CONTEXT)
    second = opened({**token_told(""), "pkcs11_key_id": "0602"})
    assert second.unwrap(first, CONTEXT) == KEY, "older keys are found by their id"
    assert second.current.key == "id:0602"


def test_a_key_that_is_not_there_and_a_refused_pin_are_named(soft_token: Any, token_told: Any, opened: Any) -> None:
    with pytest.raises(DependencyError) as absent:
        opened(token_told("nobody"))
    assert absent.value.context["reason"] == "not_found"
    with pytest.raises(DependencyError) as other:
        opened({**token_told("nobody"), "pkcs11_token": "another"})
    assert other.value.context["reason"] == "token_absent"
    good = soft_token.pin_file.read_text()
    soft_token.pin_file.write_text("11111111\n")
    try:
        with pytest.raises(DependencyError) as wrong:
            opened(token_told("nobody"))
    finally:
        soft_token.pin_file.write_text(good)
    assert wrong.value.context["reason"] == "pin_wrong"
