"""A data folder that the version before wrote, opened by this one: nothing is lost and nothing counts twice."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from app.cache.documents import decode_document, encode_document
from app.cache.records import IncidentRecord, PredictionRecord, RecentErrors, ServiceSummary
from app.history.tables import BOUNDS, SCHEMAS
from app.ingest.codec import READS, VERSION, TickMessage, pack, unpack
from app.worker import WorkerPlan
from features import snapshot as snapshots
from features.errors import NewerVersion
from models.anomaly import WARM_TICKS
from tests.app.ingest.requests import as_json, attributes, metrics
from tests.lines import Line, open_line
from tests.recorded import BEGIN_S, MINUTE_NS, recorded

FOLDERS = Path(__file__).parent.parent / "folders"
TOLD = json.loads((FOLDERS / "version_2.json").read_text(encoding="utf-8"))
FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""Python before 3.11.4, such as Debian's, knows no filters; the archive is the repository's own."""
BEFORE = 2
MINUTES = 11


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(FOLDERS / "version_2.tar.xz") as recording:
        recording.extractall(tmp_path, **FILTER)
    return tmp_path


def opened(line: Line) -> Line:
    """Return a line that goes on where the folder's recording ended."""
    line.tick = TOLD["tick"]
    line.worker.drain()
    return line


def sums(line: Line) -> dict[str, list[float]]:
    memory = line.worker.flow.memory
    fine = memory.windows.fine()
    totals = fine.reshape(*fine.shape[:2], -1).sum(axis=1)[:, : len(TOLD["sums"]["till/*"])]
    return {f"{k.service}/{k.operation}": totals[row].tolist() for row, k in enumerate(memory.directory.keys)}


def served(minute: int, count: int, failed: int) -> bytes:
    """Return an export of the service that the recording has, as its process would have gone on."""

    def point(n: int, status: int) -> dict[str, object]:
        of = attributes({"http.route": "/pay", "http.response.status_code": status})
        at_ns = BEGIN_S * 10**9 + minute * MINUTE_NS + 50 * 10**9
        return {
            "startTimeUnixNano": str((BEGIN_S - 86_400) * 10**9), "timeUnixNano": str(at_ns), "count": str(n), "sum": n * 0.02,
            "explicitBounds": [0.01, 0.1], "bucketCounts": ["0", str(n), "0"], "attributes": of,
        }  # fmt: skip

    points = [point(count, 200), point(failed, 500)]
    histogram = {"aggregationTemporality": 2, "dataPoints": points}
    return as_json(metrics({"name": "http.server.request.duration", "unit": "s", "histogram": histogram}, service="till"))


def test_the_recording_is_of_the_version_before_and_that_is_read(folder: Path) -> None:
    with open_line(folder) as line:
        n_partitions = line.store.log.n_partitions
        log = [entry.data for number in range(n_partitions) for entry in line.store.log.read(number, 0, 10_000)]
        heads = [line.store.checkpoints.acquire(number, "test").state["memory/head"] for number in range(n_partitions)]
    assert {data[0] for data in log} == {json.loads(head)["version"] for head in heads} == {BEFORE}
    assert READS == snapshots.READS == (VERSION - 1, VERSION) == (snapshots.VERSION - 1, snapshots.VERSION) == (BEFORE, 3)
    assert len(log) > 200


def test_state_and_log_of_the_version_before_give_the_counts_that_it_gave(folder: Path) -> None:
    with open_line(folder) as line:
        opened(line)
        assert line.worker.flow.memory.tick == TOLD["tick"]
        found = sums(line)
        assert found.keys() == TOLD["sums"].keys()
        for series, told in TOLD["sums"].items():
            assert found[series] == told, series
        assert line.telemetry.value("faults", place="absorb") == 0


def test_counters_go_on_from_where_the_version_before_saw_them(folder: Path) -> None:
    with open_line(folder) as line:
        before = sums(opened(line))["till/*"]
        # It last said 1,100 and 110; of the lifetime of the process only what came since is new.
        line.send([served(MINUTES, 1107, 113)])
        line.end_tick()
        after = sums(line)["till/*"]
        assert (after[0] - before[0], after[1] - before[1]) == (10.0, 3.0)


def test_a_folder_of_the_version_before_is_written_in_this_one(folder: Path) -> None:
    with open_line(folder, WorkerPlan(checkpoint_s=0.0)) as line:
        opened(line)
        line.send(recorded(14, seed=7)[-12:])
        line.end_tick()
        line.worker.checkpoint()
        counted, state = sums(line), line.snapshots()
        assert json.loads(state[0]["memory/head"])["version"] == snapshots.VERSION
        line.new_worker()
        assert sums(line) == counted
        assert line.snapshots() == state


def test_history_of_the_version_before_is_read_and_appended_to(folder: Path) -> None:
    with open_line(folder, WorkerPlan(checkpoint_s=0.0)) as line:
        before = {name: line.history.read(name).num_rows for name in SCHEMAS}
        assert min(before.values()) > 0
        assert set(line.history.versions().values()) == {0}
        opened(line)
        line.worker.checkpoint()
        after = {name: line.history.read(name) for name in SCHEMAS}
        assert all(after[name].num_rows >= before[name] for name in SCHEMAS)
        requests = [row for row in after["windows"].to_pylist() if row["operation"] == "*"]
        assert sum(row["total"] for row in requests) == sum(told[0] for name, told in TOLD["sums"].items() if name[-1] == "*")
        assert line.history.versions()["windows"] == 1


def test_predictions_of_the_version_before_have_no_bounds_and_new_ones_stand_beside_them(folder: Path) -> None:
    names = [name for sides in BOUNDS.values() for name in sides]
    with open_line(folder, WorkerPlan(checkpoint_s=0.0)) as line:
        before = line.history.read("predictions", columns=["id", *names]).to_pylist()
        assert {row[name] for row in before for name in names} == {None}
        opened(line)
        line.send(recorded(MINUTES + WARM_TICKS + 2, seed=7)[-40:])
        line.end_tick()
        line.worker.checkpoint()
        after = line.history.read("predictions", columns=["id", "operation", "as_of", *names]).sort_by("as_of").to_pylist()
    kept = {row["id"]: row for row in after}
    assert [{name: kept[row["id"]][name] for name in row} for row in before] == before
    newest = [row for row in after if row["as_of"] == after[-1]["as_of"]]
    assert {row["operation"] == "*" for row in newest} == {True, False}
    for row in newest:
        assert (row["errors_lower"] is not None, row["errors_upper"] is not None) == (row["operation"] == "*",) * 2


KINDS = {"predictions": PredictionRecord, "services": ServiceSummary, "errors": RecentErrors, "incidents": IncidentRecord}


@pytest.mark.parametrize("bucket", KINDS)
def test_documents_of_the_version_before_are_read_and_those_of_a_newer_one_too(folder: Path, bucket: str) -> None:
    with open_line(folder) as line:
        values = [document.value for document in line.store.documents.items(bucket)]
    assert values
    for value in values:
        record = decode_document(value, KINDS[bucket])
        # A release adds fields that have a default, and nothing else: so nodes beside each other read what the other one wrote.
        newer = json.dumps(json.loads(encode_document(record)) | {"a_field_of_tomorrow": [1, {"a": 2}]}).encode()
        assert decode_document(newer, KINDS[bucket]) == record


def test_a_message_of_a_newer_release_stops_the_worker_and_is_not_passed_over(tmp_path: Path) -> None:
    newer = bytes([VERSION + 1]) + pack(TickMessage(60))[1:]
    with pytest.raises(NewerVersion, match=rf"has version {VERSION + 1}, this release reads \(2, 3\).*upgrade this node"):
        unpack(newer)
    with open_line(tmp_path) as line:
        line.send(recorded(2))
        line.store.log.append(3, "newer", newer)
        line.pass_to(line.tick + 1)
        for _ in range(2):
            with pytest.raises(NewerVersion):
                line.worker.drain()
            line.new_worker()
        assert line.telemetry.value("faults", place="absorb") == 0
