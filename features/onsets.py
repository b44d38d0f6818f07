"""Which series stand in an incident, and how often incidents began: live, tick by tick.

`features.memory.Memory.advance` feeds it the verdicts of `features.incident.broken`; the history
features and the climatology read it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.afar import Beyond
from features.arrays import BoolArray, FloatArray, IntArray
from features.incident import IncidentRule, Standing, step
from features.rates import pooled, ratio, shrunk
from features.rhythm import HOURS
from features.rings import Columns

__all__ = ["DECAYS_MIN", "Onsets", "Pools"]

DECAYS_MIN = (5.0, 15.0, 60.0, 1440.0)
"""Time constants in minutes of the decayed counts of onsets."""

_MOST = 255

_BORROW_HOURS = 24.0  # guessed: a series with a day of history weighs as much as what it borrows, at first one onset a week


@dataclass(frozen=True, slots=True, eq=False)
class Pools:
    """Who borrows from whom.

    Parameters
    ----------
    whole : IntArray, shape (n,)
        Row of the service.
    tenant : IntArray, shape (n,)
        Code of the tenant; nothing is borrowed across tenants.
    beyond : Beyond, optional
        What the tenants have on other nodes.
    """

    whole: IntArray
    tenant: IntArray
    beyond: Beyond | None = None


class Onsets:
    """Incident state of all series.

    Parameters
    ----------
    rule : IncidentRule
        The rule.
    tick_s : int
        Seconds of a window.
    """

    def __init__(self, rule: IncidentRule, tick_s: int = 60) -> None:
        self.rule = rule
        self.tick_s = tick_s
        self.columns = Columns(
            flags=("u1", (rule.m,), 0),
            open_since=("i4", (), -1),
            last_onset=("i4", (), -1),
            last_end=("i4", (), -1),
            decayed=("f4", (len(DECAYS_MIN),), 0),
            onsets=("f4", (), 0),
            week=("u1", (HOURS,), 0),  # onsets in each hour, 255 at most
            observed=("f4", (), 0),
        )

    def advance(self, window: int, flags: BoolArray, skipped: int = 0) -> Standing:
        """Judge one closed window.

        Parameters
        ----------
        window : int
            Its number.
        flags : BoolArray, shape (n, 2)
            Whether the window before it (with what came late) and it itself broke.
        skipped : int
            Windows before it that were never judged, because nothing ran; they count as unbroken.
        """
        c = self.columns
        for _ in range(min(skipped + 1, self.rule.m)):
            c["flags"][:, :-1] = c["flags"][:, 1:]
            c["flags"][:, -1] = 0
        if self.rule.m > 1:
            c["flags"][:, -2] |= flags[:, 0]
        c["flags"][:, -1] = flags[:, 1]
        before = c["open_since"].copy()
        standing = step(c["flags"].astype(bool), window, before, self.rule)
        fade = np.exp(-self.tick_s * (skipped + 1) / 60.0 / np.array(DECAYS_MIN))
        c["decayed"][:] = c["decayed"] * fade + standing.began[:, None]
        c["onsets"][:] += standing.began
        at_hour = c["week"][:, (window * self.tick_s // 3600) % HOURS]
        at_hour += standing.began & (at_hour < _MOST)
        c["observed"][:] += self.tick_s / 3600.0
        c["last_onset"][standing.began] = window
        c["last_end"][standing.ended] = window
        c["open_since"][:] = standing.open_since
        return standing

    def rates(self, window: int, pools: Pools) -> FloatArray:
        """Return onsets per hour: own, pooled, and pooled at this hour of the week, shape (n, 3).

        Notes
        -----
        Partial pooling: all series of the tenant, then the service, then the series itself, each level
        weighed by its hours against 24 imagined hours of the broader one.
        """
        c = self.columns
        hours = c["observed"].astype(float)
        beyond = pools.beyond and pools.beyond.onsets
        own, level = pooled(c["onsets"].astype(float), hours, (pools.tenant, pools.whole), _BORROW_HOURS, beyond)
        hour = (window * self.tick_s // 3600) % HOURS
        at_hour = c["week"][:, hour % 24 :: 24].sum(1).astype(float)
        return np.stack([own, level, shrunk(at_hour, hours / 24.0, level, _BORROW_HOURS)], axis=1)

    def in_incident(self) -> BoolArray:
        """Return which series stand in a detected incident, shape (n,)."""
        return self.columns["open_since"] >= 0

    def since(self, window: int) -> FloatArray:
        """Return windows since the last onset was seen, inf without one, shape (n,)."""
        last = self.columns["last_onset"]
        return np.where(last >= 0, window - last, np.inf)

    def recovering(self, window: int, ticks: int) -> BoolArray:
        """Return which series left an incident at most `ticks` windows ago, shape (n,)."""
        end = self.columns["last_end"]
        return (end >= 0) & (window - end <= ticks)

    def share_broken(self) -> FloatArray:
        """Return the share of the rule's last windows that broke, shape (n,)."""
        flags = self.columns["flags"].astype(float)
        return ratio(flags.sum(1), np.full(len(flags), float(flags.shape[1])))
