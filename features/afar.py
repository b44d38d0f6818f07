"""What services on other nodes showed last, as their nodes summed it up.

`features.summary` sums up the services of a partition, `app.summaries` carries that to the other nodes, `features.memory`
keeps it, and what looks beyond a series' own service reads it here. A node that holds all partitions hears nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.arrays import FloatArray, IntArray

__all__ = ["HEARD_WINDOWS", "OLDEST_TICKS", "SIGNALS", "SUMS", "Afar", "Beyond", "Summary"]

SIGNALS = ("error_surprise", "latency_shift", "warnings", "level_distance", "in_incident")
"""What a service shows its neighbours, in the order of `Summary.signals`."""

HEARD_WINDOWS = 12
"""Windows that a summary tells the traffic of. The rule looks at the last five that were heard; what lies before is taken to be as
the oldest told, so an outage of all telemetry must last twelve windows before an older one is taken for silent too."""

OLDEST_TICKS = 15
"""Ticks after which a summary is no longer used. Guessed: a partition is taken over within one or two, and what a service showed
a quarter of an hour ago says little of the next five minutes."""

SUMS = 8
"""Columns of `Beyond.values`."""


@dataclass(frozen=True, slots=True, eq=False)
class Beyond:
    """Sums over what each of a node's tenants has elsewhere.

    Parameters
    ----------
    values : FloatArray, shape (t, 8)
        By number of the tenant: requests due in a window; onsets, and hours in which they were counted; windows with errors, and
        hours in which they were counted; the intensities of `features.excitation.AROUND_MIN`.
    """

    values: FloatArray

    @property
    def due(self) -> FloatArray:
        """Requests due in a window, shape (t,)."""
        return self.values[:, 0]

    @property
    def onsets(self) -> FloatArray:
        """Onsets and the hours in which they were counted, shape (t, 2)."""
        return self.values[:, 1:3]

    @property
    def events(self) -> FloatArray:
        """Windows with errors and the hours in which they were counted, shape (t, 2)."""
        return self.values[:, 3:5]

    @property
    def intensity(self) -> FloatArray:
        """Intensities, shape (t, 3)."""
        return self.values[:, 5:]


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What the services of one partition showed at the end of a tick.

    Parameters
    ----------
    partition : int
        Whose.
    tick : int
        The tick that began then: the newest window is the one before it.
    services : sequence of (tenant, service)
        Its whole services.
    signals : FloatArray, shape (s, len(SIGNALS))
        What each of them shows.
    tenants : sequence of str
        Whose services they are.
    got : FloatArray, shape (t, HEARD_WINDOWS)
        Requests of each tenant's services by window, newest last.
    sums : FloatArray, shape (t, 8)
        As in `Beyond`.
    edges : sequence of (tenant, caller, callee)
        Calls of its services to services of other nodes.
    calls : sequence of (tenant, caller, callee, number)
        Calls of services of other nodes that were found in its span ends during the tick.
    """

    partition: int
    tick: int
    services: Sequence[tuple[str, str]]
    signals: FloatArray
    tenants: Sequence[str]
    got: FloatArray
    sums: FloatArray
    edges: Sequence[tuple[str, str, str]] = ()
    calls: Sequence[tuple[str, str, str, float]] = ()


class Afar:
    """The newest summaries of partitions of other nodes, joined.

    Parameters
    ----------
    summaries : iterable of Summary
        One a partition, none of a partition that this node holds.
    tick : int
        The newest tick that this node closed; of summaries more than `OLDEST_TICKS` older nothing is kept.

    Examples
    --------
    >>> one = Summary(3, 100, [("a", "web")], np.ones((1, 5)), ["a"], np.full((1, 12), 4.0), np.ones((1, 8)))
    >>> afar = Afar([one], 100)
    >>> afar.services, afar.got({"a": 0}, 99, 3).tolist(), Afar([one], 116).services
    ({('a', 'web'): 0}, [[4.0, 4.0, 4.0]], {})
    """

    def __init__(self, summaries: Iterable[Summary] = (), tick: int = 0) -> None:
        self.summaries = [summary for summary in summaries if tick - summary.tick <= OLDEST_TICKS]
        keys = (key for summary in self.summaries for key in summary.services)
        self.services: dict[tuple[str, str], int] = {key: place for place, key in enumerate(keys)}
        """Places in `signals` by (tenant, service)."""
        self.signals: FloatArray = np.concatenate([np.zeros((0, len(SIGNALS))), *(s.signals for s in self.summaries)])
        self.edges = {edge for summary in self.summaries for edge in summary.edges}
        self._codes: tuple[int, list[IntArray]] = -1, []
        self._beyond: Beyond | None = None

    def __bool__(self) -> bool:
        """Whether anything was heard."""
        return bool(self.summaries)

    def beyond(self, tenants: Mapping[str, int]) -> Beyond | None:
        """Return the sums over what some tenants have elsewhere, by their numbers; None where nothing was heard."""
        if not self.summaries:
            return None
        codes = self._coded(tenants)
        if self._beyond is None:
            values = np.zeros((len(tenants), SUMS))
            for summary, code in zip(self.summaries, codes, strict=True):
                np.add.at(values, code[code >= 0], summary.sums[code >= 0])
            self._beyond = Beyond(values)
        return self._beyond

    def got(self, tenants: Mapping[str, int], window: int, length: int) -> FloatArray:
        """Return the requests of some tenants' services elsewhere in the last windows, shape (t, length).

        Parameters
        ----------
        tenants : Mapping of str to int
            Numbers of the tenants.
        window : int
            The newest one.
        length : int
            How many.

        Notes
        -----
        Windows newer than a summary knows are taken to be like its newest one: other nodes close their windows at the same time as
        this one, so of the newest window nothing is known yet. Windows before those that it tells of are taken to be like the oldest.
        """
        total, asked = np.zeros((len(tenants), length)), np.arange(window - length + 1, window + 1)
        for summary, code in zip(self.summaries, self._coded(tenants), strict=True):
            told = summary.got.shape[1]
            places = np.clip(asked - (summary.tick - told), 0, told - 1)
            np.add.at(total, code[code >= 0], summary.got[code >= 0][:, places])
        return total

    def rows(self, own: Mapping[tuple[str, str], int], n: int) -> dict[tuple[str, str], int]:
        """Return rows by (tenant, service): own ones as they are, services elsewhere behind `n` rows; one that is both is own."""
        return {**{key: n + place for key, place in self.services.items()}, **own}

    def calls(self, before: Afar) -> Iterable[tuple[tuple[str, str, str], float]]:
        """Return the calls ((tenant, caller, callee), number) that summaries tell of and earlier ones of their partitions did not."""
        ticks = {summary.partition: summary.tick for summary in before.summaries}
        new = (summary for summary in self.summaries if summary.tick > ticks.get(summary.partition, -1))
        return (((tenant, caller, callee), number) for summary in new for tenant, caller, callee, number in summary.calls)

    def _coded(self, tenants: Mapping[str, int]) -> list[IntArray]:
        """Return the numbers of every summary's tenants, -1 for those that this node does not know; tenants only ever come."""
        if self._codes[0] != len(tenants):
            coded = [np.array([tenants.get(name, -1) for name in summary.tenants], np.int64) for summary in self.summaries]
            self._codes, self._beyond = (len(tenants), coded), None
        return self._codes[1]
