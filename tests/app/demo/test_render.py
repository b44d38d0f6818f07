"""Rendered minutes are OTLP: links resolve, resources are whole, failures are told up to three times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.demo.render import requests
from app.demo.simulate import Shop
from app.demo.topology import TOPOLOGY
from app.ingest.otlp import decode
from app.ingest.signals import SIGNALS

START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(1, 2.0, 24.0, START)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    return {p.key: p.value.string_value or str(p.value.int_value) for p in pairs}


def _spans(shop: Shop, number: int) -> list[tuple[str, Span]]:
    request = ExportTraceServiceRequest.FromString(dict(requests(shop.minute(number)))["traces"])
    return [
        (_attributes(group.resource.attributes)["service.name"], span)
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def test_trace_links_resolve_across_services(shop: Shop) -> None:
    crossings = 0
    for number in range(600, 640):
        spans = _spans(shop, number)
        by_id = {span.span_id: (service, span) for service, span in spans}
        assert len(by_id) == len(spans)
        for service, span in spans:
            assert len(span.trace_id) == 16
            assert number * 60 * 10**9 <= span.start_time_unix_nano - int(START.timestamp()) * 10**9
            assert span.start_time_unix_nano <= span.end_time_unix_nano
            if not span.parent_span_id:
                continue
            above, parent = by_id[span.parent_span_id]
            assert parent.trace_id == span.trace_id
            assert parent.start_time_unix_nano <= span.start_time_unix_nano
            if span.kind in (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER):
                crossings += 1
                assert above != service
                assert parent.kind in (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_PRODUCER)
                assert parent.kind == Span.SPAN_KIND_PRODUCER or _attributes(parent.attributes)["server.address"] == service
            else:
                assert above == service
    assert crossings > 1000


def test_synchronous_children_lie_within_their_parents(shop: Shop) -> None:
    for number in range(600, 620):
        spans = [span for _, span in _spans(shop, number)]
        by_id = {span.span_id: span for span in spans}
        for span in spans:
            if span.parent_span_id and span.kind == Span.SPAN_KIND_SERVER:
                assert span.end_time_unix_nano <= by_id[span.parent_span_id].end_time_unix_nano


def test_ingest_takes_every_record_and_sees_every_service(shop: Shop) -> None:
    minute = shop.minute(700)
    bodies = dict(requests(minute))
    batches = {signal: decode(bodies[signal], signal, "protobuf") for signal in SIGNALS}
    assert batches["traces"].n_records == len(minute.spans)
    assert batches["logs"].n_records == len(minute.logs)
    assert batches["metrics"].n_records == 6 * len(minute.identities)
    assert sum(batch.rejected for batch in batches.values()) == 0
    assert {key[0] for key in batches["traces"].series} == set(TOPOLOGY.services)
    assert {presence.instance for presence in batches["metrics"].presences} == {i.instance_id for i in minute.identities}
    assert ("web", "catalog") in {(call.caller, call.callee) for call in batches["traces"].calls}


def test_one_failure_is_told_up_to_three_times_with_one_identity(shop: Shop) -> None:
    told = Counter[int]()
    firsts = [int((f.start - shop.start).total_seconds() // 60) for f in shop.truth() if f.kind in ("bad_deploy", "disk_full")]
    for number in [first + i for first in firsts for i in range(3, 9)]:
        minute = shop.minute(number)
        logs = ExportLogsServiceRequest.FromString(dict(requests(minute))["logs"])
        records = [r for group in logs.resource_logs for scope in group.scope_logs for r in scope.log_records]
        errors = {r.span_id: r for r in records if r.severity_number >= 17}
        for _, span in _spans(shop, number):
            if span.status.code != 2 or span.kind == Span.SPAN_KIND_CLIENT:
                continue
            record, events = errors.get(span.span_id), list(span.events)
            told[1 + bool(events) + (record is not None)] += 1
            if record is not None:
                assert record.trace_id == span.trace_id
                assert _attributes(record.attributes)["exception.message"] == span.status.message
            if events and record is not None:
                there, here = _attributes(events[0].attributes), _attributes(record.attributes)
                assert there == here
                assert there["exception.stacktrace"].count("\n") >= 1
    assert told[3] > told[1] > 0


def test_processes_say_who_they_are_and_what_they_hold(shop: Shop) -> None:
    request = ExportMetricsServiceRequest.FromString(dict(requests(shop.minute(30)))["metrics"])
    assert len(request.resource_metrics) == len(TOPOLOGY.instance_service)
    for group in request.resource_metrics:
        who = _attributes(group.resource.attributes)
        assert {"service.name", "service.version", "service.instance.id", "telemetry.sdk.language", "host.name"} <= set(who)
        metrics = {metric.name: metric for metric in group.scope_metrics[0].metrics}
        assert {"process.memory.usage", "db.client.connection.count", "system.filesystem.utilization"} <= set(metrics)
        assert 0 < metrics["system.filesystem.utilization"].gauge.data_points[0].as_double < 1
        assert metrics["process.memory.usage"].sum.data_points[0].as_int > 10**7


def test_messages_of_one_symptom_differ_in_numbers_alone(shop: Shop) -> None:
    bodies: list[str] = []
    for number in range(0, 240):
        logs = ExportLogsServiceRequest.FromString(dict(requests(shop.minute(number)))["logs"])
        bodies += [r.body.string_value for g in logs.resource_logs for s in g.scope_logs for r in s.log_records]
    assert len(set(bodies)) > 0.5 * len(bodies)
    masked = {"".join("#" if c.isdigit() else c for c in body) for body in bodies}
    assert len(masked) < len(set(bodies))
    assert not any(word in body for body in bodies for word in ("{n}", "{ms}", "{peer}", "{op}", "{svc}"))


def test_a_deployment_changes_version_and_every_process() -> None:
    shop = Shop(1, 3.0, 24.0, START)
    deploy = next(f for f in shop.decoys() if f.kind == "harmless_deploy")
    at = int((deploy.onset - shop.start).total_seconds() // 60)
    mine = TOPOLOGY.instance_service == TOPOLOGY.services.index(deploy.service)
    before, after = shop.minute(at - 1).identities, shop.minute(at).identities
    for old, new, own in zip(before, after, mine.tolist(), strict=True):
        assert (old.version != new.version) == own
        assert (old.instance_id != new.instance_id) == own


def test_size_of_a_minute_is_that_of_its_records(shop: Shop) -> None:
    sizes = [(len(shop.minute(m).spans), len(dict(requests(shop.minute(m)))["traces"])) for m in (240, 1230)]
    for (fewer, smaller), (more, larger) in pairwise(sizes):
        assert fewer < more
        assert smaller < larger
