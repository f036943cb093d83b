"""The list of clients: what a client may, how often, and what is wrong with a list that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger_core.errors import ConfigurationError, RateLimited, SignerRefused
from ledger_core.log.dsse import PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE
from ledger_core.signing.clients import Bucket, Client, read_clients, socket_client
from ledger_core.signing.tls import identity_of

PREFIX = "ledger.example/prod/"
TYPES = frozenset({PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE})
LEDGER = "spiffe://example.com/ledger"
ENTRY: dict[str, Any] = {
    "origins": ["ledger.example/prod/*"],
    "calls": ["checkpoint", "dsse", "keys", "health"],
    "payload_types": [PROOF_TYPE],
    "per_second": 50,
}


def read(path: Path, value: Any, mode: int = 0o600) -> dict[str, Client]:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(mode)
    return dict(read_clients(path, PREFIX, TYPES))


def keys_client(per_second: float) -> Client:
    bucket = Bucket(per_second, clock=lambda: 0.0)
    return Client(name="a.b", origins=(), calls=frozenset({"keys"}), payload_types=frozenset(), bucket=bucket)


def test_a_client_may_what_stands_beside_its_name_and_nothing_else(tmp_path: Path) -> None:
    books = ["ledger.example/prod/main", "ledger.example/prod/second"]
    entry = {"origins": books, "calls": ["checkpoint", "dsse"], "payload_types": [PROOF_TYPE], "per_second": 5}
    client = read(tmp_path / "clients.json", {"clients": {"api.example.com": entry}})["api.example.com"]
    assert [client.allows(origin) for origin in (*books, "ledger.example/prod/third", "ledger.example/prod/*")] == [
        True, True, False, False,
    ]  # fmt: skip
    client.require_call("checkpoint")
    client.require_type(PROOF_TYPE)
    with pytest.raises(SignerRefused) as refused:
        client.require_call("keys")
    assert refused.value.context["reason"] == "call"
    with pytest.raises(SignerRefused) as refused:
        client.require_type(SEGMENT_TYPE)
    assert refused.value.context["reason"] == "type"


def test_the_owner_of_the_socket_may_what_the_proxy_does() -> None:
    owner = socket_client(PREFIX, TYPES)
    for call in ("checkpoint", "dsse", "keys", "health", "metrics"):
        for _ in range(100):
            owner.require_call(call)
    assert owner.allows("ledger.example/prod/any")
    assert not owner.allows("ledger.example/staging/any")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"clients": {}, "clients": {}}', "stands twice"),
        ({}, "and nothing else"),
        ({"clients": {LEDGER: ENTRY}, "version": 1}, "and nothing else"),
        ({"clients": []}, "and nothing else"),
        ({"clients": {}}, "1 to 200 clients"),
        ({"clients": {"Ledger": ENTRY}}, "/clients/Ledger"),
        ({"clients": {"unix": ENTRY}}, "/clients/unix"),
        ({"clients": {"*": ENTRY}}, "/clients/*"),
        ({"clients": {"spiffe://a b": ENTRY}}, "/clients/spiffe:~1~1a b"),
        ({"clients": {LEDGER: []}}, "an object is expected"),
        (
            {"clients": {LEDGER: {**ENTRY, "origin": "x"}}},
            "/origin: the list of clients cannot be read: no such member",
        ),
        ({"clients": {LEDGER: {**ENTRY, "calls": ["sign"]}}}, "'sign' is none of checkpoint"),
        ({"clients": {LEDGER: {**ENTRY, "calls": "dsse"}}}, "a list of texts"),
        ({"clients": {LEDGER: {**ENTRY, "calls": [1]}}}, "a list of texts"),
        ({"clients": {LEDGER: {name: ENTRY[name] for name in ENTRY if name != "calls"}}}, "/calls"),
        ({"clients": {LEDGER: {**ENTRY, "origins": []}}}, "has origins"),
        ({"clients": {LEDGER: {**ENTRY, "origins": ["*"]}}}, "/origins/0"),
        ({"clients": {LEDGER: {**ENTRY, "origins": ["ledger.example/*"]}}}, "/origins/0"),
        ({"clients": {LEDGER: {**ENTRY, "origins": ["ledger.example/prod/ma*"]}}}, "/origins/0"),
        ({"clients": {LEDGER: {**ENTRY, "origins": ["bank.example/prod/*"]}}}, "/origins/0"),
        ({"clients": {LEDGER: {**ENTRY, "origins": ["bank.example/prod/main"]}}}, "/origins/0"),
        ({"clients": {LEDGER: {**ENTRY, "payload_types": ["application/octet-stream"]}}}, "/payload_types/0"),
        ({"clients": {LEDGER: {**ENTRY, "payload_types": []}}}, "go with the call `dsse`"),
        ({"clients": {LEDGER: {**ENTRY, "calls": ["keys"]}}}, "go with the call `dsse`"),
        ({"clients": {LEDGER: {**ENTRY, "per_second": 0}}}, "/per_second"),
        ({"clients": {LEDGER: {**ENTRY, "per_second": True}}}, "/per_second"),
        ({"clients": {LEDGER: {**ENTRY, "per_second": "50"}}}, "/per_second"),
        ({"clients": {LEDGER: {**ENTRY, "per_second": 1e9}}}, "/per_second"),
        ({"clients": {LEDGER: {name: ENTRY[name] for name in ENTRY if name != "per_second"}}}, "/per_second"),
        (" " * 300_000, "more than"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_with_the_place(tmp_path: Path, value: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path / "clients.json", value)
    assert said in str(refused.value)
    assert "clients.json" in str(refused.value)


def test_a_list_that_is_not_there_or_that_others_may_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nobody is named"):
        read_clients(tmp_path / "clients.json", PREFIX, TYPES)
    with pytest.raises(ConfigurationError, match="others may write it"):
        read(tmp_path / "clients.json", {"clients": {LEDGER: ENTRY}}, mode=0o620)


def test_calls_a_second_are_counted_by_client_and_come_back_with_time() -> None:
    now = [0.0]
    bucket = Bucket(5, clock=lambda: now[0])
    assert [bucket.take() for _ in range(10)] == [0.0] * 10
    assert bucket.take() == pytest.approx(0.2)
    now[0] += 0.2
    assert bucket.take() == 0.0
    assert bucket.take() > 0
    now[0] += 3600
    assert [bucket.take() for _ in range(10)] == [0.0] * 10, "what was not used for an hour is not saved up"
    assert bucket.take() > 0
    slow = keys_client(0.25)
    slow.require_call("keys")
    with pytest.raises(RateLimited) as refused:
        slow.require_call("keys")
    assert refused.value.retry_after_seconds == 5


def test_a_call_that_is_not_the_clients_takes_nothing_from_its_seconds() -> None:
    client = keys_client(0.5)
    for _ in range(3):
        with pytest.raises(SignerRefused):
            client.require_call("checkpoint")
    client.require_call("keys")


@pytest.mark.parametrize(
    ("names", "identity"),
    [
        ([("URI", LEDGER)], LEDGER),
        ([("URI", LEDGER), ("DNS", "api.example.com")], LEDGER),
        ([("DNS", "api.example.com")], "api.example.com"),
        ([("DNS", "api.example.com"), ("IP Address", "10.0.0.1"), ("email", "a@b.c")], "api.example.com"),
        ([("URI", LEDGER), ("URI", "spiffe://example.com/api")], None),
        ([("DNS", "a.example.com"), ("DNS", "b.example.com")], None),
        ([("DNS", LEDGER)], None),
        ([("URI", "api.example.com")], None),
        ([("DNS", "*.example.com")], None),
        ([("DNS", "API.example.com")], None),
        ([("URI", LEDGER + "\n")], None),
        ([("URI", "spiffe://example.com/" + "a" * 2048)], None),
        ([("IP Address", "10.0.0.1")], None),
        ([], None),
    ],
)
def test_a_certificate_has_one_name_or_none(names: list[tuple[str, str]], identity: str | None) -> None:
    subject = ((("commonName", "spiffe://example.com/ledger"),),)
    assert identity_of({"subject": subject, "subjectAltName": tuple(names)}) == identity
