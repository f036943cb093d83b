"""The token's back-end over a real SoftHSM: what it signs, what it refuses, and how it comes back."""

from __future__ import annotations

import ctypes
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from pkcs11 import Attribute, KeyType, ObjectClass

from ledger_core.base.keepers.token import load_library
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError
from ledger_core.signing.backends.pkcs11 import TokenKey
from ledger_core.signing.token_format import P256_PARAMS, der_of

pytestmark = pytest.mark.integration

OpenToken = Callable[..., TokenKey]
MESSAGE = b"ledger.example/test/main\n7\nroot\n"


@pytest.mark.parametrize("algorithm", ["p256", "ed25519"])
@pytest.mark.parametrize("size", [0, 1, 32, 100_000])
def test_what_the_token_signs_verifies_outside_it(
    soft_token: Any, open_token: OpenToken, verified: Any, algorithm: str, size: int
) -> None:
    label = f"signs-{algorithm}-{size}"
    soft_token.make(label, algorithm)
    key = open_token(label)
    assert verified(key, b"x" * size)
    assert key.public_key.algorithm.startswith({"p256": "ecdsa-p256", "ed25519": "ed25519"}[algorithm])


def test_softhsm_is_called_what_it_is(soft_token: Any, open_token: OpenToken) -> None:
    soft_token.make("honest")
    key = open_token("honest")
    assert (key.name, key.assurance) == ("pkcs11", "software-token")


@pytest.mark.parametrize("env", ["staging", "production"])
def test_production_refuses_a_token_that_is_a_program(soft_token: Any, open_token: OpenToken, env: str) -> None:
    soft_token.make(f"refused-{env}")
    with pytest.raises(ConfigurationError, match=f"a PKCS#11 token that is a program is refused in {env}"):
        open_token(f"refused-{env}", env=env)
    assert open_token(f"refused-{env}").sign(MESSAGE), "no session was left behind"


def _finalize(token: Any, key: TokenKey) -> None:
    load_library(token.module).finalize()


def _finalize_behind_the_library(token: Any, key: TokenKey) -> None:
    assert ctypes.CDLL(token.module).C_Finalize(None) == 0


def _close(token: Any, key: TokenKey) -> None:
    key._token._opened.session.close()


def _log_out(token: Any, key: TokenKey) -> None:
    assert ctypes.CDLL(token.module).C_Logout(ctypes.c_ulong(key._token._opened.session.handle)) == 0


def _remove(token: Any, key: TokenKey) -> None:
    token.tokens.rename(token.folder / "elsewhere")


@pytest.fixture
def token_put_back(soft_token: Any) -> Iterator[Callable[[], None]]:
    def put_back() -> None:
        if (soft_token.folder / "elsewhere").exists():
            (soft_token.folder / "elsewhere").rename(soft_token.tokens)

    yield put_back
    put_back()


@pytest.mark.parametrize("lose", [_finalize, _finalize_behind_the_library, _close, _log_out, _remove])
def test_a_lost_session_is_one_named_error_and_the_next_request_signs(
    soft_token: Any, open_token: OpenToken, verified: Any, token_put_back: Any, lose: Any
) -> None:
    label = lose.__name__
    soft_token.make(label)
    key = open_token(label)
    assert verified(key, MESSAGE)
    lose(soft_token, key)
    with pytest.raises(DependencyError) as lost:
        key.sign(MESSAGE)
    assert lost.value.context["reason"] == "session_lost"
    assert lost.value.retryable
    assert "nothing was signed" in str(lost.value)
    token_put_back()
    assert verified(key, MESSAGE)


def test_a_token_that_stays_away_is_said_to_be_away_and_is_found_again(
    soft_token: Any, open_token: OpenToken, verified: Any, token_put_back: Any
) -> None:
    soft_token.make("away")
    key = open_token("away")
    other = soft_token.folder / "empty"
    _remove(soft_token, key)
    soft_token.tokens.mkdir()
    reasons = []
    for _ in range(3):
        with pytest.raises(DependencyError) as absent:
            key.sign(MESSAGE)
        reasons.append(absent.value.context["reason"])
    assert reasons == ["session_lost", "token_absent", "token_absent"]
    soft_token.tokens.rename(other)
    token_put_back()
    assert verified(key, MESSAGE)


def test_a_refused_pin_is_tried_once_and_a_new_one_at_once(soft_token: Any, open_token: OpenToken) -> None:
    soft_token.make("pin")
    key = open_token("pin")
    _finalize(soft_token, key)
    with pytest.raises(DependencyError):
        key.sign(MESSAGE)
    right = soft_token.pin_file.read_text()
    soft_token.pin_file.write_text("00000000")
    said = []
    for _ in range(5):
        with pytest.raises(DependencyError) as wrong:
            key.sign(MESSAGE)
        assert wrong.value.context["reason"] == "pin_wrong"
        said.append("was refused" in str(wrong.value))
    assert said == [False, True, True, True, True], "the token saw the first alone"
    assert "00000000" not in str(wrong.value)
    soft_token.pin_file.write_text(right)
    assert key.sign(MESSAGE)


def test_a_pin_file_that_is_gone_by_then_is_said_and_read_again(soft_token: Any, open_token: OpenToken) -> None:
    soft_token.make("pin-gone")
    key = open_token("pin-gone")
    _finalize(soft_token, key)
    with pytest.raises(DependencyError):
        key.sign(MESSAGE)
    aside = soft_token.pin_file.rename(soft_token.folder / "aside")
    with pytest.raises(DependencyError, match="no PIN") as gone:
        key.sign(MESSAGE)
    assert gone.value.context["reason"] == "misconfigured"
    aside.rename(soft_token.pin_file)
    assert key.sign(MESSAGE)


@pytest.mark.parametrize(
    ("label", "template", "named"),
    [
        ("extractable", {"extractable": True}, "EXTRACTABLE, NEVER_EXTRACTABLE"),
        ("readable", {"sensitive": False}, "SENSITIVE, ALWAYS_SENSITIVE"),
    ],
)
def test_a_key_that_may_leave_its_token_is_refused(
    soft_token: Any, open_token: OpenToken, label: str, template: dict[str, bool], named: str
) -> None:
    soft_token.make(label, **template)
    with pytest.raises(ConfigurationError, match=f"could leave it.*{named}"):
        open_token(label)


def test_a_key_that_once_could_leave_is_refused(soft_token: Any, open_token: OpenToken) -> None:
    soft_token.make("once", extractable=True, sensitive=False)

    def shut(session: Any) -> None:
        private = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label="once")
        private[Attribute.EXTRACTABLE] = False
        private[Attribute.SENSITIVE] = True

    soft_token.work(shut)
    with pytest.raises(ConfigurationError, match=r"\(ALWAYS_SENSITIVE, NEVER_EXTRACTABLE\)"):
        open_token("once")


def _bring(session: Any, label: str) -> None:
    """Create on the token a key that was made elsewhere."""
    made = ec.generate_private_key(ec.SECP256R1())
    both = {
        Attribute.TOKEN: True,
        Attribute.LABEL: label,
        Attribute.ID: label.encode(),
        Attribute.EC_PARAMS: P256_PARAMS,
    }
    numbers = made.private_numbers()
    point = b"\x04\x41\x04" + b"".join(
        number.to_bytes(32, "big") for number in (numbers.public_numbers.x, numbers.public_numbers.y)
    )
    session.create_object(
        {
            **both,
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.KEY_TYPE: KeyType.EC,
            Attribute.VALUE: numbers.private_value.to_bytes(32, "big"),
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.SIGN: True,
        }
    )
    session.create_object(
        {**both, Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.KEY_TYPE: KeyType.EC, Attribute.EC_POINT: point}
    )


def test_a_key_that_was_brought_to_the_token_is_refused(soft_token: Any, open_token: OpenToken) -> None:
    soft_token.work(lambda session: _bring(session, "brought"))
    with pytest.raises(ConfigurationError, match="came from outside"):
        open_token("brought")


def test_another_key_under_the_same_label_signs_nothing(soft_token: Any, open_token: OpenToken) -> None:
    soft_token.make("moved")
    key = open_token("moved")
    _finalize(soft_token, key)
    with pytest.raises(DependencyError):
        key.sign(MESSAGE)

    def destroy(session: Any) -> None:
        for item in list(session.get_objects({Attribute.LABEL: "moved"})):
            item.destroy()

    soft_token.work(destroy)
    soft_token.make("moved")
    with pytest.raises(IntegrityError, match="is not one of key"):
        key.sign(MESSAGE)


def test_the_public_half_of_another_pair_is_found_at_the_start(soft_token: Any, open_token: OpenToken) -> None:
    soft_token.make("mixed", key_id=b"\x01\x01")
    soft_token.make("stranger", key_id=b"\x01\x02")

    def exchange(session: Any) -> None:
        session.get_key(object_class=ObjectClass.PUBLIC_KEY, label="mixed").destroy()
        session.get_key(object_class=ObjectClass.PUBLIC_KEY, label="stranger")[Attribute.ID] = b"\x01\x01"

    soft_token.work(exchange)
    with pytest.raises(IntegrityError, match="is not one of key"):
        open_token("mixed")


def test_of_two_keys_with_one_label_the_id_names_one(soft_token: Any, open_token: OpenToken, verified: Any) -> None:
    soft_token.make("twins", key_id=b"\x02\x01")
    soft_token.make("twins", key_id=b"\x02\x02")
    with pytest.raises(ConfigurationError, match="several keys of that name"):
        open_token("twins")
    first, second = (open_token("twins", pkcs11_key_id=name).public_key.key_id for name in ("0201", "0202"))
    assert first != second
    assert open_token("", pkcs11_key_id="0202").public_key.key_id == second, "by its id alone"
    assert verified(open_token("twins", pkcs11_key_id="0201"), MESSAGE)


def test_a_key_that_is_not_there_is_named(soft_token: Any, open_token: OpenToken) -> None:
    with pytest.raises(DependencyError, match="not found") as absent:
        open_token("nobody")
    assert (absent.value.context["reason"], absent.value.retryable) == ("not_found", False)
    with pytest.raises(DependencyError) as other:
        open_token("nobody", pkcs11_token="another")
    assert other.value.context["reason"] == "token_absent"


def test_what_is_no_token_library_is_not_taken_for_a_lost_session(
    soft_token: Any, open_token: OpenToken, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="no library of the token"):
        open_token("x", pkcs11_module=str(tmp_path / "libnone.so"))
    (tmp_path / "libtext.so").write_text("text")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        open_token("x", pkcs11_module=str(tmp_path / "libtext.so"))


def test_threads_share_the_one_session(soft_token: Any, open_token: OpenToken, verified: Any) -> None:
    soft_token.make("threads")
    key = open_token("threads")
    begin = threading.Barrier(8)

    def sign(number: int) -> bool:
        if number < 8:
            begin.wait()
        return bool(verified(key, b"message %d" % number))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(sign, range(200)))


def test_a_child_of_a_fork_does_not_touch_the_session(soft_token: Any, open_token: OpenToken) -> None:
    soft_token.make("forked")
    key = open_token("forked")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            key.sign(MESSAGE)
        except DependencyError as error:
            status = 0 if error.context["reason"] == "forked" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert key.sign(MESSAGE), "and the parent's is whole"


def test_the_library_leaves_nothing_that_breaks_a_tls_connection_of_its_thread(
    soft_token: Any, open_token: OpenToken
) -> None:
    soft_token.make("tls")
    key = open_token("tls")
    _finalize(soft_token, key)
    with pytest.raises(DependencyError):
        key.sign(MESSAGE)
    assert key.sign(MESSAGE), "initialised anew"
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()


def test_signatures_come_out_in_der(soft_token: Any, open_token: OpenToken) -> None:
    soft_token.make("der")
    key = open_token("der")
    for number in range(20):
        r, s = decode_dss_signature(key.sign(b"%d" % number))
        assert 0 < r < 2**256
        assert 0 < s < 2**256
    assert der_of(b"short") == b"short"
