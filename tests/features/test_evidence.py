"""What speaks for categories: counted right, known from detection on, forgotten after a month."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.evidence import REMEMBERED_S, SOURCES, PastIncidents, evidence
from features.facts import CATEGORIES
from features.memory import Memory
from tests.telemetry import T0, Minute, a_record, play, traffic

DAY_S = 86_400
FOUND = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(CATEGORIES), st.integers(0, 60).map(lambda day: day * DAY_S)))


@given(FOUND, st.integers(0, 60), st.randoms(use_true_random=False))
def test_incidents_count_for_a_month_in_whatever_order_they_come(
    found: list[tuple[int, str, int]], day: int, shuffle: Random
) -> None:
    now_s, past, shuffled = day * DAY_S, PastIncidents(), PastIncidents()
    other = list(found)
    shuffle.shuffle(other)
    for one, incidents in ((past, found), (shuffled, other)):
        for incident in incidents:
            one.add(*incident)
        one.forget(now_s)
    counts, last = np.zeros((4, 14)), np.zeros((4, 14))
    for row, category, detected_s in sorted(found, key=lambda f: (f[2], f[0], CATEGORIES.index(f[1]))):
        if detected_s >= now_s - REMEMBERED_S:
            counts[row, CATEGORIES.index(category)] += 1
            last[row] = np.eye(14)[CATEGORIES.index(category)]
    for one in (past, shuffled):
        assert np.array_equal(one.counts(4), counts)
        assert np.array_equal(one.last(4), last)


def test_a_category_that_is_none_counts_nothing() -> None:
    past = PastIncidents()
    past.add(0, "weather", 600)
    assert not past.counts(1).any()


def test_errors_count_for_their_windows_and_incidents_within_their_tenant() -> None:
    memory, past = Memory(), PastIncidents()
    story = [
        [
            Minute(
                tenant,
                (traffic(T0 + i, 100.0, 0.0, operation="*"),),
                ((a_record("web", T0 + i), "data", None),) if i < 10 else (),
            )
            for tenant in ("a", "b")
        ]
        for i in range(20)
    ]
    play(memory, story)
    rows = np.flatnonzero(memory.directory.is_whole)
    past.add(int(rows[0]), "network", (T0 + 5) * 60)
    counts = evidence(memory, past, rows)
    assert counts.shape == (2, len(SOURCES), 14)
    of = {name: counts[:, place] for place, name in enumerate(SOURCES)}
    data, network = CATEGORIES.index("data"), CATEGORIES.index("network")
    assert of["now"][:, data].tolist() == [5.0, 5.0]  # windows 5 to 9 of the last fifteen
    assert of["hour"][:, data].tolist() == [10.0, 10.0]
    assert of["own"][:, network].tolist() == of["tenant"][:, network].tolist() == of["last"][:, network].tolist() == [1.0, 0.0]
