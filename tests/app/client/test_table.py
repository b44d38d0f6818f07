"""Whatever the API does the client does: each route of the running application has a method that takes what the route takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from inspect import Parameter, signature
from typing import Any, cast, get_args, get_type_hints

import pytest

from app.api.schemas import PredictionOut
from app.client import Foreshock
from app.client.exchange import Pause, Request, Steps
from app.client.methods import Method
from app.client.table import Table
from app.client.watching import Watch, WatchWanted
from tests.nodes import RunningNode

CALLS: dict[str, Callable[..., Steps[object]]] = {
    name: value.call for name in dir(Table) if isinstance(value := getattr(Table, name), Method)
}
GIVEN: Mapping[str, Mapping[str, Any]] = {
    "newer_prediction": {
        "known": PredictionOut.model_construct(id="p1", service="cart", status="ok"),
    },
    "feedback": {"verdict": "confirmed"},
    "make_token": {"name": "grafana", "scopes": ["read"], "tenants": ["*"]},
    "silence": {"matchers": [], "end": datetime(2026, 11, 24, tzinfo=UTC), "author": "ana"},
}
"""What calls are given that take more than names and numbers."""

TOLD_ONCE = ("make_token", "rotate_token")
"""Posts that are answered with a secret, so that they are neither kept to be answered again nor tried again."""

BESIDE: Mapping[str, tuple[set[str], set[str]]] = {
    "errors": ({"view"}, set()),
    "error_events": ({"view"}, set()),
    "newer_prediction": ({"service"}, {"known"}),
    "readyz": ({"verbose"}, set()),
    "take_alerts": ({"version"}, set()),
    "wait_for_training": (set(), {"timeout_s", "poll_s"}),
    "wait_for_backtest": (set(), {"timeout_s", "poll_s"}),
}
"""Of a call, what its route takes and it does not, since it says so itself, and what it takes beside."""


def first_request(name: str) -> Request:
    call = CALLS[name]
    given = dict(GIVEN.get(name, {}))
    for parameter in signature(call).parameters.values():
        if parameter.name not in given and parameter.default is Parameter.empty and parameter.kind != Parameter.VAR_KEYWORD:
            given[parameter.name] = {"str": "x", "int": 1}.get(str(parameter.annotation), [])
    step = next(call(**given))
    assert not isinstance(step, Pause)
    return step


def offered(call: Callable[..., object]) -> set[str]:
    """Return the names of what a call takes."""
    hints = get_type_hints(call)
    names: set[str] = set()
    for parameter in signature(call).parameters.values():
        hint = hints[parameter.name]
        if parameter.kind == Parameter.VAR_KEYWORD:
            names |= set(get_type_hints(get_args(hint)[0]))
        else:
            names.add(parameter.name)
    return names


@pytest.fixture(scope="module")
def operations(shop: RunningNode) -> dict[str, Mapping[str, Any]]:
    """What each route of the running application takes, by method and path."""
    with Foreshock(shop.served.api) as client:
        document = client.openapi()
    schemas = cast("dict[str, Any]", document["components"])["schemas"]
    found: dict[str, Mapping[str, Any]] = {}
    for path, methods in cast("dict[str, dict[str, Any]]", document["paths"]).items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            found[f"{method.upper()} {path}"] = {
                "parameters": operation.get("parameters", []),
                "body": _resolved(body, schemas),
            }
    return found


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref") or next((one["$ref"] for one in schema.get("allOf", ())), None)
    return schema if reference is None else schemas[reference.rpartition("/")[2]]


def taken(operation: Mapping[str, Any]) -> set[str]:
    """Return the names of what a route takes, but for pages and headers."""
    parameters = {one["name"] for one in operation["parameters"] if one["in"] in ("path", "query")}
    return (parameters | set(operation["body"].get("properties", ()))) - {"cursor"}


def test_every_route_of_the_running_application_has_a_method(operations: Mapping[str, Mapping[str, Any]]) -> None:
    watched = Watch({}, Foreshock("http://127.0.0.1:1").retries).request()
    assert watched is not None
    asked = {first_request(name).route for name in CALLS} | {watched.route}
    assert len(operations) > 40
    assert set(operations) - asked == set()
    assert asked - set(operations) == {"GET /api/v1/openapi.json"}


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"openapi"}))
def test_a_call_takes_what_its_route_takes(name: str, operations: Mapping[str, Mapping[str, Any]]) -> None:
    operation = operations[first_request(name).route]
    itself, beside = BESIDE.get(name, (set(), set()))
    assert offered(CALLS[name]) - beside == taken(operation) - itself - ({"limit"} - offered(CALLS[name]))


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_post_that_creates_something_has_a_key_and_is_done_once(
    name: str, operations: Mapping[str, Mapping[str, Any]]
) -> None:
    request = first_request(name)
    parameters = operations.get(request.route, {"parameters": []})["parameters"]
    assert request.once == any(one["name"] == "Idempotency-Key" for one in parameters)
    assert request.harmless == (request.method == "POST" and not request.once and name not in TOLD_ONCE)


def test_a_watch_takes_what_the_stream_takes(operations: Mapping[str, Mapping[str, Any]]) -> None:
    assert set(get_type_hints(WatchWanted)) == taken(operations["GET /api/v1/stream"]) | {"after"}


def test_a_call_is_described_by_its_words() -> None:
    assert [name for name, call in CALLS.items() if not call.__doc__] == []


def test_the_client_imports_neither_learners_nor_the_web_framework() -> None:
    code = "import sys, app.client; print(sorted({'sklearn', 'river', 'scipy', 'fastapi', 'starlette', 'nicegui'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
