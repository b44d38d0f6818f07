"""The charts of a backtest's page as inline SVG, drawn by matplotlib in the page's own colours.

`training.page` asks for them. Every chart is an image to a screen reader, with a sentence that says what it shows. Colours are
the page's CSS variables, so that a chart turns dark with its page. Nothing here is loaded before something is drawn: the service
never pays for matplotlib.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from html import escape
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np

from training.detail import Bin, Budget, Fold, Told
from training.words import share, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["budget_chart", "group_chart", "lead_chart", "reliability_chart", "sparkline", "weight_chart"]

_VARIABLES = ("--ink", "--soft", "--grid", "--accent", "--second", "--alarm", "--m1", "--m2", "--m3", "--m4", "--m5", "--m6")
_COLOUR = {name: f"#0000{number:02x}" for number, name in enumerate(_VARIABLES, start=1)}  # stand-ins, replaced in `_draw`
_INK, _SOFT, _GRID, _ACCENT, _SECOND, _ALARM = (_COLOUR[name] for name in _VARIABLES[:6])
_MEMBERS = tuple(_COLOUR[name] for name in _VARIABLES[6:])

_WIDTH = 4.6  # inches, 331 units of the drawing: letters of 9 are legible when a phone of 400 pixels shows it
_STYLE = {
    "svg.fonttype": "none",  # letters stay letters: found, copied, read aloud, in the page's own font
    "svg.hashsalt": "",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.size": 9.0,
    "text.color": _INK,
    "axes.labelcolor": _SOFT,
    "axes.edgecolor": _GRID,
    "axes.titlesize": 9.0,
    "axes.titlecolor": _SOFT,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _SOFT,
    "ytick.labelcolor": _SOFT,
    "legend.frameon": False,
    "legend.labelcolor": _SOFT,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
_FLOOR = 1e-5  # below it a chance is drawn as one of so much
_CEILING = 0.5  # the lower end of a chance's axis lies below it
_LEAST_SPENT = 0.05  # false alarms a day at the left end of a logarithmic axis
_SPARK = (150.0, 30.0, 3.0)  # width, height, margin


def reliability_chart(horizon: str, bins: Sequence[Bin]) -> str:
    """Draw stated against observed, both on logarithmic scales since incidents are rare.

    Parameters
    ----------
    horizon : str
        Its name.
    bins : sequence of Bin
        At least one.
    """
    stated, observed, lower, upper = (
        np.array([getattr(point, name) for point in bins]) for name in ("predicted", "observed", "lower", "upper")
    )
    least = min(_positive(stated), _positive(observed), _CEILING)
    low = 10 ** math.floor(math.log10(max(least, _FLOOR)))
    last = bins[-1]
    label = (
        f"Reliability at {horizon}: in the riskiest of {len(bins)} groups {share(last.predicted)} was stated and "
        f"{share(last.observed)} observed."
    )

    def plot(axes: Axes) -> None:
        axes.plot([low, 1], [low, 1], color=_SOFT, linewidth=1, linestyle=(0, (4, 3)))
        axes.vlines(np.maximum(stated, low), np.maximum(lower, low), np.maximum(upper, low), color=_ACCENT, linewidth=1.6)
        seen = observed >= low
        axes.plot(np.maximum(stated, low)[seen], observed[seen], "o", color=_ACCENT, markersize=5)
        none = np.maximum(stated, low)[~seen]
        axes.plot(none, np.full(len(none), low), "v", color=_ACCENT, markersize=5, markerfacecolor="none", clip_on=False)
        for axis, set_scale, set_limits in (
            (axes.xaxis, axes.set_xscale, axes.set_xlim),
            (axes.yaxis, axes.set_yscale, axes.set_ylim),
        ):
            set_scale("log")
            set_limits(low, 1)
            ticks = 10.0 ** np.arange(round(math.log10(low)), 1)
            axis.set_ticks(ticks, labels=[share(tick) for tick in ticks])
            axis.set_tick_params(which="minor", length=0)
        axes.set_xlabel("stated", loc="right")
        axes.set_title("observed")

    return _draw(f"reliability-{horizon}", label, plot, (3.4, 3.1))  # three beside each other on a desk


def budget_chart(budgets: Sequence[Budget], chosen: float) -> str:
    """Draw the share of incidents announced and of alerts right against the false alarms spent.

    Parameters
    ----------
    budgets : sequence of Budget
        At least one.
    chosen : float
        False alarms a day of the report.
    """
    chosen = max(chosen, _LEAST_SPENT)
    points = sorted(budgets, key=lambda point: point.false_alarms_a_day)
    spent = np.array([max(point.false_alarms_a_day, _LEAST_SPENT) for point in points])
    most = points[-1]
    label = (
        f"Recall and precision against false alarms a day: at {most.false_alarms_a_day:.2g} a day "
        f"{share(most.recall)} of incidents are announced and {share(most.precision)} of alerts are right."
    )

    def plot(axes: Axes) -> None:
        axes.axvline(chosen, color=_SOFT, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate("budget", (chosen, 1.0), (3, -2), textcoords="offset points", color=_SOFT, va="top")
        axes.plot(spent, [point.recall for point in points], "o-", color=_ACCENT, label="recall", markersize=4)
        axes.plot(spent, [point.precision for point in points], "s-", color=_SECOND, label="precision", markersize=4)
        axes.set_xscale("log")
        ticks = [_LEAST_SPENT, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32]
        low, high = min(spent.min(), chosen) / 1.15, max(spent.max(), chosen) * 1.15
        shown = [tick for tick in ticks if low <= tick <= high]
        axes.set_xlim(low, high)
        axes.set_xticks(shown, labels=[f"{tick:g}" for tick in shown])
        axes.tick_params(axis="x", which="minor", length=0, labelbottom=False)
        _in_shares(axes)
        axes.set_xlabel("false alarms a day, over all series", loc="right")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, borderpad=0, handlelength=1.6)

    return _draw("budgets", label, plot)


def lead_chart(leads_s: Sequence[float]) -> str:
    """Draw how long before their starts incidents were announced.

    Parameters
    ----------
    leads_s : sequence of float
        Seconds, at least one.
    """
    longest = max(leads_s)
    unit_s, unit = next((u, name) for u, name, least in _UNITS if longest >= least)
    leads = np.array(leads_s) / unit_s
    step = next(s for s in (1, 2, 5, 10, 15, 20, 50, 100, 1_000_000) if leads.max() / s <= 15)  # noqa: PLR2004, bars to a chart
    edges = np.arange(0.0, leads.max() + 1.001 * step, step)
    middle = float(np.median(leads))
    label = f"Lead times of {len(leads)} announced incidents, the median is {span(float(np.median(leads_s)))}."

    def plot(axes: Axes) -> None:
        axes.hist(leads, bins=edges.tolist(), color=_ACCENT, rwidth=0.9)
        axes.axvline(middle, color=_INK, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(
            f"median {span(middle * unit_s)}",
            (middle, 1.0),
            (3, 2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
        )
        axes.yaxis.set_major_locator(import_module("matplotlib.ticker").MaxNLocator("auto", integer=True))
        axes.grid(axis="x", visible=False)
        axes.set_xlabel(f"{unit} before the start", loc="right")
        axes.set_title("incidents")

    return _draw("leads", label, plot)


_UNITS = ((86_400.0, "days", 172_800.0), (3_600.0, "hours", 10_800.0), (60.0, "minutes", 180.0), (1.0, "seconds", 0.0))


def group_chart(folds: Sequence[Fold]) -> str:
    """Draw what each feature group is worth: mean and range over the folds.

    Parameters
    ----------
    folds : sequence of Fold
        At least one with groups.
    """
    names = list(dict.fromkeys(name for fold in folds for name in fold.groups))
    found = {name: np.array([fold.groups[name] for fold in folds if name in fold.groups]) for name in names}
    names.sort(key=lambda name: float(found[name].mean()))
    means = np.array([found[name].mean() for name in names])
    low, high = (np.array([pick(found[name]) for name in names]) for pick in (np.min, np.max))
    label = "Worth of feature groups, largest first: " + ", ".join(f"{name} {found[name].mean():.2g}" for name in names[::-1])
    scale = 1000.0

    def plot(axes: Axes) -> None:
        places = np.arange(len(names))
        axes.barh(places, means * scale, height=0.62, color=_ACCENT)
        axes.hlines(places, low * scale, high * scale, color=_INK, linewidth=1)
        axes.axvline(0, color=_SOFT, linewidth=0.8)
        axes.set_yticks(places, labels=names)
        axes.tick_params(axis="y", length=0, labelcolor=_INK)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("thousandths of a nat a row", loc="right")

    return _draw("groups", label, plot, (_WIDTH, 0.8 + 0.24 * len(names)))


def weight_chart(folds: Sequence[Fold]) -> str:
    """Draw each member's weight by fold.

    Parameters
    ----------
    folds : sequence of Fold
        At least one.
    """
    names = list(folds[0].weights)
    label = "Member weights by fold: " + "; ".join(
        f"fold {number} " + ", ".join(f"{name} {weight:.2f}" for name, weight in fold.weights.items())
        for number, fold in enumerate(folds, start=1)
    )

    def plot(axes: Axes) -> None:
        places, done = np.arange(len(folds)), np.zeros(len(folds))
        for number, name in enumerate(names):
            weights = np.array([fold.weights.get(name, 0.0) for fold in folds])
            colour = _MEMBERS[number % len(_MEMBERS)]
            axes.barh(places, weights, left=done, height=0.62, color=colour, label=name)
            done = done + weights
        axes.set_yticks(places, labels=[f"fold {place + 1}" for place in places.tolist()])
        axes.tick_params(axis="y", length=0, labelcolor=_INK)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("weight", loc="right")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, borderpad=0, handlelength=0.9, columnspacing=1.2)

    return _draw("weights", label, plot, (_WIDTH, 1.3 + 0.3 * len(folds)))


def sparkline(told: Told, *, longest_s: float, lowest: float) -> str:
    """Draw what was said before an incident, on scales that all incidents of a page share.

    Parameters
    ----------
    told : Told
        The incident; its threshold is a dashed line, if it is known.
    longest_s : float
        Seconds before the start at which the drawing begins; it ends at the start.
    lowest : float
        Chance at its lower edge; the upper one is 1, the scale logarithmic.
    """
    width, height, margin = _SPARK
    floor = math.log(min(max(lowest, _FLOOR), _CEILING))

    def place(before_s: float, p: float) -> str:
        x = margin + (1 - before_s / longest_s) * (width - 2 * margin)
        y = margin + math.log(max(p, math.exp(floor))) / floor * (height - 2 * margin)
        return f"{x:.1f},{y:.1f}"

    said = sorted(told.said, reverse=True)
    label = "Stated before it: " + (", ".join(f"{span(s)} before {share(p)}" for s, p in said) or "nothing")
    line = " ".join(place(s, p) for s, p in said)
    above = [place(s, p).split(",") for s, p in said if p >= told.threshold]
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="2.2"/>' for x, y in above)
    bar = place(0, told.threshold).split(",")[1] if math.isfinite(told.threshold) else "0"
    return (
        f'<svg class="spark" role="img" aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}">'
        f"<title>{escape(label)}</title>"
        f'<line x1="0" x2="{width:g}" y1="{bar}" y2="{bar}"/><polyline points="{line}"/>{dots}</svg>'
    )


def _positive(values: np.ndarray) -> float:
    return float(values[values > 0].min(initial=1.0))


def _in_shares(axes: Axes) -> None:
    ticks = (0, 0.25, 0.5, 0.75, 1)
    axes.set_ylim(0, 1.02)
    axes.set_yticks(ticks, labels=[share(tick) for tick in ticks])


def _draw(name: str, label: str, plot: Callable[[Axes], None], inches: tuple[float, float] = (_WIDTH, 3.0)) -> str:
    """Draw one chart, and fit it into the page: no size of its own, no names that another chart has, the page's colours."""
    matplotlib = import_module("matplotlib")
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = import_module("matplotlib.figure").Figure(figsize=inches, layout="constrained")
        plot(figure.add_subplot())
        file = StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None, "matplotlib writes a view box"
    body = text[text.index(">", box.end()) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*</defs>", "", body)
    body = re.sub(r" font-family: [^;]*;", "", body).replace("xlink:href", "href")
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", body)
    for variable, colour in _COLOUR.items():
        body = re.sub(rf"(?<=: ){colour}\b", f"var({variable})", body)
    return f'<svg class="chart" role="img" aria-label="{escape(label)}" {box[0]}><title>{escape(label)}</title>{body.strip()}'
