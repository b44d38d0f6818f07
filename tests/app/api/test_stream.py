"""Server-sent events over a real socket: what changes arrives, filtered, in order, and nothing is lost in silence."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import uvicorn

from app.api.alert_schemas import AlertOut
from app.api.feed import StreamPlan
from app.api.group_schemas import GroupOut
from app.api.schemas import AnomalyOut, IncidentOut, PredictionOut
from app.api.stream_schemas import DroppedOut, ModelChangeOut
from app.cache.documents import encode_document, tenant_key
from app.cache.group_records import Affected
from app.ingest.connections import server_of
from models.prediction import AnomalyScore
from tests.alert_builders import an_alert
from tests.api_builders import NOON, Api, Clock, a_prediction, an_incident, put_incident, put_prediction
from tests.contracts.stores import Store
from tests.ensembles import add_version
from tests.group_builders import a_group, correlation_of, put_cascade, put_group
from tests.nodes import until

STREAM = "/api/v1/stream"


@dataclass(frozen=True)
class Event:
    """One event as it arrived."""

    id: str
    kind: str
    data: dict[str, Any]


@contextmanager
def served(api: Api) -> Generator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server: uvicorn.Server = server_of(api.app)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        api.stopped.set()
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def fast(store: Store, clock: Clock) -> Api:
    """Return an API that looks and beats often, with a small ring."""
    return Api(store.documents, clock, blobs=store.blobs, streams=StreamPlan(ring=50, clients=3, poll_s=0.01, heartbeat_s=0.05))


@contextmanager
def listening(address: str, query: str = "", **headers: str) -> Generator[Iterator[str]]:
    """Listen, and yield the lines once the stream has begun."""
    with httpx.Client(timeout=10.0) as client, client.stream("GET", f"{address}{STREAM}?{query}", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        lines = response.iter_lines()
        assert next(lines).startswith("retry: ")
        yield lines


def events(lines: Iterator[str], n: int) -> list[Event]:
    """Read so many events; comments are passed over."""
    found: list[Event] = []
    parts: dict[str, str] = {}
    while len(found) < n:
        line = next(lines)
        if line:
            name, _, value = line.partition(": ")
            parts[name] = value
        elif "data" in parts:
            found.append(Event(parts["id"], parts["event"], json.loads(parts["data"])))
            parts = {}
    return found


def calm(service: str, operation: str = "*") -> Any:
    return replace(a_prediction(service, operation), anomaly=AnomalyScore(0.5, 2.0, 2.0, 0.0, 5.0))


def test_what_changes_arrives_as_the_lists_show_it(fast: Api) -> None:
    put_prediction(fast.documents, calm("old"))
    with served(fast) as address, listening(address) as lines:
        put_prediction(fast.documents, a_prediction("payment"))
        prediction, anomaly = events(lines, 2)
        put_incident(fast.documents, an_incident("i1"))
        (incident,) = events(lines, 1)
        fast.documents.put("alerts", tenant_key("default", "a-1"), encode_document(an_alert()))
        (alert,) = events(lines, 1)
        version = add_version(fast.registry())
        (registered,) = events(lines, 1)
        fast.registry().promote(version, who="ada", why="better")
        (promoted,) = events(lines, 1)
    assert (prediction.kind, PredictionOut.model_validate(prediction.data).service) == ("prediction", "payment")
    assert (anomaly.kind, anomaly.data["value"], anomaly.data["upper"]) == ("anomaly", 7.0, 5.0)
    assert AnomalyOut.model_validate(anomaly.data).prediction_id == prediction.data["id"]
    assert (incident.kind, IncidentOut.model_validate(incident.data).id) == ("incident", "i1")
    assert (alert.kind, AlertOut.model_validate(alert.data).id) == ("alert", "a-1")
    assert [ModelChangeOut.model_validate(one.data).version for one in (registered, promoted)] == [version] * 2
    assert (registered.kind, registered.data["action"], registered.data["version"]) == ("model", "registered", version)
    assert (promoted.data["action"], promoted.data["who"], promoted.data["why"]) == ("promoted", "ada", "better")
    numbers = [int(event.id.rpartition("-")[2]) for event in (prediction, anomaly, incident, alert, registered, promoted)]
    assert numbers == sorted(set(numbers))


def test_events_are_filtered_by_service_kind_and_operation(fast: Api) -> None:
    with served(fast) as address, listening(address, "service=cart&event=prediction&event=incident&operations=whole") as lines:
        put_prediction(fast.documents, calm("payment"))
        put_prediction(fast.documents, a_prediction("cart", "POST /items"))
        put_prediction(fast.documents, a_prediction("cart"))
        put_incident(fast.documents, an_incident("i1", "payment"))
        put_incident(fast.documents, an_incident("i2", "cart"))
        found = events(lines, 2)
    assert [(event.kind, event.data["service"], event.data["operation"]) for event in found] == [
        ("prediction", "cart", "*"),
        ("incident", "cart", "*"),
    ]


def test_a_group_arrives_as_lists_show_it_for_who_listens_to_one_of_its_services(fast: Api) -> None:
    with served(fast) as address, listening(address, "service=cart&event=group") as lines:
        put_group(fast.documents, replace(a_group("g-mail"), services=(Affected("mail", NOON, 1.0, 1),)))
        put_cascade(fast.documents)
        correlation_of(fast.documents).look_at_all()
        (event,) = events(lines, 1)
    assert event.kind == "group"
    assert event.data == fast.get("/api/v1/groups/g-payment").json()
    assert GroupOut.model_validate(event.data).id == "g-payment"


def test_who_comes_back_with_the_last_id_gets_what_changed_meanwhile(fast: Api) -> None:
    with served(fast) as address:
        with listening(address) as lines:
            put_incident(fast.documents, an_incident("i1"))
            (first,) = events(lines, 1)
        for name in ("i2", "i3"):
            put_incident(fast.documents, an_incident(name))
        with listening(address, **{"Last-Event-ID": first.id}) as lines:
            assert [event.data["id"] for event in events(lines, 2)] == ["i2", "i3"]


def test_who_is_cut_off_before_the_first_event_misses_nothing_either(fast: Api) -> None:
    put_incident(fast.documents, an_incident("old"))
    with served(fast) as address:
        with listening(address) as lines:
            name, _, last = next(lines).partition(": ")
            assert (name, next(lines)) == ("id", "")
        put_incident(fast.documents, an_incident("i1"))
        with listening(address, **{"Last-Event-ID": last}) as lines:
            assert [event.data["id"] for event in events(lines, 1)] == ["i1"]


def test_heartbeats_move_the_place_of_who_waits_for_something_else(fast: Api) -> None:
    put_incident(fast.documents, an_incident("old"))
    with served(fast) as address:
        with listening(address, "service=cart") as lines:
            for number in range(60):  # more than the ring holds
                put_incident(fast.documents, an_incident(f"i{number}", "payment"))
            last = next(line for line in lines if line.startswith("id: ") and line.endswith("-60")).removeprefix("id: ")
        put_incident(fast.documents, an_incident("mine", "cart"))
        with listening(address, "service=cart", **{"Last-Event-ID": last}) as lines:
            assert [(event.kind, event.data.get("id")) for event in events(lines, 1)] == [("incident", "mine")]


@pytest.mark.parametrize("last", ["5f3-7", "nonsense", "-1", "x-9"])
def test_an_id_of_another_process_is_answered_with_dropped(fast: Api, last: str) -> None:
    with served(fast) as address, listening(address, **{"Last-Event-ID": last}) as lines:
        (dropped,) = events(lines, 1)
        put_incident(fast.documents, an_incident("i1"))
        (incident,) = events(lines, 1)
    assert (dropped.kind, DroppedOut.model_validate(dropped.data).lost) == ("dropped", None)
    assert last in dropped.data["why"]
    assert incident.data["id"] == "i1"


def test_who_was_away_too_long_is_told_how_much_is_lost(fast: Api) -> None:
    with served(fast) as address:
        with listening(address) as lines:
            put_incident(fast.documents, an_incident("i"))
            (first,) = events(lines, 1)
        for number in range(80):
            put_incident(fast.documents, an_incident(f"i{number:02}"))
        with listening(address, **{"Last-Event-ID": first.id}) as lines:
            dropped, *rest = events(lines, 51)
    assert (dropped.kind, dropped.data["lost"]) == ("dropped", 30)
    assert [event.data["id"] for event in rest] == [f"i{number:02}" for number in range(30, 80)]


def test_client_that_reads_too_slowly_is_told_and_others_are_not_held_up(store: Store, clock: Clock) -> None:
    api = Api(store.documents, clock, blobs=store.blobs, streams=StreamPlan(ring=80, poll_s=0.005, heartbeat_s=60.0))
    wide = [replace(an_incident(f"i{n:02}"), category="x" * 20_000) for n in range(60)]
    with served(api) as address, listening(address, "service=ping") as lines, socket.socket() as slow:
        host, port = address.removeprefix("http://").split(":")
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(30.0)
        slow.connect((host, int(port)))
        slow.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert slow.recv(64).startswith(b"HTTP/1.1 200")
        for turn in range(6):
            for incident in wide:
                put_incident(api.documents, incident)
            put_incident(api.documents, an_incident(f"ping-{turn}", "ping"))
            assert events(lines, 1)[0].data["id"] == f"ping-{turn}"
        received = b""
        while b"read the lists again" not in received:
            part = slow.recv(2**16)
            assert part, "it ended without a word"
            received = received[-(2**16) :] + part
    lost = json.loads(received.split(b"event: dropped\ndata: ")[1].split(b"\n")[0])
    assert lost["lost"] > 0
    assert "too slowly" in lost["why"]


def test_silence_is_broken_by_heartbeats_and_the_stream_ends_when_asked(fast: Api) -> None:
    with served(fast) as address:
        with listening(address) as lines:
            place, *beats = [line for line in (next(lines) for _ in range(8)) if line]
        assert beats == [": heartbeat", place] * 2
        assert re.fullmatch(r"retry: 2000\nid: [0-9a-f]+-0\n\n", httpx.get(f"{address}{STREAM}?for_s=0").text)


def test_streams_are_bounded_and_a_client_that_left_makes_room(fast: Api) -> None:
    with served(fast) as address:
        with listening(address), listening(address), listening(address):
            refused = httpx.get(f"{address}{STREAM}")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert "at most 3 streams" in refused.json()["detail"]
        until(lambda: fast.app.state.feeds.clients == 0, "all to be counted out")
        with listening(address):
            assert fast.app.state.feeds.clients == 1


def test_one_tenant_hears_nothing_of_another(fast: Api) -> None:
    with served(fast) as address, listening(address, **{"X-Scope-OrgID": "a"}) as lines:
        put_incident(fast.documents, an_incident("theirs", tenant="b"))
        put_incident(fast.documents, an_incident("mine", tenant="a"))
        assert [event.data["id"] for event in events(lines, 1)] == ["mine"]


def test_a_server_that_stops_ends_its_streams(fast: Api) -> None:
    with served(fast) as address, listening(address) as lines:
        fast.stopped.set()
        assert [line for line in lines if line and not line.startswith((":", "id: "))] == []


def test_what_cannot_be_asked_for_is_refused(fast: Api) -> None:
    for query in ("event=rumour", "for_s=-1", "unknown=1"):
        assert fast.get(f"{STREAM}?{query}").status_code == 422
