"""`docs/architecture.md` names functions that exist, and lists those of one request in the order in which they are called."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import msgspec
import pytest

from tests.house.sources import PACKAGES, ROOT
from tests.nodes import run_node, until

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`", PAGE)))
STEP = re.compile(r"^(\d+)\. `([\w.]+)`", re.MULTILINE)


def found(name: str) -> Any:
    """Return what a dotted name names: the longest importable module, then attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            value = inspect.getattr_static(value, part)
        return value
    raise AssertionError(f"no module of {name} can be imported")


def lists() -> list[list[str]]:
    """Return the numbered lists of the page; each begins with 1."""
    found: list[list[str]] = []
    for number, name in STEP.findall(PAGE):
        if number == "1":
            found.append([])
        found[-1].append(name)
    return found


def code_of(name: str) -> CodeType:
    """Return the code that runs when a named function is called, without its decorators."""
    return inspect.unwrap(getattr(found(name), "__func__", found(name))).__code__


@contextmanager
def recorded(wanted: set[CodeType]) -> Generator[list[CodeType]]:
    """Record the calls of some functions in their order, in this thread and all that begin meanwhile."""
    calls: list[CodeType] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in wanted:
            calls.append(frame.f_code)

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def failing_span(end_ns: int) -> bytes:
    span = {
        "traceId": "1".zfill(32),
        "spanId": "1".zfill(16),
        "name": "GET /cart",
        "kind": 2,
        "startTimeUnixNano": str(end_ns - 10**9),
        "endTimeUnixNano": str(end_ns),
        "status": {"code": 2, "message": "connection refused"},
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
    return msgspec.json.encode({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})


@pytest.mark.parametrize("name", NAMES)
def test_page_names_what_exists(name: str) -> None:
    assert found(name) is not None


def missing(names: list[str], calls: list[CodeType]) -> str | None:
    """Return the first of some functions that was not called after the one before it."""
    left = iter(calls)
    return next((name for name in names if code_of(name) not in left), None)


def test_page_lists_the_functions_of_one_request_in_the_order_of_their_calls(tmp_path: Path) -> None:
    steps = lists()
    assert [len(names) > 3 for names in steps] == [True] * 5, "the answer, memory, the tick, a checkpoint, the reader"
    with recorded({code_of(name) for names in steps for name in names}) as calls, run_node(tmp_path) as running:
        worker = running.node.worker
        until(lambda: worker.published and worker.flow.memory.tick > 0 and not worker.lag(), "the first tick")
        calls.clear()  # what was called to start
        answer = running.post("traces", failing_span(running.now_ns))
        assert answer.status_code == 200
        running.tick()
        assert running.get("/api/v1/predictions/cart")["service"] == "cart"
    assert [missing(names, calls) for names in steps] == [None] * 5
    first, second, *others = steps[0]
    assert missing([second, first, *others], calls) is not None, "a list in another order must not pass"
