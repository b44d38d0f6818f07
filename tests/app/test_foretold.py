"""What was predicted before an incident is known for an hour, of those at risk."""

from __future__ import annotations

import numpy as np

from app.foretold import Before, Foretold


def test_all_is_kept_for_as_long_as_a_start_may_lie_back_and_risks_for_an_hour() -> None:
    foretold = Foretold(full_ticks=3)
    for tick in range(200):
        foretold.remember(tick, np.array([[0.001, 0.002, 0.004], [0.1, 0.2, 0.3 if tick % 10 == 0 else 0.05]]))
    calm, risky = foretold.before(0, 199), foretold.before(1, 199)
    assert (calm.at_start, calm.earlier) == ({"5min": 0.001, "15min": 0.002, "60min": 0.004}, ())
    assert [tick for tick, _ in risky.earlier] == [140, 150, 160, 170, 180, 190]
    assert foretold.before(0, 195).at_start is None
    assert foretold.before(5, 199) == Before(), "a series that is younger than the predictions"


def test_a_start_a_little_back_still_has_its_hour() -> None:
    foretold = Foretold(full_ticks=3)
    for tick in range(100):
        foretold.remember(tick, np.array([[0.1, 0.2, 0.5]]))
    assert [tick for tick, _ in foretold.before(0, 97).earlier] == list(range(37, 97))


def test_ticks_that_were_passed_over_leave_nothing_behind() -> None:
    foretold = Foretold(full_ticks=3)
    for tick in [*range(100), 500, 501]:
        foretold.remember(tick, np.array([[0.1, 0.2, 0.5]]))
    assert [foretold.before(0, tick).at_start is None for tick in (98, 99, 500)] == [True, True, False]
    assert foretold.before(0, 99).earlier == ()


def test_what_a_snapshot_held_is_restored_of_every_release() -> None:
    assert Before.restored() == Before()
    assert Before.restored({"5min": 0.1}) == Before({"5min": 0.1})
    assert Before.restored(None, [(3, {"5min": 0.1})]) == Before(None, ((3, {"5min": 0.1}),))
