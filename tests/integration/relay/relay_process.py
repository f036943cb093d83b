"""A process that relays as the worker does, for tests that kill it."""

from __future__ import annotations

import sys
from pathlib import Path

from ledger_core.relay.run import Relaying
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings
from ledger_core.settings.rooms import KafkaSettings


def main(home: str, database_url: str, brokers: str, topic: str) -> None:
    settings = Settings(
        home_path=Path(home),
        database_url=database_url,
        env="test",
        kafka_bootstrap_servers=brokers,
        kafka=KafkaSettings(audit_topic=topic),
    )
    with open_runtime(settings, signer=False) as runtime:
        relaying = Relaying(runtime)
        relaying.start()
        print("relaying", flush=True)
        sys.stdin.read()
        relaying.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
