"""A Kafka broker of one node on the loopback, as a real process over the jars that `make setup-full` keeps."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

KAFKA = "kafka-3.9.1"
START_SECONDS = 60.0


@dataclass(slots=True, kw_only=True)
class Broker:
    """One broker; `stop` and `start` are what happens to brokers."""

    folder: Path
    port: int
    controller_port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def format(self) -> None:
        """Make the log folder, as a new broker needs it once."""
        (self.folder / "server.properties").write_text(self._properties())
        cluster = uuid4().hex[:22]
        self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c").wait(timeout=START_SECONDS)

    def start(self) -> None:
        """Start it and return once it takes requests."""
        self.process = self._java("kafka.Kafka")
        deadline = time.monotonic() + START_SECONDS
        admin = AdminClient({"bootstrap.servers": self.address, "socket.timeout.ms": 1_000, "log_level": 0})
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2_000:]
            with suppress(KafkaException):
                admin.list_topics(timeout=1)
                return
        raise AssertionError("the broker does not answer")

    def stop(self) -> None:
        """Kill it, as a machine does that loses its power."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)
            self.process = None

    def create(self, topic: str, *, partitions: int = 3, **settings: str) -> str:
        """Make a topic and return its name."""
        admin = AdminClient({"bootstrap.servers": self.address})
        made = admin.create_topics([NewTopic(topic, partitions, 1, config=settings)])
        made[topic].result(timeout=30)
        return topic

    def read(self, topic: str, *, partitions: int = 3) -> list[Any]:
        """Return every message that stands in the topic now, each partition's in its order."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": uuid4().hex, "enable.auto.commit": False})
        places = [TopicPartition(topic, number, 0) for number in range(partitions)]
        ends = {place.partition: consumer.get_watermark_offsets(place, timeout=10)[1] for place in places}
        consumer.assign(places)
        found: list[Any] = []
        deadline = time.monotonic() + 30
        while len(found) < sum(ends.values()) and time.monotonic() < deadline:
            found.extend(message for message in consumer.consume(1_000, timeout=1) if message.error() is None)
        consumer.close()
        assert len(found) == sum(ends.values())
        return sorted(found, key=lambda message: (message.partition(), message.offset()))

    def _java(self, *arguments: str) -> subprocess.Popen[bytes]:
        program = shutil.which("java")
        assert program is not None
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [program, "-Xms64m", "-Xmx512m", "-cp", f"{jars()}/*", *arguments, self.folder / "server.properties"],
                stdout=log,
                stderr=log,
                env={"PATH": os.defpath, "LC_ALL": "C"},
            )

    def _properties(self) -> str:
        told = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": self.folder / "data",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
        }
        return "".join(f"{name}={value}\n" for name, value in told.items())


def jars() -> Path:
    """Return the folder of the broker's jars."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "counterfoil" / "tools" / KAFKA / "lib"


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """Yield a broker that runs; where Java or its jars are not, the test is skipped by name."""
    if shutil.which("java") is None or not jars().exists():
        pytest.skip("needs a Kafka broker: make setup-full fetches one with Maven")
    port, controller_port = _free_ports()
    broker = Broker(folder=folder, port=port, controller_port=controller_port)
    broker.format()
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
