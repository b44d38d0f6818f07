"""Which member of a cluster owns which partitions: rendezvous hashing with bounded loads, the same answer on every node.

`app.ownership` asks it whenever the members change. Every node computes it for itself from the same members; who is wrong for a moment
is refused by the store's fence, so nobody has to agree on anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from features.arrays import FloatArray
from features.errors import InvalidValue

__all__ = ["HEADROOM", "STRATEGIES", "Candidate", "placed"]

HEADROOM = 0.1
"""How much more than its fair share a member may own. Less is more even, and moves more partitions when members come and go
(`benchmarks/placement.py`)."""

STRATEGIES = ("even", "weighted", "least_loaded")
"""`even`: as many partitions for each. `weighted`: by the members' weights. `least_loaded`: by weights, and partitions count by their load."""

_U64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member that can own partitions.

    Parameters
    ----------
    id : str
        Unique among the living.
    weight : float
        Its share beside others', above 0.

    Raises
    ------
    InvalidValue
        When the weight is not above 0.
    """

    id: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise InvalidValue(f"weight of member {self.id!r} must be above 0, got {self.weight}")


def placed(
    partitions: int, candidates: Sequence[Candidate], strategy: str = "even", loads: Mapping[int, float] | None = None
) -> list[str]:
    """Return the owner of every partition.

    Parameters
    ----------
    partitions : int
        How many.
    candidates : sequence of Candidate
        Who may own, in any order; at least one.
    strategy : {"even", "weighted", "least_loaded"}
        What counts.
    loads : Mapping of int to float, optional
        Events a second by partition, for `least_loaded`; one that is not there counts as the mean.

    Returns
    -------
    list of str
        A candidate's id by partition.

    Raises
    ------
    InvalidValue
        When there is no candidate, two of one id, or another strategy.

    References
    ----------
    Thaler, Ravishankar (1998), Using name-based mappings to increase hit rates, IEEE/ACM Transactions on Networking 6 (rendezvous).
    Schindelhauer, Schomaker (2005), Weighted distributed hash tables, SPAA (weights).
    Mirrokni, Thorup, Zadimoghaddam (2018), Consistent hashing with bounded loads, SODA (the bound).

    Examples
    --------
    >>> owners = placed(8, [Candidate("a"), Candidate("b")])
    >>> sorted(owners.count(name) for name in "ab")
    [4, 4]
    >>> placed(8, [Candidate("b"), Candidate("a")]) == owners
    True
    """
    if strategy not in STRATEGIES:
        raise InvalidValue(f"strategy must be one of {STRATEGIES}, got {strategy!r}")
    members = sorted(candidates, key=lambda candidate: candidate.id)
    names = [member.id for member in members]
    if not names or len(set(names)) != len(names):
        raise InvalidValue(f"candidates must be at least one and distinct, got {names}")
    weights = np.ones(len(names)) if strategy == "even" else np.array([member.weight for member in members])
    size = _sizes(partitions, loads if strategy == "least_loaded" else None)
    uniform = _uniform(partitions, names)
    preferred = -weights / np.log(uniform)
    # At least one largest partition fits everywhere, so that no bound is below what there is to place.
    bound = np.maximum((1.0 + HEADROOM) * size.sum() * weights / weights.sum(), size.max(initial=0.0))
    if strategy != "least_loaded":
        bound = np.floor(bound + _uniform(1, names)[0])  # rounded at random, so that not all bounds jump when one member comes
    return [names[i] for i in _fill(preferred, size, bound)]


def _fill(preferred: FloatArray, size: FloatArray, bound: FloatArray) -> list[int]:
    """Give every partition to whom it prefers most of those with room, the largest first; without room to whom has most left."""
    owner = [0] * len(size)
    taken = np.zeros(len(bound))
    for partition in np.lexsort((np.arange(len(size)), -size)).tolist():
        room = taken + size[partition] <= bound + 1e-9
        choice = np.where(room, preferred[partition], -np.inf) if room.any() else bound - taken
        owner[partition] = best = int(np.argmax(choice))
        taken[best] += size[partition]
    return owner


def _sizes(partitions: int, loads: Mapping[int, float] | None) -> FloatArray:
    """Return how much each partition counts, in steps of a factor of two: a load that wavers moves nothing."""
    if not loads or not any(load > 0 for load in loads.values()):
        return np.ones(partitions)
    mean = float(np.mean(list(loads.values())))
    found = np.array([max(loads.get(partition, mean), mean / 16) for partition in range(partitions)])
    return np.asarray(np.exp2(np.round(np.log2(found / mean))), np.float64)


def _uniform(partitions: int, names: Sequence[str]) -> FloatArray:
    """Return a number in (0, 1) for each partition (rows) and member (columns), the same on every node."""
    of_name = np.array([int.from_bytes(sha256(name.encode()).digest()[:8], "big") for name in names], np.uint64)
    mixed = _mix(_mix(np.arange(partitions, dtype=np.uint64))[:, None] ^ of_name[None, :])
    return np.asarray(np.ldexp((mixed >> np.uint64(11)).astype(np.float64), -53) + 2.0**-54, dtype=np.float64)


def _mix(x: _U64) -> _U64:
    """Return well mixed bits: the finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
