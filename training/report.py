"""The honest report: scores by horizon and forecaster, as numbers and as a table.

Filled by `training.evaluate`; shown by the command line, the API and notebooks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from models.ensemble import ENSEMBLE
from training.alerting import EventScores
from training.bootstrap import Interval
from training.categories import MIXTURE, CategoryScores
from training.choice import Choice, serves_of
from training.detail import Detail, events_of, iso, json_of

__all__ = ["Report", "Scores", "Served"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one forecaster at one horizon; NaN where a score is not defined.

    Parameters
    ----------
    n, positives : int
        Rows, and rows that an incident followed within the horizon.
    base_rate : float
        positives / n, which is the average precision of guessing.
    ap, auc : float
        Average precision and area under the ROC curve; NaN without both outcomes.
    brier_skill : float
        1 - Brier score / Brier score of the training base rate; 0 is no better, negative is worse.
    ece : float
        Expected calibration error over ten bins of equally many rows.
    log_loss : float
        Mean, nats.
    slope : float
        Calibration slope; 1 is right, below 1 overconfident.
    ap_interval, brier_skill_interval : tuple of float or None
        90 % block-bootstrap intervals.
    model_minus_this : float
        Mean log loss of the ensemble minus that of this forecaster; below 0 the ensemble is better.
    model_minus_this_interval : tuple of float or None
        Its paired 90 % block-bootstrap interval.
    top_ratio : float
        Observed over expected events in the riskiest hundredth of the rows; 1 is right.
    auc_interval, slope_interval, top_ratio_interval : tuple of float or None
        90 % block-bootstrap intervals.
    ap_gain, ap_gain_interval, auc_gain_interval : float, tuple of float or None
        Average precision (and area under the ROC curve) of the ensemble minus that of this forecaster, paired.
    """

    n: int
    positives: int
    base_rate: float
    ap: float
    auc: float
    brier_skill: float
    ece: float
    log_loss: float
    slope: float
    ap_interval: Interval | None
    brier_skill_interval: Interval | None
    model_minus_this: float
    model_minus_this_interval: Interval | None
    top_ratio: float = float("nan")
    auc_interval: Interval | None = None
    slope_interval: Interval | None = None
    top_ratio_interval: Interval | None = None
    ap_gain: float = float("nan")
    ap_gain_interval: Interval | None = None
    auc_gain_interval: Interval | None = None

    @classmethod
    def empty(cls) -> Scores:
        """Return the scores of no rows."""
        nan = float("nan")
        return cls(0, 0, nan, nan, nan, nan, nan, nan, nan, None, None, nan, None)


@dataclass(frozen=True, slots=True)
class Served:
    """What would be served, in each interval the ensemble or a baseline, and how that did as a whole.

    Parameters
    ----------
    choices : dict of str to Choice
        By horizon, who serves the interval that ends there.
    horizons : dict of str to Scores
        Of the composed forecast, on all rows.
    events : EventScores
        Of its alerts at the threshold for the budget.
    """

    choices: dict[str, Choice]
    horizons: dict[str, Scores]
    events: EventScores


@dataclass(frozen=True, slots=True)
class Report:
    """How a fitted ensemble did on held-out time, beside the baselines.

    Parameters
    ----------
    horizons, quiet : dict
        Scores by horizon and forecaster, on all rows and on rows whose series had no incident start within
        the last horizon.
    events : dict of str to EventScores
        Alerts against incidents by forecaster, each at its threshold for the budget of false alarms.
    served : Served
        What would be served.
    weights : dict of str to float
        Stacking weights of the members.
    n_events, n_rows : dict of str to int
        By block.
    test_begin_s, test_end_s : int
        Unix seconds of the held-out block.
    budget_per_day : float
        False alarms a day that every forecaster may spend.
    notes : tuple of str
        What a reader has to know.
    detail : Detail or None
        Of a backtest: its folds, incidents and curves.
    categories : dict of str to CategoryScores, or None
        How well the categories of incidents were told, by the mixture and by each source alone; None where they have none.
    """

    horizons: dict[str, dict[str, Scores]]
    quiet: dict[str, dict[str, Scores]]
    events: dict[str, EventScores]
    served: Served
    weights: dict[str, float]
    n_events: dict[str, int]
    n_rows: dict[str, int]
    test_begin_s: int
    test_end_s: int
    budget_per_day: float
    notes: tuple[str, ...]
    detail: Detail | None = None
    categories: dict[str, CategoryScores] | None = None

    @property
    def serves(self) -> dict[str, str]:
        """Who would serve the interval that ends at each horizon."""
        return serves_of(self.served.choices)

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON values; what is not defined is None."""
        horizons: dict[str, object] = {}
        for horizon, by_name in self.horizons.items():
            entry: dict[str, object] = _plain(by_name[ENSEMBLE])
            entry["baselines"] = {name: _plain(s) for name, s in by_name.items() if name != ENSEMBLE}
            entry["served"] = _plain(self.served.horizons[horizon])
            entry["choice"] = _chosen(self.served.choices[horizon])
            calm = self.quiet[horizon]
            entry["quiet"] = {
                **_plain(calm[ENSEMBLE]),
                "baselines": {name: _plain(s) for name, s in calm.items() if name != ENSEMBLE},
            }
            horizons[horizon] = entry
        told: dict[str, object] = {
            "horizons": horizons,
            "events": {name: events_of(scores) for name, scores in self.events.items()},
            "serves": self.serves,
            "served_events": events_of(self.served.events),
            "weights": dict(self.weights),
            "incidents": dict(self.n_events),
            "rows": dict(self.n_rows),
            "test": [iso(self.test_begin_s), iso(self.test_end_s)],
            "budget_per_day": self.budget_per_day,
            "notes": list(self.notes),
            "categories": None if self.categories is None else {name: _plain(s) for name, s in self.categories.items()},
        }
        return told if self.detail is None else told | self.detail.to_dict()

    def table(self) -> str:
        """Return the report as lines of at most 110 characters for a terminal."""
        lines = [f"held out: {iso(self.test_begin_s)} to {iso(self.test_end_s)}, {self.n_events.get('test', 0)} incidents"]
        for title, tables in (("all rows", self.horizons), ("quiet rows", self.quiet)):
            lines += ["", title, _HEADER]
            for horizon, by_name in tables.items():
                lines += [_line(horizon, name, scores) for name, scores in by_name.items()]
                if tables is self.horizons:
                    lines.append(_line(horizon, "as served", self.served.horizons[horizon]))
        lines += [
            "",
            f"alerts at the threshold that spends {self.budget_per_day:g} false alarms a day on these rows",
            _EVENT_HEADER,
        ]
        lines += [_event_line(name, scores) for name, scores in (self.events | {"as served": self.served.events}).items()]
        lines += [] if self.categories is None else _category_lines(self.categories)
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        lines += ["", f"members: {weights}"]
        lines += [f"at {horizon}: {choice}" for horizon, choice in self.served.choices.items()]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def flat(self) -> Mapping[str, float]:
        """Return the ensemble's defined scores as ``60min.ap`` and the like, for a record."""
        flat: dict[str, float] = {}
        for horizon, by_name in self.horizons.items():
            for name in ("ap", "auc", "brier_skill", "ece", "log_loss", "base_rate"):
                value = getattr(by_name[ENSEMBLE], name)
                if math.isfinite(value):
                    flat[f"{horizon}.{name}"] = value
        return flat


_HEADER = f"{'horizon':8}{'forecaster':13}{'base':>8}{'AP':>8}  {'90 %':17}{'AUC':>6}{'skill':>8}  {'90 %':17}{'ECE':>8}{'logloss':>9}"
_EVENT_HEADER = f"{'forecaster':13}{'recall':>16}{'precision':>18}{'median lead':>14}{'false a day':>13}"

_CATEGORY_HEADER = f"{'told by':13}{'logloss':>9}  {'90 %':17}{'Brier':>7}{'top 1':>8}  {'90 %':17}{'top 3':>8}  {'90 %':17}"


def _line(horizon: str, name: str, s: Scores) -> str:
    return (
        f"{horizon:8}{name:13}{_n(s.base_rate, 8, 4)}{_n(s.ap, 8)}  {_pair(s.ap_interval):17}{_n(s.auc, 6, 2)}"
        f"{_n(s.brier_skill, 8)}  {_pair(s.brier_skill_interval):17}{_n(s.ece, 8, 4)}{_n(s.log_loss, 9, 4)}"
    )


def _event_line(name: str, e: EventScores) -> str:
    lead = "-" if math.isnan(e.median_lead_s) else f"{e.median_lead_s / 60:.0f} min"
    recall = f"{_n(e.recall, 0, 2)} ({e.announced}/{e.incidents})"
    precision = f"{_n(e.precision, 0, 2)} ({e.right}/{e.alerts})"
    return f"{name:13}{recall:>16}{precision:>18}{lead:>14}{_n(e.false_alarms_a_day, 13, 1)}"


def _category_lines(categories: Mapping[str, CategoryScores]) -> list[str]:
    lines = ["", f"categories of {categories[MIXTURE].incidents} incidents, given that they begin", _CATEGORY_HEADER]
    return lines + [
        f"{name:13}{_n(s.log_loss, 9)}  {_pair(s.log_loss_interval):17}{_n(s.brier, 7)}{_n(s.top1, 8, 2)}  {_pair(s.top1_interval):17}"
        f"{_n(s.top3, 8, 2)}  {_pair(s.top3_interval):17}"
        for name, s in categories.items()
    ]


def _n(value: float, width: int, digits: int = 3) -> str:
    return f"{'-' if math.isnan(value) else f'{value:.{digits}f}':>{width}}"


def _pair(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"


def _chosen(choice: Choice) -> dict[str, object]:
    names = ("serves", "kind", "best", "difference", "interval")
    return {name: json_of(getattr(choice, name)) for name in names}


def _plain(scores: Scores | CategoryScores) -> dict[str, object]:
    return {field.name: json_of(getattr(scores, field.name)) for field in fields(scores)}
