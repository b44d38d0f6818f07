"""What follows from a comparison of the model that serves with another one: promote, reject, roll back, or go on.

`app.members` compares; `app.main` asks once a minute and tells `models.registry`. The gate of `training.gate` judged the challenger on
history; here it is judged while the world goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from features.errors import InvalidValue
from models.registry import Role

__all__ = ["AT_ONCE", "Patience", "Step", "next_step"]

Step = Literal["promote", "reject", "rollback", "keep", "wait"]
"""Let the challenger serve; leave it; let the former champion serve again; stop looking at the former champion; go on comparing."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long models are compared.

    Parameters
    ----------
    shadow_h : int
        Hours that a challenger runs in shadow before it may serve. 0 promotes at once. 6 is guessed: a few incidents of a busy system.
    watch_h : int
        Hours that a new champion is compared with the former one. 48 is guessed.

    Raises
    ------
    InvalidValue
        When one is below 0.
    """

    shadow_h: int = 6
    watch_h: int = 48

    def __post_init__(self) -> None:
        if min(self.shadow_h, self.watch_h) < 0:
            raise InvalidValue(f"shadow_h and watch_h must be at least 0, got {self.shadow_h} and {self.watch_h}")


AT_ONCE = Patience(0, 0)
"""No comparison: what passed the gate serves."""


def next_step(role: Role, hours: int, difference: float, verdict: str, patience: Patience | None = None) -> tuple[Step, str]:
    """Return what to do, and why, in words.

    Parameters
    ----------
    role : {"challenger", "former"}
        Of the rival.
    hours : int
        Compared so far.
    difference : float
        Log loss a row of what serves minus the rival's.
    verdict : {"below", "above", "open"}
        On which side of 0 the difference is beyond doubt.
    patience : Patience, optional
        How long models are compared.

    Notes
    -----
    The challenger has beaten the champion on history beyond doubt, so it takes over unless it is worse beyond doubt now; it takes over early
    where it is better beyond doubt. A new champion gives way only when it is worse beyond doubt.

    Examples
    --------
    >>> next_step("challenger", 3, 0.002, "open")[0], next_step("challenger", 6, 0.002, "open")[0]
    ('wait', 'promote')
    >>> next_step("challenger", 14, -0.01, "below")[0], next_step("former", 14, 0.01, "above")[0]
    ('reject', 'rollback')
    """
    patience = patience or Patience()
    size = f"log loss {abs(difference):.5f} a row {'lower' if difference < 0 else 'higher'} over {hours} h"
    if role == "challenger":
        if verdict == "below":
            return "reject", f"the champion is better beyond doubt: {size}"
        if verdict == "above":
            return "promote", f"the champion is worse beyond doubt: {size}"
        if hours >= patience.shadow_h:
            return "promote", f"the champion is not better beyond doubt after {patience.shadow_h} h in shadow: {size}"
        return "wait", f"in shadow for {hours} of {patience.shadow_h} h"
    if verdict == "above":
        return "rollback", f"the new champion is worse than the former one beyond doubt: {size}"
    if hours >= patience.watch_h:
        return "keep", f"the new champion is not worse than the former one beyond doubt: {size}"
    return "wait", f"compared with the former champion for {hours} of {patience.watch_h} h"
