"""What the proxy counts of itself, as Prometheus reads it: calls by outcome, signatures and how long they took.

Written out by hand: the text format is forty lines, and the less code lies beside a key the better. Names of clients
are those of the list of clients, so that a stranger cannot make series without end.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping

BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Measures:
    """The counters of one proxy. Safe for threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._failures: Counter[str] = Counter()
        self._handshakes: Counter[str] = Counter()
        self._buckets = [0] * (len(BUCKETS_SECONDS) + 1)
        self._seconds = 0.0

    def called(self, client: str, call: str, outcome: str) -> None:
        """Count one call and what became of it."""
        with self._guard:
            self._calls[(client, call, outcome)] += 1

    def signed(self, seconds: float) -> None:
        """Count one signature of the back-end."""
        place = next((index for index, most in enumerate(BUCKETS_SECONDS) if seconds <= most), len(BUCKETS_SECONDS))
        with self._guard:
            self._buckets[place] += 1
            self._seconds += seconds

    def failed(self, why: str) -> None:
        """Count one signature that the back-end did not make: `late`, `refused`, `invalid`."""
        with self._guard:
            self._failures[why] += 1

    def turned_away(self, why: str) -> None:
        """Count one connection whose handshake failed."""
        with self._guard:
            self._handshakes[why] += 1

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Return everything in the text format; `gauges` are read now: by name their help and value."""
        with self._guard:
            return "".join(f"{line}\n" for line in self._lines(gauges))

    def _lines(self, gauges: Mapping[str, tuple[str, float]]) -> Iterator[str]:
        yield from _head("calls_total", "counter", "Calls, by client, call and what became of them.")
        for (client, call, outcome), count in sorted(self._calls.items()):
            labels = f'client="{_escaped(client)}",call="{call}",outcome="{outcome}"'
            yield f"counterfoil_signer_calls_total{{{labels}}} {count}"
        yield from _head("backend_failures_total", "counter", "Signatures that the back-end did not make.")
        for why in sorted({"late", "refused", "invalid", *self._failures}):
            yield f'counterfoil_signer_backend_failures_total{{why="{why}"}} {self._failures[why]}'
        yield from _head("handshake_failures_total", "counter", "Connections that were no mutual TLS.")
        for why in sorted({"certificate", "other", *self._handshakes}):
            yield f'counterfoil_signer_handshake_failures_total{{why="{why}"}} {self._handshakes[why]}'
        yield from _head("sign_seconds", "histogram", "How long the back-end took for a signature.")
        total = 0
        for most, count in zip((*map(str, BUCKETS_SECONDS), "+Inf"), self._buckets, strict=True):
            total += count
            yield f'counterfoil_signer_sign_seconds_bucket{{le="{most}"}} {total}'
        yield f"counterfoil_signer_sign_seconds_sum {self._seconds}"
        yield f"counterfoil_signer_sign_seconds_count {total}"
        for name, (help_text, value) in gauges.items():
            yield from _head(name, "gauge", help_text)
            yield f"counterfoil_signer_{name} {value:g}"


def _head(name: str, kind: str, help_text: str) -> tuple[str, str]:
    return f"# HELP counterfoil_signer_{name} {help_text}", f"# TYPE counterfoil_signer_{name} {kind}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
