"""Combine batch, online and prior forecasts by how well each did lately.

`app.flow.forecast` gives the members' hazards and takes one blended hazard; `app.flow.settle` gives the
same hazards back once the horizon has closed, with what really happened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from features.arrays import BoolArray, FloatArray
from features.errors import InvalidValue, SnapshotMismatch
from models.hazard import INTERVALS, N_INTERVALS, from_logits, log_losses, to_logits

__all__ = ["LOSS_CAP", "Blend"]

LOSS_CAP = 8.0
"""Nats that one row may cost at most. Guessed: one surprise at p = 0.0003 should not silence a member."""


class Blend:
    """Weigh members by fixed-share over their matured log loss, one weight vector an interval.

    The blended hazard is the members' weighted mean in logit space (logarithmic pooling). Its log loss is
    never above the weighted mean of the members' losses, so the regret bound of the exponentially weighted
    forecaster holds for it: over time it does about as well as the best member, and with the share also as
    well as the best member of each period. Labels of neighbouring ticks overlap, so an interval's losses
    are divided by the number of ticks in its width before they move a weight. Members that are absent keep
    their share (specialists).

    Parameters
    ----------
    members : tuple of str
        Names, each once.
    initial : tuple of float or None
        Weights to start from and to return to; None means equal.
    share : float
        Part of every weight that is dealt out anew at each learning step, in [0, 1). 0.001 is guessed: a
        regime lasts about a thousand ticks. 0 never forgives; near 1 never learns.
    tick_s : float
        Seconds between two forecasts of a series.

    References
    ----------
    Herbster, Warmuth (1998), Tracking the best expert, Machine Learning 32.
    Cesa-Bianchi, Lugosi (2006), Prediction, Learning, and Games, chapters 2, 3 and 5.
    Genest, Zidek (1986), Combining probability distributions, Statistical Science 1.
    Freund, Schapire, Singer, Warmuth (1997), Using and combining predictors that specialize, STOC.

    Examples
    --------
    >>> blend = Blend(("batch", "online"))
    >>> good, bad = np.full((200, 3), 0.01), np.full((200, 3), 0.4)
    >>> blend.learn({"batch": good, "online": bad}, np.zeros((200, 3)), np.ones((200, 3), bool))
    >>> bool((blend.weights["batch"] > 0.7).all())
    True
    """

    def __init__(
        self, members: tuple[str, ...], initial: tuple[float, ...] | None = None, share: float = 0.001, tick_s: float = 60.0
    ) -> None:
        start = np.asarray((1.0,) * len(members) if initial is None else initial, dtype=np.float64)
        if not members or len(set(members)) != len(members):
            raise InvalidValue(f"members must be distinct and at least one, got {members}")
        if start.shape != (len(members),) or not (start > 0).all():
            raise InvalidValue(f"initial must hold {len(members)} weights above 0, got {initial}")
        if not 0.0 <= share < 1.0 or tick_s <= 0:
            raise InvalidValue(f"share must be in [0, 1) and tick_s above 0, got {share} and {tick_s}")
        self.members = members
        self.share = share
        self.tick_s = tick_s
        self._initial: FloatArray = start / start.sum()
        self._weights: FloatArray = np.tile(self._initial, (N_INTERVALS, 1))
        self._overlap = np.array([max(1.0, (end - begin) / tick_s) for begin, end in INTERVALS])
        self.n_learned = 0

    @property
    def weights(self) -> dict[str, FloatArray]:
        """Weights of every member, one an interval, summing to 1 over members."""
        return {name: self._weights[:, i].copy() for i, name in enumerate(self.members)}

    def combine(self, hazards: Mapping[str, FloatArray]) -> FloatArray:
        """Blend the hazards of the members that are there.

        Parameters
        ----------
        hazards : mapping of str to FloatArray
            Shape (n, 3) by member; at least one, absent members are left out.

        Returns
        -------
        FloatArray
            Shape (n, 3).
        """
        weights = self._say(hazards)
        return from_logits(sum((weights[name] * to_logits(h) for name, h in hazards.items()), start=np.zeros(())))

    def shares(self, shares: Mapping[str, FloatArray]) -> FloatArray:
        """Blend the members' shares of their log odds, of which the blended ones are the weighted mean.

        Parameters
        ----------
        shares : mapping of str to FloatArray
            Shape (n, 3, n_groups) by member, of those that are there.

        Returns
        -------
        FloatArray
            Shape (n, 3, n_groups).
        """
        weights = self._say(shares)
        return sum((weights[name][:, None] * part for name, part in shares.items()), start=np.zeros(()))

    def learn(self, hazards: Mapping[str, FloatArray], y: FloatArray, at_risk: BoolArray) -> None:
        """Move the weights by the matured losses of one or more ticks.

        Parameters
        ----------
        hazards : mapping of str to FloatArray
            What each member said at forecast time, shape (n, 3).
        y, at_risk : FloatArray, BoolArray
            What happened, shape (n, 3), from `models.hazard.labels`.
        """
        present = self._present(hazards)
        if not at_risk.any():
            return
        losses = np.stack([np.minimum(log_losses(hazards[self.members[i]], y), LOSS_CAP) for i in present], axis=-1)
        total = np.where(at_risk[:, :, None], losses, 0.0).sum(axis=0) / self._overlap[:, None]
        touched = at_risk.any(axis=0)
        awake = self._weights[:, present]
        mass = awake.sum(axis=1, keepdims=True)
        # Rates of 1 are those of Bayes' rule, for which log loss needs no tuning.
        moved = awake * np.exp(-(total - total.min(axis=1, keepdims=True)))
        start = self._initial[present] / self._initial[present].sum()
        moved = (1.0 - self.share) * moved / moved.sum(axis=1, keepdims=True) + self.share * start
        moved = np.maximum(moved, 1e-12)
        moved *= mass / moved.sum(axis=1, keepdims=True)
        self._weights[np.flatnonzero(touched)[:, None], present] = moved[touched]
        self.n_learned += int(at_risk.any(axis=1).sum())

    def forget(self, member: str) -> None:
        """Give a member its initial share again, for when another model version takes its place."""
        if member not in self.members:
            raise InvalidValue(f"member must be one of {self.members}, got {member!r}")
        i = self.members.index(member)
        others = np.delete(np.arange(len(self.members)), i)
        if not len(others):
            return
        rest = self._weights[:, others]
        self._weights[:, others] = rest / rest.sum(axis=1, keepdims=True) * (1.0 - self._initial[i])
        self._weights[:, i] = self._initial[i]

    def snapshot(self) -> bytes:
        """Return the weights as JSON; `restore` gives exactly the same ones back."""
        state = {
            "version": 1,
            "members": self.members,
            "n_learned": self.n_learned,
            "weights": [[value.hex() for value in row] for row in self._weights.tolist()],
        }
        return json.dumps(state, sort_keys=True).encode()

    def restore(self, data: bytes) -> None:
        """Take the weights of a snapshot.

        Raises
        ------
        SnapshotMismatch
            When it is of other members or another version.
        """
        state = json.loads(data)
        if state.get("version") != 1 or tuple(state.get("members", ())) != self.members:
            raise SnapshotMismatch(
                f"blend snapshot is of version {state.get('version')} and members {state.get('members')}, "
                f"expected version 1 and {list(self.members)}"
            )
        self._weights = np.array([[float.fromhex(value) for value in row] for row in state["weights"]])
        self.n_learned = int(state["n_learned"])

    def _say(self, there: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Return the weights (3,) of the members that are there, summing to 1 over them."""
        present = self._present(there)
        weights = self._weights[:, present] / self._weights[:, present].sum(axis=1, keepdims=True)
        return {self.members[i]: weights[:, place] for place, i in enumerate(present)}

    def _present(self, hazards: Mapping[str, FloatArray]) -> list[int]:
        unknown = set(hazards) - set(self.members)
        if unknown or not hazards:
            raise InvalidValue(f"hazards must name some of {self.members} and no other, got {sorted(hazards)}")
        return [i for i, name in enumerate(self.members) if name in hazards]
