"""The worker: a process that works off what came by webhook and tells the log to the outside, beside the API.

`counterfoil up` starts it; it ends by SIGTERM after the events and the turns that it is at. Nothing is lost by its
death: what it had is due again a minute later, and each destination has its cursor. Several may run.
"""

from __future__ import annotations

import logging
import signal
import threading

from ingest.inbox.run import Inbox
from ingest.landing.erasable import LandedFiles
from ledger_core.relay.run import Relaying
from ledger_core.runtime import open_runtime
from ledger_core.settings import load_settings


def main() -> None:
    """Run until the process is told to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("stripe").setLevel(logging.WARNING)  # it says each request, with the ids that were asked for
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    with open_runtime(load_settings(), files=LandedFiles(), signer=False) as runtime:
        duties = (Inbox(runtime), Relaying(runtime))
        for duty in duties:
            duty.start()
        end.wait()
        for duty in duties:
            duty.close()


if __name__ == "__main__":
    main()
