"""Rows from a data frame: what is in them, what is refused, and that nothing of the future is."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidValue
from training.dataset import from_events
from training.events import horizons_of
from training.rows import Rows

BEGIN = cast("pd.Timestamp", pd.Timestamp("2026-01-05", tz="UTC"))
HOUR = pd.Timedelta("1h")


def frame(*events: tuple[float, str, str, int], delay_h: float = 0.0) -> pd.DataFrame:
    """Return events at hours after the begin, with service, operation and severity."""
    hours, service, operation, severity = zip(*events, strict=True)
    at = BEGIN + pd.to_timedelta(list(hours), unit="h")
    columns = {"time": at, "service": service, "operation": operation, "severity": severity}
    return pd.DataFrame(columns | {"received_at": at + pd.Timedelta(hours=delay_h)})


def rows_of(events: pd.DataFrame, **more: Any) -> Rows:
    return from_events(events, tick="30min", horizons=("2h", "6h"), **more).rows


def test_every_error_is_to_be_forecast_where_nothing_else_is_said() -> None:
    dataset = from_events(frame((0, "a", "x", 17), (3, "a", "x", 17), (5, "a", "x", 9)), tick="1h", horizons=["2h"])
    rows = dataset.rows
    assert [incident.start for incident in dataset.incidents] == [BEGIN, BEGIN + 3 * HOUR]
    hours = (rows.as_of_s - BEGIN.timestamp()) / 3600
    assert hours.tolist() == [0, 1, 2, 3, 4, 5]
    assert ((rows.next_start_s - BEGIN.timestamp()) / 3600).tolist() == [3, 3, 3, np.inf, np.inf, np.inf]
    assert rows.horizons == {"2h": 7200}


def test_rows_within_an_incident_are_not_learned_from() -> None:
    incidents = pd.DataFrame({"service": ["a"], "operation": ["x"], "start": [BEGIN + HOUR], "end": [BEGIN + 3 * HOUR]})
    rows = rows_of(frame((0, "a", "x", 9), (6, "a", "x", 9)), incidents=incidents)
    hours = (rows.as_of_s - BEGIN.timestamp()) / 3600
    assert hours[~rows.eligible].tolist() == [1.0, 1.5, 2.0, 2.5]


def test_an_incident_is_known_when_it_is_detected() -> None:
    incidents = pd.DataFrame({"service": ["a"], "start": [BEGIN + HOUR], "detected_at": [BEGIN + 3 * HOUR]})
    rows = rows_of(frame((0, "a", "*", 9), (6, "a", "*", 9)), incidents=incidents)
    decay = rows.x[:, rows.schema.index("incident_decay_1")]
    hours = (rows.as_of_s - BEGIN.timestamp()) / 3600
    assert hours[decay > 0].min() == 3.0


def test_what_came_late_is_unknown_until_it_came() -> None:
    rows = rows_of(pd.concat([frame((0, "a", "x", 9)), frame((2, "a", "x", 17), delay_h=3), frame((8, "a", "x", 9))]))
    decay = rows.x[:, rows.schema.index("incident_decay_1")]
    hours = (rows.as_of_s - BEGIN.timestamp()) / 3600
    assert hours[decay > 0].min() == 5.0
    assert decay[hours == 5.0] == pytest.approx(np.exp(-3 / 2))
    assert ((rows.next_start_s[hours < 2] - BEGIN.timestamp()) / 3600 == 2).all()  # the truth does not wait


def test_a_service_that_nobody_looked_at_says_nothing() -> None:
    rows = rows_of(frame((0, "a", "x", 9), (1, "a", "x", 9), (100, "a", "x", 9), (101, "a", "x", 9), (101, "b", "x", 17)))
    hours, of_a = (rows.as_of_s - BEGIN.timestamp()) / 3600, rows.series == 0
    looked_on = 1 + 7 * 6  # seven of the longest horizons after the last word
    assert set(hours[of_a & ~rows.eligible].tolist()) == set(np.arange(looked_on + 0.5, 100, 0.5).tolist())
    assert rows.observed_until_s is not None
    assert ((rows.observed_until_s[of_a & (hours <= looked_on)] - BEGIN.timestamp()) / 3600 == looked_on).all()


def test_rows_are_farther_apart_where_there_would_be_too_many() -> None:
    events = frame((0, "a", "x", 17), (1000, "a", "x", 17))
    steps = np.unique(np.diff(rows_of(events, max_rows=500).as_of_s)) / 1800
    assert steps.tolist() == [5.0]
    assert len(rows_of(events, max_rows=500)) <= 500


WRONG = {
    "events must have the columns time, service, got when": pd.DataFrame({"when": [BEGIN]}),
    "at least one row": pd.DataFrame({"time": pd.to_datetime([], utc=True), "service": []}),
    "time of events must be times with a time zone": pd.DataFrame({"time": [pd.Timestamp("2026-01-01")], "service": ["a"]}),
    "time of events must not be empty, got 1 rows": pd.DataFrame(
        {"time": pd.to_datetime(["2026-01-01", None], utc=True), "service": "a"}
    ),
    "service of events must not be empty, got 1 rows": pd.DataFrame({"time": [BEGIN, BEGIN], "service": ["a", ""]}),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_read_is_refused_by_name(message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        from_events(WRONG[message])


def test_spans_are_refused_by_name() -> None:
    events = frame((0, "a", "x", 17))
    for horizons, message in ((["soon"], "horizon must be a time span such as 15min, got 'soon'"), (["2h", "1h"], "ascend")):
        with pytest.raises(InvalidValue, match=message):
            from_events(events, horizons=horizons)
    with pytest.raises(InvalidValue, match="tick must be at most the shortest horizon, 5min, got 1h"):
        from_events(events, tick="1h")
    with pytest.raises(InvalidValue, match="at least 1 s, got 0s"):
        horizons_of(["0s"])


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 90).map(lambda n: n / 2.0), st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from([9, 13, 17])
    ),
    min_size=2,
    max_size=25,
)
ENDS = [(0.0, service, operation, 9) for service in "ab" for operation in "xy"] + [(50.0, "a", "x", 9)]


@given(past=EVENTS, one=EVENTS, other=EVENTS, delay=st.sampled_from([0.0, 2.0]))
def test_no_row_knows_what_comes_after_it(past: list[Any], one: list[Any], other: list[Any], delay: float) -> None:
    now = 24.0
    before = [event for event in past if event[0] + delay <= now]
    made = []
    for future in (one, other):
        after = [event for event in future if event[0] > now]
        rows = rows_of(
            pd.concat([frame(*ENDS), *(frame(event, delay_h=delay) for event in before), *(frame(e) for e in after)])
        )
        made.append(rows.take(rows.as_of_s <= BEGIN.timestamp() + now * 3600))
    first, second = made
    assert np.array_equal(first.x, second.x)
    assert np.array_equal(first.series, second.series)
    until_s = int(BEGIN.timestamp() + now * 3600)
    for mine, theirs in zip(first.targets(until_s), second.targets(until_s), strict=True):
        assert np.array_equal(mine, theirs)
