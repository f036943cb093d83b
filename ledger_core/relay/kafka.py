"""Kafka as a destination: one topic, the book as key, so that a book's records stand in one partition in their order.

By the idempotent producer of confluent-kafka: what it sends again after a lost answer is not doubled, and no later
record overtakes an earlier one. What cannot be sent ends that producer; the next turn begins with a new one at the
cursor, so a record may come twice, and never out of turn for the first time. Source: CloudEvents' Kafka protocol
binding 1.0.2, binary mode. The topic is made by whoever runs the brokers, who say how many partitions and replicas.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.relay.events import Event

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

    from ledger_core.settings import Settings

SEND_SECONDS = 60.0
"""How long the brokers may take for what is told at once; librdkafka tries again within it."""
_log = logging.getLogger("counterfoil.relay")


class KafkaDestination:
    """A topic of the brokers that `settings` name."""

    wait_seconds = 0.0
    batch_records = 5_000

    def __init__(self, settings: Settings) -> None:
        self.name = f"kafka:{settings.kafka.audit_topic}"
        self._topic = settings.kafka.audit_topic
        self._client = client_settings(settings)
        self._producer: Producer | None = None

    def publish(self, events: Sequence[Event]) -> None:
        """Send `events` and wait until all replicas in step have them. Raises `DependencyError`."""
        producer = self._producer or self._open()
        failures: list[str] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error.str())

        try:
            for event in events:
                self._send(producer, event, delivered)
            left = producer.flush(SEND_SECONDS)
        except DependencyError:
            self.close()
            raise
        if failures or left:
            self.close()
            why = failures[0] if failures else f"{left} were not answered in {SEND_SECONDS:.0f} s"
            raise _not_sent(self._topic, why)

    def close(self) -> None:
        """Drop the producer and what it has not sent."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1.0)
            self._producer = None

    def _open(self) -> Producer:
        from confluent_kafka import Producer

        self._producer = Producer(
            {
                **self._client,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "zstd",
                "linger.ms": 5,
                "delivery.timeout.ms": int(SEND_SECONDS * 1_000),
            },
            logger=_log,
        )
        return self._producer

    def _send(self, producer: Producer, event: Event, delivered: Any) -> None:
        from confluent_kafka import KafkaException

        headers: list[tuple[str, str | bytes | None]] = [
            ("content-type" if name == "datacontenttype" else f"ce_{name}", value)
            for name, value in event.attributes.items()
        ]
        while True:
            try:
                producer.produce(self._topic, event.data, key=event.book, headers=headers, on_delivery=delivered)
            except BufferError:
                # Its queue is full: some of it is sent, then there is room.
                producer.poll(0.1)
            except KafkaException as error:
                raise _not_sent(self._topic, f"record {event.seq} of {event.book}: {error}") from error
            else:
                producer.poll(0)
                return


def client_settings(settings: Settings) -> dict[str, Any]:
    """Return what librdkafka is told of the brokers. Raises `ConfigurationError` for a password that cannot be read."""
    kafka = settings.kafka
    told: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": "counterfoil",
        "security.protocol": kafka.security,
    }
    for name, value in (
        ("ssl.ca.location", kafka.ca_file),
        ("ssl.certificate.location", kafka.cert_file),
        ("ssl.key.location", kafka.key_file),
    ):
        if value is not None:
            told[name] = str(value)
    if kafka.sasl_mechanism is not None:
        told |= {"sasl.mechanism": kafka.sasl_mechanism, "sasl.username": kafka.username}
        told["sasl.password"] = _password(settings)
    return told


def _password(settings: Settings) -> str:
    path = settings.kafka.password_file
    if path is None:
        raise ConfigurationError("COUNTERFOIL_KAFKA__PASSWORD_FILE is not set, and the brokers ask for a password.")
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigurationError(
            f"the password of the brokers cannot be read: {error}.", remedy="See COUNTERFOIL_KAFKA__PASSWORD_FILE."
        ) from error


def _not_sent(topic: str, why: str) -> DependencyError:
    return DependencyError(
        f"topic {topic} did not take everything: {why}.",
        remedy="It is tried again from the cursor. A topic that is missing, or that takes no record of this size "
        "(max.message.bytes), has to be mended at the brokers; see docs/runbooks/relay.md.",
    )
