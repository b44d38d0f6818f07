"""What feedback is worth, and what wrong feedback costs, in shops where the rule calls too much an incident.

    python -m benchmarks.feedback [--seeds 20] [--first 0] [--wrong 0.1 0.5] [--given 0.8] [--keep DIR]

Each seed is a shop of its own (`benchmarks.small_shop`): twelve services over eight days, a tick every two minutes, whose counts go through
the Memory, the features and the rule of the service; a row every six minutes. Beside a true fault a day and service, which are announced two
times in three, three services have a nightly job that fails a few requests at the same hour, and four a health check that flaps three times
a day, announced as often as faults are but by handled exceptions instead of warnings. The rule finds all of these alike. One day in five a
service is slow, which people suffer and the rule does not see; one day in ten it shows the signs of a fault and nothing follows.

People say on a share (`--given`) of what happened: ``confirmed`` of faults; ``false_alarm`` of flaps, and of what jobs fail, but for one job that
somebody enters as ``expected`` every day; ``missed`` of slow spells. A share of the verdicts (`--wrong`) is wrong: confirmed and false alarm
change places, and what was missed or expected is dated to any time. A half wrong says nothing at all of what was true.

Without and with the verdicts a run is made as in the service (`training.retrain.retrain`), which may refuse them. What would serve is scored
on the last third, held out, by what truly happened: by the labels under complete and right verdicts. False alarms a day at equal recall: the
recall that the model without feedback has at 1, 2, 3 and 4 false alarms a day, over all services, is read off its sweep of thresholds, and the
false alarms that the other needs for the same recall off its own, each between its two nearest thresholds; the mean of the four is compared.
Log loss is of a row over all intervals, with its paired 90 % block-bootstrap interval; over seeds, intervals of 90 % are by a bootstrap of
seeds. A seed decides everything.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.small_shop import BEGIN_S, TICK_S, Burst, Harmless, SmallShop, key_of
from features.arrays import FloatArray
from features.extract import SCHEMA
from features.memory import Memory, MemoryPlan
from models.contract import Forecaster
from models.feedback import Feedback, Stretch
from models.hazard import cumulate, log_losses, reached
from training.alerting import alert_column, score_events
from training.bootstrap import Interval, blocks_of
from training.dataset import Dataset, Gathering
from training.labels import Said
from training.retrain import Outcome, Plain, retrain
from training.rows import Rows

__all__ = ["Lived", "Measured", "Sweep", "lived", "main", "measure", "swept", "verdicts"]

_SERVICES, _DAYS, _STRIDE = 12, 8.0, 3
_HARMLESS = Harmless(jobs=3, flaps=4, slow_a_day=0.2, fizzles_a_day=0.1)
_BUDGETS = (1.0, 2.0, 3.0, 4.0)
_STEPS = 150
_RESAMPLES = 200


@dataclass(frozen=True)
class Lived:
    """A shop, what the line gathered of it, and what truly happened."""

    shop: SmallShop
    gathering: Gathering

    def dataset(self, said: Sequence[Feedback] = ()) -> Dataset:
        """Return rows with verdicts laid over them."""
        return self.gathering.dataset(Said(tuple(said)))

    def truth(self) -> Rows:
        """Return the rows under complete and right verdicts: nothing harmless is an incident, everything slow is."""
        right = [*self._harmless(), *(_missed(b) for b in self.shop.bursts if b.kind == "slow")]
        return replace(self.dataset(right).rows, weight=None)

    def _harmless(self) -> Iterator[Feedback]:
        for incident in self.dataset().incidents:
            burst = self.burst_of(incident.series.service, incident.start.timestamp())
            if burst is None or not burst.harmful:
                yield Feedback(f"truth-{incident.id}", "false_alarm", "truth", incident.start, incident=incident.id)

    def burst_of(self, service: str, start_s: float) -> Burst | None:
        """Return what an incident of the rule is, None for chance."""
        return next(
            (
                b
                for b in self.shop.bursts
                if b.share
                and self.shop.name(b.service, b.start_s) == service
                and b.start_s - TICK_S <= start_s <= b.end_s + 2 * TICK_S
            ),
            None,
        )


def lived(seed: int, keep: Path | None = None) -> Lived:
    """Send a shop through the line, or take it from a folder of those that were kept."""
    path = None if keep is None else keep / f"small-{seed}-{SCHEMA.sha256[:8]}.pickle"
    if path is not None and path.exists():
        return pickle.loads(path.read_bytes())
    shop = SmallShop(np.random.default_rng(seed), _SERVICES, _DAYS, 1.0, _HARMLESS)
    memory = Memory(MemoryPlan(tick_s=TICK_S))
    gathering = Gathering(memory, stride=_STRIDE, services=True)
    for at_s in range(BEGIN_S, shop.end_s, TICK_S):
        memory.begin(at_s // TICK_S)
        memory.add("default", 0, shop.tick(at_s))
        gathering.add(memory.advance(at_s // TICK_S + 1).standing)
    made = Lived(shop, gathering)
    if path is not None:
        path.write_bytes(pickle.dumps(made))
    return made


def verdicts(world: Lived, rng: np.random.Generator, wrong: float, given: float) -> tuple[Feedback, ...]:
    """Say of what happened what it was, wrongly now and then."""
    said: list[Feedback] = []
    for incident in world.dataset().incidents:
        burst = world.burst_of(incident.series.service, incident.start.timestamp())
        if (burst is not None and burst.kind == "job" and burst.service == 0) or rng.random() >= given:
            continue
        right = burst is not None and burst.harmful
        verdict = "confirmed" if right != (rng.random() < wrong) else "false_alarm"
        said.append(Feedback(f"f{len(said)}", verdict, "ann", incident.detected_at, incident=incident.id))
    shop = world.shop
    for burst in shop.bursts:
        if burst.kind == "slow" and rng.random() < given:
            said.append(replace(_missed(_moved(shop, burst, rng) if rng.random() < wrong else burst), id=f"f{len(said)}"))
    job = next(b for b in shop.bursts if b.kind == "job" and b.service == 0)
    job = _moved(shop, job, rng) if rng.random() < wrong else job
    begin, end = (datetime.fromtimestamp(s, UTC) for s in (job.start_s - 2 * TICK_S, job.end_s + 2 * TICK_S))
    stretch = Stretch(key_of(shop.name(0, job.start_s)), begin, end)
    return (*said, Feedback(f"f{len(said)}", "expected", "ann", end, stretch=stretch, repeats="day"))


def _missed(burst: Burst) -> Feedback:
    start, end = (datetime.fromtimestamp(s, UTC) for s in (burst.start_s, burst.end_s))
    stretch = Stretch(key_of(f"service-{burst.service}"), start, end)
    return Feedback(f"truth-{burst.service}-{burst.start_s}", "missed", "ann", end, stretch=stretch)


def _moved(shop: SmallShop, burst: Burst, rng: np.random.Generator) -> Burst:
    start_s = BEGIN_S + int(rng.integers(0, (shop.end_s - BEGIN_S - 7200) // TICK_S)) * TICK_S
    return replace(burst, start_s=start_s, end_s=start_s + burst.end_s - burst.start_s)


@dataclass(frozen=True)
class Sweep:
    """Recall and the fewest false alarms a day that reach it, both ascending."""

    recall: FloatArray
    false_alarms: FloatArray

    def recall_at(self, false_alarms: float) -> float:
        """Return the recall that a number of false alarms a day buys."""
        return float(np.interp(false_alarms, self.false_alarms, self.recall))

    def false_alarms_at(self, recall: float) -> float:
        """Return the false alarms a day that a recall costs.

        Examples
        --------
        >>> sweep = Sweep(np.array([0.0, 0.2, 0.6]), np.array([0.0, 1.0, 5.0]))
        >>> round(sweep.recall_at(3.0), 6), round(sweep.false_alarms_at(0.4), 6)
        (0.4, 3.0)
        """
        return float(np.interp(recall, self.recall, self.false_alarms))


def swept(model: Forecaster, test: Rows) -> Sweep:
    """Score a model at many thresholds, up to the first at which false alarms pass four times the largest budget."""
    y, at_risk = test.targets()
    known = reached(y, at_risk)[1][:, -1]
    p = cumulate(model.hazards(test.x))[:, alert_column(test.horizons)]
    points = [(0.0, 0.0)]
    for threshold in np.unique(np.quantile(p, 1.0 - np.geomspace(1.0 / len(p), 1.0, _STEPS)))[::-1].tolist():
        scores = score_events(p, test, known, 0.0, threshold=threshold)
        points.append((scores.recall, scores.false_alarms_a_day))
        if scores.false_alarms_a_day > 4 * _BUDGETS[-1]:
            break
    return _envelope(points)


def _envelope(points: Sequence[tuple[float, float]]) -> Sweep:
    """Keep the points that no other beats in both."""
    kept: list[tuple[float, float]] = []
    for recall, false_alarms in sorted(points, key=lambda point: (point[1], -point[0])):
        if not kept or recall > kept[-1][0]:
            kept.append((recall, false_alarms))
    return Sweep(np.array([r for r, _ in kept]), np.array([f for _, f in kept]))


@dataclass(frozen=True)
class Measured:
    """One seed without and with feedback, by what truly happened in the held-out third."""

    used: bool
    recall: float
    false_alarms: tuple[float, float]
    difference: float
    interval: Interval | None
    note: str


def measure(seed: int, wrong: Sequence[float], given: float, keep: Path | None = None) -> dict[float, Measured]:
    """Make the runs of a seed and score them."""
    world = lived(seed, keep)
    said = {share: verdicts(world, np.random.default_rng([seed, 1]), share, given) for share in wrong}
    runs = {share: _run(world.dataset(what), seed) for share, what in said.items()}
    # Where verdicts were refused the run's model is the one without them: no need to fit it again.
    plain = next((run.fitted for run in runs.values() if run.impact and not run.impact.used), None)
    plain = plain or retrain(world.dataset().rows, seed=seed, jobs=1).fitted
    truth = world.truth()
    _, at_risk = truth.targets()
    test = truth.take(np.flatnonzero(plain.record.split.test.rows & at_risk.any(axis=1)))
    first = swept(plain.ensemble, test)
    recalls = [first.recall_at(budget) for budget in _BUDGETS]
    found: dict[float, Measured] = {}
    for share, run in runs.items():
        assert run.impact is not None
        second = swept(run.fitted.ensemble, test)
        alarms = [(first.false_alarms_at(r), second.false_alarms_at(r)) for r in recalls]
        one, other = (float(np.mean(column)) for column in zip(*alarms, strict=True))
        worse, interval = _difference(plain.ensemble, run.fitted.ensemble, test, seed)
        found[share] = Measured(run.impact.used, float(np.mean(recalls)), (one, other), worse, interval, run.impact.note)
    return found


def _run(laid: Dataset, seed: int) -> Outcome:
    """Make a run as in the service, with verdicts and without, of which one is refused."""
    assert laid.plain is not None
    assert laid.changes is not None
    return retrain(laid.rows, seed=seed, jobs=1, plain=Plain(laid.plain, laid.changes))


def _difference(one: Forecaster, other: Forecaster, test: Rows, seed: int) -> tuple[float, Interval | None]:
    y, at_risk = test.targets()
    losses = [(log_losses(model.hazards(test.x), y) * at_risk).sum(axis=1) for model in (one, other)]
    blocks = blocks_of(test.as_of_s, block_s=7200, n_resamples=_RESAMPLES, seed=seed)
    worse: FloatArray = losses[1] - losses[0]
    return float(worse.mean()), blocks.interval(blocks.mean(worse))


def lines(found: Sequence[Measured]) -> Iterator[str]:
    """Yield what seeds come to together."""
    alarms = np.array([one.false_alarms for one in found])
    rng = np.random.default_rng(0)
    drawn = alarms[rng.integers(0, len(alarms), (2000, len(alarms)))].mean(axis=1)
    low, high = np.quantile(drawn[:, 1] / drawn[:, 0] - 1.0, (0.05, 0.95))
    before, after = alarms.mean(axis=0)
    yield f"false alarms a day at equal recall {before:.2f} -> {after:.2f} ({after / before - 1:+.0%} [{low:+.0%}, {high:+.0%}])"
    losses = np.array([one.difference for one in found])
    low, high = np.quantile(losses[rng.integers(0, len(losses), (2000, len(losses)))].mean(axis=1), (0.05, 0.95))
    yield f"log loss a row {losses.mean():+.4f} [{low:+.4f}, {high:+.4f}]"
    kinds = [one.interval is not None and (one.interval[1] < 0) - (one.interval[0] > 0) for one in found]
    yield f"learned from in {sum(o.used for o in found)} of {len(found)}; log loss better beyond noise in {kinds.count(1)}, worse in {kinds.count(-1)}"


def main() -> int:
    """Print every seed and what they come to."""
    parser = argparse.ArgumentParser(description="What feedback is worth, and what wrong feedback costs.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--wrong", type=float, nargs="+", default=[0.1, 0.5])
    parser.add_argument("--given", type=float, default=0.8)
    parser.add_argument("--keep", type=Path, help="folder for simulated shops, so that they can be used again")
    asked = parser.parse_args()
    print(f"given {asked.given:g}, {datetime.now(UTC):%Y-%m-%d}")
    found: defaultdict[float, list[Measured]] = defaultdict(list)
    for seed in range(asked.first, asked.first + asked.seeds):
        for wrong, one in measure(seed, asked.wrong, asked.given, asked.keep).items():
            found[wrong].append(one)
            interval = "none" if one.interval is None else f"[{one.interval[0]:+.4f}, {one.interval[1]:+.4f}]"
            print(
                f"seed {seed:3}  wrong {wrong:.1f}  {'used' if one.used else 'refused':8} recall {one.recall:.2f}  "
                f"false alarms a day {one.false_alarms[0]:.2f} -> {one.false_alarms[1]:.2f}  loss {one.difference:+.4f} {interval}  {one.note}",
                flush=True,
            )
    for wrong, many in found.items():
        print(f"wrong {wrong:g}:", *lines(many), sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
