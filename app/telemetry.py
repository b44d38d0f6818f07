"""What the service tells about itself: Prometheus metrics with the prefix ``foreshock_``.

Every part receives one `Telemetry` and counts into it; `app.api` renders it at ``/metrics``.
`docs/metrics.md` lists the names, and a test compares the list.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Labelled", "Telemetry"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

AGES = (
    5.0,
    15.0,
    30.0,
    45.0,
    60.0,
    90.0,
    120.0,
    180.0,
    300.0,
    600.0,
    3600.0,
)  # a prediction is replaced after 60 s, and expires after 180 s

HANDOVERS = (
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
)  # at once, or at the end of a tick, after a checkpoint


class Telemetry:
    """The metrics of one process.

    Examples
    --------
    >>> telemetry = Telemetry()
    >>> telemetry.records.labels(signal="traces").inc(3)
    >>> b'foreshock_records_total{signal="traces"} 3.0' in telemetry.render()
    True
    """

    def __init__(self) -> None:  # noqa: PLR0915 - a line a metric
        self.registry = r = CollectorRegistry()
        self.access_refused = Counter(
            "foreshock_access_refused", "Requests for REST or a page without the token that they need.", ["reason"], registry=r
        )
        self.requests = Counter("foreshock_requests", "OTLP requests by answer.", ["protocol", "signal", "code"], registry=r)
        self.records = Counter("foreshock_records", "Spans, log records and data points acknowledged.", ["signal"], registry=r)
        self.redacted = Counter(
            "foreshock_redacted", "Secrets taken out of errors before they were stored, by rule.", ["rule"], registry=r
        )
        self.rejected = Counter("foreshock_rejected_records", "Records refused, by reason.", ["reason"], registry=r)
        self.limited = Counter("foreshock_limited", "What a limit cut, marked or folded, by reason.", ["reason"], registry=r)
        self.request_seconds = Histogram(
            "foreshock_request_seconds", "Time from the body's end to the answer.", ["protocol"], buckets=SECONDS, registry=r
        )
        self.body_bytes = Counter("foreshock_body_bytes", "Decompressed bytes of acknowledged bodies.", registry=r)
        self.decoder = Gauge(
            "foreshock_decoder", "1 for the engine that reads traces and logs in protobuf.", ["engine"], registry=r
        )
        self.append_seconds = Histogram("foreshock_append_seconds", "One durable group commit.", buckets=SECONDS, registry=r)
        self.request_bytes_held = Gauge("foreshock_request_bytes_held", "Bytes that requests under way hold.", registry=r)
        self.bytes_in_flight = Gauge("foreshock_bytes_in_flight", "Bytes that wait for the log.", registry=r)
        self.log_bytes = Gauge(
            "foreshock_log_bytes", "Bytes that the log holds, of what store.log_max_bytes allows.", registry=r
        )
        self.backlog = Gauge(
            "foreshock_backlog_entries",
            "Log entries that wait for the worker furthest behind, which ingest goes by.",
            registry=r,
        )
        self.breaker_state = Gauge(
            "foreshock_breaker_state",
            "Whether a target outside is called: 0 yes, 1 one call looks whether it is back, 2 no.",
            ["target"],
            registry=r,
        )
        self.calls = Counter(
            "foreshock_calls",
            "Calls to a target outside: answered, failed, or refused because it is away.",
            ["target", "outcome"],
            registry=r,
        )
        self.retries = Counter("foreshock_retries", "Calls to a target outside that were tried again.", ["target"], registry=r)
        self.lag = Gauge("foreshock_lag_offsets", "Log entries not yet absorbed.", ["partition"], registry=r)
        self.fenced = Counter(
            "foreshock_fenced", "Times another node had taken partitions over that this one held.", registry=r
        )
        self.repeated_batches = Counter("foreshock_repeated_batches", "Batches that came twice and counted once.", registry=r)
        self.repeated_errors = Counter("foreshock_repeated_errors", "Second and third reports of one failure.", registry=r)
        self.late = Counter("foreshock_late_groups", "Traffic groups refused as later than the allowed lateness.", registry=r)
        self.tick_seconds = Histogram("foreshock_tick_seconds", "One tick, by stage.", ["stage"], buckets=SECONDS, registry=r)
        self.series = Gauge("foreshock_series", "Series in memory.", registry=r)
        self.as_of = Gauge("foreshock_as_of_seconds", "Unix time of the newest closed tick.", registry=r)
        self.services_afar = Gauge(
            "foreshock_services_afar", "Services of other nodes whose summaries this node's features use.", registry=r
        )
        self.summaries_age = Gauge(
            "foreshock_summaries_age_seconds",
            "Age of the oldest summary of another node's partition against this node's newest tick, 0 without other nodes.",
            registry=r,
        )
        self.predictions = Counter("foreshock_predictions", "Predictions made, by status.", ["status"], registry=r)
        self.incidents = Counter("foreshock_incidents", "Incidents detected.", registry=r)
        self.errors = Counter("foreshock_errors", "ErrorEvents, by category.", ["category"], registry=r)
        self.matured = Counter("foreshock_matured", "Rows whose horizon closed, by outcome.", ["outcome"], registry=r)
        self.log_loss = Gauge(
            "foreshock_log_loss",
            "Recent log-loss of a member on matured rows, nats a row, of the tenant where it is highest.",
            ["member", "horizon"],
            registry=r,
        )
        self.blend_weight = Gauge(
            "foreshock_blend_weight", "Weight of a member in the blend, mean over tenants.", ["member"], registry=r
        )
        self.drifts = Counter("foreshock_drifts", "Changes that the drift watch saw.", registry=r)
        self.history_rows = Counter("foreshock_history_rows", "Rows appended to history.", ["table"], registry=r)
        self.history_calls = Counter(
            "foreshock_history_calls",
            "Calls of history by table (append, read, optimise) and what came of them: done, refused, or a conflict with another "
            "writer, after which it is tried again.",
            ["call", "outcome"],
            registry=r,
        )
        self.training_runs = Counter("foreshock_training_runs", "Training runs by how they ended.", ["outcome"], registry=r)
        self.backtests = Counter(
            "foreshock_backtests", "Backtests that were asked for over REST, by how they ended.", ["outcome"], registry=r
        )
        self.models_refused = Counter(
            "foreshock_models_refused",
            "Models that were not loaded: untrusted (not signed with the node's key, or changed) or mismatch (of another schema or library).",
            ["reason"],
            registry=r,
        )
        self.exported_points = Counter(
            "foreshock_exported_points",
            "Data points of predictions sent over OTLP, by outcome: sent or failed.",
            ["outcome"],
            registry=r,
        )
        self.http_requests = Counter(
            "foreshock_http_requests", "REST requests by route and answer.", ["route", "code"], registry=r
        )
        self.webhook_alerts = Counter(
            "foreshock_webhook_alerts", "Alerts that came in over a webhook, by what became of them.", ["outcome"], registry=r
        )
        self.alerts = Gauge(
            "foreshock_alerts",
            "Alerts of the tenants whose home this node is, by state; those that are over are not counted.",
            ["state"],
            registry=r,
        )
        self.notices = Counter(
            "foreshock_notices",
            "Notices of alerts that were sent, by channel and what came of it: delivered, failed (and tried again), or refused for good.",
            ["channel", "outcome"],
            registry=r,
        )
        self.notices_waiting = Gauge(
            "foreshock_notices_waiting", "Notices that a channel is to be told.", ["channel"], registry=r
        )
        self.cache_reads = Counter(
            "foreshock_cache_reads", "Reads of documents in memory, by outcome.", ["bucket", "outcome"], registry=r
        )
        self.cache_documents = Gauge("foreshock_cache_documents", "Documents in memory.", ["bucket"], registry=r)
        self.cache_bytes = Gauge("foreshock_cache_bytes", "Bytes of the documents in memory.", ["bucket"], registry=r)
        self.cache_entries = Gauge("foreshock_cache_entries", "Answers of a service's prediction that are kept.", registry=r)
        self.cache_evictions = Counter(
            "foreshock_cache_evictions", "Kept answers that gave way to others, at most so many being kept.", registry=r
        )
        self.cache_age_seconds = Histogram(
            "foreshock_cache_age_seconds", "Age of a service's prediction when it was read.", buckets=AGES, registry=r
        )
        self.members = Gauge(
            "foreshock_members",
            "Nodes of the cluster that this one sees, by state: alive, leaving or dead.",
            ["state"],
            registry=r,
        )
        self.partitions_held = Gauge("foreshock_partitions_held", "Partitions that this node holds or takes over.", registry=r)
        self.handovers = Counter(
            "foreshock_handovers",
            "Partitions that this node took over, by what became of who had them: start (nobody was seen with them), move (it lives), "
            "leave (it stopped in order), death (its heartbeat ended); and fenced: went from this node unasked.",
            ["reason"],
            registry=r,
        )
        self.handover_seconds = Histogram(
            "foreshock_handover_seconds",
            "From when a partition was wanted here until it was held.",
            buckets=HANDOVERS,
            registry=r,
        )
        self.tls_expiry_days = Gauge(
            "foreshock_tls_expiry_days",
            "Days until the certificate in use ends, or the first of the authorities of clients; less than 0 afterwards, nothing without TLS.",
            ["file"],
            registry=r,
        )
        self.tls_reloads = Counter(
            "foreshock_tls_reloads",
            "Times the files of the certificate had changed, by what came of it: done, or refused, and the one before stays.",
            ["outcome"],
            registry=r,
        )
        self.throttled = Counter(
            "foreshock_throttled",
            "Requests answered 429 by security.limits, by what there was too much of: token_requests, token_bytes, address_requests, "
            "address_bytes or failed_logins.",
            ["reason"],
            registry=r,
        )
        self.faults = Counter("foreshock_faults", "Unexpected failures that were survived, by place.", ["place"], registry=r)

    def render(self) -> bytes:
        """Return the metrics in the Prometheus text format."""
        return generate_latest(self.registry)

    def values(self, name: str) -> dict[str, float]:
        """Return the values of a counter or gauge by its labels' values, joined by commas."""
        found: dict[str, float] = {}
        for family in self.registry.collect():
            if family.name == f"foreshock_{name}":
                for sample in family.samples:
                    if not sample.name.endswith("_created"):
                        found[",".join(sample.labels.values())] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a counter or gauge, 0 where it was never touched.

        Examples
        --------
        >>> telemetry = Telemetry()
        >>> telemetry.records.labels(signal="logs").inc(2)
        >>> telemetry.value("records", signal="logs"), telemetry.value("records", signal="traces")
        (2.0, 0.0)
        """
        return self.values(name).get(",".join(labels.values()), 0.0)


class Labelled(dict[str, Counter]):
    """The children of a counter with one label, by its value; asking the counter costs 2 us each time (measured).

    Parameters
    ----------
    counter : Counter
        With one label, of few values.

    Examples
    --------
    >>> telemetry = Telemetry()
    >>> Labelled(telemetry.records)["traces"].inc(3)
    >>> telemetry.value("records", signal="traces")
    3.0
    """

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __missing__(self, value: str) -> Counter:
        child = self[value] = self._counter.labels(value)
        return child
