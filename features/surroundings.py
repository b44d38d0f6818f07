"""The feature groups that read a series' service and its neighbours.

Novelty, mix, levels, neighbours, change, incident history, intensity, time, age of the data.
Each function takes a View and returns its columns in the order that `features.extract` names them.
"""

from __future__ import annotations

import numpy as np

from features.arrays import FloatArray, IntArray
from features.rates import entropy, ratio
from features.view import View

__all__ = ["change", "data_age", "history", "intensity", "levels", "mix", "neighbours", "novelty", "shown", "time"]

_DAY_TICKS = 1440.0
_HOUR_TICKS = 60
_AHEAD_S = 1800  # the middle of the longest horizon: whose hour of the week is asked for
_ENOUGH = 20  # values of a level before its correlation with time says anything
_STEADY, _GROWING = 0.8, 0.05  # guessed: a climb that hardly pauses, by 5 % of its mean in 30 windows


def novelty(view: View) -> list[FloatArray]:
    """Return fingerprints that the service had never shown before."""
    return [np.log1p(view.memory.facts.novel(s)[view.whole]) for s in (5, 60)]


def mix(view: View) -> list[FloatArray]:
    """Return the service's errors by category over the last hour, and how mixed the last 15 minutes are."""
    facts = view.memory.facts
    recent, hour = facts.categories(15).astype(float), facts.categories(60).astype(float)
    columns = [entropy(recent)[view.whole], ratio(recent.max(1), recent.sum(1))[view.whole]]
    return [*columns, *np.log1p(hour)[view.whole].T]


def levels(view: View) -> list[FloatArray]:
    """Return how far, how fast and how steadily the service's gauges and sums move.

    Notes
    -----
    Every level is judged against itself: its distance from its own long mean in its own deviations, its
    growth over 30 windows relative to its mean, and its correlation with time over the hour (a climb
    that does not pause is near 1). Correlation needs 20 values. Nothing is below 0, what a service without
    levels shows: how many names its neighbours have must not change what a falling level says.
    """
    facts = view.memory.facts
    rows, used = facts.levels_of.rows(), max((len(names) for names in facts.level_names.values()), default=0)
    n = len(view.whole)
    if used == 0:
        return [np.zeros(n)] * 5
    values = facts.levels(rows)[:, :used].astype(float)
    known = ~np.isnan(values)
    count = known.sum(2)
    filled = np.where(known, values, 0.0)
    mean = ratio(filled.sum(2), count.astype(float))
    centred = np.where(known, values - mean[:, :, None], 0.0)
    steps = np.arange(values.shape[2], dtype=float)
    step_mean = ratio((known * steps).sum(2), count.astype(float))
    step_centred = np.where(known, steps - step_mean[:, :, None], 0.0)
    spread, step_spread = (centred**2).sum(2), (step_centred**2).sum(2)
    covariance = (centred * step_centred).sum(2)
    enough = (count >= _ENOUGH) & (spread > 1e-12 * (1 + mean**2))
    correlation = np.where(enough, ratio(covariance, np.sqrt(spread * step_spread)), 0.0)
    growth = np.where(enough, ratio(covariance, step_spread) * 30.0 / (np.abs(mean) + 1e-9), 0.0)
    growth = np.clip(growth, -5.0, 5.0)
    far = facts.distance()[rows, :used]
    ordered = np.sort(far, axis=1)
    rising = ((correlation > _STEADY) & (growth > _GROWING)).sum(1).astype(float)
    second = ordered[:, -2] if used > 1 else np.zeros(len(rows))
    columns = [ordered[:, -1], second, growth.max(1), np.maximum(correlation.max(1), 0.0), rising]
    shown = np.zeros((len(columns), n))
    shown[:, rows] = np.maximum(np.stack(columns), 0.0)
    return list(shown[:, view.whole])


def shown(view: View) -> list[FloatArray]:
    """Return what every series shows its neighbours, in the order of `features.afar.SIGNALS`."""
    wrong = view.surprise("errors", 5)
    slow = view.latency_shift(0.95, 5, 55)
    warned = np.log((view.sum("warnings", 10) + view.sum("handled", 10) + 1) / (view.usual("warnings") * 10 + 1))
    standing = view.memory.onsets.in_incident().astype(float)
    far = view.memory.facts.distance().max(1)
    return [wrong, slow, warned, far.astype(float), standing]


def neighbours(view: View) -> list[FloatArray]:
    """Return the worst of what the services that this one calls, and those that call it, show; also those of other nodes."""
    memory, n = view.memory, len(view.whole)
    signals, rows = shown(view), memory.services()
    if memory.afar:
        rows = memory.afar.rows(rows, n)
        signals = [np.append(own, other) for own, other in zip(signals, memory.afar.signals.T, strict=True)]
    callers, callees, _ = memory.graph.arrays(memory.tick, rows)
    arriving = memory.afar.edges - memory.graph.edges.keys()
    if arriving:  # what services elsewhere call; who calls there from here is in the own graph
        pairs = [(rows[tenant, a], rows[tenant, b]) for tenant, a, b in arriving if (tenant, a) in rows and (tenant, b) in rows]
        more = np.array(pairs, np.int64).reshape(-1, 2)
        callers, callees = np.append(callers, more[:, 0]), np.append(callees, more[:, 1])
    *cause, standing = signals
    down = [_worst(signal, callers, callees) for signal in cause]
    return [signal[view.whole] for signal in (*down, _worst(cause[0], callees, callers), _total(standing, callers, callees))]


def change(view: View) -> list[FloatArray]:
    """Return how lately the version changed and instances began."""
    facts = view.memory.facts
    since = facts.since_change()
    ticks = np.where(since >= 0, np.minimum(since, _DAY_TICKS), _DAY_TICKS)
    columns = [np.log1p(ticks), ((since >= 0) & (since <= _HOUR_TICKS)).astype(float), facts.started(5), facts.started(60)]
    return [column[view.whole].astype(float) for column in columns]


def history(view: View) -> list[FloatArray]:
    """Return how often and how lately incidents of the series began."""
    onsets, window = view.memory.onsets, view.memory.tick - 1
    since = np.minimum(onsets.since(window), 7 * _DAY_TICKS)
    rates = onsets.rates(window, view.pools)
    return [*onsets.columns["decayed"].T.astype(float), *rates.T, np.log1p(since), onsets.share_broken()]


def intensity(view: View) -> list[FloatArray]:
    """Return how the series' errors, and those around it, call for more: also where they are days apart."""
    memory, window = view.memory, view.memory.tick - 1
    excitation = memory.excitation
    since, rate = np.log1p(excitation.since(window)), excitation.rates(view.pools)
    gap, spread = excitation.gaps(60.0 / rate)
    beside, beyond = excitation.around(window, view.pools)
    coming = memory.tick + _AHEAD_S // memory.plan.tick_s
    return [
        *np.log1p(excitation.intensity(window)).T,
        *since.T,
        np.log1p(gap),
        spread,
        since[:, 0] - np.log1p(gap),
        excitation.familiarity(),
        np.log(rate),
        memory.rhythm.season(coming),
        *np.log1p(beside).T,
        *np.log1p(beyond).T,
    ]


def time(view: View) -> list[FloatArray]:
    """Return the hour of the day on a circle."""
    n, seconds = len(view.whole), view.memory.tick * view.memory.plan.tick_s
    angle = 2 * np.pi * (seconds % 86_400) / 86_400
    return [np.full(n, np.sin(angle)), np.full(n, np.cos(angle))]


def data_age(view: View) -> list[FloatArray]:
    """Return ticks since the last data, and whether the series is a whole service.

    How long a series is known is left out on purpose: it only ever grows, so whatever a model learned of
    it holds for no later row (measured on the demo shop: 0.009 nats a row).
    """
    return [np.log1p(view.memory.last_data().astype(float)), view.memory.directory.is_whole.astype(float)]


def _worst(signal: FloatArray, to: IntArray, of: IntArray) -> FloatArray:
    out = np.zeros_like(signal, float)
    np.maximum.at(out, to, signal[of])
    return out


def _total(signal: FloatArray, to: IntArray, of: IntArray) -> FloatArray:
    out = np.zeros_like(signal, float)
    np.add.at(out, to, signal[of])
    return out
