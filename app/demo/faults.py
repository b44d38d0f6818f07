"""What can go wrong in the shop, and the truth about it: kinds of faults, and their record.

`app.demo.schedule` draws Episodes; `app.demo.effects` turns them into rates and levels of a minute; `Fault` is what
tests and backtests compare predictions with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from features.errors import InvalidValue

__all__ = ["DECOYS", "KINDS", "Decoy", "Episode", "Fault", "Kind", "truth_json"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    Parameters
    ----------
    name : str
        ``memory_leak``, ``pool_exhaustion``, ...
    weight : float
        Share of all faults, before the hour of the day is looked at.
    warned : float
        How often there are warning signs other than a version change.
    lead_minutes : (int, int)
        Range of the time from `Fault.onset` to `Fault.start`; (0, 0) where nothing precedes the errors.
    """

    name: str
    weight: float
    warned: float
    lead_minutes: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Decoy:
    """Something that looks like trouble and is none.

    Parameters
    ----------
    name : str
        ``harmless_deploy``, ``traffic_spike``, ...
    share : float
        How many there are for each fault.
    floor_per_day : float
        How many there are at least, whatever the rate of faults.
    minutes : (int, int)
        Range of its length.
    """

    name: str
    share: float
    floor_per_day: float
    minutes: tuple[int, int]


# All numbers are guessed, so that about 65 % of the faults announce themselves.
KINDS = (
    Kind("memory_leak", 0.15, 1.0, (20, 60)),
    Kind("pool_exhaustion", 0.17, 1.0, (8, 35)),
    Kind("bad_deploy", 0.14, 0.6, (1, 15)),
    Kind("rate_limit", 0.13, 1.0, (10, 40)),
    Kind("disk_full", 0.11, 1.0, (60, 180)),
    Kind("partition", 0.10, 0.0, (0, 0)),
    Kind("flapping", 0.09, 0.0, (0, 0)),
    Kind("dependency_outage", 0.11, 0.0, (0, 0)),
)
DECOYS = (
    Decoy("harmless_deploy", 0.24, 1.5, (1, 1)),
    Decoy("memory_decoy", 0.10, 0.6, (20, 60)),
    Decoy("pool_decoy", 0.10, 0.6, (8, 30)),
    Decoy("throttle_decoy", 0.08, 0.4, (8, 25)),
    Decoy("warning_burst", 0.10, 0.6, (3, 15)),
    Decoy("traffic_spike", 0.08, 0.6, (10, 40)),
)


@dataclass(frozen=True, slots=True)
class Episode:
    """A drawn fault or decoy, in minutes since the shop's start; intervals are half-open.

    Parameters
    ----------
    kind : str
        A name of `KINDS` or `DECOYS`.
    service : int
        Where it sits.
    onset, start, end : int
        First warning sign, first errors, and the end of it; a decoy has no errors and ``start == end``.
    severity : float
        Probability that a touched entry fails at the plateau, or the peak of a decoy.
    ramp : int
        Minutes from the first errors to the plateau.
    loud : float
        How strong its warnings are; 0 for none.
    variant : int
        Which of several bugs or bad answers it is.
    operations : tuple of int
        Entries that it touches.
    spread : tuple of (service, minute)
        Since when callers pass its failures on; services not named do at once.
    dead : tuple of (int, int)
        Intervals in which no instance runs.
    bursts : tuple of (int, int)
        Intervals with errors; one for all kinds but flapping.
    affected : tuple of int
        Services that its errors reach.
    """

    kind: str
    service: int
    onset: int
    start: int
    end: int
    severity: float
    ramp: int
    loud: float
    variant: int
    operations: tuple[int, ...]
    spread: tuple[tuple[int, int], ...] = ()
    dead: tuple[tuple[int, int], ...] = ()
    bursts: tuple[tuple[int, int], ...] = ()
    affected: tuple[int, ...] = ()

    @property
    def harmful(self) -> bool:
        """Whether it brings errors."""
        return self.end > self.start


@dataclass(frozen=True, slots=True)
class Fault:
    """The truth about one fault or decoy.

    Parameters
    ----------
    service, kind : str
        Where, and a name of `KINDS` or `DECOYS`.
    onset, start, end : datetime
        Aware; first sign (for a deploy the version change), first errors, and their end. A decoy has
        ``start == end``.
    has_warning : bool
        Whether signs other than a version change come before `start`.
    harmful : bool
        False for a decoy.
    severity : float
        Probability that a touched entry fails at the plateau; the peak in [0, 1] of a decoy.
    operations : tuple of str
        Entries of the service that it touches.
    affected : tuple of str
        Services whose entries fail by it, its own first.

    Raises
    ------
    InvalidValue
        When the times are not aware or not in order.
    """

    service: str
    kind: str
    onset: datetime
    start: datetime
    end: datetime
    has_warning: bool
    harmful: bool
    severity: float
    operations: tuple[str, ...]
    affected: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.onset.tzinfo is None or not self.onset <= self.start <= self.end:
            raise InvalidValue(f"times must be aware with onset <= start <= end, got {self.onset}, {self.start}, {self.end}")


def truth_json(faults: Iterable[Fault]) -> str:
    """Return faults as JSON lines, one object a fault, times in RFC 3339.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2026, 1, 5, tzinfo=UTC)
    >>> truth_json([Fault("cart", "partition", at, at, at, False, True, 0.5, (), ("cart",))])[:41]
    '{"service": "cart", "kind": "partition", '
    """
    return "".join(json.dumps(asdict(fault), default=datetime.isoformat) + "\n" for fault in faults)
