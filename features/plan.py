"""What to do about a group of incidents, step by step: where to go first, what to do there, and what to keep away from it meanwhile.

Made of ranked causes, the kinds of their errors and who calls them. `app.correlation` puts it into the group; nothing here or there is
executed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.recovery import Retry, advise
from features.symptom import Cause, Edge
from features.taxonomy import UNKNOWN

__all__ = ["Circuit", "Remedy", "Step", "plan"]

_LEAST_SCORE = 0.15  # guessed: below it a cause is one of many, and an on-call engineer has few minutes
_MOST_CAUSES = 3
_MOST_KINDS = 2
_MOST_CIRCUITS = 3
_MOST_REMEDIES = 2
_KIND_OF_SIGNAL = {"latency": "slow", "saturation": "overload"}
"""What advice there is about a service without errors, by its strongest symptom."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """Calls that are better not made for a while: of a caller to a callee that fails."""

    caller: str
    callee: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """What resolved a like group of incidents, as a person said, and when that was."""

    text: str
    day: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan.

    Parameters
    ----------
    step : int
        From 1, in the order in which to take them.
    service : str
        Where.
    action, why : str
        What to do and what speaks for it, for people.
    retry : Retry or None
        Whether and how requests that failed there may be sent again; None where the step says nothing about it.
    circuit : Circuit or None
        The calls to stop meanwhile; None for other steps.
    """

    step: int
    service: str
    action: str
    why: str
    retry: Retry | None = None
    circuit: Circuit | None = None


def plan(
    causes: Sequence[Cause], kinds: Mapping[str, Sequence[str]], edges: Sequence[Edge], remedies: Sequence[Remedy] = ()
) -> tuple[Step, ...]:
    """Return the steps against a group of incidents.

    Parameters
    ----------
    causes : sequence of Cause
        The likeliest first.
    kinds : mapping of str to sequence of str
        Kinds of the errors of each service, the leading one first.
    edges : sequence of Edge
        Who calls whom, among the services that show the trouble.
    remedies : sequence of Remedy
        What resolved like groups, the likest first.

    Returns
    -------
    tuple of Step
        For each likely cause, those that others depend on first: a new version to go back from, then what to do against its errors;
        what helped before comes with the first of them. Then the circuits to open until it has recovered.

    Examples
    --------
    >>> steps = plan([Cause("db", 0.9, ())], {"db": ["deadlock"]}, [Edge("default", "cart", "db", 9.0, 4.0)])
    >>> [(one.step, one.service, one.retry.safe) for one in steps]
    [(1, 'db', 'yes'), (2, 'cart', 'yes')]
    >>> steps[1].circuit
    Circuit(caller='cart', callee='db')
    """
    chosen = _deepest_first([cause for cause in causes if cause.score >= _LEAST_SCORE][:_MOST_CAUSES] or causes[:1], edges)
    drafts: list[Step] = []
    for place, cause in enumerate(chosen):
        drafts += _at(cause, kinds.get(cause.service, ()), remedies if place == 0 else ())
    names = {cause.service for cause in chosen}
    drafts += _circuits(names, kinds, edges)
    return tuple(Step(n, d.service, d.action, d.why, d.retry, d.circuit) for n, d in enumerate(drafts, 1))


def _deepest_first(causes: Sequence[Cause], edges: Sequence[Edge]) -> list[Cause]:
    """Return causes so that none comes before one that it calls, directly or not; among others the likelier first."""
    left, ordered = list(causes), list[Cause]()
    reached = {cause.service: _reached(cause.service, edges) for cause in causes}
    while left:
        names = {cause.service for cause in left}
        free = [cause for cause in left if not reached[cause.service] & (names - {cause.service})]
        ordered.append((free or left)[0])  # in a circle of calls the likeliest comes first
        left.remove(ordered[-1])
    return ordered


def _reached(service: str, edges: Sequence[Edge]) -> set[str]:
    callees: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        callees[edge.caller].add(edge.callee)
    found, open_ = set[str](), [service]
    while open_:
        new = callees[open_.pop()] - found
        found |= new
        open_ += new
    return found - {service}


def _at(cause: Cause, kinds: Sequence[str], remedies: Sequence[Remedy]) -> list[Step]:
    """Return what to do at one service."""
    service, first = cause.service, cause.reasons[0] if cause.reasons else None
    why = first.text if first else f"it is the likeliest cause, at {100 * cause.score:.0f} %"
    steps = [
        Step(0, service, f"Try what helped on {remedy.day}: {remedy.text}", "it resolved a like group of incidents")
        for remedy in remedies[:_MOST_REMEDIES]
    ]
    for reason in cause.reasons:
        if reason.version:
            action = f"Roll {service} back from version {reason.version}, or compare it with the version before."
            steps.append(Step(0, service, action, reason.text))
            break
    signal = next((reason.kind for reason in cause.reasons if reason.kind in _KIND_OF_SIGNAL), "")
    for kind in list(kinds[:_MOST_KINDS]) or [_KIND_OF_SIGNAL.get(signal, UNKNOWN)]:
        advice = advise(kind)
        steps.append(Step(0, service, advice.now, why, advice.retry if kinds else None))
    return steps


def _circuits(failing: set[str], kinds: Mapping[str, Sequence[str]], edges: Sequence[Edge]) -> list[Step]:
    """Return the circuits to open around what fails, those with the most failed traces first."""
    found = sorted(
        (edge for edge in edges if edge.callee in failing and edge.caller not in failing),
        key=lambda edge: (-edge.errors, -edge.calls, edge.caller, edge.callee),
    )
    steps: list[Step] = []
    for edge in found[:_MOST_CIRCUITS]:
        action = f"Open the circuit from {edge.caller} to {edge.callee} until {edge.callee} has recovered, and answer without it where that is possible."
        why = (
            f"{edge.errors:.0f} traces lately failed at both"
            if edge.errors
            else f"it calls {edge.callee}, and shows the trouble too"
        )
        known = kinds.get(edge.callee)
        retry = advise(known[0]).retry if known else None
        steps.append(Step(0, edge.caller, action, why, retry, Circuit(edge.caller, edge.callee)))
    return steps
