"""Words for feature groups, with the values behind them.

`models.explain.reasons` asks for one sentence a group; the values are one row of the feature matrix by
column name. A group without a phrase, or a row without the phrase's columns, is listed as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from features.excitation import LONG_AGO_MIN, SHOWN
from features.facts import CATEGORIES
from features.rates import surprise

__all__ = ["PHRASES", "Phrase", "listing"]

Phrase = Callable[[Mapping[str, float]], str]
"""From column values to a sentence; raises KeyError where a column is not there."""

_LISTED = 3
"""Columns that a plain listing names."""

_NOTEWORTHY_DECADES = 1.0
"""-log10 of a tail probability from which a count is called unusual: one in ten."""

_MOST_DECADES = 6.0
"""Rarer than once in a million is said as that: no history shows more."""

_NOTEWORTHY_DEVIATIONS = 3.0
"""Standard deviations from which a level is called unusual. Guessed."""

_HOUR_TICKS = 60
_DAY_TICKS = 1440
_GROWTH = 0.1
"""Share of change below which something is called level."""


def listing(group: str, values: Mapping[str, float], columns: tuple[str, ...]) -> str:
    """Name a group's columns with the largest values.

    Examples
    --------
    >>> listing("queue", {"a": 0.0, "b": 12.5, "c": -3.0}, ("a", "b", "c"))
    'queue: b=12.5, c=-3, a=0'
    """
    ranked = sorted(columns, key=lambda name: -abs(values[name]))[:_LISTED]
    return f"{group}: " + ", ".join(f"{name}={values[name]:.3g}" for name in ranked)


def _count(log_count: float, one: str) -> str:
    """Say a count that is kept as log1p."""
    n = round(float(np.expm1(log_count)))
    return f"{n} {one}" if n == 1 else f"{n} {one}s"


def _round(value: float) -> str:
    """Say a number with two digits that count, and never with an exponent.

    Examples
    --------
    >>> [_round(value) for value in (152.3, 9.96, 0.5, 0.000012)]
    ['150', '10', '0.5', '0.000012']
    """
    return f"{float(f'{value:.2g}'):.12f}".rstrip("0").rstrip(".")


def _span(log_ticks: float) -> str:
    """Say a duration that is kept as log1p of minutes."""
    minutes = float(np.expm1(log_ticks))
    if minutes < _HOUR_TICKS:
        return f"{minutes:.0f} min"
    return f"{minutes / _HOUR_TICKS:.1f} h" if minutes < _DAY_TICKS else f"{minutes / _DAY_TICKS:.1f} days"


def _times(log_ratio: float, before: str) -> str:
    """Say a change that is kept as the log of a ratio."""
    factor = float(np.exp(log_ratio))
    return f"as {before.removeprefix('the ')}" if abs(factor - 1.0) < _GROWTH else f"{_round(factor)} times {before}"


def _moving(log_ratio: float) -> str:
    """Say which way something went whose change is kept as the log of a ratio."""
    if abs(np.expm1(log_ratio)) < _GROWTH:
        return "level"
    return "rising" if log_ratio > 0 else "falling"


def _chance(decades: float) -> str:
    """Say a tail probability that is kept as -log10."""
    if decades >= _MOST_DECADES:
        return f"by chance less than once in {10**_MOST_DECADES:,.0f} times"
    return f"by chance once in {10**decades:,.0f} times"


def _errors(v: Mapping[str, float]) -> str:
    return f"{_count(v['errors_log_5'], 'error')} in 5 min and {_count(v['errors_log_60'], 'error')} in 60 min, {v['failed_share_15']:.1%} of requests failed in 15 min"


def _surprise(v: Mapping[str, float]) -> str:
    decades = max(v["error_surprise_5"], v["error_surprise_15"])
    if decades < _NOTEWORTHY_DECADES:
        return "errors are as usual for this hour"
    return f"more errors than usual for this hour, {_chance(decades)}"


def _trend(v: Mapping[str, float]) -> str:
    slope = v["errors_slope_15"]
    if abs(slope) < _GROWTH / 15:
        return "errors level over 15 min"
    return f"errors {'rising' if slope > 0 else 'falling'} over 15 min, by {abs(slope):.1%} of their mean a minute"


def _volume(v: Mapping[str, float]) -> str:
    if v["traffic_log_5"] <= 0:
        return f"no requests for {_span(v['silent_log'])}"
    return (
        f"{np.expm1(v['traffic_log_5']):.3g} requests a minute, {_times(v['traffic_against_usual'], 'the usual for this hour')}"
    )


def _latency(v: Mapping[str, float]) -> str:
    shift = v["p95_shift_5"]
    trend = {"level": "latency level", "rising": "slower than before", "falling": "faster than before"}[_moving(shift)]
    return f"{trend}: 95 % of requests within {np.exp(v['p95_log_5']) * 1000.0:,.0f} ms, {_times(shift, 'before')}"


def _warnings(v: Mapping[str, float]) -> str:
    warned = f"{_count(v['warnings_log_15'], 'warning')} in 15 min, {_times(v['warnings_change'], 'before')}"
    if v["handled_log_15"] <= 0:
        return f"warnings {_moving(v['warnings_change'])}: {warned}"
    handled = f"{_count(v['handled_log_15'], 'handled exception')}, {_times(v['handled_change'], 'before')}"
    if v["handled_change"] > v["warnings_change"]:
        return f"handled exceptions {_moving(v['handled_change'])}: {handled}; {warned}"
    return f"warnings {_moving(v['warnings_change'])}: {warned}; {handled}"


def _novelty(v: Mapping[str, float]) -> str:
    if v["novel_log_60"] <= 0:
        return "no new kind of message in 60 min"
    return (
        f"{_count(v['novel_log_60'], 'kind')} of message never seen before in 60 min, {np.expm1(v['novel_log_5']):.0f} in 5 min"
    )


def _mix(v: Mapping[str, float]) -> str:
    named = {name: v[f"{name}_log_60"] for name in CATEGORIES if f"{name}_log_60" in v}
    top = [f"{name} {np.expm1(named[name]):.0f}" for name in sorted(named, key=lambda n: -named[n]) if named[name] > 0][
        :_LISTED
    ]
    if not top:
        return "no errors of any category in 60 min"
    return f"errors by category in 60 min: {', '.join(top)}; one category has {v['mix_top_share_15']:.0%} of the last 15 min"


def _levels(v: Mapping[str, float]) -> str:
    far, n_rising = v["level_distance"], round(v["levels_rising"])
    rising = f"{n_rising} resource {'level rises' if n_rising == 1 else 'levels rise'} without a pause" if n_rising else ""
    unusual = f"a resource level is {far:.1f} standard deviations from its usual" if far >= _NOTEWORTHY_DEVIATIONS else ""
    return "; ".join(filter(None, (unusual, rising))) or "resource levels are as usual"


def _neighbours(v: Mapping[str, float]) -> str:
    n_broken = round(v["callees_in_incident"])
    broken = [f"{n_broken} called {'service is' if n_broken == 1 else 'services are'} in an incident"] if n_broken else []
    # How noteworthy each is: 1 from where it would be said of a service itself. Twice as many warnings are guessed to be.
    signals = (
        (
            v["callee_error_surprise"] / _NOTEWORTHY_DECADES,
            f"callees fail more than usual, {_chance(v['callee_error_surprise'])}",
        ),
        (
            v["callee_latency_shift"] / np.log1p(_GROWTH),
            f"callees slower than before, {_round(np.exp(v['callee_latency_shift']))} times",
        ),
        (v["callee_warnings"] / np.log(2.0), f"callees warn more than usual, {_round(np.exp(v['callee_warnings']))} times"),
        (
            v["callee_level_distance"] / _NOTEWORTHY_DEVIATIONS,
            f"a callee's resource level is {v['callee_level_distance']:.1f} standard deviations from its usual",
        ),
        (
            v["caller_error_surprise"] / _NOTEWORTHY_DECADES,
            f"callers fail more than usual, {_chance(v['caller_error_surprise'])}",
        ),
    )
    worst, words = max(signals)
    return "; ".join([*broken, words] if worst >= 1.0 else broken) or "callees and callers are as usual"


def _change(v: Mapping[str, float]) -> str:
    known = v["since_change_log"] < np.log1p(_DAY_TICKS) - 1e-6
    said = [f"version changed {_span(v['since_change_log'])} ago"] if known else []
    started, lately = round(v["started_60"]), round(v["started_5"])
    if started:
        said.append(
            f"{started} {'instance' if started == 1 else 'instances'} started within 60 min"
            + (f", {lately} within 5 min" if lately else "")
        )
    return "; ".join(said) or "no new version in a day and no new instance in 60 min"


def _history(v: Mapping[str, float]) -> str:
    if v["since_incident_log"] >= np.log1p(7 * _DAY_TICKS) - 1e-6:
        return f"no incident in 7 days; {_round(v['incident_rate_pooled'] * 24)} a day expected"
    return f"last incident {_span(v['since_incident_log'])} ago; {_round(v['incident_rate'] * 24)} a day"


def _intensity(v: Mapping[str, float]) -> str:
    """Say the last k events, with the k that is least likely at the usual rate."""
    a_minute = float(np.exp(v["event_rate_log"])) / 60.0
    usually = f"{_round(a_minute * _DAY_TICKS)} a day"
    since = np.array([v[f"since_event_log_{k}"] for k in SHOWN])
    known = since < np.log1p(LONG_AGO_MIN) - 1e-6
    if not known.any():
        return f"no window with errors known of the last {LONG_AGO_MIN / _DAY_TICKS:.0f} days; {usually} expected"
    minutes = np.expm1(since[known]) + 1.0  # with the minute of the oldest
    k = np.array(SHOWN, float)[known]
    told = int(surprise(k, minutes * a_minute).argmax())
    windows = "window" if k[told] == 1 else "windows"
    return f"errors in {k[told]:.0f} {windows} within {_span(np.log1p(minutes[told]))}, usually in {usually}"


def _time(v: Mapping[str, float]) -> str:
    hour = (np.arctan2(v["hour_sin"], v["hour_cos"]) / (2 * np.pi) * 24.0) % 24.0
    return f"time of day {int(hour):02d}:{int(hour % 1 * 60):02d} UTC"


def _data_age(v: Mapping[str, float]) -> str:
    silent = v["data_age_log"] >= np.log1p(1.0) - 1e-6
    of = "service as a whole" if v["whole_service"] else "operation"
    return f"no data for {_span(v['data_age_log'])}" if silent else f"data up to the minute; {of}"


PHRASES: Mapping[str, Phrase] = {
    "errors": _errors,
    "surprise": _surprise,
    "trend": _trend,
    "volume": _volume,
    "latency": _latency,
    "warnings": _warnings,
    "novelty": _novelty,
    "mix": _mix,
    "levels": _levels,
    "neighbours": _neighbours,
    "change": _change,
    "incident_history": _history,
    "intensity": _intensity,
    "time": _time,
    "data_age": _data_age,
}
"""One phrase for each group of `features.extract`."""
