"""A failure and its log record tell one story."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from app.demo.loglines import ERROR, INFO
from app.demo.minute import Minute
from app.demo.simulate import Shop
from app.demo.story import path_of, tell_log, tell_span
from app.demo.traces import CALL, ENTRY


@pytest.fixture(scope="module")
def minute() -> Minute:
    shop = Shop(1, 3.0, 24.0, datetime(2026, 1, 5, tzinfo=UTC))
    leak = max((e for e in shop.episodes if e.kind == "bad_deploy"), key=lambda e: e.severity)
    return shop.minute(leak.end - 1)


def test_log_and_span_of_one_failure_say_the_same(minute: Minute) -> None:
    errors = [line for line in minute.logs if line.severity == ERROR]
    assert errors
    for line in errors:
        log, span = tell_log(minute, line), tell_span(minute, line.span)
        assert log.failed
        assert log.message == span.message
        assert not span.attributes or span.attributes == log.attributes
        assert log.attributes["exception.message"] == log.message


def test_what_is_told_happened_within_the_span(minute: Minute) -> None:
    spans = minute.spans
    for row in np.flatnonzero((spans.symptom != 0) | (spans.handled != 0)).tolist():
        story = tell_span(minute, row)
        assert spans.start_ns[row] <= story.time_ns <= spans.end_ns[row]
        assert story.failed == bool(spans.symptom[row])


def test_everyday_lines_carry_no_exception(minute: Minute) -> None:
    calm = [tell_log(minute, line) for line in minute.logs if line.severity == INFO]
    assert calm
    assert not any(story.attributes or story.failed for story in calm)


def test_only_entries_over_http_have_a_path() -> None:
    assert path_of(ENTRY, 1, 5) == "/products/1005"
    assert path_of(ENTRY, 0, 5) == "/"
    assert path_of(CALL, 0, 5) is None
