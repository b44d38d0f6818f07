"""Through which offset the log may go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.retention import ROOMY, TIGHT, Marker, passed

markers = st.lists(st.integers(1, 1000), max_size=30).map(
    lambda steps: [(60 * n, sum(steps[: n + 1])) for n in range(len(steps))]
)
fullness = st.floats(0.0, 2.0)


@given(markers, st.floats(0.0, 3000.0), fullness)
def test_nothing_beyond_the_checkpoint_goes_and_the_newest_marker_stays(
    found: list[Marker], keep_s: float, full: float
) -> None:
    through, kept = passed(found, keep_s, full)
    assert kept == found[len(found) - len(kept) :]
    assert bool(kept) == bool(found)
    assert through <= (found[-1][1] if found else 0)
    assert all(offset > through for _, offset in kept[:-1])


@given(markers, st.floats(0.0, 3000.0), st.floats(0.0, ROOMY))
def test_age_alone_decides_while_there_is_room(found: list[Marker], keep_s: float, full: float) -> None:
    _, kept = passed(found, keep_s, full)
    assert kept == [marker for marker in found if marker[0] >= found[-1][0] - keep_s]


@given(markers, st.floats(0.0, 3000.0), fullness, fullness)
def test_the_fuller_the_log_the_more_goes(found: list[Marker], keep_s: float, one: float, other: float) -> None:
    assert passed(found, keep_s, min(one, other))[0] <= passed(found, keep_s, max(one, other))[0]


@given(markers.filter(bool), st.floats(0.0, 3000.0), st.floats(TIGHT, 2.0))
def test_everything_absorbed_goes_when_it_is_tight(found: list[Marker], keep_s: float, full: float) -> None:
    assert passed(found, keep_s, full)[0] == found[-1][1]
