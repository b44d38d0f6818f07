"""What a service shows when something is wrong with it, and who calls whom: what causes are ranked by.

Workers see symptoms in a Memory and publish them with the edges; a tenant's home ranks causes over all of its services.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.errors import InvalidValue

__all__ = ["SIGNALS", "Cause", "Edge", "Reason", "Symptom", "Symptoms"]

SIGNALS = ("errors", "failed", "latency", "traffic", "logs", "version", "saturation")
"""What can be wrong: error occurrences, the share of requests that fail, their duration, how many there are, log templates and
levels that were not there before, a version that was not there before, and levels near their limit."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """One signal of a service that is not as usual.

    Parameters
    ----------
    signal : str
        One of `SIGNALS`.
    since_s : int
        Unix second of the start of the first window that shows it.
    strength : float
        How unlikely it is under what the service did before, in bits, 0 or more.
    value, expected : float
        Of the strongest window, in the signal's own unit.
    operation : str
        Where it shows most, ``*`` for the whole service.
    detail : str
        A fingerprint, a version or the name of a level, where there is one.
    over : bool
        Whether it is shown no more while the trouble that it is evidence of lasts, see `features.shown`.
    """

    signal: str
    since_s: int
    strength: float
    value: float = 0.0
    expected: float = 0.0
    operation: str = "*"
    detail: str = ""
    over: bool = False

    def __post_init__(self) -> None:
        if self.signal not in SIGNALS:
            raise InvalidValue(f"signal must be one of {SIGNALS}, got {self.signal!r}")
        if not self.strength >= 0.0:
            raise InvalidValue(f"strength must be 0 or more bits, got {self.strength}")


@dataclass(frozen=True, slots=True)
class Symptoms:
    """What a service shows as of a tick.

    Parameters
    ----------
    tenant, service : str
        Whose.
    as_of_s : int
        Unix second of the tick.
    symptoms : tuple of Symptom
        Strongest first.
    traces : tuple of int
        Hashes of traces in which it failed lately, as far as they were kept: services keep the same ones of those they share.
    """

    tenant: str
    service: str
    as_of_s: int
    symptoms: tuple[Symptom, ...]
    traces: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """Calls of a service to another, or to an external peer.

    Parameters
    ----------
    tenant, caller, callee : str
        Who calls whom.
    calls, errors : float
        Faded counts.
    lag_s : float
        Seconds by which what happens at the callee shows at the caller later, 0 where it is not known.
    lead_bits : float
        How much likelier it is that the callee moves first than that the caller does; below 0 where the caller does, 0 where neither
        is known.
    """

    tenant: str
    caller: str
    callee: str
    calls: float
    errors: float = 0.0
    lag_s: float = 0.0
    lead_bits: float = 0.0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a service counts as a cause.

    Parameters
    ----------
    kind : str
        ``trace``, ``graph``, ``first``, or one of `SIGNALS`.
    text : str
        What a person reads.
    strength : float
        What it adds to the score.
    operation, fingerprint, version : str
        What it is about, empty for none.
    """

    kind: str
    text: str
    strength: float
    operation: str = ""
    fingerprint: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """A service that may be the cause.

    Parameters
    ----------
    service : str
        Which.
    score : float
        Its share among all candidates, in [0, 1].
    reasons : tuple of Reason
        Strongest first.
    """

    service: str
    score: float
    reasons: tuple[Reason, ...]
