"""Stripe's API as far as webhooks need it: a real HTTP server on the loopback, in the documented shapes."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "rk_test_reads_only"
KINDS = {"charges": "charge", "refunds": "refund", "disputes": "dispute", "payouts": "payout"}


@dataclass(slots=True, kw_only=True)
class StripeApi:
    """What it holds: objects by id with their balance transactions whole, and what was asked of it."""

    url: str = ""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    transactions: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = field(default_factory=list)
    broken: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Answers to the next requests, in place of objects."""

    def put(self, told: dict[str, Any]) -> dict[str, Any]:
        self.objects[told["id"]] = told
        return told

    def transaction(self, id: str, amount: int, fee: int = 0, *, source: str, **more: Any) -> str:
        self.transactions[id] = {
            "id": id, "object": "balance_transaction", "amount": amount, "fee": fee, "net": amount - fee,
            "currency": "usd", "created": 1_767_312_000, "exchange_rate": None, "reporting_category": "charge",
            "source": source, "status": "available", "type": "charge", **more,
        }  # fmt: skip
        return id

    def charge(self, id: str, amount: int = 10_000, fee: int = 320, **more: Any) -> dict[str, Any]:
        """Make a captured charge with its balance transaction."""
        made = self.transaction(f"txn_{id}", amount, fee, source=id)
        return self.put(
            {
                "id": id, "object": "charge", "amount": amount, "amount_captured": amount, "captured": True,
                "currency": "usd", "status": "succeeded", "balance_transaction": made, "created": 1_767_311_990,
                "billing_details": {"email": "ada@example.com", "name": "Ada Example"}, **more,
            }
        )  # fmt: skip

    def refund(self, id: str, amount: int = 10_000, fee: int = 0, **more: Any) -> dict[str, Any]:
        made = self.transaction(f"txn_{id}", -amount, fee, source=id, reporting_category="refund", type="refund")
        return self.put(
            {
                "id": id, "object": "refund", "amount": amount, "currency": "usd", "status": "succeeded",
                "balance_transaction": made, "failure_balance_transaction": None, "charge": "ch_1", **more,
            }
        )  # fmt: skip

    def payout(self, id: str, amount: int = 9_680, **more: Any) -> dict[str, Any]:
        made = self.transaction(f"txn_{id}", -amount, source=id, reporting_category="payout", type="payout")
        return self.put(
            {
                "id": id, "object": "payout", "amount": amount, "currency": "usd", "status": "paid",
                "balance_transaction": made, "failure_balance_transaction": None, **more,
            }
        )  # fmt: skip

    def dispute(self, id: str, *transactions: str, status: str = "needs_response") -> dict[str, Any]:
        return self.put(
            {
                "id": id, "object": "dispute", "amount": 10_000, "currency": "usd", "status": status,
                "charge": "ch_1", "balance_transactions": [self.transactions[each] for each in transactions],
            }
        )  # fmt: skip

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if path == "/v1/balance_transactions":
            found = [each for each in self.transactions.values() if each["source"] in query["source"]]
            return 200, {"object": "list", "data": found, "has_more": False, "url": path}
        _, _, kind, id = path.split("/")
        told = self.objects.get(id)
        if told is None or told["object"] != KINDS[kind]:
            message = f"No such {KINDS[kind]}: '{id}'"
            return 404, {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": message}}
        shown = dict(told)
        # Not asked to expand, Stripe names what it would hold.
        expanded = [name for key, names in query.items() if key.startswith("expand") for name in names]
        for name in expanded:
            if shown.get(name) is not None:
                shown[name] = self.transactions[shown[name]]
        return 200, shown


def serve(api: StripeApi) -> ThreadingHTTPServer:
    """Serve `api` until the server is shut down."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            query = parse_qs(address.query)
            headers = {name.lower(): value for name, value in self.headers.items()}
            api.asked.append((address.path, query, headers))
            if headers.get("authorization") != f"Bearer {KEY}":
                status, told = 401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key"}}
            elif api.broken:
                status, told = api.broken.pop(0)
            else:
                status, told = api.answer(address.path, query)
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.send_header("request-id", "req_1")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
