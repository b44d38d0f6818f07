"""What `benchmarks.soak` makes of its samples: robust slopes of what has to be flat, what was counted against what was sent, a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import theilslopes

__all__ = ["FLAT", "Slope", "drift", "growing", "picture", "slopes"]

mpl.use("agg")

FLAT = {"rss_mib": 0.05, "files": 0.05, "threads": 0.05, "log_mib": 0.10}
"""What has to be flat, and the share of its median by which it may grow in an hour. Guessed: at 5 % an hour what is there doubles within
a day. The log is a saw-tooth of checkpoints, so that it gets more."""

_HOUR_S = 3600.0
_CONFIDENCE = 0.95
_PLOTTED = (*FLAT, "history_mib", "behind")


@dataclass(frozen=True, slots=True)
class Slope:
    """How something went over the steady part of a run.

    Parameters
    ----------
    name : str
        A key of the samples.
    median : float
        In its unit.
    an_hour, lower, upper : float
        Growth an hour as a share of the median: the median of the slopes of all pairs, with its 95 % interval.
    """

    name: str
    median: float
    an_hour: float
    lower: float
    upper: float


def slopes(samples: Sequence[Mapping[str, float]], names: Sequence[str] = tuple(FLAT)) -> list[Slope]:
    """Fit robust lines to samples.

    Parameters
    ----------
    samples : sequence of mapping
        With ``second`` and the names; three at least.
    names : sequence of str
        What to fit.

    Returns
    -------
    list of Slope

    References
    ----------
    Theil 1950; Sen 1968.

    Examples
    --------
    >>> rising = [{"second": 60.0 * k, "rss_mib": 100.0 + k} for k in range(60)]
    >>> [round(one.an_hour, 2) for one in slopes(rising, ["rss_mib"])]
    [0.46]
    """
    at = np.array([one["second"] for one in samples])
    found: list[Slope] = []
    for name in names:
        values = np.array([one[name] for one in samples])
        median = float(np.median(values))
        if np.ptp(values) == 0:  # of values that are all the same it knows no interval
            found.append(Slope(name, median, 0.0, 0.0, 0.0))
            continue
        fitted: Any = theilslopes(values, at, _CONFIDENCE)
        slope, lower, upper = float(fitted[0]), float(fitted[2]), float(fitted[3])
        scale = _HOUR_S / max(median, 1e-9)
        found.append(Slope(name, median, slope * scale, lower * scale, upper * scale))
    return found


def growing(found: Sequence[Slope]) -> Iterator[str]:
    """Yield what grows by more than it may, beyond doubt: the lower end of its interval is above the bound.

    Examples
    --------
    >>> list(growing([Slope("rss_mib", 500.0, 0.2, 0.1, 0.3), Slope("files", 40.0, 0.2, -0.1, 0.5)]))
    ['rss_mib grows by 20.0 % an hour (10.0 to 30.0 %), more than 5 %']
    """
    for one in found:
        if one.lower > FLAT[one.name]:
            yield (
                f"{one.name} grows by {one.an_hour:.1%} an hour ({100 * one.lower:.1f} to {one.upper:.1%}), "
                f"more than {FLAT[one.name]:.0%}"
            ).replace("%", " %")


def drift(sent: Mapping[str, Mapping[str, int]], counted: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Yield each service whose spans or errors are not those that were acknowledged.

    Examples
    --------
    >>> list(drift({"web": {"spans": 5, "errors": 1}}, {"web": {"spans": 4, "errors": 1}}))
    ['web: 4 spans in history, 5 acknowledged']
    """
    for service in sorted({*sent, *counted}):
        wanted, found = sent.get(service, {}), counted.get(service, {})
        for what in ("spans", "errors"):
            if wanted.get(what, 0) != found.get(what, 0):
                yield f"{service}: {found.get(what, 0)} {what} in history, {wanted.get(what, 0)} acknowledged"


def picture(run: Mapping[str, Any], path: Path) -> None:
    """Draw the samples, with the faults as stripes and the part that has to be flat in grey."""
    samples = run["samples"]
    figure = Figure(figsize=(10, 2.0 * len(_PLOTTED)), layout="constrained")
    panels = figure.subplots(len(_PLOTTED), 1, sharex=True)
    minutes = [one["second"] / 60 for one in samples]
    for panel, name in zip(panels, _PLOTTED, strict=True):
        panel.plot(minutes, [one[name] for one in samples], linewidth=1.2, color="#c2410c")
        panel.axvspan(run["steady_from_s"] / 60, minutes[-1], color="0.93", zorder=0)
        for fault in run["faults"]:
            width = max(fault["seconds"], 3.0)
            panel.axvspan(
                fault["at_s"] / 60, (fault["at_s"] + width) / 60, color=_COLOURS[fault["kind"]], alpha=0.35, linewidth=0
            )
        panel.set_ylabel(name)
        panel.set_ylim(bottom=0)
    panels[-1].set_xlabel(
        "minutes; grey: has to be flat; red: killed, blue: disk busy, green: receiver of notices down, yellow: a service fails"
    )
    figure.savefig(path)


_COLOURS = {"kill": "red", "disk": "tab:blue", "receiver": "tab:green", "burst": "gold"}
