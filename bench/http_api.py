"""What a post costs over HTTP, against a FastAPI POST that does nothing, in the same run on the same machine.

    python -m bench.http_api [--quick]

Prints medians of interleaved rounds. The server under test is a real `python -m api.server` with one worker on an
embedded Postgres (fsync on) and a real signing proxy; everything is on loopback and shares the machine's cores with the
load generator. Limits: single posts from 64 clients at least 0.5 of the no-op with p99 below 150 ms; batches of 1,000
at least 6,000 entries/s; a balance read below 5 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from api.auth.development import ALL_SCOPES, issue_development_token
from bench.http_load import Load, http_request, run_load
from ledger_core.actor import Actor
from ledger_core.base.processes import free_port
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.ports import Ask
from ledger_core.runtime import open_runtime
from ledger_core.services import POSTGRES, SIGNING_PROXY, process_group
from ledger_core.settings import Settings, load_settings

CLIENTS = 64
BATCH = 1_000
ACCOUNTS = ("assets:psp:stripe:clearing:usd", "expenses:processing-fees:usd", "revenue:sales:usd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how often."""

    rounds: int
    seconds: float


def main() -> int:
    """Run the benchmark; return 1 when an answer was not the expected one or a limit is missed (not with `--quick`)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, for a smoke test")
    options = parser.parse_args()
    plan = Plan(rounds=1, seconds=1.5) if options.quick else Plan(rounds=5, seconds=5.0)
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as folder, installation(Path(folder)) as (settings, port):
        token = issue_development_token(settings, "bench", ALL_SCOPES, 3600)
        with noop_server() as noop_port:
            answered, met = measure(plan, port, noop_port, token)
            return 0 if answered and (met or options.quick) else 1


def measure(plan: Plan, port: int, noop_port: int, token: str) -> tuple[bool, bool]:
    """Run the rounds and print the table; tell whether every answer was the expected one, and the limits were met."""
    numbers = itertools.count()
    run = uuid.uuid4().hex[:8]
    single = lambda: entry_request(f"{run}-{next(numbers)}", token)  # noqa: E731 - a generator of requests
    batch = lambda: batch_request(f"{run}-{next(numbers)}", token)  # noqa: E731
    read = http_request("GET", f"/finance/accounts/{ACCOUNTS[0]}/balance", token=token)
    rows: dict[str, list[Load]] = {"no-op POST": [], "single POST": [], "batch of 1,000": [], "balance read": []}
    asyncio.run(run_load(port, single, clients=CLIENTS, seconds=1.0))  # warm
    asyncio.run(run_load(noop_port, single, clients=CLIENTS, seconds=0.5))
    memory = []
    for _ in range(plan.rounds):
        rows["no-op POST"].append(_run(noop_port, single, CLIENTS, plan.seconds))
        rows["single POST"].append(_run(port, single, CLIENTS, plan.seconds))
        rows["batch of 1,000"].append(_run(port, batch, 2, plan.seconds, b"200"))
        rows["balance read"].append(_run(port, lambda: read, 1, min(plan.seconds, 2.0), b"200"))
        memory.append(resident_bytes(port))
    for name, loads in rows.items():
        rate = statistics.median(load.per_second for load in loads)
        p50 = statistics.median(load.quantile(0.5) for load in loads)
        p99 = statistics.median(load.quantile(0.99) for load in loads)
        wrong = {status.decode(): count for load in loads for status, count in load.unexpected.items()}
        print(f"{name:16} {rate:9.1f}/s  p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  {wrong or ''}")
    ratio = statistics.median(
        real.per_second / noop.per_second for real, noop in zip(rows["single POST"], rows["no-op POST"], strict=True)
    )
    entries = statistics.median(load.per_second for load in rows["batch of 1,000"]) * BATCH
    print(f"single POST / no-op POST: {ratio:.2f}  (limit 0.50)")
    print(f"batch: {entries:,.0f} entries/s  (limit 6,000)")
    first, last = memory[0] / 2**20, memory[-1] / 2**20
    print(f"resident: {first:.0f} MiB after the first round, {last:.0f} MiB at the end  (limit 400)")
    met = ratio >= 0.5 and entries >= 6_000 and last <= 400
    return not any(load.unexpected for loads in rows.values() for load in loads), met


def _run(port: int, request: Callable[[], bytes], clients: int, seconds: float, expect: bytes = b"201") -> Load:
    return asyncio.run(run_load(port, request, clients=clients, seconds=seconds, expect=expect))


def entry(external_id: str) -> dict[str, object]:
    """Return an entry of three postings."""
    sides = (("debit", "9680"), ("debit", "320"), ("credit", "10000"))
    return {
        "effective_at": "2026-11-22T08:00:00Z",
        "external_id": external_id,
        "description": "charge ch_1",
        "postings": [
            {"account": account, "direction": direction, "amount": amount, "currency": "USD"}
            for account, (direction, amount) in zip(ACCOUNTS, sides, strict=True)
        ],
        "metadata": {"reference": external_id, "order": "o-17"},
    }


def entry_request(name: str, token: str) -> bytes:
    """Return the request that posts one new entry."""
    body = json.dumps(entry(name)).encode()
    return http_request("POST", "/finance/journal-entries", body, token=token, headers=(("idempotency-key", name),))


def batch_request(name: str, token: str) -> bytes:
    """Return the request that posts 1,000 new entries."""
    body = json.dumps({"entries": [entry(f"{name}-{index}") for index in range(BATCH)]}).encode()
    return http_request(
        "POST", "/finance/journal-entries/batch", body, token=token, headers=(("idempotency-key", name),)
    )


@contextmanager
def installation(folder: Path) -> Iterator[tuple[Settings, int]]:
    """Yield settings and port of an API with its Postgres and signing proxy; end all three afterwards."""
    settings = load_settings(home_path=folder / "home")
    with open_runtime(settings) as runtime:
        actor = Actor(subject="bench")
        drafts = [
            account_draft(code=code, type=kind, currency="USD")
            for code, kind in zip(ACCOUNTS, ("asset", "expense", "revenue"), strict=True)
        ]
        apply_accounts(runtime.ledger(), drafts, Ask(actor=actor))
    port = free_port()
    environment = {**os.environ, "COUNTERFOIL_HOME": str(folder / "home")}
    try:
        with server([sys.executable, "-m", "api.server", "--port", str(port)], port, environment):
            yield settings, port
    finally:
        _stop(settings)


@contextmanager
def noop_server() -> Iterator[int]:
    """Yield the port of the baseline."""
    port = free_port()
    with server([sys.executable, "-m", "bench.http_noop", str(port)], port, dict(os.environ)):
        yield port


@contextmanager
def server(arguments: list[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    """Run a server until it accepts, and end it afterwards."""
    process = subprocess.Popen(arguments, env=environment)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        else:
            raise SystemExit(f"{arguments[2]} did not start")
        yield
    finally:
        process.terminate()
        process.wait(timeout=40)


def resident_bytes(port: int) -> int:
    """Return the resident memory of the process that listens on `port`, by its own metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("process_resident_memory_bytes "):
                return int(float(line.split()[1]))
    return psutil.Process().memory_info().rss


def _stop(settings: Settings) -> None:
    group = process_group(settings)
    for name in (SIGNING_PROXY, POSTGRES):
        group.stop(name)


if __name__ == "__main__":
    sys.exit(main())
