"""The proxy over mutual TLS, as a process: who gets in, what each may, and what a client sees while it is away."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ledger_core.errors import (
    ConfigurationError,
    DependencyError,
    RateLimited,
    SignerRefused,
    SignerUnavailable,
)
from ledger_core.log.dsse import PROOF_TYPE, REPORT_TYPE, parse_envelope
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.signing.breaker import Breaker
from ledger_core.signing.calls import verify_calls
from ledger_core.signing.client import SigningClient
from ledger_core.signing.tls import TlsContext, TlsFiles
from tests.integration.signing_tls.conftest import FOLDER, PREFIX, Authority, Proxy, uri

MAIN, OTHER = f"{PREFIX}main", f"{PREFIX}other"
LEDGER, READER = "spiffe://example.com/ledger", "reader.example.com"
LEAVES = [leaf_hash(b"%d" % number) for number in range(8)]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    may = ["checkpoint", "dsse", "keys", "health", "metrics"]
    clients = {
        LEDGER: {"origins": [f"{PREFIX}*"], "calls": may, "payload_types": [PROOF_TYPE], "per_second": 1_000},
        "spiffe://example.com/other": {
            "origins": [OTHER],
            "calls": ["checkpoint", "dsse", "health"],
            "payload_types": [PROOF_TYPE],
            "per_second": 1_000,
        },
        READER: {"calls": ["keys"], "per_second": 1_000},
        "slow.example.com": {"calls": ["keys"], "per_second": 0.5},
    }
    made = Proxy(tmp_path_factory.mktemp("tls"), clients).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def ledger(proxy: Proxy) -> TlsFiles:
    return proxy.authority.issue(uri(LEDGER), stem="ledger")


def sign(client: SigningClient, origin: str = MAIN) -> str:
    return client.sign_checkpoint(origin=origin, old=Frontier(), leaves=LEAVES, root=Frontier().extend(LEAVES).root())


def test_a_client_with_its_certificate_has_its_logs_signed(proxy: Proxy, ledger: TlsFiles) -> None:
    client = proxy.client(ledger)
    assert parse_checkpoint(parse_note(sign(client)).text).size == 8
    assert client.latest(MAIN) is not None
    assert client.latest(f"{PREFIX}nothing") is None
    assert parse_envelope(client.sign_dsse(PROOF_TYPE, json.dumps({"origin": MAIN}).encode())).signatures
    assert len(client.keys()) == 1
    assert client.health()["signed_sizes"][MAIN] == 8
    client.close()


def refused_at_the_door(proxy: Proxy, files: TlsFiles) -> str:
    client = proxy.client(files)
    with pytest.raises(DependencyError) as refused:
        client.keys()
    assert type(refused.value) is DependencyError
    client.close()
    return str(refused.value)


def test_who_comes_with_no_certificate_of_the_authority_gets_no_answer(proxy: Proxy, tmp_path: Path) -> None:
    authority = proxy.authority
    foreign = Authority(tmp_path, "foreign").issue(uri(LEDGER), stem="foreign-ledger", authority=authority.path)
    late = authority.issue(uri(LEDGER), stem="late", lasts=timedelta(hours=-1))
    servers = authority.issue(uri(LEDGER), stem="server", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    for files, why in ((foreign, "issuer"), (late, "expired"), (servers, "purpose")):
        refused_at_the_door(proxy, files)
        assert said_by(proxy, why)
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    plain.load_verify_locations(authority.path)
    with pytest.raises(OSError):  # noqa: PT011 - the alert, or the connection's end before it
        speak(proxy, plain)
    assert said_by(proxy, "did not return a certificate")


def said_by(proxy: Proxy, words: str) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if words in proxy.log.read_text().replace("_", " ").lower():
            return True
        time.sleep(0.02)
    return False


def speak(proxy: Proxy, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("localhost", proxy.port, context=context, timeout=10)
    try:
        connection.request("GET", "/v1/keys")
        return connection.getresponse().status
    finally:
        connection.close()


def test_nothing_older_than_tls_1_3_is_spoken_and_nothing_plain(proxy: Proxy, ledger: TlsFiles) -> None:
    context = TlsContext(ledger, server=False).current()
    assert speak(proxy, context) == 200
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ledger.authority)
    context.load_cert_chain(ledger.certificate, ledger.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(OSError):  # noqa: PT011 - the alert, or the connection's end before it
        speak(proxy, context)
    assert said_by(proxy, "unsupported protocol")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection:
        connection.sendall(b"GET /v1/keys HTTP/1.1\r\n\r\n")
        with suppress(ConnectionResetError):
            assert b"200" not in connection.recv(1000)


def test_a_client_believes_no_proxy_of_another_authority_or_name(
    proxy: Proxy, ledger: TlsFiles, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    strangers = TlsFiles(certificate=ledger.certificate, key=ledger.key, authority=other.path)
    assert "certificate verify failed" in refused_at_the_door(proxy, strangers)
    client = SigningClient(f"https://127.0.0.1:{proxy.port}", tls=ledger)
    with pytest.raises(DependencyError, match="mismatch"):
        client.keys()
    client.close()


def reason_of(client: SigningClient, call: Any) -> str:
    with pytest.raises(SignerRefused) as refused:
        call(client)
    client.close()
    return str(refused.value.context["reason"])


@pytest.mark.parametrize(
    "names",
    [
        [uri("spiffe://example.com/nobody")],
        [x509.DNSName("unix")],
        [uri(LEDGER), uri("spiffe://example.com/other")],
        [x509.DNSName(LEDGER)],
        [],
    ],
    ids=["unlisted", "the socket's owner", "two names", "a name of another sort", "no name"],
)
def test_a_certificate_of_the_authority_is_not_enough(proxy: Proxy, names: list[x509.GeneralName]) -> None:
    files = proxy.authority.issue(*names, stem="nobody")
    for call in (sign, SigningClient.keys, SigningClient.health):
        assert reason_of(proxy.client(files), call) == "identity"


def test_each_client_has_its_own_logs_calls_and_envelopes(proxy: Proxy, ledger: TlsFiles) -> None:
    other = proxy.authority.issue(uri("spiffe://example.com/other"), stem="other")
    reader = proxy.authority.issue(x509.DNSName(READER), stem="reader")
    assert reason_of(proxy.client(other), sign) == "origin"
    assert reason_of(proxy.client(other), lambda client: client.latest(MAIN)) == "origin"
    assert reason_of(proxy.client(other), SigningClient.keys) == "call"
    assert reason_of(proxy.client(reader), sign) == "call"
    assert reason_of(proxy.client(reader), SigningClient.health) == "call"
    asked = json.dumps({"origin": MAIN}).encode()
    assert reason_of(proxy.client(ledger), lambda client: client.sign_dsse(REPORT_TYPE, asked)) == "type"
    assert reason_of(proxy.client(other), lambda client: client.sign_dsse(PROOF_TYPE, asked)) == "origin"
    assert reason_of(proxy.client(reader), lambda client: client.sign_dsse(PROOF_TYPE, asked)) == "call"
    client = proxy.client(other)
    assert parse_checkpoint(parse_note(sign(client, OTHER)).text).origin == OTHER
    sign(proxy.client(ledger))
    assert list(client.health()["signed_sizes"]) == [OTHER], "of other clients' logs nothing is said"
    client.close()


def test_a_body_that_was_not_read_is_no_second_request(proxy: Proxy) -> None:
    files = proxy.authority.issue(x509.DNSName(READER), stem="hider")
    hidden = b"GET /v1/keys HTTP/1.1\r\n\r\n"
    context = TlsContext(files, server=False).current()
    plain = socket.create_connection(("localhost", proxy.port), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(b"POST /v1/checkpoint HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(hidden), hidden))
        answer = b""
        with suppress(OSError):
            while data := connection.recv(65536):
                answer += data
    assert answer.startswith(b"HTTP/1.1 403")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_who_asks_too_often_is_told_when_to_come_again_and_nobody_else_is(proxy: Proxy, ledger: TlsFiles) -> None:
    slow = proxy.client(proxy.authority.issue(x509.DNSName("slow.example.com"), stem="slow"))
    slow.keys()
    with pytest.raises(RateLimited) as refused:
        slow.keys()
    assert 1 <= refused.value.retry_after_seconds <= 2
    for _ in range(10):
        with pytest.raises(RateLimited):
            slow.keys()
    assert len(proxy.client(ledger).keys()) == 1
    slow.close()


def keys_over(connection: http.client.HTTPSConnection) -> bytes:
    connection.request("GET", "/v1/keys")
    return connection.getresponse().read()


def test_a_connection_ends_with_its_certificate_and_the_next_has_the_new_one(proxy: Proxy) -> None:
    files = proxy.authority.issue(uri(LEDGER), stem="short", lasts=timedelta(seconds=2))
    client = proxy.client(files)
    client.keys()
    kept = http.client.HTTPSConnection("localhost", proxy.port, context=TlsContext(files, server=False).current())
    assert keys_over(kept)
    fresh = proxy.authority.issue(uri(LEDGER), stem="fresh")
    time.sleep(2.1)
    with pytest.raises((OSError, http.client.HTTPException)):
        keys_over(kept)
    kept.close()
    fresh.key.replace(files.key)
    fresh.certificate.replace(files.certificate)
    assert len(client.keys()) == 1
    client.close()


def test_certificates_that_cannot_be_used_are_refused_before_anybody_is_asked(proxy: Proxy, ledger: TlsFiles) -> None:
    with pytest.raises(ConfigurationError, match="no certificate is set"):
        SigningClient(proxy.url)
    for address in ("https://", "https://host/path", "https://user@host:1", "https://host:99999"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            SigningClient(address, tls=ledger)
    gone = TlsFiles(certificate=ledger.certificate, key=ledger.key, authority=proxy.folder / "none")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        SigningClient(proxy.url, tls=gone)
    swapped = TlsFiles(certificate=ledger.authority, key=ledger.key, authority=ledger.authority)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        SigningClient(proxy.url, tls=swapped)


def test_what_happened_can_be_read_and_followed(proxy: Proxy, ledger: TlsFiles) -> None:
    sign(proxy.client(ledger))
    context = TlsContext(ledger, server=False).current()
    connection = http.client.HTTPSConnection("localhost", proxy.port, context=context, timeout=10)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert f'counterfoil_signer_calls_total{{client="{LEDGER}",call="checkpoint",outcome="ok"}}' in text
    for line in ("sign_seconds_count", 'handshake_failures_total{why="certificate"}', "state_generation"):
        assert f"counterfoil_signer_{line}" in text
    report = verify_calls(proxy.folder / "signer")
    assert report.sound, report.findings
    assert report.checkpoints[MAIN] == [1, 8]
    health = proxy.client(ledger).health()
    assert health["calls"]["lines"] == report.lines, "what others keep of it"
    assert health["calls"]["hash"] == report.head


def test_a_proxy_that_is_away_is_not_waited_for_and_is_found_again(tmp_path: Path) -> None:
    clients = {LEDGER: {"calls": ["keys"], "per_second": 1_000}}
    proxy = Proxy(tmp_path, clients).start()
    files = proxy.authority.issue(uri(LEDGER), stem="ledger")
    client = proxy.client(files, breaker=Breaker(failures=3, pause_seconds=0.3, max_pause_seconds=0.3))
    client.keys()
    proxy.stop()
    for _ in range(3):
        with pytest.raises(DependencyError) as away:
            client.keys()
        assert type(away.value) is DependencyError
    with pytest.raises(SignerUnavailable, match="did not answer 3 times in a row") as opened:
        client.keys()
    assert opened.value.retry_after_seconds == 1
    proxy.start()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert len(client.keys()) == 1
            break
        except DependencyError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    client.close()
    proxy.stop()
    assert verify_calls(proxy.folder / "signer").sound


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--socket", "s"], "a plain socket (--socket; --listen is mutual TLS)"),
        ([], "no second memory (--archive"),
        (["--archive", "nowhere"], "an archive that is not there"),
        ([], "an archive without TLS"),
        ([], "the software key"),
        ([], "the private key in key.pem"),
        ([], "the private key in anything"),
        ([], "a signer's folder that others can open, mode 0755"),
        ([], "roots that nobody pinned"),
        ([], "keys that no root has signed"),
    ],
)
def test_production_refuses_what_is_weak_all_at_once(refusal: Any, words: list[str], said: str) -> None:
    assert said in refusal(*words)


@pytest.fixture(scope="module")
def refusal(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("production")
    files = Authority(folder, "authority").issue(
        x509.DNSName("localhost"), stem="proxy", usage=ExtendedKeyUsageOID.SERVER_AUTH
    )
    state = folder / "signer"
    state.mkdir(mode=0o755)
    state.chmod(0o755)
    (state / "key.pem").touch()
    (state / "anything").write_bytes(files.key.read_bytes())
    answers: dict[tuple[str, ...], str] = {}

    def run(*words: str) -> str:
        if words not in answers:
            finished = subprocess.run(
                [
                    sys.executable, "-m", "ledger_core.signing.proxy", *words, "--listen", "127.0.0.1:1",
                    "--tls-cert", files.certificate, "--tls-key", files.key, "--client-ca", files.authority,
                    "--state", state, "--trust", folder / "trust.json", "--origin-prefix", PREFIX,
                ],
                env={
                    **os.environ, "COUNTERFOIL_ENV": "production",
                    "COUNTERFOIL_ARCHIVE__ENDPOINT": "http://s3.example.com",
                },
                cwd=FOLDER, capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
            assert finished.returncode == 2, finished.stderr
            assert sorted(path.name for path in state.iterdir()) == ["anything", "key.pem"], "nothing was made"
            answers[words] = finished.stderr
        return answers[words]

    return run
