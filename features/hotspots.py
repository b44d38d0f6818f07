"""Hotspots: operations, versions, instances and groups of errors that make up more of a service's errors than before.

Reads what `features.shares` keeps in a Memory; the worker publishes what `hotspots_of` returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.arrays import FloatArray
from features.memory import Memory
from features.rates import ratio
from features.shares import DIMENSIONS, LENGTH, Share

__all__ = ["LEAST_RATIO", "RECENT", "Hotspot", "hotspots_of", "likelihood_ratio"]

RECENT = 15
"""Newest windows whose errors are compared with those before. Guessed: long enough for a few errors, short enough for today's deploy."""

LEAST_RATIO = 15.14
"""Log-likelihood ratio from which a share has grown: by chance one in ten thousand does so (chi-squared with one degree of freedom)."""

_LEAST_ERRORS = 5.0  # guessed: fewer are no hotspot, however rare they were
_MOST = 20  # of a service, the most significant


@dataclass(frozen=True, slots=True)
class Hotspot:
    """A part of a service's errors whose share grew.

    Parameters
    ----------
    tenant, service : str
        Whose errors.
    dimension : str
        One of `features.shares.DIMENSIONS`.
    name : str
        Which operation, version, instance or fingerprint.
    state : {"new", "returned", "grown"}
        Never seen before, not seen for the rest of the hour before, or seen less.
    errors, share : float
        Of the last 15 windows: how many, and of all errors of which the dimension is known.
    share_before : float
        The same of the time before, faded over a day.
    ratio : float
        Log-likelihood ratio of the two shares, see `likelihood_ratio`.
    since_s : int
        Unix second of the start of the first recent window that holds one.
    """

    tenant: str
    service: str
    dimension: str
    name: str
    state: Literal["new", "returned", "grown"]
    errors: float
    share: float
    share_before: float
    ratio: float
    since_s: int


def hotspots_of(memory: Memory) -> list[Hotspot]:
    """Return the hotspots of all services as of the end of the last closed tick, the most significant of each service first.

    Parameters
    ----------
    memory : Memory
        With windows closed.

    Examples
    --------
    >>> hotspots_of(Memory())
    []
    """
    found: list[Hotspot] = []
    for row in sorted(memory.shares.rows()):
        spots = sorted(_of_service(memory, row), key=lambda spot: (-spot.ratio, spot.dimension, spot.name))
        found += spots[:_MOST]
    return found


def likelihood_ratio(part: FloatArray, whole: FloatArray, part_before: FloatArray, whole_before: FloatArray) -> FloatArray:
    """Return how much likelier two shares are apart than as one, twice in natural logarithms; 0 unless the share grew.

    Parameters
    ----------
    part, whole : FloatArray, shape (n,)
        Errors of a part, and of all parts.
    part_before, whole_before : FloatArray, shape (n,)
        The same of the time before.

    Returns
    -------
    FloatArray, shape (n,)
        0 or more; chi-squared with one degree of freedom where nothing changed.

    Examples
    --------
    >>> likelihood_ratio(np.array([9.0, 1.0]), np.array([10.0, 10.0]), np.array([10.0, 10.0]), np.array([100.0, 100.0])).round(1).tolist()
    [29.7, 0.0]

    References
    ----------
    Dunning (1993), Accurate methods for the statistics of surprise and coincidence, Computational Linguistics 19.
    """
    together = ratio(part + part_before, whole + whole_before)
    apart = _log_likelihood(part, whole, ratio(part, whole)) + _log_likelihood(
        part_before, whole_before, ratio(part_before, whole_before)
    )
    same = _log_likelihood(part, whole, together) + _log_likelihood(part_before, whole_before, together)
    grew = (whole > 0) & (whole_before > 0) & (ratio(part, whole) > ratio(part_before, whole_before))
    return np.where(grew, np.maximum(2.0 * (apart - same), 0.0), 0.0)


def _log_likelihood(part: FloatArray, whole: FloatArray, share: FloatArray) -> FloatArray:
    """Return the logarithm of a binomial likelihood without its constant."""
    inner = np.clip(share, 1e-300, 1.0)
    outer = np.clip(1.0 - share, 1e-300, 1.0)
    return part * np.log(inner) + (whole - part) * np.log(outer)


def _of_service(memory: Memory, row: int) -> Iterator[Hotspot]:
    shares = list(memory.shares.of(row, memory.tick))
    for dimension in DIMENSIONS:
        parts = [share for share in shares if share.dimension == dimension]
        now = np.array([share.counts[-RECENT:].sum() for share in parts])
        before = np.array([share.counts[:-RECENT].sum() + share.before for share in parts])
        whole, whole_before = (np.full(len(parts), counts.sum()) for counts in (now, before))
        found = likelihood_ratio(now, whole, before, whole_before)
        for place in np.flatnonzero((found >= LEAST_RATIO) & (now >= _LEAST_ERRORS)).tolist():
            yield _hotspot(
                memory, row, parts[place], now[place] / whole[place], before[place] / whole_before[place], found[place]
            )


def _hotspot(memory: Memory, row: int, part: Share, share: float, share_before: float, found: float) -> Hotspot:
    recent = part.counts[-RECENT:]
    first = memory.tick - RECENT + int((recent > 0).argmax())
    key = memory.directory.keys[row]
    return Hotspot(
        key.tenant,
        key.service,
        part.dimension,
        part.name,
        _state(part),
        float(recent.sum()),
        float(share),
        float(share_before),
        float(found),
        first * memory.plan.tick_s,
    )


def _state(part: Share) -> Literal["new", "returned", "grown"]:
    if part.counts[: LENGTH - RECENT].any():
        return "grown"
    return "returned" if part.before > 0.0 else "new"
