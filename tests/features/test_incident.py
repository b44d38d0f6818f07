"""The rule that finds incidents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.arrays import BoolArray
from features.batch import channel
from features.errors import InvalidValue
from features.incident import Incident, IncidentRule, broken, find
from features.series import SeriesKey
from features.windows import WIDTH

KEY = SeriesKey("default", "web", "*")
AT = datetime(2026, 1, 1, tzinfo=UTC)
RULE = IncidentRule()


def judge(
    *windows: dict[str, float], usual: tuple[float, float, float, float] = (100.0, 0.0, 0.0, 0.0), heard: bool = True
) -> bool:
    quiet = [{"total": 100.0}] * (60 - len(windows))
    values = np.zeros((1, 60, WIDTH))
    for i, window in enumerate([*quiet, *windows]):
        for name, count in window.items():
            values[0, i, channel(name)] = count
    arrived = np.ones((1, 60), bool)
    arrived[0, 60 - len(windows) :] = heard
    return bool(broken(values, np.array([usual]), arrived, RULE)[0])


def test_failures_beyond_their_usual_share_break_a_window() -> None:
    assert judge({"total": 100.0, "failed": 20.0})
    assert not judge({"total": 100.0, "failed": 20.0}, usual=(100.0, 18.0, 0.0, 0.0))


def test_busy_minute_with_the_usual_share_of_failures_breaks_nothing() -> None:
    assert not judge({"total": 5000.0, "failed": 100.0, "errors": 100.0}, usual=(100.0, 2.0, 2.0, 0.0))


def test_small_share_breaks_nothing_however_many_fail() -> None:
    assert not judge({"total": 10_000.0, "failed": 400.0, "errors": 400.0})


def test_errors_of_a_service_that_only_logs_are_judged_by_their_number() -> None:
    assert judge({"errors": 30.0, "logs": 30.0}, usual=(0.0, 0.0, 2.0, 0.0))
    assert not judge({"errors": 3.0, "logs": 30.0}, usual=(0.0, 0.0, 2.0, 0.0))


def test_failures_too_few_for_one_window_break_the_pool_of_the_last() -> None:
    few = {"total": 2.0, "failed": 2.0, "errors": 2.0}
    usual = (2.0, 0.0, 0.0, 0.0)
    assert not judge({"total": 2.0}, {"total": 2.0}, few, usual=usual)
    assert judge(few, few, few, usual=usual)
    assert not judge(few, few, {"total": 2.0}, usual=usual)  # the newest has none


def test_silence_where_traffic_was_due_breaks_a_window_after_a_while() -> None:
    assert judge(*[{"inner": 1.0}] * 5)
    assert not judge(*[{"inner": 1.0}] * 4)


def test_silence_says_nothing_where_the_tenant_is_not_heard_or_little_is_due() -> None:
    assert not judge(*[{"inner": 1.0}] * 5, heard=False)
    assert not judge(*[{"inner": 1.0}] * 5, usual=(1.0, 0.0, 0.0, 0.0))


def test_silence_of_what_was_never_heard_breaks_nothing() -> None:
    values = np.zeros((1, 60, WIDTH))
    assert not broken(values, np.array([[100.0, 0.0, 0.0, 0.0]]), np.ones((1, 60), bool), RULE).any()


@given(
    counts=st.lists(st.lists(st.just(0.0) | st.floats(1e-3, 1e15), min_size=4, max_size=4), min_size=6, max_size=6),
    usual=st.lists(st.just(0.0) | st.floats(1e-3, 1e15), min_size=4, max_size=4),
)
def test_absurd_counts_are_judged_without_a_warning(counts: list[list[float]], usual: list[float]) -> None:
    values = np.zeros((1, 6, WIDTH))
    values[0, :, :4] = counts
    assert broken(values, np.array([usual]), np.ones((1, 6), bool), RULE).shape == (1,)


def flags_of(text: str) -> BoolArray:
    return np.array([[letter == "x" for letter in text]])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("x....x....", []),
        ("x.x.......", [(0, 100, 102, 103)]),
        ("xx.........xx", [(0, 100, 101, 102), (0, 111, 112, None)]),
        ("xx..x..x...", [(0, 100, 101, 108)]),
        ("..xx", [(0, 102, 103, None)]),
    ],
)
def test_incident_spans_its_broken_windows(flags: str, expected: list[tuple[int, int, int, int | None]]) -> None:
    assert find(flags_of(flags), 100, RULE) == expected


@given(flags=st.lists(st.booleans(), min_size=1, max_size=60), m=st.integers(1, 5))
def test_incidents_of_a_series_follow_each_other_and_start_broken(flags: list[bool], m: int) -> None:
    found = find(np.array([flags]), 0, IncidentRule(k=1, m=m))
    for _, start, detected, end in found:
        assert flags[start]
        assert start <= detected
        assert end is None or (flags[end - 1] and not any(flags[end : end + m]))
    for (_, _, _, end), (_, start, _, _) in pairwise(found):
        assert end is not None
        assert end + m <= start


@pytest.mark.parametrize(("k", "m"), [(0, 3), (4, 3), (1, 61)])
def test_rule_that_cannot_be_met_is_refused(k: int, m: int) -> None:
    with pytest.raises(InvalidValue, match=f"got k={k}, m={m}"):
        IncidentRule(k=k, m=m)


@pytest.mark.parametrize("times", [(AT, AT - timedelta(1), None), (AT, AT, AT - timedelta(1))])
def test_times_out_of_order_are_refused(times: tuple[datetime, datetime, datetime | None]) -> None:
    with pytest.raises(InvalidValue, match="start <= detected_at"):
        Incident("i", KEY, *times)


def test_incident_that_the_rule_found_has_the_same_id_when_it_is_found_again() -> None:
    one, again = Incident.at(KEY, 600, 720, None), Incident.at(KEY, 600, 720, 900, "network")
    assert one.id == again.id == "600-490f83854c3f"
    assert (again.start.timestamp(), again.detected_at.timestamp()) == (600, 720)
    assert again.end is not None
    assert again.end.timestamp() == 900
    assert one.end is None
