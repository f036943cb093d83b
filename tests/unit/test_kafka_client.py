"""What librdkafka is told of the brokers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_core.errors import ConfigurationError
from ledger_core.relay.kafka import client_settings
from ledger_core.settings import Settings
from ledger_core.settings.rooms import KafkaSettings


def told(**kafka: object) -> dict[str, object]:
    return client_settings(
        Settings(kafka_bootstrap_servers="broker-1:9093,broker-2:9093", kafka=KafkaSettings.model_validate(kafka))
    )


def test_plain_brokers_need_nothing_but_their_addresses() -> None:
    assert told() == {
        "bootstrap.servers": "broker-1:9093,broker-2:9093",
        "client.id": "counterfoil",
        "security.protocol": "PLAINTEXT",
    }


def test_tls_and_a_login_are_told_by_files(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("hunter2\n")
    said = told(
        security="SASL_SSL",
        ca_file="/etc/ca.pem",
        cert_file="/etc/cert.pem",
        key_file="/etc/key.pem",
        sasl_mechanism="SCRAM-SHA-512",
        username="counterfoil",
        password_file=password,
    )
    assert said["ssl.ca.location"] == "/etc/ca.pem"
    assert said["ssl.certificate.location"] == "/etc/cert.pem"
    assert said["ssl.key.location"] == "/etc/key.pem"
    assert (said["sasl.mechanism"], said["sasl.username"]) == ("SCRAM-SHA-512", "counterfoil")
    assert said["sasl.password"] == "hunter2"


@pytest.mark.parametrize("file", [None, "/nowhere/password"])
def test_a_password_that_is_not_there_is_named(file: str | None) -> None:
    with pytest.raises(ConfigurationError, match="password"):
        told(security="SASL_SSL", sasl_mechanism="PLAIN", username="us", password_file=file)
