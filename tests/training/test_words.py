"""The report in plain words says who wins, how sure that is, and what cannot be said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from training.alerting import EventScores
from training.categories import CategoryScores
from training.choice import Choice
from training.detail import Detail, Fold, Told
from training.report import Report, Scores, Served
from training.words import (
    DASH,
    alerting,
    calibration,
    categories,
    number,
    opening,
    ranged,
    serving,
    share,
    span,
    verdicts,
)

NAN = float("nan")
MINE = Scores(1000, 20, 0.02, 0.4, 0.9, 0.2, 0.001, 0.08, 0.95, (0.3, 0.5), (0.1, 0.3), 0.0, (0.0, 0.0))
EVENTS = EventScores(0.3, 10, 6, 8, 6, 1200.0, 300.0, 1.0, (0.4, 0.8), (0.5, 0.9), (900.0, 1500.0), (1.5, 2.5))


def a_baseline(log_loss: float, low: float, high: float) -> Scores:
    return replace(MINE, log_loss=log_loss, model_minus_this=MINE.log_loss - log_loss, model_minus_this_interval=(low, high))


def a_report(hour: dict[str, Scores], detail: Detail | None = None) -> Report:
    counts = {"test": 1000}
    served = Served({"60min": Choice("rate", 0.01, None)}, {"60min": MINE}, EVENTS)
    return Report(
        {"60min": hour}, {"60min": hour}, {"ensemble": EVENTS}, served, {}, counts, counts, 0, 86_400 * 2, 2.0, (), detail
    )


def a_fold(coverage: float) -> Fold:
    return Fold(0, 86_400, 500, 12, {"trees": 1.0}, {}, coverage, ())


def test_values_without_meaning_are_a_dash() -> None:
    assert [show(NAN) for show in (number, share, span)] == [DASH] * 3
    assert [show(None) for show in (number, share, span)] == [DASH] * 3
    assert ranged(None) == ""


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0995, "10 %"), (0.099, "9.9 %"), (1.0, "100 %"), (1.234, "123 %"), (1e-6, "0.0001 %"), (-0.123, "\N{MINUS SIGN}12 %")],
)
def test_shares_read_as_people_write_them(p: float, text: str) -> None:
    assert share(p).replace("\N{NO-BREAK SPACE}", " ") == text


def test_an_ensemble_ahead_of_all_beyond_doubt_is_better() -> None:
    (said,) = verdicts(
        a_report({"ensemble": MINE, "rate": a_baseline(0.1, -0.03, -0.01), "recency": a_baseline(0.12, -0.05, -0.03)})
    )
    assert said.kind == "better"
    assert "beats every baseline (rate and recency)" in said.text
    assert "20\N{NO-BREAK SPACE}% below that of the best, rate" in said.text


def test_a_lead_that_may_be_chance_is_even() -> None:
    (said,) = verdicts(
        a_report({"ensemble": MINE, "rate": a_baseline(0.081, -0.01, 0.01), "recency": a_baseline(0.12, -0.05, -0.03)})
    )
    assert said.kind == "even"
    assert "against rate the difference may be chance" in said.text


def test_a_baseline_that_wins_is_named() -> None:
    hour = {"ensemble": MINE, "seasonal": a_baseline(0.07, 0.005, 0.02), "rate": a_baseline(0.075, -0.01, 0.02)}
    (said,) = verdicts(a_report(hour))
    assert said.kind == "worse"
    assert said.text.startswith("At 60min, seasonal has the lower log loss (0.07000 against the ensemble's 0.08000).")
    assert "chance" not in said.text
    assert said.text.endswith("rate is ahead of the ensemble, too.")


def test_a_baseline_that_wins_perhaps_by_chance_is_said_to() -> None:
    (said,) = verdicts(a_report({"ensemble": MINE, "seasonal": a_baseline(0.07, -0.005, 0.02)}))
    assert said.kind == "worse"
    assert "may be chance" in said.text


def test_who_serves_each_stretch_is_told_with_the_reason() -> None:
    choices = {
        "5min": Choice("rate", -0.02, (-0.03, -0.01)),
        "15min": Choice("recency", -0.02, (-0.03, 0.01)),
        "60min": Choice("seasonal", 0.02, (0.01, 0.03)),
        "6h": Choice("recency", NAN, None),
    }
    said = serving(replace(a_report({"ensemble": MINE}), served=Served(choices, {}, EVENTS)))
    assert said[0].startswith(
        "For starts up to 5min ahead, the ensemble: it is better than the best baseline, rate, beyond doubt"
    )
    assert said[1].startswith("For starts from 5min to 15min ahead, recency, the best baseline: the ensemble is not better")
    assert said[2].endswith("the ensemble is worse (log loss +0.02 [+0.01, +0.03] of a row).")
    assert "too little data" in said[3]


def test_without_rows_nothing_is_claimed() -> None:
    (said,) = verdicts(a_report({"ensemble": Scores.empty(), "rate": Scores.empty()}))
    assert said.kind == "unknown"


def test_the_opening_counts_series_folds_and_days() -> None:
    told = (Told("a", 10.0, None, 0.3, ()), Told("b", 20.0, 60.0, 0.3, ((60.0, 0.4),)))
    detail = Detail((a_fold(0.9), a_fold(0.8)), {"ensemble": replace(EVENTS, announced=5)}, {}, (), told, 2)
    text = opening(a_report({"ensemble": MINE}, detail))
    assert "1970-01-01 00:00 to 1970-01-03 00:00 UTC" in text
    assert "10 incidents in 2 series" in text
    assert "cut into 2 folds" in text
    assert "folds" not in opening(a_report({"ensemble": MINE}))


def test_alerts_are_told_with_hindsight_and_without() -> None:
    hour = {"ensemble": MINE}
    assert len(alerting(a_report(hour))) == 1
    detail = Detail((), {"ensemble": replace(EVENTS, announced=5)}, {}, (), (), 2)
    hindsight, served = (text.replace("\N{NO-BREAK SPACE}", " ") for text in alerting(a_report(hour, detail)))
    assert "announces 6 of 10 incidents" in hindsight
    assert "recall 60 % [40 %, 80 %]" in hindsight
    assert "at least 20 min [15 min, 25 min] ahead" in hindsight
    assert "would have announced 5 of 10" in served


def test_alerts_are_told_beside_those_of_the_best_baseline_at_the_same_price() -> None:
    for announced, word in ((7, "fewer than"), (6, "as many as"), (2, "more than")):
        events = {"ensemble": EVENTS, "rate": replace(EVENTS, announced=announced), "seasonal": replace(EVENTS, announced=1)}
        said = alerting(replace(a_report({"ensemble": MINE}), events=events))[1].replace("\N{NO-BREAK SPACE}", " ")
        assert f"that is {word} the best baseline: rate announces {announced} of 10, half of them at least 20 min ahead" in said


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        ((0.5, 0.8), "overconfident"),
        ((0.8, 1.1), "not to be told from right"),
        ((1.1, 1.4), "too cautious"),
        (None, "too few incidents to judge"),
    ],
)
def test_a_slope_is_judged_by_its_interval(interval: tuple[float, float] | None, word: str) -> None:
    (text,) = calibration(a_report({"ensemble": replace(MINE, slope_interval=interval)}))
    assert f"slope 0.95 {ranged(interval, lambda value: number(value, 2))}".rstrip() + f", {word};" in text


@pytest.mark.parametrize(
    ("second", "text"),
    [(0.7, "in 80 % of 20 groups"), (0.7, "as often as may be"), (0.6, "in 75 % of 20 groups"), (0.6, "too seldom for chance")],
)
def test_coverage_is_too_seldom_only_below_what_chance_explains(second: float, text: str) -> None:
    # Of 20 groups by right intervals, fewer than 16 agree in 4 % of cases, fewer than 17 in 13 %.
    detail = Detail((a_fold(0.9), a_fold(second), a_fold(NAN)), {}, {}, (), (), 2)
    assert text in calibration(a_report({"ensemble": MINE}, detail))[-1].replace("\N{NO-BREAK SPACE}", " ")


def test_of_coverage_nothing_is_said_where_no_fold_has_it() -> None:
    alone = Detail((a_fold(NAN),), {}, {}, (), (), 2)
    assert len(calibration(a_report({"ensemble": MINE}, alone))) == 1


@pytest.mark.parametrize(
    ("difference", "interval", "text"),
    [
        (-0.3, (-0.4, -0.1), "beats it by more than chance explains"),
        (-0.1, (-0.2, 0.1), "is ahead of it, which may be chance"),
        (-0.1, None, "is ahead of it, which may be chance"),
        (0.1, (-0.1, 0.2), "does not beat it, which may be chance"),
        (0.2, (0.1, 0.3), "does not beat it."),
    ],
)
def test_categories_are_told_beside_the_best_source_alone(
    difference: float, interval: tuple[float, float] | None, text: str
) -> None:
    mixture = CategoryScores(12, 1.5, 0.7, 0.5, 0.8, (1.2, 1.8), None, (0.4, 0.6), (0.7, 0.9), 0.0, (0.0, 0.0))
    own = replace(
        mixture, log_loss=1.5 - difference, top1=0.4, mixture_minus_this=difference, mixture_minus_this_interval=interval
    )
    report = replace(
        a_report({"ensemble": MINE}), categories={"mixture": mixture, "own": own, "now": replace(own, log_loss=2.5)}
    )
    said = (categories(report) or "").replace("\N{NO-BREAK SPACE}", " ")
    assert "Of 12 incidents" in said
    assert "right for 50 % [40 %, 60 %]" in said
    assert f"the service's own incidents tell most: {1.5 - difference:.2f} nats" in said
    assert text in said


def test_of_categories_nothing_is_said_where_there_are_none() -> None:
    assert categories(a_report({"ensemble": MINE})) is None
