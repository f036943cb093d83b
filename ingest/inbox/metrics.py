"""What a worker measures: outcomes, how long events waited, how many are due and dead, in a registry of its own.

Labels are bounded: providers are modules of ours, outcomes a short list.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)


class InboxMetrics:
    """Counters of one worker process; `registry` is what its `/metrics` renders."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._turns = Counter(
            "counterfoil_webhook_events",
            "Turns of the inbox by what came of them: posted, retried, dead and others.",
            ("provider", "outcome"),
            registry=self.registry,
        )
        self._waited = Histogram(
            "counterfoil_webhook_wait_seconds",
            "From a delivery to its event's end.",
            ("provider",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._pending = Gauge("counterfoil_webhook_pending", "Events that are not settled.", registry=self.registry)
        self._dead = Gauge("counterfoil_webhook_dead", "Dead letters.", registry=self.registry)
        self._lag = Gauge(
            "counterfoil_webhook_lag_seconds",
            "Since the oldest event came that is not settled.",
            registry=self.registry,
        )

    def settled(self, provider: str, outcome: str, waited_seconds: float) -> None:
        """Count one turn."""
        self._turns.labels(provider, outcome).inc()
        if outcome not in ("retried", "held"):
            self._waited.labels(provider).observe(waited_seconds)

    def standing(self, *, pending: int, dead: int, lag_seconds: float) -> None:
        """Say how the inbox stands."""
        self._pending.set(pending)
        self._dead.set(dead)
        self._lag.set(lag_seconds)
