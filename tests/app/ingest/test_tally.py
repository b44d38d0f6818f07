"""The bounds of a Tally that no single signal shows."""

from __future__ import annotations

from app.ingest.limits import Limits
from app.ingest.shapes import AnyValue, KeyValue, Resource
from app.ingest.tally import Tally
from features.batch import Call, Presence


def resource(**attributes: str) -> Resource:
    return Resource([KeyValue(key.replace("_", "."), AnyValue(string_value=value)) for key, value in attributes.items()])


def test_a_resource_without_a_name_is_the_unknown_service() -> None:
    tally = Tally("logs", Limits(), from_hex=True)
    assert [tally.source(found).service for found in (None, Resource(), resource(service_name=""))] == ["unknown_service"] * 3
    assert tally.batch().presences == (Presence("unknown_service", "", ""),)


def test_the_instance_is_named_by_the_first_attribute_that_does() -> None:
    tally = Tally("logs", Limits(), from_hex=True)
    tally.source(resource(service_name="cart", host_name="node-1"))
    tally.source(resource(service_name="cart", host_name="node-1", service_instance_id="i-1"))
    assert [presence.instance for presence in tally.batch().presences] == ["node-1", "i-1"]


def test_what_errors_keep_of_a_resource_is_as_long_as_a_name_may_be() -> None:
    tally = Tally("logs", Limits(max_name_chars=4), from_hex=True)
    source = tally.source(resource(service_name="cart", host_name="node-12", k8s_pod_name="pod", telemetry_sdk_name="python"))
    assert source.kept == {"host.name": AnyValue(string_value="node"), "k8s.pod.name": AnyValue(string_value="pod")}
    assert tally.batch().counters == {"names_cut": 1}


def test_presences_and_calls_are_bounded_and_what_is_beyond_is_counted() -> None:
    tally = Tally("traces", Limits(max_rows=1), from_hex=True)
    for name in ("cart", "shop", "cart"):
        tally.source(resource(service_name=name))
        tally.call(name, "payment", 1.0, failed=False)
    batch = tally.batch()
    assert batch.presences == (Presence("cart", "", ""),)
    assert batch.calls == (Call("cart", "payment", 2, 0),)
    assert batch.counters == {"presences_dropped": 1, "calls_dropped": 1}
