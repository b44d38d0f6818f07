"""Which services' probabilities leave: the riskiest that hold, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.cache.documents import encode_document, prediction_document, prediction_key, tenant_key
from app.cache.news import News
from app.cache.records import FeedbackRecord
from app.exports.chances import Chances
from app.store.contract import Document
from app.store.watched import Change, WatchedBucket
from features.series import SeriesKey, partition_of
from models.prediction import Prediction
from models.version import ServingHistory
from tests.api_builders import NOON, Clock, a_prediction

PARTITIONS = 8


class Buckets:
    """The buckets that are looked at, written as a worker's commits write them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.watches = {name: WatchedBucket(lambda: 0.0, lambda _: None) for name in ("predictions", "models", "feedback")}
        self.chances = Chances(self.watches["predictions"], News(self.watches["models"], self.watches["feedback"]), self.clock)
        self._revision = 0

    def put(self, bucket: str, key: str, value: bytes | None) -> None:
        self._revision += 1
        document = None if value is None else Document(key, value, self._revision)
        self.watches[bucket].apply([Change(bucket, key, document, None)])

    def predict(self, prediction: Prediction) -> None:
        self.put("predictions", prediction_key(prediction.series), prediction_document(prediction))

    def names(self, most: int = 99, admits: Callable[[str, str], bool] = lambda _tenant, _service: True) -> list[str]:
        return [head.service for head in self.chances.shown(most, admits).heads]


def test_whole_services_leave_riskiest_first_and_those_in_an_incident_before() -> None:
    there = Buckets()
    there.predict(a_prediction("calm", risk=0.1))
    there.predict(a_prediction("risky", risk=0.9))
    there.predict(a_prediction("risky", "GET /", risk=0.99))
    there.predict(replace(a_prediction("broken", risk=0.2), status="in_incident"))
    shown = there.chances.shown(2)
    assert ([head.service for head in shown.heads], shown.beyond, shown.stale) == (["broken", "risky"], 1, 0)
    assert there.chances.shown(0).beyond == 3


def test_a_newer_prediction_replaces_the_older_and_what_is_gone_or_unreadable_is_not_shown() -> None:
    there = Buckets()
    for service in ("a", "b", "c"):
        there.predict(a_prediction(service, risk=0.1))
    assert there.names() == ["a", "b", "c"]
    there.predict(a_prediction("c", risk=0.8))
    there.put("predictions", prediction_key(SeriesKey("default", "a", "*")), None)
    there.put("predictions", prediction_key(SeriesKey("default", "d", "*")), b"{}")
    assert there.names() == ["c", "b"]
    assert there.chances.shown(9).heads[0].horizons["60min"].probability == 0.8


def test_what_expired_or_what_something_came_of_is_not_shown() -> None:
    there = Buckets()
    there.predict(a_prediction("old", risk=0.5))
    there.predict(replace(a_prediction("fresh", risk=0.5), as_of=NOON, expires_at=NOON + timedelta(hours=1)))
    there.clock.move(120)
    assert there.names() == ["fresh", "old"], "until the end of its life"
    there.clock.move(1)
    assert there.names() == ["fresh"]
    verdict = FeedbackRecord("v", "default", NOON, "false_alarm", service="fresh", operation="*")
    there.put("feedback", tenant_key("default", "v"), encode_document(verdict))
    shown = there.chances.shown(9)
    assert (shown.heads, shown.beyond, shown.stale) == ((), 0, 1)


def test_another_model_makes_all_predictions_of_its_tenant_stale() -> None:
    there = Buckets()
    there.predict(a_prediction("cart", tenant="red"))
    there.predict(a_prediction("cart", tenant="blue"))
    there.put("models", tenant_key("red", "serving"), ServingHistory(history=("m2",)).to_json())
    assert [head.tenant for head in there.chances.shown(9).heads] == ["blue"]
    assert there.chances.shown(9).stale == 1


services = st.dictionaries(
    st.tuples(st.sampled_from(["red", "blue"]), st.text(min_size=1, max_size=4)), st.floats(0, 1), max_size=12
)


@given(risks=services, owner=st.lists(st.integers(0, 2), min_size=PARTITIONS, max_size=PARTITIONS))
def test_of_several_nodes_each_service_is_admitted_by_the_holder_of_its_partition_alone(
    risks: dict[tuple[str, str], float], owner: list[int]
) -> None:
    there = Buckets()
    for (tenant, service), risk in risks.items():
        there.predict(a_prediction(service, tenant=tenant, risk=risk))

    def of(node: int) -> list[tuple[str, str]]:
        shown = there.chances.shown(99, lambda tenant, service: owner[partition_of(tenant, service, PARTITIONS)] == node)
        assert list(shown.heads) == sorted(
            shown.heads, key=lambda head: (-head.horizons["60min"].probability, head.tenant, head.service)
        )
        return [(head.tenant, head.service) for head in shown.heads]

    sent = [name for node in range(3) for name in of(node)]
    assert sorted(sent) == sorted(risks)
