"""What is kept of errors that are days apart: by hand, against a twin that keeps every one, and through the live line."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sparse import average_precision
from features.arrays import FloatArray
from features.batch import channel
from features.excitation import AROUND_MIN, DECAYS_MIN, LONG_AGO_MIN, SHOWN, Excitation
from features.extract import SCHEMA, extract
from features.memory import Memory, MemoryPlan
from features.onsets import Pools
from features.windows import WIDTH, Increment
from tests.telemetry import T0, a_batch, features_of

ALONE = Pools(np.array([0]), np.array([0]))
Received = list[tuple[int, int, int]]
"""(row, window, failures) of a tick."""


def some(n: int) -> Excitation:
    excitation = Excitation()
    excitation.columns.grow(n)
    return excitation


def increment(tick: int, received: Received) -> Increment:
    values = np.zeros((len(received), WIDTH))
    values[:, channel("errors")] = [failures for _, _, failures in received]
    rows, windows = (np.array([one[i] for one in received], np.int64) for i in (0, 1))
    return Increment(tick, rows, windows, values)


def fed(n: int, first: int, ticks: list[Received]) -> Excitation:
    """Close ticks one after another; what is received in the tick of window w is known when w is closed."""
    excitation = some(n)
    for window, received in enumerate(ticks, first):
        excitation.advance(increment(window + 1, received))
    return excitation


def at(n: int, length: int, **events: dict[int, int]) -> list[Received]:
    """Return ticks with failures by row (`r0`, `r1`, ...) and window, all received in time."""
    return [[(row, w, events[f"r{row}"][w]) for row in range(n) if w in events.get(f"r{row}", {})] for w in range(length)]


def test_three_errors_by_hand() -> None:
    excitation = fed(1, 0, at(1, 101, r0={0: 1, 40: 3, 100: 1}))
    one, three = math.log(2), math.log(4)
    for place, tau in enumerate(DECAYS_MIN):
        expected = one * math.exp(-110 / tau) + three * math.exp(-70 / tau) + one * math.exp(-10 / tau)
        assert excitation.decayed(110)[0, place] == pytest.approx(expected, rel=1e-6)
        seen = 1.0 - math.exp(-101 / tau)
        assert excitation.intensity(110)[0, place] == pytest.approx(expected / (seen + 0.1), rel=1e-6)
    assert excitation.since(110)[0].tolist() == [10.0, 70.0, 110.0, LONG_AGO_MIN]
    # Gaps of 40 and 60 minutes, the older at 0.9, and one imagined gap of 50.
    number, mean = 1.9, (0.9 * 40 + 60) / 1.9
    deviation = math.sqrt((0.9 * 40**2 + 60**2) / number - mean**2)
    gap, spread = (float(values[0]) for values in excitation.gaps(np.array([50.0])))
    assert gap == pytest.approx((0.9 * 40 + 60 + 50) / 2.9)
    assert spread == pytest.approx((number * deviation / mean + 2.0) / (number + 2.0), rel=1e-4)
    assert excitation.familiarity().tolist() == [3 / 8]
    # Three in 101 minutes, against a week at the tenant's and then the service's rate, the tenant's against seven weeks at one.
    week, hours = 168.0, 101 / 60
    level = (3 + 1.0) / (hours + 7 * week)
    for _ in ("service", "series"):
        level = (3 + week * level) / (hours + week)
    assert excitation.rates(ALONE)[0] == pytest.approx(level)


def test_series_without_an_error_shows_none_and_what_a_poisson_process_would() -> None:
    silent = fed(1, 0, at(1, 100))
    assert silent.decayed(99).tolist() == [[0.0] * len(DECAYS_MIN)]
    assert silent.since(99).tolist() == [[LONG_AGO_MIN] * len(SHOWN)]
    assert [values.tolist() for values in silent.gaps(np.array([77.0]))] == [[77.0], [1.0]]
    assert silent.familiarity().tolist() == [0.0]


def test_regular_errors_are_told_from_bursts() -> None:
    regular = fed(1, 0, at(1, 1000, r0=dict.fromkeys(range(0, 1000, 50), 1)))
    bursts = fed(1, 0, at(1, 1000, r0={base + i: 1 for base in range(0, 1000, 250) for i in range(5)}))
    usual = np.array([60.0])
    assert regular.gaps(usual)[1][0] < 0.2
    assert bursts.gaps(usual)[1][0] > 1.3
    assert regular.gaps(usual)[0][0] == pytest.approx(50.0, rel=0.05)


def test_failed_requests_and_errors_of_one_failure_count_once() -> None:
    values = np.zeros((2, WIDTH))
    values[:, channel("failed")] = [2.0, 2.0]
    values[1, channel("errors")] = 2.0
    excitation = some(2)
    excitation.advance(Increment(T0 + 1, np.array([0, 1]), np.array([T0, T0]), values))
    assert excitation.decayed(T0)[:, 0].tolist() == pytest.approx([math.log(3)] * 2)


def test_error_taken_back_is_no_event() -> None:
    excitation = fed(1, T0, [[(0, T0, -1)]])
    assert excitation.columns["events"].tolist() == [0]


def test_sum_over_a_week_does_not_grow_with_the_age_of_a_series_whose_rate_stays() -> None:
    excitation, seen = some(1), list[FloatArray]()
    for window in range(14 * 1440):
        excitation.advance(increment(window + 1, [(0, window, 1)] if window % 60 == 0 else []))
        if window in {3 * 1440, 14 * 1440 - 60}:
            seen.append(excitation.intensity(window)[0])
    assert seen[0][1:] == pytest.approx(seen[1][1:], rel=0.25)


def test_missed_ticks_age_errors_and_are_no_time_that_was_seen() -> None:
    seen, missed = (fed(1, T0, [[(0, T0, 1)]]) for _ in range(2))
    for window in range(T0 + 1, T0 + 500):
        seen.advance(increment(window + 1, []))
    missed.advance(increment(T0 + 500, []))
    assert seen.decayed(T0 + 499).tolist() == missed.decayed(T0 + 499).tolist()
    assert seen.since(T0 + 499).tolist() == missed.since(T0 + 499).tolist()
    assert missed.rates(ALONE)[0] > seen.rates(ALONE)[0]


def test_late_error_counts_at_the_age_of_its_window_and_no_gap_is_made_of_it() -> None:
    late = fed(1, T0, [[(0, T0, 1)], [], [], [(0, T0 + 3, 1)], [(0, T0 + 1, 1)]])
    in_time = fed(1, T0, [[(0, T0, 1)], [(0, T0 + 1, 1)], [], [(0, T0 + 3, 1)], []])
    now = T0 + 60
    assert late.decayed(now) == pytest.approx(in_time.decayed(now), rel=1e-5)
    assert late.since(now).tolist() == in_time.since(now).tolist() == [[57.0, 59.0, 60.0, LONG_AGO_MIN]]
    assert (late.columns["gaps"][0, 0], in_time.columns["gaps"][0, 0]) == (1.0, pytest.approx(1.9))


def test_window_that_gains_later_is_the_same_event_with_more_weight() -> None:
    excitation = fed(1, T0, [[(0, T0, 1)], [(0, T0, 1)]])
    assert excitation.columns["events"].tolist() == [1]
    assert excitation.since(T0 + 1)[0].tolist() == [1.0, LONG_AGO_MIN, LONG_AGO_MIN, LONG_AGO_MIN]
    assert excitation.decayed(T0)[0, 0] == pytest.approx(2 * math.log(2))


def test_window_ahead_of_the_clock_is_now_and_one_that_no_window_would_take_is_left_out() -> None:
    excitation = fed(2, T0, [[(0, T0 + 3, 1), (1, T0 + 4, 1)]])
    assert excitation.since(T0)[:, 0].tolist() == [0.0, LONG_AGO_MIN]
    assert excitation.decayed(T0)[0].tolist() == pytest.approx([math.log(2)] * len(DECAYS_MIN))


class Twin:
    """Keeps every failure by row and window, in the order in which it was received, and looks through all of them when asked."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.weights: list[defaultdict[int, float]] = [defaultdict(float) for _ in range(n)]

    def add(self, received: Received) -> None:
        for row, window, failures in received:
            if failures > 0:
                self.weights[row][window] += math.log1p(failures)

    def decayed(self, window: int) -> FloatArray:
        return np.array(
            [[sum(g * math.exp(-(window - w) / tau) for w, g in own.items()) for tau in DECAYS_MIN] for own in self.weights]
        )

    def since(self, window: int) -> FloatArray:
        told = [[window - w for w in sorted(own, reverse=True)] + [LONG_AGO_MIN] * max(SHOWN) for own in self.weights]
        return np.array([[min(ago[k - 1], LONG_AGO_MIN) for k in SHOWN] for ago in told], float)


@st.composite
def streams(draw: st.DrawFn, n: int = 3) -> list[Received]:
    ticks: list[Received] = []
    for window in range(T0, T0 + draw(st.integers(1, 25))):
        # At most four windows late: then the five that are kept tell all that came before from what is new.
        cells = st.tuples(st.integers(0, n - 1), st.integers(window - 4, window))
        named = draw(st.dictionaries(cells, st.integers(-1, 40), max_size=4))
        ticks.append([(row, at_window, failures) for (row, at_window), failures in sorted(named.items())])
    return ticks


@settings(max_examples=100)
@given(ticks=streams(), wait=st.integers(0, 100_000))
def test_sums_and_last_events_are_those_of_a_twin_that_keeps_everything(ticks: list[Received], wait: int) -> None:
    excitation, twin = some(3), Twin(3)
    for window, received in enumerate(ticks, T0):
        excitation.advance(increment(window + 1, received))
        twin.add(received)
        assert np.allclose(excitation.decayed(window), twin.decayed(window), rtol=1e-5, atol=1e-12)
        assert excitation.since(window).tolist() == twin.since(window).tolist()
        assert excitation.columns["events"].tolist() == [len(own) for own in twin.weights]
    later = T0 + len(ticks) + wait
    assert np.allclose(excitation.decayed(later), twin.decayed(later), rtol=1e-4, atol=1e-12)
    assert excitation.since(later).tolist() == twin.since(later).tolist()


@settings(max_examples=50)
@given(ticks=streams(), order=st.permutations(range(3)))
def test_rows_do_not_touch_each_other(ticks: list[Received], order: list[int]) -> None:
    one = fed(3, T0, ticks)
    other = fed(3, T0, [[(order[row], window, failures) for row, window, failures in received] for received in ticks])
    rows = np.array(order)
    for name, array in one.columns.snapshot(np.arange(3)).items():
        assert np.array_equal(array, other.columns[name][rows])


def test_events_of_others_are_those_of_the_service_and_of_the_tenant() -> None:
    # shop: web/* of a and b; cart/*; another tenant's web/*
    whole, tenant = np.array([0, 0, 0, 3, 4]), np.array([0, 0, 0, 0, 1])
    failures = {"r0": {0: 7}, "r1": {0: 3}, "r2": {0: 4}, "r3": {0: 1}, "r4": {0: 50}}
    excitation = fed(5, 0, at(5, 1, **failures))
    young = 1.0 - math.exp(-1 / AROUND_MIN[0]) + 0.1
    beside, beyond = (values * young for values in excitation.around(0, Pools(whole, tenant)))
    assert beside.shape == beyond.shape == (5, len(AROUND_MIN))
    seven, three, four, one = (math.log1p(count) for count in (7, 3, 4, 1))
    assert beside[:, 0] == pytest.approx([three + four, four, three, 0.0, 0.0], abs=1e-6)
    assert beyond[:, 0] == pytest.approx([one, one, one, seven, 0.0], abs=1e-6)


def test_rates_borrow_from_the_service_and_never_from_another_tenant() -> None:
    excitation = fed(4, 0, at(4, 600, r1=dict.fromkeys(range(0, 600, 60), 1)))
    rate = excitation.rates(Pools(whole=np.array([0, 0, 2, 3]), tenant=np.array([0, 0, 0, 1])))
    assert rate[1] > rate[0] > rate[2] > rate[3]  # itself, same service, same tenant, another tenant
    assert rate[3] == pytest.approx(fed(1, 0, at(1, 600)).rates(ALONE)[0])


CHECKED, SILENT = "a/checked/*", "a/silent/*"
GROUP = [SCHEMA.names[c] for c in SCHEMA.columns("intensity")]
PLAN = MemoryPlan(tick_s=600)
THURSDAY = 2_800_224  # number of a window of ten minutes in which a week and a day begin
WEEK, DAY, HOUR = 1008, 144, 6


def followed(failing: frozenset[int]) -> Iterator[Memory]:
    """Yield, tick by tick, what is known of a service whose check tells of its failures alone, and of one that never fails."""
    memory = Memory(PLAN)
    memory.begin(THURSDAY)
    for service in ("silent", "checked"):
        memory.row("a", service, "*", 0)
    for number in count():
        window = THURSDAY + number
        if number in failing:
            memory.add("a", 0, a_batch(("checked", "*", window, {"errors": 1.0, "logs": 1.0}), tick_s=PLAN.tick_s))
        memory.advance(window + 1)
        yield memory


def after(ticks: int, story: Iterator[Memory]) -> Memory:
    return next(islice(story, ticks - 1, None))


def test_five_failures_of_a_check_in_a_week_tell_it_from_a_silent_service() -> None:
    memory = after(WEEK, followed(frozenset({70, 290, 600, 860, 900})))
    assert np.isfinite(extract(memory)).all()
    checked, silent = features_of(memory, CHECKED), features_of(memory, SILENT)
    # Nothing else that is known of errors tells them apart: the last one is older than any window.
    others = [
        f.name for f in SCHEMA.features if f.group in {"errors", "surprise", "trend", "incident_history", "mix", "novelty"}
    ]
    assert [name for name in others if checked[name] != silent[name]] == []
    assert [name for name in GROUP if name.startswith("events_log") and not checked[name] > silent[name]] == []
    ago = [math.log1p((WEEK - 1 - window) * 10) for window in (900, 860, 600, 70)]
    assert [checked[f"since_event_log_{k}"] for k in SHOWN] == pytest.approx(ago)
    assert checked["events_known"] == 0.5
    assert checked["event_rate_log"] > silent["event_rate_log"] + 0.5
    assert checked["event_gap_log"] < silent["event_gap_log"]
    # The silent one has a neighbour that is not.
    assert silent["tenant_events_log_360"] > 0.0 == checked["tenant_events_log_360"]


def test_hour_at_which_errors_come_is_told_before_it_comes() -> None:
    story = followed(frozenset(day * DAY + 12 * HOUR + 1 for day in range(7)))
    shortly_before = after(WEEK + 12 * HOUR - 2, story)
    assert features_of(shortly_before, CHECKED)["event_season_log"] > 0.5
    evening = after(8 * HOUR, story)
    assert features_of(evening, CHECKED)["event_season_log"] < 0.0
    assert features_of(evening, SILENT)["event_season_log"] == pytest.approx(0.0)


def test_failures_of_a_sparse_stream_are_forecast_better_for_knowing_those_before_the_windows() -> None:
    scores = average_precision(seed=0)  # differences in four seeds: 0.06 to 0.17
    for learner in ("linear", "trees"):
        with_group, without = scores[learner]
        assert with_group > without + 0.05
