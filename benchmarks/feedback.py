"""What feedback is worth, and what wrong feedback costs, on simulated rows where the rule calls too much an incident.

    python -m benchmarks.feedback [--seeds 20] [--first 0] [--wrong 0.1] [--given 0.8]

Eight series over four days, a row every two minutes. The rule finds two kinds of incident: true ones, which warnings announce two
times in three, and harmless ones, which churn announces as often. People give a verdict on a share (`--given`) of what was found:
`confirmed` on true ones and `false_alarm` on harmless ones, or the other way round where they are wrong (`--wrong`). Without and with
the verdicts a run is made as in the service (`training.retrain.retrain`), with the same seed. Both are scored on the held-out third by
what truly happened: false alarms a day of the alerts that reach the recall that the run without feedback reaches at two false alarms a
day, and log loss with its paired 90 % block-bootstrap interval. A seed decides everything.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from features.arrays import FloatArray, IntArray
from features.incident import Incident
from features.schema import Feature, FeatureSchema
from features.series import SeriesKey
from models.contract import Forecaster
from models.feedback import Feedback
from models.hazard import cumulate, log_losses, reached
from training.alerting import alert_column, score_events
from training.bootstrap import Interval, blocks_of
from training.labels import FeedbackPlan, Overlay, next_starts, overlay
from training.overlaid import changes_between
from training.retrain import Plain, retrain
from training.rows import Rows

__all__ = ["Measured", "Simulated", "main", "measure", "simulate", "verdicts"]

_SERIES, _DAYS, _STEP_S = 8, 4, 120
_BEGIN = 1_700_000_000 // 60 * 60
_COLUMNS = ("incident_decay_5", "incident_decay_15", "incident_decay_60", "incident_rate", "incident_rate_seasonal")
_SCHEMA = FeatureSchema(1, tuple(Feature(n, "any") for n in (*_COLUMNS, "warnings", "churn", "noise_1", "noise_2", "noise_3")))
_KEYS = tuple(SeriesKey("default", f"service-{i}", "*") for i in range(_SERIES))
_A_DAY = 3.0  # of each kind and series
_BUDGET = 2.0


@dataclass(frozen=True)
class Simulated:
    """Rows without labels, and the incidents of both kinds."""

    x: np.ndarray
    series: IntArray
    as_of_s: IntArray
    true: tuple[Incident, ...]
    harmless: tuple[Incident, ...]

    def rows(self, laid: Overlay) -> Rows:
        """Return the rows with the labels of some incidents."""
        end_s = _BEGIN + _DAYS * 86_400
        upcoming = next_starts(laid.incidents, _KEYS, self.series, self.as_of_s)
        settled = np.ones(len(self.series), bool)
        for incident in (*self.true, *self.harmless):
            start_s = incident.start.timestamp()
            mine = self.series == _KEYS.index(incident.series)
            settled &= ~(mine & (self.as_of_s > start_s) & (self.as_of_s < start_s + 1200))
        settled &= laid.teachable(_KEYS, self.series, self.as_of_s)
        weight = laid.weights(_KEYS, self.series, self.as_of_s, end_s, FeedbackPlan())
        never = np.zeros(len(settled), bool)
        return Rows(
            self.x,
            _SCHEMA,
            self.series,
            _KEYS,
            self.as_of_s,
            upcoming.start_s,
            end_s,
            settled,
            never,
            np.full(len(settled), -1),
            weight=np.where(upcoming.start_s - self.as_of_s <= 3600, 1.0, weight),
        )


def simulate(rng: np.random.Generator) -> Simulated:
    """Make rows whose two kinds of incident have a sign each."""
    times = np.arange(_BEGIN, _BEGIN + _DAYS * 86_400, _STEP_S)
    parts, found = [], dict[str, list[Incident]]({"true": [], "harmless": []})
    for key in _KEYS:
        x = rng.normal(size=(len(times), len(_SCHEMA.features)))
        x[:, :5] = 0.0
        x[:, 5:7] = np.log1p(rng.poisson(1.0, (len(times), 2)))
        all_starts: list[int] = []
        for kind, column in (("true", 5), ("harmless", 6)):
            for start_s in (
                np.sort(rng.uniform(times[0] + 7200, times[-1] - 7200, rng.poisson(_A_DAY * _DAYS))).astype(int).tolist()
            ):
                all_starts.append(start_s)
                found[kind].append(Incident.at(key, start_s, start_s, start_s + 600))
                if rng.random() < 2 / 3:
                    rise = (times < start_s) & (times >= start_s - 1800)
                    x[rise, column] += 2.0 * (1.0 - (start_s - times[rise]) / 2400)
        for start_s in all_starts:
            after = times >= start_s
            for place, span_s in enumerate((300, 900, 3600)):
                x[after, place] += np.exp(-(times[after] - start_s) / span_s)
        seen = np.searchsorted(np.sort(all_starts), times, side="right")
        x[:, 3] = x[:, 4] = (seen + 1) / ((times - times[0]) / 3600 + 24)
        parts.append(x)
    series = np.repeat(np.arange(_SERIES), len(times))
    return Simulated(
        np.concatenate(parts).astype(np.float32),
        series,
        np.tile(times, _SERIES),
        tuple(found["true"]),
        tuple(found["harmless"]),
    )


def verdicts(seen: Simulated, rng: np.random.Generator, wrong: float, given: float) -> tuple[Feedback, ...]:
    """Say of what was found whether it was an incident, wrongly now and then."""
    said: list[Feedback] = []
    for verdict, other, incidents in (("confirmed", "false_alarm", seen.true), ("false_alarm", "confirmed", seen.harmless)):
        for incident in incidents:
            if rng.random() < given:
                chosen = other if rng.random() < wrong else verdict
                said.append(Feedback(f"f{len(said)}", chosen, "ann", incident.start, incident=incident.id))
    return tuple(said)


@dataclass(frozen=True)
class Measured:
    """One seed without and with feedback, by what truly happened in the held-out third."""

    used: bool
    recall: float
    false_alarms: tuple[float, float]
    difference: float
    interval: Interval | None


def measure(seed: int, wrong: float, given: float) -> Measured:
    """Make both runs of a seed and score them."""
    rng = np.random.default_rng(seed)
    seen = simulate(rng)
    said = verdicts(seen, rng, wrong, given)
    incidents = (*seen.true, *seen.harmless)
    laid = overlay(incidents, said)
    plain, rows = seen.rows(Overlay(incidents)), seen.rows(laid)
    before = retrain(plain, seed=seed, budget=_BUDGET)
    changes = changes_between(plain, rows, incidents, laid.incidents, said)
    after = retrain(rows, seed=seed, budget=_BUDGET, plain=Plain(plain, changes))
    truth = seen.rows(Overlay(seen.true))
    _, at_risk = truth.targets()
    test = truth.take(np.flatnonzero(before.fitted.record.split.test.rows & at_risk.any(axis=1)))
    first, second = before.fitted.ensemble, after.fitted.ensemble
    recall, fewest = _alerts(first, test)
    y, at_risk = test.targets()
    losses = [(log_losses(model.hazards(test.x), y) * at_risk).sum(axis=1) for model in (first, second)]
    blocks = blocks_of(test.as_of_s, block_s=7200, n_resamples=200, seed=seed)
    worse: FloatArray = losses[1] - losses[0]
    assert after.impact is not None
    return Measured(
        after.impact.used,
        recall,
        (fewest, _alerts(second, test, recall)[1]),
        float(worse.mean()),
        blocks.interval(blocks.mean(worse)),
    )


def _alerts(model: Forecaster, test: Rows, recall: float | None = None) -> tuple[float, float]:
    """Return recall and false alarms a day: at the budget, or at the highest threshold that reaches a recall."""
    y, at_risk = test.targets()
    _, known = reached(y, at_risk)
    p = cumulate(model.hazards(test.x))[:, alert_column(test.horizons)]
    if recall is None:
        found = score_events(p, test, known[:, -1], _BUDGET)
        return found.recall, found.false_alarms_a_day
    for threshold in np.unique(np.quantile(p, np.linspace(1.0, 0.0, 400)))[::-1].tolist():
        found = score_events(p, test, known[:, -1], _BUDGET, threshold=threshold)
        if found.recall >= recall:
            return found.recall, found.false_alarms_a_day
    raise AssertionError("the lowest threshold alerts always")


def main() -> None:
    """Print every seed and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--wrong", type=float, default=0.1)
    parser.add_argument("--given", type=float, default=0.8)
    options = parser.parse_args()
    print(f"wrong {options.wrong:g}, given {options.given:g}, {datetime.now(UTC):%Y-%m-%d}")
    found: list[Measured] = []
    for seed in range(options.first, options.first + options.seeds):
        one = measure(seed, options.wrong, options.given)
        found.append(one)
        interval = "none" if one.interval is None else f"[{one.interval[0]:+.4f}, {one.interval[1]:+.4f}]"
        print(
            f"seed {seed:3}  {'used' if one.used else 'refused':8} recall {one.recall:.2f}  "
            f"false alarms a day {one.false_alarms[0]:.2f} -> {one.false_alarms[1]:.2f}  loss {one.difference:+.4f} {interval}",
            flush=True,
        )
    before, after = (float(np.mean([one.false_alarms[i] for one in found])) for i in (0, 1))
    worse = sum(one.interval is not None and one.interval[0] > 0 for one in found)
    print(f"false alarms a day at equal recall {before:.2f} -> {after:.2f} ({after / before - 1:+.0%})")
    print(f"used in {sum(one.used for one in found)} of {len(found)}, loss worse beyond noise in {worse}")


if __name__ == "__main__":
    main()
