"""Answers are encoded once a change, completed at each read, and at most so many are kept."""

from __future__ import annotations

import json

from app.api.entries import Entries
from app.cache.cache import Cache
from app.store.contract import Documents
from app.telemetry import Telemetry
from tests.api_builders import Api, Clock, a_prediction, an_explanation, put_prediction


def test_a_kept_answer_is_the_one_of_the_list_and_follows_changes(api: Api) -> None:
    for operation in ("*", 'POST /"x"'):
        put_prediction(api.documents, a_prediction("cart", operation), an_explanation())
    for moved_s, risk in ((30.25, 0.3), (0.0, 0.5), (100.0, 0.5)):
        api.clock.move(moved_s)
        put_prediction(api.documents, a_prediction("cart", risk=risk))
        answer = api.get("/api/v1/predictions/cart").json()
        operations = answer.pop("operations")
        assert [answer, *operations] == sorted(
            api.get("/api/v1/predictions").json()["items"], key=lambda item: item["operation"]
        )
        assert answer["horizons"]["60min"]["probability"] == risk
    assert {answer["status"], operations[0]["status"]} == {"stale"}


def test_the_answer_that_was_not_read_for_longest_gives_way(documents: Documents, clock: Clock) -> None:
    telemetry = Telemetry()
    entries = Entries(Cache(documents, telemetry), telemetry, most=2)
    for service in ("a", "b", "c"):
        put_prediction(documents, a_prediction(service))
    clock.move(7.0)
    for service in ("a", "b", "a", "c", "a", "nobody", "b"):
        entry = entries.find("default", service, clock())
        assert (entry is None) == (service == "nobody")
        assert entry is None or json.loads(entry.json(clock()))["service"] == service
    assert (telemetry.value("cache_entries"), telemetry.value("cache_evictions")) == (2, 2)
    assert telemetry.value("cache_reads", bucket="predictions", outcome="hit") == 6
    sampled = {name: telemetry.registry.get_sample_value(f"foreshock_cache_age_seconds_{name}") for name in ("count", "sum")}
    assert sampled == {"count": 6, "sum": 42.0}
