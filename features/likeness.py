"""How alike two groups of incidents are: by their causes, their errors and the categories of these.

`app.past_groups` looks for like groups of the past, and what resolved them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Traits", "likeness"]

_WEIGHTS = {"causes": 0.5, "fingerprints": 0.3, "categories": 0.2}  # guessed: where it began says more than what it looked like


@dataclass(frozen=True, slots=True)
class Traits:
    """What a group of incidents is known by.

    Parameters
    ----------
    causes : mapping of str to float
        Scores of the services that may be the cause.
    fingerprints, categories : frozenset of str
        Of its errors.
    """

    causes: Mapping[str, float] = field(default_factory=dict[str, float])
    fingerprints: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()


def likeness(one: Traits, other: Traits) -> float:
    """Return how alike two groups are, from 0 to 1.

    Notes
    -----
    The mean of three overlaps, weighted 5 to 3 to 2: of causes by their scores, of fingerprints, and of categories; each is what both
    have over what either has. What neither group has does not count.

    References
    ----------
    Ioffe (2010), Improved consistent sampling, weighted minhash and L1 sketching, ICDM (the overlap of weighted sets; after Ruzicka, 1958).

    Examples
    --------
    >>> round(likeness(Traits({"payment": 0.8, "cart": 0.2}), Traits({"payment": 1.0})), 3)
    0.667
    >>> likeness(Traits(), Traits())
    0.0
    """
    parts = {
        "causes": _overlap(one.causes, other.causes),
        "fingerprints": _overlap(dict.fromkeys(one.fingerprints, 1.0), dict.fromkeys(other.fingerprints, 1.0)),
        "categories": _overlap(dict.fromkeys(one.categories, 1.0), dict.fromkeys(other.categories, 1.0)),
    }
    known = {name: value for name, value in parts.items() if value is not None}
    weight = sum(_WEIGHTS[name] for name in known)
    return sum(_WEIGHTS[name] * value for name, value in known.items()) / weight if weight else 0.0


def _overlap(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    names = one.keys() | other.keys()
    either = sum(max(one.get(name, 0.0), other.get(name, 0.0)) for name in names)
    return sum(min(one.get(name, 0.0), other.get(name, 0.0)) for name in names) / either if either > 0.0 else None
