"""What taking a webhook costs, against a FastAPI POST that does nothing, in the same run on the same machine.

    python -m bench.webhooks [--quick]

The server under test is a real `python -m api.server` with one worker on an embedded Postgres (fsync on): each delivery
is signed anew, verified on its bytes, encrypted and committed before it is answered. Deliveries come at a fixed rate,
200 a second, whether or not the ones before were answered; then as fast as 16 clients can. Prints medians of
interleaved rounds. Limit: p99 below 50 ms at 200 a second.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import itertools
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from bench.http_api import Plan, installation, noop_server
from bench.http_load import Load, http_request, run_load, run_paced
from ingest.inbox.secrets import add_secret

RATE_PER_SECOND = 200
CLIENTS = 16
LIMIT_MS = 50.0
SECRET = "whsec_of_the_benchmark"


def main() -> int:
    """Run the benchmark; return 1 when an answer was not expected or the limit is missed (not with `--quick`)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, for a smoke test")
    options = parser.parse_args()
    plan = Plan(rounds=1, seconds=1.5) if options.quick else Plan(rounds=5, seconds=10.0)
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as folder, installation(Path(folder)) as (settings, port):
        add_secret(settings.webhooks_folder, "stripe", "default", SECRET)
        with noop_server() as noop_port:
            answered, met = measure(plan, port, noop_port)
            return 0 if answered and (met or options.quick) else 1


def measure(plan: Plan, port: int, noop_port: int) -> tuple[bool, bool]:
    """Run the rounds and print the table; tell whether every answer was the expected one, and the limit was met."""
    numbers = itertools.count()
    run = uuid.uuid4().hex[:8]
    deliver = lambda: delivery(f"evt_{run}_{next(numbers)}")  # noqa: E731 - a generator of requests
    noop = lambda: http_request("POST", "/finance/journal-entries", body("evt"))  # noqa: E731
    asyncio.run(run_load(port, deliver, clients=CLIENTS, seconds=0.5, expect=b"200"))  # warm
    rows: dict[str, list[Load]] = {
        "no-op at 200/s": [],
        "webhook at 200/s": [],
        "no-op, 16 clients": [],
        "webhook, 16 clients": [],
    }
    for _ in range(plan.rounds):
        rows["no-op at 200/s"].append(_paced(noop_port, noop, plan.seconds, b"201"))
        rows["webhook at 200/s"].append(_paced(port, deliver, plan.seconds, b"200"))
        rows["no-op, 16 clients"].append(_full(noop_port, noop, plan.seconds / 2, b"201"))
        rows["webhook, 16 clients"].append(_full(port, deliver, plan.seconds / 2, b"200"))
    for name, loads in rows.items():
        rate = statistics.median(load.per_second for load in loads)
        p50, p99 = (statistics.median(load.quantile(share) for load in loads) for share in (0.5, 0.99))
        wrong = {status.decode(): count for load in loads for status, count in load.unexpected.items()}
        print(f"{name:20} {rate:9.1f}/s  p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  {wrong or ''}")
    ratio = statistics.median(
        real.per_second / noop.per_second
        for real, noop in zip(rows["webhook, 16 clients"], rows["no-op, 16 clients"], strict=True)
    )
    p99 = statistics.median(load.quantile(0.99) for load in rows["webhook at 200/s"])
    print(f"ratio webhook / no-op: {ratio:.2f}")
    print(f"at {RATE_PER_SECOND}/s: p99 {p99:.2f} ms  (limit {LIMIT_MS:.0f})")
    return not any(load.unexpected for loads in rows.values() for load in loads), p99 < LIMIT_MS


def body(id: str) -> bytes:
    """Return an event about as large as Stripe's of a charge, 3 KB."""
    told = {"id": f"ch_{id}", "object": "charge", "amount": 10_000, "billing_details": {"email": "ada@example.com"}}
    event = {
        "id": id, "object": "event", "type": "charge.succeeded", "created": 1_767_312_000, "external_id": id,
        "data": {"object": {**told, "metadata": {f"key_{number}": "x" * 60 for number in range(36)}}},
    }  # fmt: skip
    return json.dumps(event).encode()


def delivery(id: str) -> bytes:
    """Return one request, signed now."""
    content, now = body(id), int(time.time())
    mac = hmac.new(SECRET.encode(), b"%d." % now + content, hashlib.sha256).hexdigest()
    return http_request(
        "POST", "/finance/webhooks/stripe", content, headers=(("stripe-signature", f"t={now},v1={mac}"),)
    )


def _paced(port: int, request: Callable[[], bytes], seconds: float, expect: bytes) -> Load:
    return asyncio.run(run_paced(port, request, per_second=RATE_PER_SECOND, seconds=seconds, expect=expect))


def _full(port: int, request: Callable[[], bytes], seconds: float, expect: bytes) -> Load:
    return asyncio.run(run_load(port, request, clients=CLIENTS, seconds=seconds, expect=expect))


if __name__ == "__main__":
    sys.exit(main())
