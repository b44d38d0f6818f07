"""Who forecasts: the champion, the online learner, the prior, and what they say together, kept calibrated by what came true.

`app.flow.forecast` asks for hazards, `app.flow.settle` lets the learners learn, `app.worker` puts a new
champion in between two ticks and keeps the learners' state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from app.champion import Champion
from app.rivalry import Rivalry
from features.arrays import Float32Array, FloatArray, IntArray
from features.extract import SCHEMA
from features.memory import Memory
from models.baseline import Prior
from models.blend import Blend
from models.categories import PRIOR, CategoryMixture
from models.contract import Forecaster
from models.drifts import Drifts
from models.explain import grouping
from models.hazard import INTERVALS, cumulate, log_losses, to_logits
from models.maturing import Matured
from models.online import OnlineHazard
from models.prediction import HORIZONS
from models.progressive import Progressive
from models.recalibration import OnlineSigmoid, Subjects
from models.shares import horizon_shares, rescaled

__all__ = ["BLEND", "HALF_LIFE_S", "PRIOR_VERSION", "SERVED", "Members", "add_records", "subjects_of"]

BLEND, SERVED = "blend", "served"
"""Names of what the members say together, before and after it is corrected."""

HALF_LIFE_S = 86_400.0
"""Seconds after which a row counts half in what is shown of losses. Guessed: long enough to hold some incidents."""

PRIOR_VERSION = "prior"
"""What stands for a version while there is no champion."""

_HISTORY = SCHEMA.groups.index("incident_history")

_LAYOUT = 3  # of a snapshot, and of the forecasts that wait beside it

_ONLINE_ROWS = 2_000  # guessed: rows that the online learner takes in before it has a say
_KEEP = 0.98  # of what recalibration knows, from one longest horizon to the next: half of it is a day and a half old. Guessed.


def subjects_of(members: Members, memory: Memory, rows: IntArray) -> Subjects:
    """Return whom forecasts of some of a Memory's rows are about; an incident counts from when the rule had seen it."""
    since_s = memory.onsets.since(memory.tick - 1)[rows] * memory.plan.tick_s
    return Subjects(rows, since_s[:, None] > np.array(list(HORIZONS.values())), members.recalibration.record(rows))


def add_records(members: Members, others: Members) -> None:
    """Add to members what others of the same champion know of series that these do not know."""
    if others is not members and others.judged == members.judged:
        members.recalibration.join(others.recalibration)


class Members:
    """The forecasters of a process and how they are combined.

    Parameters
    ----------
    learn_s : int
        Seconds between two forecasts of a series that are learned from.
    """

    def __init__(self, learn_s: int = 300) -> None:
        self.learn_s = learn_s
        self.champion: Champion | None = None
        self.prior = Prior(SCHEMA)
        self.online = OnlineHazard(len(SCHEMA.features))
        self.blend = Blend(("batch", "online", "prior"), (0.8, 0.1, 0.1), tick_s=learn_s)
        self.recalibration = self._uncorrected()
        self.drifts = self._unmoved()
        self.rivalry = Rivalry(self._a_block)
        self.progressive = self._unjudged()
        self.onsets = 0
        self._judged = PRIOR_VERSION  # whose forecasts everything learned here is about

    @property
    def version(self) -> str:
        """Id of the champion, `PRIOR_VERSION` before there is one."""
        return self.champion.version if self.champion else PRIOR_VERSION

    @property
    def judged(self) -> str:
        """Id of the version whose forecasts everything learned here is about."""
        return self._judged

    @property
    def categories(self) -> CategoryMixture:
        """What tells categories: the champion's, or the weights before any fit."""
        return self.champion.ensemble.categories_ if self.champion else PRIOR

    def promote(self, champion: Champion) -> None:
        """Put a champion in; what another one had earned, and how it had to be corrected, is forgotten. A restart forgets nothing."""
        self.champion = champion
        if champion.version != self._judged:
            self._judged = champion.version
            self.blend.forget("batch")
            self.recalibration, self.drifts, self.progressive = self._uncorrected(), self._unmoved(), self._unjudged()
            self.onsets = 0
        self.drifts.attach(champion.ensemble.reference_)

    def hazards(self, x: Float32Array) -> dict[str, FloatArray]:
        """Return what each member says, shape (n, 3) each; the prior speaks until there is a champion."""
        return {name: member.hazards(x) for name, member in self._speaking().items()}

    def together(self, said: Mapping[str, FloatArray], subjects: Subjects) -> dict[str, FloatArray]:
        """Return what the members said with their `BLEND`, and what is `SERVED`: the same corrected by what came of earlier ones."""
        blend = self.blend.combine(said)
        return {**said, BLEND: blend, SERVED: self.recalibration.apply(blend, subjects)}

    def forecast(self, x: Float32Array, subjects: Subjects) -> FloatArray:
        """Return the hazards (n, 3) that are served."""
        return self.together(self.hazards(x), subjects)[SERVED]

    def logit60(self, x: Float32Array, subjects: Subjects) -> FloatArray:
        """Return the log odds of the longest horizon, shape (n,)."""
        return to_logits(cumulate(self.forecast(x, subjects)))[:, -1]

    def shares(self, x: Float32Array, background: Float32Array, subjects: Subjects) -> FloatArray:
        """Divide how far rows are from a quiet one in the log odds of the longest horizon among the groups of the schema.

        Parameters
        ----------
        x : Float32Array
            Shape (n, n_features), the rows to explain.
        background : Float32Array
            Shape (n_features,), a quiet row, such as `background` gives.
        subjects : Subjects
            Whom the rows are about; the background is nobody's.

        Returns
        -------
        FloatArray
            Shape (n, n_groups) in the order of ``SCHEMA.groups``; rows sum to ``logit60(x, subjects)`` less the background's. What is corrected
            because of a series' own past, its record and whether it is quiet, counts as incident history.
        """
        groups = grouping(SCHEMA)
        shares = self.blend.shares({name: member.shares(x, background, groups) for name, member in self._speaking().items()})
        nobody = Subjects.nobody(1, len(INTERVALS))
        said = self.together(self.hazards(np.concatenate([background[None], x])), nobody.joined(subjects))
        hazards, z = said[SERVED], to_logits(said[SERVED])
        (slopes, offsets), (quiet, level) = self.recalibration.lines(subjects), self.recalibration.lines(nobody)
        corrected = shares * slopes[:, :, None]
        corrected[:, :, _HISTORY] += (slopes - quiet) * to_logits(said[BLEND][:1]) + offsets - level
        corrected = rescaled(corrected, z[1:] - z[0])  # where the bounds of odds bite
        return horizon_shares(corrected, hazards[1:], hazards[0])

    def bounds(self, p: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper probabilities, shape (n, 3) each."""
        return self.champion.ensemble.bounds(p) if self.champion else Prior.bounds(p)

    def background(self, x: Float32Array) -> Float32Array:
        """Return the quiet series that explanations start from: the champion's, or today's median."""
        if self.champion is not None:
            return self.champion.ensemble.background_
        return np.median(x, axis=0).astype(np.float32) if len(x) else np.zeros(x.shape[1], np.float32)

    def began(self, n: int) -> None:
        """Note incidents that began: truth that the champion has not seen."""
        self.onsets += n

    def learn(self, matured: Matured) -> bool:
        """Learn from a matured forecast: first from what was said then (correction, weights, drifts), then the online learner.

        What was said before the present champion served tells of another one; the online learner alone learns from it.

        Returns
        -------
        bool
            Whether the loss was seen to rise.
        """
        pending, y, at_risk = matured.pending, matured.y, matured.at_risk
        if not at_risk.any():
            return False
        risen = False
        self.rivalry.learn(matured)
        if pending.version == self._judged:
            said = {name: pending.hazards[name] for name in (*self.blend.members, BLEND, SERVED) if name in pending.hazards}
            self.progressive.learn(said, y, at_risk)
            self.recalibration.learn(pending.hazards[BLEND], pending.subjects, y, at_risk)
            self.blend.learn({name: h for name, h in said.items() if name in self.blend.members}, y, at_risk)
            served = pending.hazards[SERVED]
            began, expected = ((each * at_risk).sum(axis=1) for each in (y, served))
            risen = self.drifts.learn(pending.x, log_losses(served, y)[at_risk], began, expected)
        self.online.learn(pending.x, y, at_risk)
        return risen

    def _speaking(self) -> dict[str, Forecaster]:
        """Return the members that have a say now."""
        speaking: dict[str, Forecaster] = {"batch": self.champion.ensemble} if self.champion else {"prior": self.prior}
        if self.online.n_rows >= _ONLINE_ROWS:
            speaking["online"] = self.online
        return speaking

    def snapshot(self, series: IntArray) -> bytes:
        """Return the learners' state as JSON, with what is known of some series in their order."""
        state: Mapping[str, object] = {
            "layout": _LAYOUT,
            "schema": SCHEMA.sha256,
            "online": self.online.snapshot().decode(),
            "blend": self.blend.snapshot().decode(),
            "recalibration": self.recalibration.snapshot(series).decode(),
            "progressive": self.progressive.snapshot().decode(),
            "champion": self._judged,
            "onsets": self.onsets,
            "drifts": self.drifts.snapshot().decode(),
            "rivalry": self.rivalry.snapshot(),
        }
        return json.dumps(state, sort_keys=True).encode()

    def restore(self, data: bytes, series: IntArray) -> bool:
        """Put a snapshot back, and what it knows of series to those of these numbers, -1 for one that is gone.

        Returns
        -------
        bool
            False for one of another schema or an earlier release: it is left out, and learning begins anew.
        """
        state = json.loads(data)
        if (state.get("layout"), state["schema"]) != (_LAYOUT, SCHEMA.sha256):
            return False
        self.online.restore(state["online"].encode())
        self.blend.restore(state["blend"].encode())
        self.recalibration.restore(state["recalibration"].encode(), series)
        self.progressive.restore(state["progressive"].encode())
        self._judged, self.onsets = state["champion"], state["onsets"]
        self.drifts.restore(state["drifts"].encode())
        self.rivalry.restore(state["rivalry"])
        return True

    def _unjudged(self) -> Progressive:
        return Progressive(keep=0.5 ** (self.learn_s / HALF_LIFE_S))

    def _unmoved(self) -> Drifts:
        return Drifts(self._a_block, SCHEMA.names)

    @property
    def _a_block(self) -> int:
        """Matured forecasts within the longest horizon."""
        return max(1, max(HORIZONS.values()) // self.learn_s)

    def _uncorrected(self) -> OnlineSigmoid:
        overlaps = tuple(max(1.0, (end_s - begin_s) / self.learn_s) for begin_s, end_s in INTERVALS)
        return OnlineSigmoid(overlaps, keep=_KEEP ** (self.learn_s / max(HORIZONS.values())))
