"""What adaptation is worth when the world changes, and whether it ever promotes a worse model.

    python -m benchmarks.changed_world [--seeds 20] [--first 0] [--keep DIR] [--out FILE]

Each seed is a shop of its own (`benchmarks.small_shop`): eight services, five faults in two days in each, a tick every two minutes, five days. At the
end of the third day one thing changes, in turn by seed: a new release doubles the share of failed requests, usual ones and those of faults
(`release`); the rhythm of traffic and faults is eight hours late (`season`); one service has another name (`rename`).

Its counts go through the real line as Batches (`app.flow.Flow`: Memory, features, rule, blend, online learner, recalibration, drift watch,
anomalies), with the clock of the simulation. Every twenty minutes it is asked as in the service what follows from the comparison of champion and
rival (`app.succession.succeed`) and whether there is a reason to train (`app.situation`, `training.triggers`); then a run is made
(`training.retrain`: fit, held-out scores, gate) on all rows so far, and registered (`app.trained.register`), so that what passes runs in
shadow, takes over, and is watched. Three things are left out: the log and history on disk (rows are gathered as they are forecast), a process
of its own for training (it is taken to last no time), and documents for readers.

Log loss is of a row over all intervals, of forecasts whose horizons have closed, the same rows for all arms: `on`, what was served; `stopped`,
what would have been served had champion, weights, online learner and corrections stood still from the change on; `off`, what the first
champion says by itself, with nothing learned since. Of `rename` the loss is that of the renamed service alone. Windows: the day before the
change, six hours from it on, and the last day. Since loss follows how many incidents there are, it is also told as a part of the loss of the
base rate of the same window, known in hindsight. Recovery: the hours from the change to the end of the first six hours, moved on by one, in
which that part, over the seeds of a change, is at most 1.1 times that of the day before.

Every promotion over a former champion, also one that was taken back, is judged afterwards: by the log loss of both models on all rows between
it and the end, which neither had seen, with a paired block-bootstrap interval of 90 %, and of 99 %, since there are many promotions. A
seed decides everything.
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from app.cache.records import TrainingRun
from app.champion import Champion
from app.chronicle import Chronicle, Forecasts
from app.flow import Flow, FlowPlan
from app.ingest.codec import BatchMessage
from app.jobs import put_run
from app.members import SERVED, Members
from app.settings import StoreSettings
from app.situation import situation_of
from app.store.sqlite import SqliteStore, open_store
from app.succession import Rivals, champion_of, succeed
from app.telemetry import Telemetry
from app.trained import Trained, register
from benchmarks.changed_world_report import ARMS, CHANGED_S, CHANGES, DAYS, Lived, Losses, Promotion, lines, plain, windows
from benchmarks.small_shop import BEGIN_S, TICK_S, SmallShop
from features.arrays import Float32Array, FloatArray, IntArray
from features.errors import InvalidValue
from features.extract import SCHEMA
from features.incident import Incident, Standing
from features.memory import Closed, Memory, MemoryPlan
from models.ensemble import Ensemble
from models.hazard import log_losses
from models.maturing import Matured
from models.recalibration import Subjects
from models.registry import Registry
from training.bootstrap import blocks_of
from training.dataset import Gathering
from training.retrain import retrain
from training.rows import Rows
from training.shadow import Patience
from training.triggers import reason_to_train

__all__ = ["Observed", "lived", "main", "shop_of"]

_SERVICES, _FAULTS_A_DAY = 8, 2.5
_STRIDE = 5  # ticks between two rows that are trained on
_ASK_EVERY = 10  # ticks between two looks for reasons to train
_HOUR_S = 3600
_RESAMPLES = 1000
_TENANT = "default"


def shop_of(seed: int) -> tuple[str, SmallShop]:
    """Return the change of a seed and its shop."""
    change = CHANGES[seed % len(CHANGES)]
    what: dict[str, Any] = {"release": {"fail_more": 2.0}, "season": {"shift_h": 8.0}, "rename": {"renamed": 0}}[change]
    rng = np.random.default_rng(seed)
    return change, SmallShop(rng, _SERVICES, DAYS, _FAULTS_A_DAY, changed_s=CHANGED_S, **what)


class Observed(Members):
    """Members that forecast beside what they serve what those that do not adapt would say, and note everybody's loss."""

    def __init__(self, learn_s: int) -> None:
        super().__init__(learn_s)
        self.first: Champion | None = None
        self.stopped: Members | None = None
        self.noted: list[tuple[IntArray, Losses]] = []
        self.listened = True
        self._x: Float32Array = np.zeros((0, 0), np.float32)

    def hazards(self, x: Float32Array) -> dict[str, FloatArray]:
        """Keep the rows for those that do not adapt; between two forecasts that are learned from nobody hears, so the prior speaks."""
        self._x = x
        return super().hazards(x) if self.listened else {"prior": self.prior.hazards(x)}

    def together(self, said: Mapping[str, FloatArray], subjects: Subjects) -> dict[str, FloatArray]:
        """Add what those that do not adapt say."""
        heard = super().together(said, subjects)
        if not self.listened:
            return heard
        if self.first is not None:
            heard["off"] = self.first.ensemble.hazards(self._x)
        if self.stopped is not None:
            record = self.stopped.recalibration.record(subjects.series)
            heard["stopped"] = self.stopped.forecast(self._x, replace(subjects, record=record))
        return heard

    def promote(self, champion: Champion) -> None:
        """Keep the first champion."""
        self.first = self.first or champion
        super().promote(champion)

    def stop(self, series: np.ndarray) -> None:
        """Keep the forecasters as they are now, beside those that go on."""
        still = Members(self.learn_s)
        still.restore(self.snapshot(series), series)
        still.champion = self.champion
        self.stopped = still

    def learn(self, matured: Matured) -> bool:
        """Note losses, then learn."""
        said = {"on": SERVED, "stopped": "stopped", "off": "off"}
        pending, y, risk = matured.pending, matured.y, matured.at_risk
        usable = risk.any(axis=1)
        if usable.any() and "off" in pending.hazards:
            losses = {
                arm: (log_losses(pending.hazards[name if name in pending.hazards else SERVED], y) * risk).sum(axis=1)[usable]
                for arm, name in said.items()
            }
            at_s = np.full(int(usable.sum()), pending.tick * TICK_S)
            self.noted.append((pending.rows[usable], Losses(at_s, losses, (y * risk)[usable], risk[usable])))
        return super().learn(matured)


class _Unwritten(Chronicle):
    """What history would get, which nobody writes."""

    def add_closed(self, memory: Memory, closed: Closed, offsets: Mapping[int, int]) -> None:
        """Write nothing."""

    def add_errors(self, offsets: Mapping[int, int]) -> None:
        """Write nothing."""

    def add_forecasts(
        self, memory: Memory, forecasts: Forecasts, bounds: Mapping[str, FloatArray], offsets: Mapping[int, int]
    ) -> None:
        """Write nothing."""

    def add_incidents(self, incidents: Sequence[tuple[int, Incident]], memory: Memory, offsets: Mapping[int, int]) -> None:
        """Write nothing."""


class _Gathered(Flow):
    """A Flow whose rows are gathered for training as they are forecast, and whose history is written nowhere."""

    def __init__(self, plan: FlowPlan) -> None:
        super().__init__(plan, Telemetry())
        self.chronicle = _Unwritten()
        self.gathering = Gathering(self.memory, stride=_STRIDE, services=True)

    def settle(self, tick: int, standing: Standing) -> None:
        self.gathering.add(standing)
        super().settle(tick, standing)


class _Run:
    """One seed on its way through the line."""

    def __init__(self, seed: int, store: SqliteStore) -> None:
        self.seed, self.store = seed, store
        self.change, self.shop = shop_of(seed)
        self.flow = _Gathered(FlowPlan(MemoryPlan(tick_s=TICK_S)))
        self.members = Observed(self.flow.learners.of(_TENANT).learn_s)
        self.flow.learners.members[_TENANT] = self.members
        self.registry = Registry(store.blobs, store.documents, store.signing_key, _TENANT)
        self.rivals = Rivals(lambda _tenant: self.registry, self.flow.telemetry)
        self.reasons: list[tuple[int, str]] = []
        self.patience = Patience()

    def live(self) -> Lived:
        """Send all ticks through, and judge what came of them."""
        for at_s in range(BEGIN_S, self.shop.end_s, TICK_S):
            if at_s == CHANGED_S:
                self.members.stop(np.arange(len(self.flow.memory.directory)))
            self._tick(at_s)
            if (at_s - BEGIN_S) // TICK_S % _ASK_EVERY == 0:
                self._ask(at_s + TICK_S)
        steps = Counter(step.action for step in self.registry.steps())
        return Lived(self.seed, self.change, self._losses(), self.reasons, steps, self._promotions())

    def _tick(self, at_s: int) -> None:
        end_ns = (at_s + TICK_S) * 10**9 - 1
        self.flow.absorb(0, BatchMessage(_TENANT, str(at_s), end_ns, self.shop.tick(at_s)))
        number = at_s // TICK_S + 1
        self.members.listened = number * TICK_S % self.members.learn_s == 0
        for outputs in self.flow.forecast(number, {0: number}, publish=False).values():
            for output in outputs:
                if output.value is not None:
                    self.store.documents.put(output.bucket, output.key, output.value)

    def _ask(self, now_s: int) -> None:
        now = datetime.fromtimestamp(now_s, UTC)
        succeed(self.registry, self.members.rivalry.compared(), self.patience, now)
        reason = reason_to_train(situation_of(self.store.documents, self.registry, self.members, _TENANT, now))
        if reason is not None:
            self.reasons.append((now_s, reason))
            put_run(self.store.documents, self._trained(TrainingRun(f"run-{now_s}", "running", now, now, reason=reason), now))
        serving = self.registry.champion()
        if serving is not None and serving.id != self.members.version and (champion := champion_of(self.registry)):
            self.flow.promote(_TENANT, champion)
        self.rivals(_TENANT, self.members)

    def _trained(self, run: TrainingRun, now: datetime) -> TrainingRun:
        rows = self.flow.gathering.dataset().rows
        champion = self.members.champion.ensemble if self.members.champion else None
        try:
            outcome = retrain(rows, seed=self.seed, champion=champion, jobs=1)
        except InvalidValue as exc:
            return replace(run, state="failed", ended_at=now, error=str(exc))
        decision = outcome.decision
        record = outcome.record(rows, now)
        trained = Trained(decision.promote, decision.reasons, {}, "", 0, record, outcome.fitted.ensemble)
        return replace(run, state="succeeded", ended_at=now, model_version=register(self.registry, trained, self.patience))

    def _losses(self) -> Losses:
        keys = self.flow.memory.directory.keys
        about = [i for i, key in enumerate(keys) if self.change != "rename" or key.service.startswith("service-0")]
        return Losses.joined([losses.take(np.isin(rows, about)) for rows, losses in self.members.noted])

    def _promotions(self) -> list[Promotion]:
        rows = self.flow.gathering.dataset().rows
        served = [step for step in self.registry.steps() if step.action in {"promoted", "rolled_back"}]
        found: list[Promotion] = []
        for before, step in pairwise(served):
            if step.action == "promoted" and step.at is not None:
                at_s = int(step.at.timestamp())
                models = [self.registry.load(name, rows.schema) for name in (before.served, step.served) if name]
                found.append(_judged(at_s, step.why, models, rows))
        return found


def _judged(at_s: int, why: str, models: Sequence[Ensemble], rows: Rows) -> Promotion:
    """Compare the former model and the new one on what came after."""
    _, at_risk = rows.targets()
    future = rows.take(np.flatnonzero((rows.as_of_s >= at_s) & at_risk.any(axis=1)))
    y, at_risk = future.targets()
    former, new = ((log_losses(model.hazards(future.x), y) * at_risk).sum(axis=1) for model in models)
    worse: FloatArray = new - former
    means = blocks_of(future.as_of_s, block_s=2 * _HOUR_S, n_resamples=_RESAMPLES, seed=0).mean(worse)
    ends = [tuple(np.quantile(means, (tail, 1 - tail)).tolist()) for tail in (0.05, 0.005)]
    return Promotion(at_s, why, float(worse.mean()), *ends)


def lived(seed: int, keep: Path | None = None) -> Lived:
    """Run a seed in a folder of its own, or take what was kept of it."""
    path = None if keep is None else keep / f"changed-{seed}-{SCHEMA.sha256[:8]}.pickle"
    if path is not None and path.exists():
        return pickle.loads(path.read_bytes())
    found = _lived(seed)
    if path is not None:
        path.write_bytes(pickle.dumps(found))
    return found


def _lived(seed: int) -> Lived:
    with tempfile.TemporaryDirectory() as folder:
        settings = StoreSettings(commit_window_ms=0.0)
        clock = lambda: datetime.fromtimestamp(BEGIN_S, UTC)  # noqa: E731 - nothing expires
        with open_store(Path(folder), settings=settings, max_in_flight_bytes=2**28, now=clock) as store:
            return _Run(seed, store).live()


def main() -> int:
    """Run the seeds and print what they come to."""
    parser = argparse.ArgumentParser(description="What adaptation is worth when the world changes.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for what seeds came to, so that they can be run in parts")
    parser.add_argument("--out", type=Path, help="also write losses by hour, reasons and promotions as JSON")
    asked = parser.parse_args()
    found: list[Lived] = []
    for seed in range(asked.first, asked.first + asked.seeds):
        begun = time.perf_counter()
        one = lived(seed, asked.keep)
        found.append(one)
        means = {arm: [round(one.losses.within(*window).mean(arm), 4) for window in windows().values()] for arm in ARMS}
        print(f"seed {seed} {one.change}: {means}, {dict(one.steps)}, {time.perf_counter() - begun:.0f} s", flush=True)
        for promotion in one.promotions:
            ends = "none" if promotion.interval is None else f"[{promotion.interval[0]:+.4f}, {promotion.interval[1]:+.4f}]"
            print(
                f"  promoted at {(promotion.at_s - BEGIN_S) / 3600:.0f} h: {promotion.difference:+.4f} {ends}; {promotion.why}",
                flush=True,
            )
        for at_s, reason in one.reasons:
            print(f"  trained at {(at_s - BEGIN_S) / 3600:.0f} h: {reason}", flush=True)
    if asked.out is not None:
        asked.out.write_text(json.dumps([plain(one) for one in found]))
    print(*lines(found), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
