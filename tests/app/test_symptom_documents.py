"""The documents of symptoms and calls that a tick publishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from app.cache.documents import decode_document
from app.cache.symptom_records import EdgesRecord, HotspotsRecord, SymptomsRecord
from app.store.contract import Output
from app.symptom_documents import SymptomDocuments
from app.telemetry import Telemetry
from features.arrays import IntArray
from features.batch import Batch
from features.memory import Memory
from features.symptom import Symptoms
from features.symptoms import symptoms_of
from tests.lines import open_line
from tests.recorded import recorded
from tests.telemetry import T0, Minute, a_batch, a_record, play_minute


def traffic(memory: Memory, tick: int, failed: float) -> None:
    groups = [
        (name, "GET /", tick, {"total": 50.0, "failed": lost, "errors": lost})
        for name, lost in (("web", failed), ("cart", 0.0))
    ]
    play_minute(memory, tick, [Minute("default", (a_batch(*groups),))])


def traffic_of(n: int) -> Batch:
    return a_batch(("web", "GET /", T0 + n, {"total": 50.0}))


def of_bucket(outputs: Sequence[tuple[int, Output]], bucket: str) -> list[Output]:
    return [output for _, output in outputs if output.bucket == bucket]


def test_a_service_has_a_document_while_it_shows_something_and_none_afterwards() -> None:
    memory, documents, last = Memory(), SymptomDocuments(Telemetry()), dict[str, bytes | None]()
    for n in range(75):
        traffic(memory, T0 + n, 40.0 if 40 <= n < 44 else 0.0)
        found = of_bucket(documents.outputs(memory), "symptoms")
        last |= {output.key: output.value for output in found}
        assert {output.ttl_s for output in found if output.value is not None} <= {480.0}
        if n == 43:
            value = last["default/web"]
            assert value is not None
            record = decode_document(value, SymptomsRecord)
            assert record.service == "web"
            assert record.errors_between((T0 + 40) * 60, record.as_of_s) >= 120.0
    assert last["default/web"] is None


def test_what_cannot_be_explained_costs_no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry = Telemetry()
    memory, documents = Memory(), SymptomDocuments(telemetry)

    def fail(_memory: Memory, _rows: IntArray | None = None) -> list[Symptoms]:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr("app.symptom_documents.symptoms_of", fail)
    told: list[str] = []
    for n in range(8):
        traffic(memory, T0 + n, 0.0)
        memory.graph.add("default", "web", f"s{n}", 9.0, memory.tick)
        told += [output.bucket for _, output in documents.outputs(memory)]
    assert "edges" in told
    assert telemetry.value("faults", place="symptoms") == 2.0  # every fourth tick


def test_symptoms_are_looked_for_while_an_incident_is_new_and_else_every_fourth_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, documents, looked = Memory(), SymptomDocuments(Telemetry()), list[int]()

    def symptoms(memory: Memory, of: IntArray | None = None) -> list[Symptoms]:
        looked.append(memory.tick)
        return symptoms_of(memory, of)

    monkeypatch.setattr("app.symptom_documents.symptoms_of", symptoms)
    began: list[int] = []
    for n in range(50):
        traffic(memory, T0 + n, 40.0 if n >= 41 else 0.0)
        documents.outputs(memory)
        row = memory.directory.find("default", "web")
        if memory.onsets.columns["last_onset"][row] == memory.tick - 1:
            began.append(memory.tick)
    assert began == [T0 + 43]
    assert looked == sorted({*range(T0 + 4, T0 + 51, 4), *range(T0 + 43, T0 + 47)})


def test_of_a_past_the_ticks_around_incidents_are_due_until_nothing_shows_any_more() -> None:
    memory, documents, due, last = Memory(), SymptomDocuments(Telemetry()), list[int](), dict[str, bytes | None]()
    for n in range(100):
        traffic(memory, T0 + n, 40.0 if 40 <= n < 46 else 0.0)
        if documents.due(memory):
            due.append(n)
            last |= {output.key: output.value for output in of_bucket(documents.outputs(memory), "symptoms")}
    assert due[:4] == [41, 42, 43, 44], "from the detection on"
    assert max(due) < 75, "and not for ever"
    assert last == {"default/web": None}


def test_between_two_looks_at_all_only_what_is_near_an_incident_is_told_of_and_nothing_else_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory, documents, looked, written = (
        Memory(),
        SymptomDocuments(Telemetry()),
        dict[int, set[str]](),
        dict[int, dict[str, bool]](),
    )

    def symptoms(memory: Memory, of: IntArray | None = None) -> list[Symptoms]:
        if of is not None:
            looked[memory.tick - T0] = {memory.directory.keys[row].service for row in of.tolist()}
        return symptoms_of(memory, of)

    monkeypatch.setattr("app.symptom_documents.symptoms_of", symptoms)
    for n in range(50):
        failed = {"web": 40.0 if n >= 41 else 0.0, "far": 40.0 if n == 39 else 0.0}
        names = ("web", "cart", "db", "bank", "vault", "far")
        groups = [(x, "GET /", T0 + n, {"total": 50.0, "failed": (f := failed.get(x, 0.0)), "errors": f}) for x in names]
        play_minute(memory, T0 + n, [Minute("default", (a_batch(*groups),))])
        for caller, callee in pairwise(names):
            memory.graph.add("default", caller, callee, 9.0, memory.tick)
        found = of_bucket(documents.outputs(memory), "symptoms")
        written[memory.tick - T0] = {output.key.removeprefix("default/"): output.value is not None for output in found}
    assert looked == {n: {"web", "cart", "db", "bank"} for n in (43, 45, 46)}
    assert [written[n] for n in (40, 43, 44)] == [{"far": True}, {"web": True}, {"web": True, "far": False}]


def test_whom_a_service_calls_is_told_at_once_and_then_in_turns() -> None:
    memory, documents = Memory(), SymptomDocuments(Telemetry())
    traffic(memory, T0, 0.0)
    memory.graph.add("default", "web", "cart", 9.0, memory.tick)
    memory.graph.add("default", "web", "bank:443", 90.0, memory.tick)
    memory.graph.add("default", "afar", "cart", 9.0, memory.tick)
    found = of_bucket(documents.outputs(memory), "edges")
    assert [output.key for output in found] == ["default/web"], "who is held elsewhere is told of there"
    assert found[0].value is not None
    record = decode_document(found[0].value, EdgesRecord)
    assert [(one.callee, one.calls) for one in record.callees] == [("bank:443", 90.0), ("cart", 9.0)]
    times = 0
    for n in range(1, 21):
        traffic(memory, T0 + n, 0.0)
        times += len(of_bucket(documents.outputs(memory), "edges"))
    assert times == 2


def test_a_version_that_brings_most_of_the_errors_is_a_hotspot() -> None:
    memory, documents, last = Memory(), SymptomDocuments(Telemetry()), dict[str, bytes | None]()
    for n in range(80):
        version, errors = ("2", 6) if 60 <= n < 64 else ("1", 1)
        record = replace(a_record("web", T0 + n), attributes={"service.version": version})
        play_minute(memory, T0 + n, [Minute("default", (traffic_of(n),), ((record, "network", f"f{version}"),) * errors)])
        last |= {output.key: output.value for output in of_bucket(documents.outputs(memory), "hotspots")}
        if n == 69:
            value = last["default/web"]
            assert value is not None
            spots = decode_document(value, HotspotsRecord).hotspots
            assert {(one.dimension, one.name, one.state) for one in spots} == {
                ("version", "2", "new"),
                ("fingerprint", "f2", "new"),
            }
            assert {one.since_s for one in spots} == {(T0 + 60) * 60}
    assert last["default/web"] is None


def test_a_worker_publishes_both_with_the_documents_of_its_ticks(tmp_path: Path) -> None:
    with open_line(tmp_path) as line:
        for text in recorded(40, failing=range(36, 40)):
            line.send([text], line.worker.step)
        line.end_tick()
        shown = [decode_document(one.value, SymptomsRecord) for one in line.store.documents.items("symptoms")]
        edges = [decode_document(one.value, EdgesRecord) for one in line.store.documents.items("edges")]
    assert {one.service for one in shown} >= {"payment"}
    assert ("payment", "mail") in {(one.caller, callee.callee) for one in edges for callee in one.callees}
