"""What a receiver of OTLP is sent: every probability with the time that it is as of."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from app.export_settings import ExportSettings
from app.exports.otlp import OtlpExport
from app.telemetry import Telemetry
from features.errors import InvalidSetting
from tests.api_builders import NOON, a_prediction
from tests.app.exports.shop import forecast
from tests.app.exports.test_chances import Buckets
from tests.inboxes import Receiver, Request, receiver
from tests.nodes import run_node, until

Points = dict[tuple[str, str, str], tuple[float, float]]


def points(requests: Sequence[Request]) -> Points:
    """Return value and unix seconds of what was sent, by tenant, service and horizon."""
    found: Points = {}
    for request in requests:
        sent = ExportMetricsServiceRequest.FromString(gzip.decompress(request.body))
        (resource,) = sent.resource_metrics
        names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
        assert (names["service.name"], names.get("service.instance.id")) == ("foreshock", None)
        (metric,) = resource.scope_metrics[0].metrics
        assert (metric.name, metric.unit) == ("foreshock.incident.probability", "")
        for point in metric.gauge.data_points:
            labels = {attribute.key: attribute.value.string_value for attribute in point.attributes}
            assert labels.keys() == {"tenant", "service", "horizon"}
            found[labels["tenant"], labels["service"], labels["horizon"]] = point.as_double, point.time_unix_nano / 1e9
    return found


def admit_all(_tenant: str, _service: str) -> bool:
    return True


@contextmanager
def export(
    there: Buckets, to: Receiver, admits: Callable[[str, str], bool] = admit_all, **settings: Any
) -> Generator[tuple[OtlpExport, Telemetry]]:
    telemetry = Telemetry()
    made = OtlpExport(there.chances, admits, ExportSettings(otlp_endpoint=to.url, **settings), "1", telemetry)
    try:
        yield made, telemetry
    finally:
        made.close()


def test_probabilities_that_hold_are_sent_with_their_time_and_who_sends() -> None:
    there = Buckets()
    there.predict(a_prediction("cart", risk=0.4))
    there.predict(a_prediction("pay", tenant="red", risk=0.8))
    there.predict(replace(a_prediction("broken", risk=0.9), status="in_incident"))
    with receiver() as to, export(there, to, otlp_headers={"Authorization": "Bearer t0ken"}) as (made, telemetry):
        assert made.send()
        (request,) = to.requests
    assert (request.path, request.headers["authorization"]) == ("/v1/metrics", "Bearer t0ken")
    wanted = {("default", "cart"): 0.4, ("red", "pay"): 0.8}
    shares = {"5min": 0.25, "15min": 0.5, "60min": 1.0}
    assert points(to.requests) == {
        (*name, horizon): (risk * share, NOON.timestamp()) for name, risk in wanted.items() for horizon, share in shares.items()
    }
    assert telemetry.values("exported_points") == {"sent": 6.0}


def test_of_two_nodes_each_sends_its_own_and_the_limit_is_one_of_a_node() -> None:
    there = Buckets()
    for n in range(6):
        there.predict(a_prediction(f"s{n}", risk=n / 10))
    with receiver() as to:
        for held in ({"s0", "s2", "s4"}, {"s1", "s3", "s5"}):
            with export(there, to, lambda _, service, held=held: service in held, max_series=2) as (made, _):
                assert made.send()
        first, second = ({service for _, service, _ in points([request])} for request in to.requests)
    assert (first, second) == ({"s2", "s4"}, {"s3", "s5"})


def test_what_a_receiver_is_too_busy_for_is_tried_again_and_what_it_refuses_is_counted() -> None:
    there = Buckets()
    there.predict(a_prediction("cart"))
    with receiver() as to, export(there, to) as (made, telemetry):
        to.answers += [503]
        to.headers["retry-after"] = "0"
        assert made.send()
        assert len(to.requests) == 2
        to.answers += [400]
        assert not made.send()
        assert telemetry.values("exported_points") == {"sent": 3.0, "failed": 3.0}


def test_a_receiver_that_points_elsewhere_took_nothing_and_nothing_goes_there() -> None:
    there = Buckets()
    there.predict(a_prediction("cart"))
    with receiver() as elsewhere, receiver() as to, export(there, to, otlp_headers={"X-Key": "hidden"}) as (made, telemetry):
        to.answers += [302, 307]
        to.headers["location"] = f"{elsewhere.url}/v1/metrics"
        assert [made.send(), made.send()] == [False, False]
        assert elsewhere.requests == []
        assert telemetry.values("exported_points") == {"failed": 6.0}


def test_what_nobody_foresaw_ends_no_export() -> None:
    there, failures, stop = Buckets(), iter((RuntimeError("nobody foresaw it"),)), threading.Event()
    there.predict(a_prediction("cart"))

    def admit(_tenant: str, _service: str) -> bool:
        for failure in failures:
            raise failure
        return True

    with receiver() as to, export(there, to, admit, interval_s=1.0) as (made, telemetry):
        thread = threading.Thread(target=made.run, args=(stop,))
        thread.start()
        until(lambda: len(to.requests) > 0, "an export")
        stop.set()
        thread.join()
    assert telemetry.value("faults", place="export") == 1.0


def test_an_authority_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    settings = ExportSettings(otlp_endpoint="https://localhost", otlp_ca=tmp_path / "ca.pem")
    with pytest.raises(InvalidSetting, match=r"setting export.otlp_ca: .*ca.pem"):
        OtlpExport(Buckets().chances, admit_all, settings, "1", Telemetry())


def test_nothing_is_sent_where_nothing_holds() -> None:
    with receiver() as to, export(Buckets(), to) as (made, _):
        assert made.send()
        assert to.requests == []


def test_a_node_sends_its_forecasts_which_another_receiver_of_otlp_takes_as_well(tmp_path: Path) -> None:
    with receiver() as to:
        with run_node(tmp_path, export__otlp_endpoint=to.url, export__interval_s=1) as running:
            wanted = forecast(running)
            running.node.start_export()
            until(lambda: running.metric("foreshock_exported_points_total", outcome="sent") >= 3, "an export")
            running.node.check_alive()
            ours = ExportSettings(otlp_endpoint=running.served.otlp_http)
            with closing(OtlpExport(running.node.chances, admit_all, ours, "1", Telemetry())) as other:
                assert other.send()
            assert running.metric("foreshock_records_total", signal="metrics") == 3
        sent = points(to.requests[:1])
    assert {horizon: value for (_, _, horizon), (value, _) in sent.items()} == pytest.approx(wanted)
    assert {at_s for _, at_s in sent.values()} == {running.now_ns / 1e9}
