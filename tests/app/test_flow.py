"""The line on one screen: absorb, forecast, settle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cache.records import NOTHING
from app.flow import Flow, FlowPlan
from app.history.packed import PackedRows
from app.history.tables import conform
from app.ingest.codec import BatchMessage, unpack
from app.store.contract import Output
from app.telemetry import Telemetry
from features.arrays import IntArray
from features.batch import N_BUCKETS, N_CHANNELS, Batch, DurationPoint, channel
from features.clock import TIME_AS_SENT, Clock
from features.event import ErrorRecord
from features.memory import Memory, MemoryPlan
from features.symptom import Symptoms
from tests.app.ingest.requests import a_log, a_span, as_json, attributes, logs, traces
from tests.app.ingest.requests import count as count_in
from tests.lines import Line, open_line
from tests.recorded import BEGIN_S, recorded

SECOND = 10**9
FIRST = BEGIN_S // 60


def messages(line: Line) -> list[tuple[int, BatchMessage]]:
    """Return the Batches of a line's log, with their partitions."""
    found = [(n, unpack(entry.data)) for n in range(8) for entry in line.store.log.read(n, 0, 100_000)]
    return [(n, message) for n, message in found if isinstance(message, BatchMessage)]


def absorbed(tmp_path: Path, lines: Sequence[bytes], plan: MemoryPlan | None = None) -> Flow:
    """Return a Flow that took lines received in their own minute."""
    flow = Flow(FlowPlan(plan or MemoryPlan()), Telemetry())
    with open_line(tmp_path) as line:
        line.send(lines)
        for partition, message in messages(line):
            flow.absorb(partition, message)
    return flow


def forecast(flow: Flow, tick: int, *, publish: bool = True) -> dict[str, list[Output]]:
    """Forecast and return the documents by bucket."""
    outputs = flow.forecast(tick, dict.fromkeys(range(8), tick), publish=publish)
    by_bucket: dict[str, list[Output]] = {}
    for made in outputs.values():
        for output in made:
            by_bucket.setdefault(output.bucket, []).append(output)
    return by_bucket


def total(flow: Flow, name: str, service: str = "cart") -> float:
    row = flow.memory.directory.find("default", service)
    assert row is not None
    return float(flow.memory.windows.fine()[row, :, channel(name)].sum())


def test_a_failure_that_is_reported_three_times_is_one_error(tmp_path: Path) -> None:
    ids: dict[str, Any] = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "00000000000000ab"}
    at = str(BEGIN_S * SECOND + 5)
    event = {"name": "exception", "timeUnixNano": at, "attributes": attributes({"exception.type": "TimeoutError"})}
    span = a_span(**ids, startTimeUnixNano=at, endTimeUnixNano=at, status={"code": 2}, events=[event])
    flow = absorbed(tmp_path, [as_json(traces(span)), as_json(logs(a_log(**ids, timeUnixNano=at)))])
    forecast(flow, FIRST + 1)
    assert (total(flow, "errors"), total(flow, "failed"), total(flow, "logs")) == (1.0, 1.0, 1.0)
    assert flow.telemetry.value("repeated_errors") == 1
    assert flow.chronicle.tables()["errors"].num_rows == 1


def test_a_repeat_counts_once_and_is_known_for_an_hour(tmp_path: Path) -> None:
    flow = Flow(FlowPlan(), Telemetry())
    with open_line(tmp_path) as line:
        line.send([as_json(traces(a_span(startTimeUnixNano=str(BEGIN_S * SECOND), endTimeUnixNano=str(BEGIN_S * SECOND + 1))))])
        ((partition, message), *rest) = messages(line)
    assert count_in(message.batch, "total", "GET /cart") == 1 or rest
    for _ in range(3):
        flow.absorb(partition, message)
    assert flow.telemetry.value("repeated_batches") == 2


def test_impossible_times_are_placed_at_receipt_and_counted(tmp_path: Path) -> None:
    year = 365 * 86_400 * SECOND
    flow = Flow(FlowPlan(), Telemetry())
    with open_line(tmp_path) as line:
        line.clock.now_ns = BEGIN_S * SECOND
        for ahead in (year, -year):
            span = a_span(startTimeUnixNano=str(BEGIN_S * SECOND + ahead), endTimeUnixNano=str(BEGIN_S * SECOND + ahead + 1))
            line.receiver.receive("default", "traces", "json", as_json(traces(span)))
        for partition, message in messages(line):
            flow.absorb(partition, message)
    forecast(flow, FIRST + 1)
    assert total(flow, "total") == 2.0
    assert flow.telemetry.value("limited", reason="misdated") == 2


def test_what_is_left_out_of_what_services_measure_is_counted() -> None:
    flow = Flow(FlowPlan(MemoryPlan()), Telemetry())
    times = BEGIN_S * SECOND, (BEGIN_S + 30) * SECOND
    delta = DurationPoint("cart", "GET /", 1, 1, *times, False, False, False, 5.0, 1.0, ())
    for batch_id in ("a", "b"):
        flow.absorb(0, BatchMessage("default", batch_id, times[1], Batch("metrics", 1, durations=(delta,))))
    forecast(flow, FIRST + 1)
    assert flow.telemetry.value("limited", reason="durations_repeated") == 1


def test_what_a_full_directory_folds_or_refuses_is_counted(tmp_path: Path) -> None:
    at: dict[str, Any] = {"startTimeUnixNano": str(BEGIN_S * SECOND), "endTimeUnixNano": str(BEGIN_S * SECOND + 1)}
    lines = [as_json(traces(*(a_span(**at, name=f"op{n}") for n in range(5)), service=s)) for s in ("a", "b", "c")]
    flow = absorbed(tmp_path, lines, MemoryPlan(max_operations=2, max_series=8))
    assert flow.telemetry.value("limited", reason="series_folded") > 0
    assert flow.telemetry.value("limited", reason="series_refused") > 0
    assert len(flow.memory.directory) == 8


def test_a_forecast_covers_every_series_and_its_horizons_agree(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(25, failing=range(18, 25)))
        line.end_tick()
        flow = line.worker.flow
        documents = [json.loads(d.value) for d in line.store.documents.items("predictions")]
    assert len(documents) == len(flow.memory.directory)
    for document in documents:
        p = [document["horizons"][name]["probability"] for name in ("5min", "15min", "60min")]
        assert 0 < p[0] <= p[1] <= p[2] < 1
        assert document["model_version"] == "prior"
        assert {"5min", "15min", "60min"} == set(document["horizons"])
    assert len({document["id"] for document in documents}) == len(documents)
    status = {(d["service"], d["operation"]): d["status"] for d in documents}
    assert status["payment", "*"] == "in_incident"
    assert status["web", "*"] == "prior"
    assert flow.telemetry.value("incidents") >= 1


def test_what_explains_does_not_stop_what_forecasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = absorbed(tmp_path, recorded(1))

    def fail(_memory: Memory, _rows: IntArray | None = None) -> list[Symptoms]:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr("app.symptom_documents.symptoms_of", fail)
    for tick in range(FIRST + 1, FIRST + 5):
        assert forecast(flow, tick)["predictions"]
    assert flow.telemetry.value("faults", place="symptoms") == 1.0


def test_documents_are_made_for_the_newest_tick_alone(tmp_path: Path) -> None:
    flow = absorbed(tmp_path, recorded(1))
    assert flow.publish() == {}
    assert "predictions" not in forecast(flow, FIRST + 1, publish=False)
    published = {output.bucket for outputs in flow.publish().values() for output in outputs}
    assert published >= {"predictions", "services"}


def test_what_joins_after_a_tick_was_closed_is_shown_from_the_next_one_on(tmp_path: Path) -> None:
    at = str(BEGIN_S * SECOND + 5)
    lines = {name: as_json(traces(a_span(startTimeUnixNano=at, endTimeUnixNano=at), service=name)) for name in "abc"}
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    here, there = absorbed(tmp_path / "here", [lines["a"]]), absorbed(tmp_path / "there", [lines["b"], lines["c"]])
    assert "predictions" not in forecast(here, FIRST + 1, publish=False)
    forecast(there, FIRST + 1)
    for partition in range(8):
        here.restore(partition, there.snapshot(partition))
    assert here.publish() == {}
    assert here.renew([NOTHING] * len(here.memory.directory)) == {}
    shown = [json.loads(output.value)["service"] for output in forecast(here, FIRST + 2)["predictions"] if output.value]
    assert set(shown) == {"a", "b", "c"}


def test_a_silent_service_is_stale_and_a_young_one_warms_up(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:

        def statuses() -> set[str]:
            return {json.loads(document.value)["status"] for document in line.store.documents.items("predictions")}

        line.send(recorded(5))
        line.end_tick()
        assert statuses() == {"warming_up"}
        line.send([text for text in recorded(20) if _minute(text) >= 6])
        line.end_tick()
        assert statuses() == {"prior"}
        for _ in range(3):
            line.pass_to(line.tick + 21)
            line.worker.drain()
        assert statuses() == {"stale"}


def _minute(text: bytes) -> int:
    return min(int(part.split(b'"')[0]) // SECOND - BEGIN_S for part in text.split(b'imeUnixNano": "')[1:]) // 60


def test_a_forecast_is_settled_once_when_its_horizon_has_closed(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        line.send(recorded(110, failing=range(40, 46)))
        line.end_tick()
        matured = line.telemetry.values("matured")
        flow = line.worker.flow
    assert matured["incident"] >= 1
    assert matured["quiet"] > matured["incident"]
    oldest = min(pending.tick for pending in flow.learners.maturing["default"].pending)
    assert flow.memory.tick - oldest < 60 + flow.learners.maturing["default"].patience
    assert flow.telemetry.values("log_loss").keys() >= {"prior,60min", "blend,5min"}
    assert np.isclose(sum(flow.telemetry.values("blend_weight").values()), 1.0)


def test_tenants_share_no_series_and_no_members(tmp_path: Path) -> None:
    flow = Flow(FlowPlan(), Telemetry())
    with open_line(tmp_path) as line:
        line.clock.now_ns = BEGIN_S * SECOND
        for tenant in ("red", "blue"):
            line.receiver.receive(tenant, "traces", "json", as_json(traces(a_span())))
        for partition, message in messages(line):
            flow.absorb(partition, message)
    documents = forecast(flow, FIRST + 1)["predictions"]
    assert {output.key.partition("/")[0] for output in documents} == {"red", "blue"}
    assert flow.learners.of("red") is not flow.learners.of("blue")
    assert flow.learners.of("red").version == "prior"


@pytest.mark.parametrize(
    "sent_ns", [0, -1, 5 * SECOND, (BEGIN_S - 40 * 86_400) * SECOND, (BEGIN_S + 86_400) * SECOND, 2**63 - 1]
)
def test_a_broken_clock_reaches_no_window_but_the_one_of_its_receipt_and_the_error_says_so(sent_ns: int) -> None:
    flow = Flow(FlowPlan(), Telemetry())
    received_ns = BEGIN_S * SECOND + 17
    record = ErrorRecord("log", "cart", "*", sent_ns, message="disk full", weight=4.0)
    counts = np.zeros((1, N_CHANNELS))
    counts[0, channel("errors")] = 4.0
    group = np.array([sent_ns // SECOND // 60 * 60])
    batch = Batch("logs", 1, (("cart", "*"),), np.array([0]), group, counts, np.zeros((1, N_BUCKETS)), errors=(record,))
    flow.absorb(0, BatchMessage("default", "b", received_ns, batch))
    forecast(flow, FIRST + 1)
    waiting = flow.chronicle.tables().items()
    tables = {name: rows.table() if isinstance(rows, PackedRows) else rows for name, rows in waiting}
    assert {row["window"] for name in ("windows", "facts") for row in tables[name].to_pylist()} == {FIRST * 60}
    assert total(flow, "errors") == 4.0
    assert [fact["value"] for fact in tables["facts"].to_pylist() if fact["kind"] == "category"] == [4.0]
    (row,) = conform("errors", tables["errors"]).to_pylist()
    assert (row["time"], row["weight"]) == (Clock.at(BEGIN_S), 4.0)
    assert json.loads(row["attributes"]) == {TIME_AS_SENT: str(sent_ns)}
    assert flow.telemetry.value("limited", reason="misdated") == 2


def test_a_second_report_of_a_sampled_failure_takes_its_weight_back() -> None:
    flow = Flow(FlowPlan(), Telemetry())
    record = ErrorRecord("span", "cart", "GET /", BEGIN_S * SECOND, trace_id="a", span_id="b", message="disk full", weight=8.0)
    counts = np.zeros((1, N_CHANNELS))
    counts[0, channel("errors")] = 16.0
    batch = Batch(
        "traces",
        2,
        (("cart", "*"),),
        np.array([0]),
        np.array([BEGIN_S]),
        counts,
        np.zeros((1, N_BUCKETS)),
        errors=(record, record),
    )
    flow.absorb(0, BatchMessage("default", "b", BEGIN_S * SECOND, batch))
    forecast(flow, FIRST + 1)
    assert total(flow, "errors") == 8.0
