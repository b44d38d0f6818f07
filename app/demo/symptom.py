"""How trouble shows: the closed list of symptoms that a failure, a warning or a handled exception can have.

`app.demo.effects` chooses them by kind of fault, `app.demo.messages` has their words in each language.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["STATUS", "Symptom"]


class Symptom(IntEnum):
    """Why an entry or a call fails, or what a warning is about; 0 is none."""

    NONE = 0
    MEMORY = 1
    POOL = 2
    BUG = 3
    THROTTLED = 4
    DISK = 5
    FLAP = 6
    OUTAGE = 7
    CUT = 8
    REFUSED = 9
    UPSTREAM = 10
    BLIP = 11
    GC_WARNING = 12
    POOL_WARNING = 13
    DEPLOY_WARNING = 14
    THROTTLE_WARNING = 15
    DISK_WARNING = 16
    FALLBACK = 17
    ODD_WARNING = 18


STATUS = {
    Symptom.NONE: 200,
    Symptom.MEMORY: 500,
    Symptom.POOL: 503,
    Symptom.BUG: 500,
    Symptom.THROTTLED: 503,
    Symptom.DISK: 500,
    Symptom.FLAP: 500,
    Symptom.OUTAGE: 502,
    Symptom.CUT: 504,
    Symptom.REFUSED: 503,
    Symptom.UPSTREAM: 502,
    Symptom.BLIP: 500,
}
"""HTTP status that an entry answers with each symptom."""
