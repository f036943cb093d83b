"""A server of this machine that answers as Stripe's API does: lists, pages, and what goes wrong on the way."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "rk_test_of_these_tests"


def rate(written: str) -> str:
    """Return what the server writes as the number `written`, digit by digit."""
    return f"rate:{written}"


@dataclass
class Stripe:
    """What the server holds, and what it does wrong: `faults` are taken one a request, from the front."""

    transactions: list[dict[str, Any]] = field(default_factory=list)
    payouts: list[dict[str, Any]] = field(default_factory=list)
    disputes: list[dict[str, Any]] = field(default_factory=list)
    settled: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    page: int = 100
    asked: list[str] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    url: str = ""

    def answer(self, path: str, asked: dict[str, list[str]]) -> dict[str, Any] | None:
        lists = {"balance_transactions": self.transactions, "payouts": self.payouts, "disputes": self.disputes}
        name = path.removeprefix("/v1/")
        if name not in lists:
            return None
        found = sorted(lists[name], key=lambda each: (-each["created"], each["id"]))
        if "payout" in asked:
            found = [each for each in found if each["id"] in self.settled.get(asked["payout"][0], [])]
        if "created[gte]" in asked:
            found = [each for each in found if each["created"] >= int(asked["created[gte]"][0])]
        if "created[lt]" in asked:
            found = [each for each in found if each["created"] < int(asked["created[lt]"][0])]
        if "starting_after" in asked:
            ids = [each["id"] for each in found]
            found = found[ids.index(asked["starting_after"][0]) + 1 :]
        if "data.source" not in asked.get("expand[0]", []):
            found = [{**each, "source": _id_of(each.get("source"))} if "source" in each else each for each in found]
        size = min(self.page, int(asked.get("limit", ["10"])[0]))
        return {"object": "list", "data": found[:size], "has_more": len(found) > size, "url": path}


def _id_of(source: Any) -> Any:
    return source["id"] if isinstance(source, dict) else source


class _Handler(BaseHTTPRequestHandler):
    stripe: Stripe
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        self.stripe.asked.append(self.path)
        self.stripe.versions.add(self.headers.get("Stripe-Version", ""))
        fault = self.stripe.faults.pop(0) if self.stripe.faults else ""
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            return self._say(401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key"}})
        if fault.startswith("429"):
            return self._say(429, {"error": {"type": "rate_limit_error"}}, retry_after=fault.partition(":")[2])
        if fault == "403":
            return self._say(403, {"error": {"type": "invalid_request_error", "message": "no permission"}})
        if fault == "500":
            return self._say(500, {"error": {"type": "api_error", "message": "ours"}})
        if fault == "html":
            return self._write(502, b"<html>bad gateway</html>")
        answer = self.stripe.answer(place.path, parse_qs(place.query))
        if answer is None:
            return self._say(404, {"error": {"type": "invalid_request_error", "message": "Unrecognized URL"}})
        body = re.sub(r'"rate:([0-9.]+)"', r"\1", json.dumps(answer, indent=2)).encode()
        if fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return None
        return self._write(200, body)

    def _say(self, status: int, answer: dict[str, Any], *, retry_after: str = "") -> None:
        self._write(status, json.dumps(answer).encode(), retry_after=retry_after)

    def _write(self, status: int, body: bytes, *, retry_after: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(stripe: Stripe) -> Iterator[Stripe]:
    """Serve `stripe` on a free port of this machine; its `url` says where."""
    handler = type("Handler", (_Handler,), {"stripe": stripe})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stripe.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stripe
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def charge(number: int, created: int, *, amount: int = 2_500, fee: int = 95, **more: Any) -> dict[str, Any]:
    """Return the balance transaction of a charge, with the charge as Stripe writes it out."""
    return {
        "id": f"txn_{number}",
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created + 172_800,
        "balance_type": "payments",
        "created": created,
        "currency": "usd",
        "description": "Order\n of two lines",
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [{"amount": fee, "currency": "usd", "type": "stripe_fee"}],
        "net": amount - fee,
        "reporting_category": "charge",
        "source": {
            "id": f"ch_{number}",
            "object": "charge",
            "billing_details": {"email": "jane@example.com", "name": "Jane Doe"},
            "metadata": {"order_id": f"order-{number}"},
            "payment_intent": f"pi_{number}",
            "payment_method_details": {"type": "card"},
        },
        "status": "pending",
        "type": "charge",
        **more,
    }


def payout(number: int, created: int, *, amount: int, **more: Any) -> dict[str, Any]:
    """Return an automatic payout whose transactions are known."""
    return {
        "id": f"po_{number}",
        "object": "payout",
        "amount": amount,
        "arrival_date": created + 86_400,
        "automatic": True,
        "balance_transaction": {"id": f"txn_po_{number}", "object": "balance_transaction", "fee": 0, "net": -amount},
        "created": created,
        "currency": "usd",
        "method": "standard",
        "reconciliation_status": "completed",
        "status": "paid",
        "trace_id": {"status": "supported", "value": f"TRACE{number}"},
        "type": "bank_account",
        **more,
    }


def dispute(number: int, created: int) -> dict[str, Any]:
    return {
        "id": f"du_{number}",
        "object": "dispute",
        "amount": 2_500,
        "balance_transactions": [],
        "charge": f"ch_{number}",
        "created": created,
        "currency": "usd",
        "evidence": {"customer_name": "Jane Doe"},
        "payment_intent": f"pi_{number}",
        "reason": "fraudulent",
        "status": "needs_response",
    }
