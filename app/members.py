"""Who forecasts: the champion, the online learner, the prior, and the blend of them.

`app.flow.forecast` asks for hazards, `app.flow.settle` lets the learners learn, `app.worker` puts a new
champion in between two ticks and keeps the learners' state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.arrays import Float32Array, FloatArray
from features.extract import SCHEMA
from models.baseline import Prior
from models.blend import Blend
from models.categories import PRIOR, CategoryMixture
from models.drift import DriftWatch
from models.ensemble import Ensemble
from models.hazard import cumulate, log_losses, to_logits
from models.maturing import Matured
from models.online import OnlineHazard

__all__ = ["Champion", "Members"]

_ONLINE_ROWS = 2_000  # guessed: rows that the online learner takes in before it has a say


@dataclass(frozen=True, slots=True)
class Champion:
    """The batch model that is served.

    Parameters
    ----------
    version : str
        Its id in the registry.
    ensemble : Ensemble
        The fitted model.
    """

    version: str
    ensemble: Ensemble


class Members:
    """The forecasters of a process and how they are combined.

    Parameters
    ----------
    learn_s : int
        Seconds between two forecasts of a series that are learned from.
    """

    def __init__(self, learn_s: int = 300) -> None:
        self.champion: Champion | None = None
        self.prior = Prior(SCHEMA)
        self.online = OnlineHazard(len(SCHEMA.features))
        self.blend = Blend(("batch", "online", "prior"), (0.8, 0.1, 0.1), tick_s=learn_s)
        self.drift = DriftWatch()
        self.losses: dict[str, float] = {}
        self.onsets = 0
        self.drifted = False
        self._judged: str | None = None  # version of the champion that everything learned here is about

    @property
    def version(self) -> str:
        """Id of the champion, ``prior`` before there is one."""
        return self.champion.version if self.champion else "prior"

    @property
    def categories(self) -> CategoryMixture:
        """What tells categories: the champion's, or the weights before any fit."""
        return self.champion.ensemble.categories_ if self.champion else PRIOR

    def promote(self, champion: Champion) -> None:
        """Put a champion in; the blend forgets what another one had earned, not what this one had before a restart."""
        self.champion = champion
        if champion.version == self._judged:
            return
        self._judged = champion.version
        self.blend.forget("batch")
        self.onsets = 0
        self.drifted = False

    def hazards(self, x: Float32Array) -> dict[str, FloatArray]:
        """Return what each member says, shape (n, 3) each; the prior speaks until there is a champion."""
        said = {"batch": self.champion.ensemble.hazards(x)} if self.champion else {"prior": self.prior.hazards(x)}
        if self.online.n_rows >= _ONLINE_ROWS:
            said["online"] = self.online.hazards(x)
        return said

    def logit60(self, x: Float32Array) -> FloatArray:
        """Return the log odds of the longest horizon, shape (n,)."""
        return to_logits(cumulate(self.blend.combine(self.hazards(x))))[:, -1]

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
        """Learn from a matured forecast: first the blend from what was said, then the online learner.

        Returns
        -------
        bool
            Whether the drift watch saw the loss change.
        """
        said, y, at_risk = matured.pending.hazards, matured.y, matured.at_risk
        if not at_risk.any():
            return False
        if said:
            blended = self.blend.combine(said)
            losses = {name: log_losses(h, y)[at_risk] for name, h in {**said, "blend": blended}.items()}
            for name, loss in losses.items():
                before = self.losses.get(name, float(loss.mean()))
                self.losses[name] = before + 0.02 * (float(loss.mean()) - before)
            self.blend.learn(said, y, at_risk)
            drifted = self.drift.learn(losses["blend"])
        else:
            drifted = False
        self.online.learn(matured.pending.x, y, at_risk)
        self.drifted |= drifted
        return drifted

    def snapshot(self) -> bytes:
        """Return the learners' state as JSON."""
        state: Mapping[str, object] = {
            "schema": SCHEMA.sha256,
            "online": self.online.snapshot().decode(),
            "blend": self.blend.snapshot().decode(),
            "losses": self.losses,
            "champion": self._judged,
            "onsets": self.onsets,
            "drifted": self.drifted,
            "drift": self.drift.snapshot().decode(),
        }
        return json.dumps(state, sort_keys=True).encode()

    def restore(self, data: bytes) -> None:
        """Put a snapshot back; one of another schema is left out, and learning begins anew."""
        state = json.loads(data)
        if state["schema"] != SCHEMA.sha256:
            return
        self.online.restore(state["online"].encode())
        self.blend.restore(state["blend"].encode())
        self.losses = dict(state["losses"])
        if "champion" in state:  # earlier releases kept none of these
            self._judged, self.onsets, self.drifted = state["champion"], state["onsets"], state["drifted"]
            self.drift.restore(state["drift"].encode())
