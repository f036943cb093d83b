"""A back-end that hangs, fails or lies: who waits, for how long, and what is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from ledger_core.errors import DependencyError, IntegrityError
from ledger_core.log.note import PublicKey
from ledger_core.signing.measures import Measures
from ledger_core.signing.patient import PatientBackend


class Keeper:
    name = "slow"
    assurance = "software"
    public_key: PublicKey

    def __init__(self, sign: Callable[[bytes], bytes]) -> None:
        self._sign = sign
        self.threads: set[int] = set()

    def sign(self, message: bytes) -> bytes:
        self.threads.add(threading.get_ident())
        return self._sign(message)


def test_a_back_end_that_hangs_is_waited_for_once_and_heard_again_when_it_is_back() -> None:
    let_go = threading.Event()

    def sign(message: bytes) -> bytes:
        assert let_go.wait(10)
        return message

    keeper, measures = Keeper(sign), Measures()
    backend = PatientBackend(keeper, measures, seconds=0.1)
    with pytest.raises(DependencyError, match=r"has not answered for 0\.1 s"):
        backend.sign(b"first")
    started = time.monotonic()
    for _ in range(50):
        with pytest.raises(DependencyError, match="has not answered"):
            backend.sign(b"next")
    assert time.monotonic() - started < 0.09, "nobody waits again"
    let_go.set()
    deadline = time.monotonic() + 5
    while True:
        try:
            assert backend.sign(b"later") == b"later"
            break
        except DependencyError:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    assert len(keeper.threads) == 1, "a token's session is one thread's"
    assert 'backend_failures_total{why="late"} 5' in measures.text({})


def test_a_key_in_memory_is_used_by_whoever_asks() -> None:
    keeper = Keeper(lambda message: message)
    keeper.name = "software"
    assert PatientBackend(keeper, Measures()).sign(b"x") == b"x"
    assert keeper.threads == {threading.get_ident()}


@pytest.mark.parametrize("error", [IntegrityError("a lie."), DependencyError("throttled.", reason="throttled")])
def test_what_a_back_end_says_is_said_on(error: Exception) -> None:
    def sign(_message: bytes) -> bytes:
        raise error

    with pytest.raises(type(error)) as caught:
        PatientBackend(Keeper(sign), Measures()).sign(b"")
    assert caught.value is error


def test_a_fault_of_a_library_is_an_answer_of_the_proxy_and_the_next_call_is_served() -> None:
    said = iter([KeyError("slot"), None])

    def sign(message: bytes) -> bytes:
        found = next(said)
        if found is not None:
            raise found
        return message

    measures = Measures()
    backend = PatientBackend(Keeper(sign), measures)
    with pytest.raises(DependencyError, match=r"failed: KeyError: 'slot'"):
        backend.sign(b"x")
    assert backend.sign(b"x") == b"x"
    assert backend.made == 1
    assert 'backend_failures_total{why="invalid"} 1' in measures.text({})
    assert "counterfoil_signer_sign_seconds_count 1" in measures.text({})


def test_the_counters_read_as_prometheus_has_them() -> None:
    measures = Measures()
    for seconds in (0.0001, 0.02, 30.0):
        measures.signed(seconds)
    measures.called('a"b\\c', "checkpoint", "ok")
    measures.called('a"b\\c', "checkpoint", "ok")
    measures.turned_away("certificate")
    text = measures.text({"state_generation": ("How far.", 7)})
    for line in (
        "# TYPE counterfoil_signer_sign_seconds histogram",
        'counterfoil_signer_calls_total{client="a\\"b\\\\c",call="checkpoint",outcome="ok"} 2',
        'counterfoil_signer_sign_seconds_bucket{le="0.0005"} 1',
        'counterfoil_signer_sign_seconds_bucket{le="0.025"} 2',
        'counterfoil_signer_sign_seconds_bucket{le="10.0"} 2',
        'counterfoil_signer_sign_seconds_bucket{le="+Inf"} 3',
        "counterfoil_signer_sign_seconds_count 3",
        'counterfoil_signer_handshake_failures_total{why="certificate"} 1',
        "counterfoil_signer_state_generation 7",
    ):
        assert f"{line}\n" in text
    assert text.endswith("\n")
