"""A reason to train again, or none.

`app.jobs` describes the situation after each tick or request; `training.retrain` runs on the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.errors import InvalidValue

__all__ = ["Policy", "Situation", "reason_to_train"]


@dataclass(frozen=True, slots=True)
class Policy:
    """When training is worth its cost.

    Parameters
    ----------
    first_incidents : int
        Incidents before the first model. 20 is guessed: below it three blocks hold a handful each.
    new_incidents : int
        Incidents since the champion before drift or age are a reason: without new truth a fit says the same.
    max_age_s : int
        Age of the champion at which it is replaced. A day.
    min_gap_s : int
        Seconds between two attempts, so that a failing one is not tried at every tick. An hour; twice as many after every attempt in a row
        that changed nothing, up to `max_gap_s`.
    max_gap_s : int
        A day.
    feedback : int
        New verdicts that are a reason of their own.
    cost_s : float
        Seconds that training may take in a day, before another run begins; a first model is worth any. Half an hour is guessed.

    Raises
    ------
    InvalidValue
        When a bound is below 0, or `first_incidents` below 1.
    """

    first_incidents: int = 20
    new_incidents: int = 5
    max_age_s: int = 86_400
    min_gap_s: int = 3_600
    max_gap_s: int = 86_400
    feedback: int = 10
    cost_s: float = 1_800.0

    def __post_init__(self) -> None:
        bounds = (self.new_incidents, self.max_age_s, self.min_gap_s, self.max_gap_s, self.feedback, self.cost_s)
        if self.first_incidents < 1 or min(bounds) < 0:
            raise InvalidValue(f"bounds must be at least 0 and first_incidents at least 1, got {self}")


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known when the question is asked.

    Parameters
    ----------
    incidents, new_incidents : int
        Known in all, and since the champion serves.
    champion_age_s : float or None
        Seconds since the champion was fitted; None when there is none.
    champion_fits : bool
        Whether the champion can be served: it has the present feature schema and libraries, and was signed with this node's key.
    drifts : tuple of str
        The signs, in words, that the world has moved away from the champion, from `models.drifts`.
    new_feedback : int
        Verdicts that no training run has heard.
    last_attempt_s : float or None
        Seconds since training last ran, with whatever end.
    fruitless : int
        Attempts in a row, the last ones, that failed or whose candidate was not promoted.
    cost_s : float
        Seconds that training took within the last day.
    challenged : bool
        Whether a challenger runs in shadow: it is waited for.
    """

    incidents: int
    new_incidents: int
    champion_age_s: float | None
    champion_fits: bool = True
    drifts: tuple[str, ...] = ()
    new_feedback: int = 0
    last_attempt_s: float | None = None
    fruitless: int = 0
    cost_s: float = 0.0
    challenged: bool = False


def reason_to_train(situation: Situation, policy: Policy | None = None) -> str | None:
    """Return why to train now, None for no reason.

    Examples
    --------
    >>> reason_to_train(Situation(incidents=25, new_incidents=25, champion_age_s=None))
    'no model yet, and 25 incidents to learn from'
    >>> reason_to_train(Situation(incidents=3, new_incidents=3, champion_age_s=None)) is None
    True
    """
    policy = policy or Policy()
    now = situation
    gap_s = min(policy.min_gap_s * 2**now.fruitless, max(policy.min_gap_s, policy.max_gap_s))
    if now.last_attempt_s is not None and now.last_attempt_s < gap_s:
        return None
    if now.incidents < policy.first_incidents:
        return None
    if now.champion_age_s is None:
        return f"no model yet, and {now.incidents} incidents to learn from"
    if now.cost_s >= policy.cost_s or (now.challenged and now.champion_fits):
        return None
    if not now.champion_fits:
        return "the model cannot be served here: it is of another feature schema or library, or not signed with this node's key"
    if now.new_feedback >= policy.feedback > 0:
        return f"{now.new_feedback} new verdicts"
    if now.new_incidents < policy.new_incidents:
        return None
    if now.drifts:
        return f"of the model: {'; '.join(now.drifts)}; and there are {now.new_incidents} new incidents"
    if now.champion_age_s >= policy.max_age_s:
        return f"the model is {now.champion_age_s / 3600:.0f} h old, and there are {now.new_incidents} new incidents"
    return None
