"""What feedback changed is counted by row and by incident, and judged on what everybody agrees on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from features.incident import Incident
from features.series import SeriesKey
from models.feedback import Feedback, Stretch
from tests.training_rows import Flat, simulated_rows
from training.contrast import Contrast
from training.overlaid import Effect, Impact, LabelChanges, changes_between, impact_of
from training.rows import Rows

AT = datetime(2026, 1, 5, tzinfo=UTC)
WEB = SeriesKey("default", "web", "*")
ROWS = simulated_rows(n_series=4, n_noise=0, a_day=3.0, days=2.0)
NOTHING = LabelChanges({})


def changed(laid: Rows) -> LabelChanges:
    return changes_between(ROWS, laid, (), (), ())


def test_nothing_said_changes_nothing() -> None:
    assert changed(ROWS) == NOTHING
    assert not NOTHING.any


def test_every_way_in_which_a_row_can_change_is_counted_apart() -> None:
    y, at_risk = ROWS.targets()
    quiet = np.flatnonzero(at_risk.all(axis=1) & ~y.any(axis=1))[:10]
    sooner, gone, until = ROWS.next_start_s.copy(), ROWS.eligible.copy(), np.full(len(ROWS), float(ROWS.end_s))
    sooner[quiet[:3]] = ROWS.as_of_s[quiet[:3]] + 60.0
    gone[quiet[3:5]] = False
    until[quiet[5:6]] = ROWS.as_of_s[quiet[5:6]] + 600.0
    weight = np.ones(len(ROWS))
    weight[quiet[6:]] = 3.0
    laid = replace(ROWS, next_start_s=sooner, eligible=gone, observed_until_s=until, weight=weight)
    found = changed(laid)
    assert (found.rows_relabelled, found.rows_left_out, found.rows_shortened, found.rows_weighed, found.heaviest) == (
        3,
        2,
        1,
        4,
        3.0,
    )
    assert found.rows_added == 0
    assert found.any
    assert changes_between(laid, ROWS, (), (), ()).rows_added >= 3


def test_verdicts_and_incidents_are_counted_as_they_stand() -> None:
    stretch = Stretch(WEB, AT, AT + timedelta(minutes=5))
    said = [
        Feedback("1", "missed", "ann", AT, stretch=stretch),
        Feedback("2", "false_alarm", "ann", AT, incident="i"),
        Feedback("3", "confirmed", "ann", AT, incident="j"),
        Feedback("4", "confirmed", "ann", AT, undoes="3"),
    ]
    rule, missed = Incident("i", WEB, AT, AT), Incident("feedback-1", WEB, AT, AT)
    found = changes_between(ROWS, ROWS, (rule,), (missed,), said)
    assert (found.verdicts, found.taken_back) == ({"missed": 1, "false_alarm": 1}, 1)
    assert (found.incidents_added, found.incidents_removed) == (1, 1)


def judged(without: float, with_feedback: float, laid: Rows = ROWS) -> Impact:
    held_out = ROWS.as_of_s >= np.median(ROWS.as_of_s)
    models = Flat(without), Flat(with_feedback)
    return impact_of(changed(laid), (ROWS, laid), models, held_out, budget_per_day=2.0)


def test_what_is_worse_beyond_doubt_is_not_used_and_what_may_be_chance_is() -> None:
    assert (judged(0.01, 0.4).used, judged(0.4, 0.01).used, judged(0.01, 0.01).used) == (False, True, True)
    better = judged(0.4, 0.01)
    assert better.agreed is not None
    assert (better.agreed.kind, better.agreed.difference < 0) == ("better", True)
    assert "is better" in better.note


def test_rows_that_feedback_touches_do_not_decide() -> None:
    # By its own labels every hour before the end of the held-out half ends badly, and only 0.4 says so.
    sooner = np.where(ROWS.as_of_s % 7200 < 3600, ROWS.as_of_s + 60.0, ROWS.next_start_s)
    impact = judged(0.01, 0.4, replace(ROWS, next_start_s=sooner))
    assert impact.agreed is not None
    assert impact.as_labelled is not None
    assert (impact.as_labelled.kind, impact.agreed.kind, impact.used) == ("better", "worse", False)
    assert impact.agreed.rows < impact.as_labelled.rows


def decided(contrast: str, agreed: str, as_labelled: str) -> bool:
    ends = {"better": (-0.2, -0.1), "even": (-0.1, 0.1), "worse": (0.1, 0.2)}
    on_agreed, by_labels = (Effect(9, 9, {}, {}, 0.0, ends[kind]) for kind in (agreed, as_labelled))
    interval = None if contrast == "unknown" else tuple(-end for end in reversed(ends[contrast]))
    found = Contrast(9, 9, 0.5, 0.5, interval)  # pyright: ignore[reportArgumentType]
    return Impact(NOTHING, on_agreed, by_labels, found).used


def test_where_enough_was_taken_away_later_verdicts_have_to_bear_out_earlier_ones() -> None:
    # Incidents that nobody came to speak against what was learned, so what is agreed on does not decide.
    assert decided("better", agreed="worse", as_labelled="even")
    assert not decided("better", agreed="even", as_labelled="worse")
    # Half the incidents taken away by chance: saying less of everything has the lower loss by such labels.
    assert not decided("even", agreed="even", as_labelled="better")
    assert decided("unknown", agreed="even", as_labelled="worse")
    assert not decided("unknown", agreed="worse", as_labelled="better")


def test_without_rows_that_are_agreed_on_nothing_speaks_for_it() -> None:
    impact = judged(0.01, 0.4, replace(ROWS, eligible=np.zeros(len(ROWS), bool)))
    assert impact.agreed is not None
    assert (impact.agreed.rows, impact.agreed.interval, impact.used) == (0, None, False)
    told = impact.to_dict()["scores"]
    assert isinstance(told, dict)
    assert told["agreed"]["without"]["log_loss"] is None
    assert told["agreed"]["kind"] == "unknown"


def test_weights_change_no_score() -> None:
    heavy = judged(0.4, 0.01, replace(ROWS, weight=np.full(len(ROWS), 4.0)))
    plain = judged(0.4, 0.01)
    assert heavy.agreed is not None
    assert plain.agreed is not None
    assert heavy.agreed.difference == pytest.approx(plain.agreed.difference)
