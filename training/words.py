"""A report in plain words: how numbers read, and what they mean for somebody who has to decide.

`training.page` shows them. Texts are plain, not HTML: names in them are as they came.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from scipy.stats import binom

from models.ensemble import ENSEMBLE
from training.alerting import EventScores
from training.bootstrap import Interval
from training.categories import MIXTURE, CategoryScores
from training.choice import Choice, Kind
from training.detail import GROUPS
from training.report import Report, Scores

__all__ = [
    "DASH",
    "Verdict",
    "alerting",
    "calibration",
    "categories",
    "moment",
    "number",
    "opening",
    "ranged",
    "serving",
    "share",
    "span",
    "verdicts",
]

DASH = "\N{EN DASH}"
"""Stands where a score is not defined."""

_FEW = 10.0  # below it a second digit tells something
_MINUS = "\N{MINUS SIGN}"
_UNITS = ((90.0, 1.0, "s"), (5_400.0, 60.0, "min"), (129_600.0, 3_600.0, "h"), (math.inf, 86_400.0, "days"))
_RIGHT_COVERAGE = 0.9
_CHANCE = 0.05  # how often right intervals are called wrong, were groups independent
_SOURCES = {
    "now": "the service's errors of 15 minutes",
    "hour": "the service's errors of an hour",
    "own": "the service's own incidents",
    "tenant": "the incidents of all services",
    "last": "the service's last incident",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a horizon's scores say of the ensemble.

    Parameters
    ----------
    kind : Kind
        Against the best baseline by log loss; even where the difference may be chance.
    text : str
        One or two sentences.
    """

    kind: Kind
    text: str


def number(value: float | None, digits: int = 3) -> str:
    """Return a number of some decimals, a dash where there is none.

    Examples
    --------
    >>> number(0.12345), number(1.5, 1), number(float("nan")) == DASH
    ('0.123', '1.5', True)
    """
    return DASH if value is None or not math.isfinite(value) else f"{value:.{digits}f}".replace("-", _MINUS)


def share(value: float | None) -> str:
    """Return a share as per cent with two digits that tell, a dash where there is none.

    Examples
    --------
    >>> [share(p).replace(chr(160), " ") for p in (0.5, 0.0123, 0.00042, 0.0, 0.9996)]
    ['50 %', '1.2 %', '0.042 %', '0 %', '99.96 %']
    """
    if value is None or not math.isfinite(value):
        return DASH
    cent = 100 * value
    if abs(cent) < _FEW:
        text = f"{float(f'{cent:.2g}'):.10f}".rstrip("0").rstrip(".")
    else:
        text = f"{cent:.4g}" if 99 < cent < 100 else f"{cent:.0f}"  # noqa: PLR2004, nearly all is not all
    return text.replace("-", _MINUS) + "\N{NO-BREAK SPACE}%"


def span(seconds: float | None) -> str:
    """Return a length of time in the unit that reads best, a dash where there is none.

    Examples
    --------
    >>> [span(s).replace(chr(160), " ") for s in (40, 1380, 7200, 259_200)]
    ['40 s', '23 min', '2 h', '3 days']
    """
    if seconds is None or not math.isfinite(seconds):
        return DASH
    unit_s, unit = next((unit_s, unit) for until_s, unit_s, unit in _UNITS if seconds < until_s)
    count = seconds / unit_s
    digits = 1 if unit in {"h", "days"} and count < _FEW else 0
    return f"{count:,.{digits}f}".removesuffix(".0") + f"\N{NO-BREAK SPACE}{unit}"


def moment(unix_s: float) -> str:
    """Return a time for people.

    Examples
    --------
    >>> moment(0)
    '1970-01-01 00:00'
    """
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M")


def ranged(interval: Interval | None, show: Callable[[float], str] = number) -> str:
    """Return an interval in brackets, nothing where there is none.

    Examples
    --------
    >>> ranged((0.1, 0.25)), ranged(None)
    ('[0.100, 0.250]', '')
    """
    return "" if interval is None else f"[{show(interval[0])}, {show(interval[1])}]"


def opening(report: Report) -> str:
    """Say what the report is about."""
    length = span(report.test_end_s - report.test_begin_s)
    incidents = report.events[ENSEMBLE].incidents
    detail = report.detail
    whose, how = "", "It was forecast by a model that had learned from nothing but what lay before."
    if detail is not None:
        whose = f" in {detail.n_series:,} series"
        how = (
            f"It is cut into {len(detail.folds)} folds; each was forecast by a model that had learned from nothing but what "
            "lay before it."
        )
    return (
        f"{moment(report.test_begin_s)} to {moment(report.test_end_s)} UTC ({length}): "
        f"{incidents:,} incidents{whose}, {report.n_rows.get('test', 0):,} forecasts. {how}"
    )


def alerting(report: Report) -> list[str]:
    """Say what the alert budget buys, with hindsight and without."""
    longest = list(report.horizons)[-1]
    scores = report.events[ENSEMBLE]
    told = [
        f"With {report.budget_per_day:g} false alarms a day to spend over all series, the ensemble announces "
        f"{scores.announced:,} of {scores.incidents:,} incidents within the {longest} before they begin "
        f"(recall {_with(scores.recall, scores.recall_interval, share)}), half of them at least "
        f"{_with(scores.median_lead_s, scores.median_lead_interval, span)} ahead. Of its {scores.alerts:,} alerts "
        f"{_with(scores.precision, scores.precision_interval, share)} are right, and "
        f"{_with(scores.false_alarms_a_day, scores.false_alarms_interval, _one)} a day are false."
    ]
    others = {name: s for name, s in report.events.items() if name != ENSEMBLE}
    if others and scores.incidents:
        told.append(_best_other(scores, others))
    deployed = None if report.detail is None else report.detail.deployed.get(ENSEMBLE)
    if deployed is not None:
        told.append(_deployed(deployed))
    return told


def _best_other(scores: EventScores, others: Mapping[str, EventScores]) -> str:
    best = max(others, key=lambda name: others[name].announced)
    other = others[best]
    how = (
        "more than"
        if scores.announced > other.announced
        else "fewer than"
        if scores.announced < other.announced
        else "as many as"
    )
    return (
        f"At the same price that is {how} the best baseline: {best} announces {other.announced:,} of {other.incidents:,}, half of them at "
        f"least {span(other.median_lead_s)} ahead."
    )


def _deployed(scores: EventScores) -> str:
    return (
        "That is with hindsight: the threshold spends the budget of false alarms on these very days. In service each day's threshold "
        "follows what was said in the days before it, within as many alerts a day, right or wrong; so the ensemble "
        f"would have announced {scores.announced:,} of {scores.incidents:,} "
        f"({_with(scores.recall, scores.recall_interval, share)}) at "
        f"{_with(scores.false_alarms_a_day, scores.false_alarms_interval, _one)} false alarms a day."
    )


def verdicts(report: Report) -> list[Verdict]:
    """Say by horizon whether the ensemble beats the baselines, and where a baseline wins."""
    return [_verdict(horizon, by_name) for horizon, by_name in report.horizons.items()]


def _verdict(horizon: str, by_name: Mapping[str, Scores]) -> Verdict:
    mine = by_name[ENSEMBLE]
    others = {name: s for name, s in by_name.items() if name != ENSEMBLE and math.isfinite(s.log_loss)}
    if not others or not math.isfinite(mine.log_loss):
        return Verdict("unknown", f"At {horizon}, nothing can be said: no rows were scored.")
    best = min(others, key=lambda name: others[name].log_loss)
    if others[best].log_loss < mine.log_loss:
        return _lost(horizon, mine, best, others)
    doubtful = [
        name for name, s in others.items() if s.model_minus_this_interval is None or s.model_minus_this_interval[1] >= 0
    ]
    if doubtful:
        return Verdict(
            "even",
            f"At {horizon}, the ensemble has the lowest log loss ({_loss(mine)}), but against {_and(doubtful)} the difference "
            "may be chance.",
        )
    gain = share(1 - mine.log_loss / others[best].log_loss)
    return Verdict(
        "better",
        f"At {horizon}, the ensemble beats every baseline ({_and(list(others))}) by more than chance explains: its log loss is "
        f"{gain} below that of the best, {best}.",
    )


def _lost(horizon: str, mine: Scores, best: str, others: Mapping[str, Scores]) -> Verdict:
    winner = others[best]
    sure = winner.model_minus_this_interval is not None and winner.model_minus_this_interval[0] > 0
    also = [name for name, s in others.items() if name != best and s.log_loss < mine.log_loss]
    text = f"At {horizon}, {best} has the lower log loss ({_loss(winner)} against the ensemble's {_loss(mine)})."
    if not sure:
        text += " The difference may be chance, but nothing speaks for the more complicated forecaster."
    if also:
        text += f" {_and(also)} {'is' if len(also) == 1 else 'are'} ahead of the ensemble, too."
    return Verdict("worse", text)


def serving(report: Report) -> list[str]:
    """Say who would serve each stretch of the time ahead, and why."""
    ends = list(report.served.choices)
    return [
        _chosen(f"up to {end}" if begin is None else f"from {begin} to {end}", report.served.choices[end])
        for begin, end in zip((None, *ends), ends, strict=False)
    ]


def _chosen(stretch: str, choice: Choice) -> str:
    if choice.kind == "unknown":
        return f"For starts {stretch} ahead, {choice.serves}: there is too little data to show that the ensemble is better."
    gap = f"log loss {choice.difference:+.2g} [{{:+.2g}}, {{:+.2g}}] of a row".format(*choice.interval or ()).replace(
        "-", _MINUS
    )
    if choice.kind == "better":
        return f"For starts {stretch} ahead, the ensemble: it is better than the best baseline, {choice.best}, beyond doubt ({gap})."
    how = "is worse" if choice.kind == "worse" else "is not better beyond doubt"
    return f"For starts {stretch} ahead, {choice.serves}, the best baseline: the ensemble {how} ({gap})."


def calibration(report: Report) -> list[str]:
    """Say whether what was stated is what happened."""
    said = [_calibrated(horizon, by_name[ENSEMBLE]) for horizon, by_name in report.horizons.items()]
    folds = () if report.detail is None else report.detail.folds
    known = [fold.coverage for fold in folds if math.isfinite(fold.coverage)]
    if known:
        held, n = float(np.mean(known)), GROUPS * len(known)
        seldom = round(held * n) < binom.ppf(_CHANCE, n, _RIGHT_COVERAGE)
        verdict = "too seldom for chance" if seldom else "as often as may be"
        said.append(
            f"Stated intervals: in {share(held)} of {n} groups of rows the observed rate agreed with them, {verdict} "
            f"({share(_RIGHT_COVERAGE)} on average is right)."
        )
    return said


def _calibrated(horizon: str, scores: Scores) -> str:
    slope = _against_one(scores.slope, scores.slope_interval, ("overconfident", "not to be told from right", "too cautious"))
    top = _against_one(
        scores.top_ratio,
        scores.top_ratio_interval,
        ("incidents came less often than stated", "not to be told from right", "incidents came more often than stated"),
    )
    return (
        f"At {horizon}: slope {_with(scores.slope, scores.slope_interval, _two)}, {slope}; in the riskiest 1\N{NO-BREAK SPACE}% of rows, "
        f"observed over expected {_with(scores.top_ratio, scores.top_ratio_interval, _two)}, {top}."
    )


def categories(report: Report) -> str | None:
    """Say how well the categories of incidents were told, and whether one source alone tells as much; None where there are none."""
    if report.categories is None:
        return None
    mine = report.categories[MIXTURE]
    others = {name: s for name, s in report.categories.items() if name != MIXTURE}
    best = min(others, key=lambda name: others[name].log_loss)
    return (
        f"Of {mine.incidents:,} incidents of a known category, the likeliest one that was told before was right for "
        f"{_with(mine.top1, mine.top1_interval, share)}, and among the three likeliest for {_with(mine.top3, mine.top3_interval, share)}. "
        f"The log loss is {_with(mine.log_loss, mine.log_loss_interval, _two)} nats (guessing among 14 has 2.64). Of the sources alone, "
        f"{_SOURCES[best]} tell{'s' if best == 'last' else ''} most: {_two(others[best].log_loss)} nats, the likeliest right for "
        f"{share(others[best].top1)}. {_mixed(others[best])}"
    )


def _mixed(best: CategoryScores) -> str:
    interval = best.mixture_minus_this_interval
    if interval is not None and interval[1] < 0:
        return "The mixture that is served beats it by more than chance explains."
    if best.mixture_minus_this > 0:
        sure = interval is not None and interval[0] > 0
        return f"The mixture that is served does not beat it{'' if sure else ', which may be chance'}."
    return "The mixture that is served is ahead of it, which may be chance."


def _against_one(value: float, interval: Interval | None, words: tuple[str, str, str]) -> str:
    """Return the word for below one, not to be told from one, and above it."""
    if interval is None or not math.isfinite(value):
        return "too few incidents to judge"
    if interval[1] < 1:
        return words[0]
    return words[2] if interval[0] > 1 else words[1]


def _with(value: float, interval: Interval | None, show: Callable[[float], str]) -> str:
    return f"{show(value)} {ranged(interval, show)}".rstrip()


def _one(value: float) -> str:
    return number(value, 1)


def _two(value: float) -> str:
    return number(value, 2)


def _loss(scores: Scores) -> str:
    return f"{scores.log_loss:#.4g}"


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
