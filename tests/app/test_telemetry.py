"""What the service counts about itself, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from app.telemetry import Telemetry


def sample(telemetry: Telemetry, name: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(telemetry.render().decode())
    return {tuple(s.labels.values()): s.value for family in families for s in family.samples if s.name == name}


def test_counts_are_rendered_by_label() -> None:
    telemetry = Telemetry()
    telemetry.records.labels(signal="traces").inc(3)
    telemetry.records.labels(signal="logs").inc()
    assert sample(telemetry, "foreshock_records_total") == {("traces",): 3.0, ("logs",): 1.0}


def test_gauges_hold_the_last_value() -> None:
    telemetry = Telemetry()
    telemetry.series.set(7)
    telemetry.series.set(5)
    assert sample(telemetry, "foreshock_series") == {(): 5.0}


def test_times_fall_into_buckets_of_seconds() -> None:
    telemetry = Telemetry()
    telemetry.append_seconds.observe(0.004)
    buckets = sample(telemetry, "foreshock_append_seconds_bucket")
    assert (buckets[("0.0025",)], buckets[("0.005",)], buckets[("+Inf",)]) == (0.0, 1.0, 1.0)


def test_two_processes_in_one_do_not_share_counts() -> None:
    one, other = Telemetry(), Telemetry()
    one.incidents.inc()
    assert sample(other, "foreshock_incidents_total") == {(): 0.0}
