"""What services showed since trouble began: what a tick shows joins what earlier ticks showed, and what is over by now counts less.

`app.group_account` keeps it with each group of incidents; `features.causes` ranks by it. Benchmarks rank by the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from features.symptom import Symptom, Symptoms

__all__ = ["remembered"]

_MOST_SYMPTOMS = 8  # of a service; the strongest
_MOST_TRACES = 64  # of a service; 200 services have 200 KB of them, and a document must fit a message of 1 MB

_Key = tuple[str, str, str]


def remembered(before: Iterable[Symptoms], now: Iterable[Symptoms], *, lasts: bool = True) -> list[Symptoms]:
    """Return all that services showed so far: each symptom since it showed first, as strong as it ever was.

    Parameters
    ----------
    before : iterable of Symptoms
        Of one tenant: what was returned before.
    now : iterable of Symptoms
        What the same services, and others, show now.
    lasts : bool
        Whether the trouble does. What is not shown any more while it lasts, and while anything else is shown, is marked as over. When
        nothing is left, that says nothing about what was to blame.

    Returns
    -------
    list of Symptoms
        By name of the service; the 8 strongest symptoms and 64 traces of each.

    Examples
    --------
    >>> was, new = Symptom("latency", 0, 9.0), Symptom("errors", 60, 12.0)
    >>> kept = remembered([Symptoms("default", "web", 60, (was,))], [Symptoms("default", "web", 120, (new,))])
    >>> [(one.signal, one.over) for one in kept[0].symptoms]
    [('errors', False), ('latency', True)]
    """
    known = {one.service: one for one in before}
    shown = {one.service: one for one in now if one.symptoms}
    newest = known | shown
    return [_joined(newest[name], known.get(name), shown.get(name), lasts and bool(shown)) for name in sorted(newest)]


def _joined(newest: Symptoms, before: Symptoms | None, now: Symptoms | None, lasts: bool) -> Symptoms:
    best: dict[_Key, Symptom] = {}
    for one in before.symptoms if before else ():
        best[_key(one)] = replace(one, over=one.over or lasts)
    for one in now.symptoms if now else ():
        known = best.get(_key(one), one)
        strongest = one if one.strength > known.strength else known
        best[_key(one)] = replace(strongest, since_s=min(one.since_s, known.since_s), over=False)
    symptoms = sorted(best.values(), key=lambda one: (one.over, -one.strength, *_key(one)))
    # The smallest, so that services keep the same ones of those that they share.
    traces = {trace for part in (before, now) if part for trace in part.traces}
    return replace(newest, symptoms=tuple(symptoms[:_MOST_SYMPTOMS]), traces=tuple(sorted(traces)[:_MOST_TRACES]))


def _key(one: Symptom) -> _Key:
    return one.signal, one.operation, one.detail
