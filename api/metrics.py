"""Prometheus metrics of one API process, in a registry of its own.

Label sets are bounded: routes by their template, never by path; statuses by their number; methods by a fixed list.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})


class Metrics:
    """What this process measures about itself; `registry` is what `/metrics` renders."""

    def __init__(self) -> None:
        self._by_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        """Children found before: looking one up by its labels costs as much as counting."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "counterfoil_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "counterfoil_http_request_seconds",
            "From the first byte of a request to the end of its answer.",
            ("method", "route"),
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.requests_in_progress = 0
        """Counted by hand on the one event loop, as the next is, and read when somebody asks: a gauge takes a lock."""
        Gauge("counterfoil_http_requests_in_progress", "Requests being answered.", registry=self.registry).set_function(
            lambda: self.requests_in_progress
        )
        self.post_seconds = Histogram(
            "counterfoil_post_seconds",
            "From the parsed entry to its signed acknowledgement.",
            ("route",),
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        entries = Counter("counterfoil_entries", "Journal entries by outcome.", ("outcome",), registry=self.registry)
        self.entries_posted = entries.labels("posted")
        self.entries_refused = entries.labels("refused")
        self.replays = Counter(
            "counterfoil_idempotent_replays", "Posts answered from an earlier one.", registry=self.registry
        )
        self.anchorings = Counter(
            "counterfoil_anchorings",
            "Turns of writing checkpoints to the archive, by outcome.",
            ("outcome",),
            registry=self.registry,
        )
        self.anchored_size = Gauge(
            "counterfoil_anchored_size", "Size of the newest anchored checkpoint.", ("origin",), registry=self.registry
        )
        self.anchoring_failed = Gauge(
            "counterfoil_anchoring_failed",
            "1 where the newest turn could not anchor a log that grew.",
            ("origin",),
            registry=self.registry,
        )
        self.entries_waiting = 0
        Gauge(
            "counterfoil_waiting_entries", "Entries between parsing and acknowledgement.", registry=self.registry
        ).set_function(lambda: self.entries_waiting)
        self.batch_records = Histogram(
            "counterfoil_sequencer_batch_records",
            "Records per group commit.",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self.commit_seconds = Histogram(
            "counterfoil_sequencer_commit_seconds",
            "One durable group commit.",
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.sign_seconds = Histogram(
            "counterfoil_sign_seconds", "One checkpoint signature.", buckets=_LATENCY_BUCKETS, registry=self.registry
        )
        self.sign_failures = Counter(
            "counterfoil_sign_failures", "Checkpoint signatures that did not come.", registry=self.registry
        )
        self.log_size = Gauge("counterfoil_log_size", "Records in the log.", ("book",), registry=self.registry)
        self.unsigned_tail = Gauge(
            "counterfoil_unsigned_tail_records",
            "Durable records without a signature.",
            ("book",),
            registry=self.registry,
        )
        self.clock_ahead = Gauge(
            "counterfoil_clock_ahead_seconds",
            "How far this process' clock was ahead of the database's at the last batch; a minute is refused.",
            ("book",),
            registry=self.registry,
        )
        self.webhooks_received = Counter(
            "counterfoil_webhook_received",
            "Events of signed webhooks, `new` or delivered before.",
            ("provider", "outcome"),
            registry=self.registry,
        )
        self.webhooks_refused = Counter(
            "counterfoil_webhook_refused",
            "Webhooks refused, by reason.",
            ("provider", "reason"),
            registry=self.registry,
        )
        self.verify_verdicts = Counter(
            "counterfoil_verify", "Verifications over HTTP by verdict.", ("verdict",), registry=self.registry
        )

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        found = self._by_request.get((method, route, status))
        if found is None:
            verb = method if method in _METHODS else "other"
            found = self.requests.labels(verb, route, str(status)), self.request_seconds.labels(verb, route)
            self._by_request[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    # The sequencer's observer (see ledger_core/ports.py).

    def batch_committed(self, records: int, seconds: float) -> None:
        """Take note of one group commit."""
        self.batch_records.observe(records)
        self.commit_seconds.observe(seconds)

    def checkpoint_signed(self, seconds: float) -> None:
        """Take note of one signature."""
        self.sign_seconds.observe(seconds)

    def signature_failed(self) -> None:
        """Take note of a signature that did not come."""
        self.sign_failures.inc()
