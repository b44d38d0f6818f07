"""One tenant is never shown another's: every route answers as if nobody else had ever been there.

Two worlds are asked the same by the same tenant: in one another tenant has something of everything and has used every route, the other
is empty but for the one who asks. Both must answer alike.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.api.pages import microseconds
from app.auth import ANYONE, Doorkeeper, Scope, Tokens, Wanted
from app.auth.needs import NEEDS
from app.auth.tokens import BUCKET
from tests.api_builders import NOON, Api, Clock, a_prediction, a_service_summary, put_prediction, put_service
from tests.app.api.test_application import EXERCISED, stocked
from tests.contracts.stores import FAMILIES
from tests.ensembles import add_version
from tests.group_builders import Receiver

VICTIM, CURIOUS = "default", "curious"
MADE = re.compile(r"\b(feedback|run|backtest)-\d+|[0-9a-f]{32}|fsk_[0-9a-f]{12}_[\w\-]+")
CREATING = {201, 202}


def token_of(api: Api, tenant: str) -> dict[str, str]:
    made = Tokens(api.documents, api.clock).add(Wanted(f"all of {tenant}", list(Scope), [tenant]), ANYONE)
    return {"Authorization": f"Bearer {made.text}"}


@contextmanager
def world(folder: Path) -> Generator[Api]:
    """Open a world in which the one who asks has a service with a prediction."""
    clock = Clock()
    store = FAMILIES["sqlite"](folder, clock)
    door = Doorkeeper(store.documents.watch(BUCKET), clock)
    api = Api(store.documents, clock, blobs=store.blobs, doorkeeper=door, runbook=Receiver())
    put_prediction(store.documents, a_prediction("own", tenant=CURIOUS))
    put_service(store.documents, a_service_summary("own", tenant=CURIOUS))
    try:
        yield api
    finally:
        store.close()


def asked(first: str, second: str) -> list[tuple[str, str, object]]:
    """Return what every route is asked; what makes something comes last, so that no id is the asker's own."""
    rows = [
        (method.upper(), url.replace("FIRST", first).replace("SECOND", second), body, status in CREATING and "{" not in path)
        for (method, path), (url, body, status) in EXERCISED.items()
    ]
    return [(method, url, body) for method, url, body, _ in sorted(rows, key=lambda row: row[3])]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Api, list[tuple[str, str, object]]]]:
    folder = tmp_path_factory.mktemp("worlds")
    with world(folder / "shared") as shared, world(folder / "empty") as empty:
        stocked(shared)
        versions = [add_version(shared.registry(VICTIM), hour) for hour in (1, 2)]
        shared.registry(VICTIM).promote(versions[1])
        owner = token_of(shared, VICTIM)
        requests = asked(*versions)
        for (method, _), (url, body, _) in EXERCISED.items():
            headers = owner | {"Idempotency-Key": "the same"}
            shared.ask(
                method.upper(), url.replace("FIRST", versions[0]).replace("SECOND", versions[1]), json=body, headers=headers
            )
        yield shared, empty, requests


def test_every_route_answers_as_if_nobody_else_were_there(worlds: tuple[Api, Api, list[tuple[str, str, object]]]) -> None:
    shared, empty, requests = worlds
    assert len(requests) == len(NEEDS) - 1  # all but the OpenAPI document
    headers = [token_of(api, CURIOUS) | {"Idempotency-Key": "the same"} for api in (shared, empty)]
    found = 0
    for method, url, body in requests:
        for api in (shared, empty):
            api.clock.move(0.001)
        one, other = (api.ask(method, url, json=body, headers=head) for api, head in zip((shared, empty), headers, strict=True))
        told = (method, url, one.status_code, one.text)
        assert one.status_code == other.status_code, told
        assert MADE.sub("ID", one.text) == MADE.sub("ID", other.text), told
        found += one.status_code in (200, 201, 202) and "own" in one.text
    assert found >= 3, "what is the asker's own is there"


def test_what_was_tried_left_the_other_tenant_as_it_was(worlds: tuple[Api, Api, list[tuple[str, str, object]]]) -> None:
    shared, _, requests = worlds
    buckets = ("feedback", "silences", "alerts", "models", "training-runs", "backtests", "incidents", "idempotency")
    before = {bucket: shared.documents.items(bucket, f"{VICTIM}/") for bucket in buckets}
    assert all(before.values())
    curious = token_of(shared, f"{CURIOUS}-2") | {"Idempotency-Key": "another"}
    for method, url, body in requests:
        shared.ask(method, url, json=body, headers=curious)
        shared.ask(method, url, json=body, headers=curious | {"X-Scope-OrgID": VICTIM})
    assert {bucket: shared.documents.items(bucket, f"{VICTIM}/") for bucket in buckets} == before


def test_a_cursor_of_another_tenant_leads_to_ones_own(worlds: tuple[Api, Api, list[tuple[str, str, object]]]) -> None:
    shared, _, _ = worlds
    owner, curious = token_of(shared, f"{VICTIM}-x"), token_of(shared, f"{CURIOUS}-x")
    for tenant in (f"{VICTIM}-x", f"{CURIOUS}-x"):
        for service in ("a", "b", "c"):
            put_service(shared.documents, a_service_summary(service, tenant=tenant))
    cursor = shared.get("/api/v1/services?limit=1", owner).json()["next"]
    rows = shared.get(f"/api/v1/services?cursor={cursor}", curious).json()["items"]
    assert [(row["tenant"], row["service"]) for row in rows] == [(f"{CURIOUS}-x", "b"), (f"{CURIOUS}-x", "c")]


def test_a_place_in_another_tenants_stream_is_a_place_in_ones_own(tmp_path: Path) -> None:
    with world(tmp_path) as api:
        owner, curious = token_of(api, VICTIM), token_of(api, CURIOUS)
        stream = "/api/v1/stream?for_s=0"
        api.get(stream, curious)
        place = f"{microseconds(NOON):x}-0"
        put_prediction(api.documents, a_prediction("secret", tenant=VICTIM))
        assert "secret" in api.get("/api/v1/predictions/secret", owner).text
        for last in (place, f"{microseconds(NOON):x}-1", "nonsense", f"{microseconds(NOON):x}--1"):
            events = api.get(stream, curious | {"Last-Event-ID": last}).text
            assert "secret" not in events
            assert events.startswith("retry:")


def test_an_idempotency_key_is_ones_own(tmp_path: Path) -> None:
    with world(tmp_path) as api:
        said = {"verdict": "confirmed", "service": "own", "start": "2026-03-02T11:00:00Z", "end": "2026-03-02T11:10:00Z"}
        answers = [
            api.post("/api/v1/feedback", said, token_of(api, tenant) | {"Idempotency-Key": "k"}).json()
            for tenant in (VICTIM, CURIOUS)
        ]
        assert [answer["tenant"] for answer in answers] == [VICTIM, CURIOUS]
        assert answers[0]["id"] != answers[1]["id"]
