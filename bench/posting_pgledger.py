"""pgledger's own rate on this machine, for comparison: its SQL file is the operator's."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from ledger_core.base.engine import make_engine
from ledger_core.runtime import Runtime

CONCURRENCIES = (1, 4, 10, 20)
ACCOUNTS = 50


def pgledger_rate(runtime: Runtime, sql: Path, *, seconds: float) -> float:
    """Return the transfers a second that pgledger reaches at its best concurrency, over many accounts."""
    engine = make_engine(runtime.database_url, role="login", pool_size=max(CONCURRENCIES))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute(sql.read_text())
        accounts = [
            driver.execute("select id from pgledger_create_account(%s, 'USD')", [f"bench.{n}"]).fetchone()[0]
            for n in range(ACCOUNTS)
        ]
    best = 0.0
    for callers in CONCURRENCIES:
        rate = _rate(engine, accounts, callers, seconds)
        print(f"pgledger, {callers} connections: {rate:,.0f} transfers/s")
        best = max(best, rate)
    engine.dispose()
    return best


def _rate(engine: Any, accounts: list[str], callers: int, seconds: float) -> float:
    done = [0] * callers
    deadline = time.perf_counter() + seconds

    def call(caller: int) -> None:
        pooled = engine.raw_connection()
        driver = pooled.driver_connection
        driver.autocommit = True
        number = caller
        while time.perf_counter() < deadline:
            number += 7
            driver.execute(
                "select * from pgledger_create_transfer(%s, %s, 1)",
                [accounts[number % ACCOUNTS], accounts[(number * 3 + 1) % ACCOUNTS]],
            )
            done[caller] += 1
        driver.autocommit = False
        pooled.close()

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds
