"""The worker: a process that tells the log to the outside, beside the API that takes it.

`counterfoil up` starts it; it ends by SIGTERM after the turns that are running. Nothing is lost by its death: each
destination has its cursor.
"""

from __future__ import annotations

import logging
import signal
import threading

from ledger_core.relay.run import Relaying
from ledger_core.runtime import open_runtime
from ledger_core.settings import load_settings


def main() -> None:
    """Run until the process is told to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    with open_runtime(load_settings(), signer=False) as runtime:
        relaying = Relaying(runtime)
        relaying.start()
        end.wait()
        relaying.close()


if __name__ == "__main__":
    main()
