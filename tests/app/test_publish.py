"""The documents of a tick say what was forecast, why, and what was known when an incident began."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.cache.documents import decode_document
from app.cache.records import IncidentRecord, PredictionRecord, RecentErrors, ServiceSummary
from app.champion import Champion
from app.flow import Flow, FlowPlan
from app.members import Members
from app.publish import Publisher
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.arrays import FloatArray
from features.batch import channel
from features.evidence import evidence
from features.facts import CATEGORIES
from models.categories import FLOOR, PRIOR, CategoryMixture
from models.ensemble import Ensemble
from models.hazard import to_logits
from tests.api_builders import an_error_event
from tests.lines import Line, open_line
from tests.recorded import recorded


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Generator[Line]:
    with open_line(tmp_path_factory.mktemp("line")) as line:
        for text in recorded(40, failing=range(25, 36)):
            line.send([text], line.worker.step)
        line.end_tick()
        yield line


def test_a_prediction_says_when_it_expires_and_what_is_expected(line: Line) -> None:
    found = predictions(line.store.documents)
    payment = found["payment", "*"]
    assert (payment.expires_at - payment.as_of).total_seconds() == 180
    assert payment.categories[0].category == "network"
    assert sum(category.probability for category in payment.categories) <= 1.0 + 1e-9
    for prediction in found.values():
        assert 0 <= prediction.anomaly.score <= 1
        assert all(c.lower <= c.probability <= c.upper for c in prediction.horizons.values())


def test_the_categories_that_are_served_are_those_that_the_model_tells(line: Line) -> None:
    flow = line.worker.flow
    publication = flow._latest  # pyright: ignore[reportPrivateUsage]
    assert publication is not None
    directory, past = flow.memory.directory, flow.publisher.past
    told = PRIOR.distribution(evidence(flow.memory, past, directory.whole))
    for found in predictions(line.store.documents).values():
        row = directory.find(found.tenant, found.service, found.operation)
        assert row is not None
        assert [c.probability for c in found.categories] == [told[row, CATEGORIES.index(c.category)] for c in found.categories]
        assert [c.probability for c in found.categories] == sorted(told[row], reverse=True)[: len(found.categories)]
        assert all(c.probability > 1 / len(CATEGORIES) for c in found.categories)
    members, mixture = Members(), CategoryMixture({"own": 0.9, FLOOR: 0.1})
    members.promote(Champion("v", Ensemble((), ()).telling(mixture)))
    served = flow.publisher.categories(replace(publication, members={"default": members}))
    assert np.array_equal(served, mixture.distribution(evidence(flow.memory, past, directory.whole)))


def test_nothing_is_expected_where_nothing_was_seen(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(1))
        line.end_tick()
        flow = line.worker.flow
        spoke = evidence(flow.memory, flow.publisher.past, flow.memory.directory.whole).sum(axis=(1, 2)) > 0
        for found in predictions(line.store.documents).values():
            row = flow.memory.directory.find(found.tenant, found.service, found.operation)
            assert row is not None
            assert bool(found.categories) == spoke[row]
    assert set(spoke.tolist()) == {True, False}


@pytest.mark.parametrize("checkpoint", [20, 35])
def test_a_restart_remembers_the_incidents_of_before_and_counts_none_twice(tmp_path: Path, checkpoint: int) -> None:
    texts = recorded(40, failing=range(25, 36))
    until = len(texts) * checkpoint // 40
    with open_line(tmp_path) as line:
        line.send(texts[:until])
        line.end_tick()
        line.worker.checkpoint()
        line.send(texts[until:])
        line.end_tick()
        before = counted(line.worker.flow)
        assert sum(before["payment"]) > 0
        line.new_worker()  # what came after the checkpoint is read again, though its documents are there
        line.worker.drain()
        assert counted(line.worker.flow) == before


def counted(flow: Flow) -> dict[str, list[float]]:
    """Return by service how many incidents of each category are remembered, and of which the last was."""
    length = len(flow.memory.directory)
    columns = np.concatenate([flow.publisher.past.counts(length), flow.publisher.past.last(length)], axis=1)
    return {service: columns[row].tolist() for (_, service), row in flow.memory.services().items()}


def test_explanations_add_up_from_groups_with_values_and_advice(line: Line) -> None:
    payment = predictions(line.store.documents)["payment", "*"]
    explanation = payment.explanation
    assert explanation is not None
    contributions = [abs(group.contribution) for group in explanation.groups]
    assert contributions == sorted(contributions, reverse=True)
    assert all(group.values for group in explanation.groups)
    assert explanation.advice[0].kind == "timeout"
    assert explanation.members.keys() == {"prior"}
    assert 0 < explanation.background_probability < 1
    z = to_logits(np.array([explanation.background_probability, payment.horizons["60min"].probability]))
    assert sum(group.contribution for group in explanation.groups) == pytest.approx(z[1] - z[0], abs=1e-6)
    assert {reason.group for reason in payment.reasons} <= {group.group for group in explanation.groups}


def test_only_the_riskiest_series_are_explained(line: Line) -> None:
    publication = line.worker.flow._latest  # pyright: ignore[reportPrivateUsage]
    assert publication is not None
    made = [decode_document(o.value or b"", PredictionRecord) for _, o in Publisher(3).predictions(publication)]
    explained = {record.id for record in made if record.explanation is not None}
    riskiest = sorted(made, key=lambda record: -record.horizons["60min"].probability)[:3]
    assert explained == {record.id for record in riskiest}


def test_a_service_is_summed_up(line: Line) -> None:
    found = [decode_document(d.value, ServiceSummary) for d in line.store.documents.items("services")]
    web = next(summary for summary in found if summary.service == "web")
    assert set(web.operations) == {"GET /a", "POST /b"}
    assert (web.versions, web.instances, web.operations_folded) == (("1",), 1, False)
    assert 2 < web.requests_per_minute < 8
    assert (web.last_seen - web.first_seen).total_seconds() > 30 * 60


def test_recent_errors_of_a_service_are_published_when_they_change(line: Line) -> None:
    document = line.store.documents.get("errors", "default/payment")
    assert document is not None
    recent = decode_document(document.value, RecentErrors)
    assert sum(group.count for group in recent.groups) >= 11 * 8
    line.worker.flow.publish()
    again = line.worker.flow.publish()
    assert not [output for made in again.values() for output in made if output.bucket == "errors"]


def test_an_incident_says_what_was_predicted_when_it_began(line: Line) -> None:
    found = [decode_document(d.value, IncidentRecord) for d in line.store.documents.items("incidents")]
    whole = [record for record in found if (record.service, record.operation) == ("payment", "*")]
    assert len(whole) == 1
    assert whole[0].end is not None
    assert whole[0].category == "network"
    assert whole[0].predicted is not None
    assert 0 < whole[0].predicted["5min"] <= whole[0].predicted["15min"] <= whole[0].predicted["60min"] < 1


def predictions(documents: Documents) -> dict[tuple[str, str], PredictionRecord]:
    found = [decode_document(document.value, PredictionRecord) for document in documents.items("predictions")]
    return {(record.service, record.operation): record for record in found}


def test_nothing_is_explained_where_nothing_is_asked_for(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(2))
        line.end_tick()
        publication = line.worker.flow._latest  # pyright: ignore[reportPrivateUsage]
        assert publication is not None
        made = [decode_document(o.value or b"", PredictionRecord) for _, o in Publisher(0).predictions(publication)]
    assert made
    assert all(record.explanation is None and record.reasons == () for record in made)


def test_an_incident_that_ends_after_a_restart_still_says_what_was_predicted(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        texts = recorded(40, failing=range(25, 30))

        def of_payment() -> IncidentRecord:
            found = [decode_document(d.value, IncidentRecord) for d in line.store.documents.items("incidents")]
            return next(record for record in found if (record.service, record.operation) == ("payment", "*"))

        began = len(texts) * 29 // 40
        line.send(texts[:began])
        line.worker.drain()
        before = of_payment()
        assert before.end is None
        assert before.predicted is not None
        line.end_tick()
        line.worker.checkpoint()
        line.new_worker()
        line.send(texts[began:])
        line.end_tick()
        after = of_payment()
    assert after.end is not None
    assert after.predicted == before.predicted


def test_an_incident_says_what_was_predicted_in_the_hour_before_where_that_was_a_risk(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        texts = recorded(30, failing=range(25, 30))
        flow = line.worker.flow
        risky = flow.publisher.remember

        def remember(tick: int, p: FloatArray) -> None:
            risky(tick, p if tick % 5 else np.full_like(p, 0.25))

        flow.publisher.remember = remember
        line.send(texts)
        line.end_tick()
        found = [decode_document(one.value, IncidentRecord) for one in line.store.documents.items("incidents")]
        line.worker.checkpoint()
        line.new_worker()
        state = [line.worker.flow.snapshot(number)["flow/open"] for number in range(line.store.log.n_partitions)]
    whole = next(one for one in found if (one.service, one.operation) == ("payment", "*"))
    leads = [(whole.start - one.as_of).total_seconds() / 60 for one in whole.earlier]
    assert len(leads) >= 4
    assert set(np.diff(leads)) == {-5.0}
    assert {p for one in whole.earlier for p in one.horizons.values()} == {0.25}
    kept = {entry[1]: len(entry[7]) for part in state for entry in json.loads(part) if entry[2] == "*"}
    assert kept["payment"] == len(leads)


def test_open_incidents_of_an_earlier_release_restore_without_probabilities(line: Line) -> None:
    state = line.worker.flow.snapshot(0)
    directory = line.worker.flow.memory.directory
    key = directory.keys[int(np.flatnonzero(directory.partition == 0)[0])]
    state["flow/open"] = json.dumps([(key.tenant, key.service, key.operation, 600, 660, "network")]).encode()
    flow = Flow(FlowPlan(), Telemetry())
    flow.restore(0, state)
    ((*_, category, predicted, earlier),) = json.loads(flow.snapshot(0)["flow/open"])
    assert (category, predicted, earlier) == ("network", None, [])


def test_documents_of_names_that_may_go_expire_a_week_after_their_last_word(line: Line) -> None:
    flow = line.worker.flow
    flow.errors_of(3).recent.add(an_error_event())
    made = [output for outputs in flow.publish().values() for output in outputs]
    lasting = [output for output in made if output.bucket not in {"symptoms", "edges", "hotspots"}]
    assert {output.bucket for output in lasting} == {"predictions", "services", "trends", "errors", "learning"}
    assert {output.ttl_s for output in lasting} == {7 * 86_400.0}


def test_a_service_says_where_its_errors_are_going_once_it_is_known_for_the_line(line: Line, tmp_path: Path) -> None:
    found = [decode_document(d.value, ServiceSummary) for d in line.store.documents.items("services")]
    trends = {summary.service: summary.error_trend_per_minute for summary in found}
    memory = line.worker.flow.memory
    row = memory.directory.find("default", "payment")
    trend = trends["payment"]
    assert row is not None
    assert trend is not None
    errors = memory.windows.fine()[row, -30:, channel("errors")].astype(float)
    assert trend.slope == pytest.approx(np.polyfit(np.arange(30), errors, 1)[0])
    assert trend.lower < trend.slope < trend.upper
    with open_line(tmp_path) as young:
        young.send(recorded(5))
        young.end_tick()
        documents = young.store.documents.items("services")
        assert {decode_document(d.value, ServiceSummary).error_trend_per_minute for d in documents} == {None}
