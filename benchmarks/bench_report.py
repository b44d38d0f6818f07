"""What `benchmarks.bench` makes of its measurements: ratios within the run, a page, a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.bench_measure import Measure

__all__ = ["RATIOS", "page", "picture", "ratios"]

mpl.use("agg")

RATIOS: Mapping[str, tuple[str, str, str, float]] = {
    "zero-copy: scanner in C over reader in Python": ("p05_ms", "through objects", "in place", 0.3),
    "cache: kept ready over the framework's way": ("p05_ms", "cache: by the framework", "cache: prediction kept ready", 0.3),
    "cache: kept ready over put together": ("p05_ms", "cache: put together", "cache: prediction kept ready", 0.3),
    "errors: classify over classify, learn and name": ("p05_ms", "classify one error", "classify, learn the template", 0.3),
    "prediction: a series alone over one of many": ("p05_ms", "forecast of one series", "forecast of 5,000 series", 0.7),
    "group commit: on over off": ("ops_s", "group commit on (gathers", "group commit off", 0.6),
    "intake: 64 connections over 1": ("ops_s", "OTLP/HTTP, 64 connections", "OTLP/HTTP, 1 connection", 0.6),
    "log: SQLite over a NATS server": ("ops_s", "append to the log in SQLite", "append to the log in a NATS server", 0.7),
}
"""Ratio: the member, the measurement above and the one below (parts of their names), and by which share it may become worse. All are
better when higher. Of times the fastest twentieth is taken, of what waits for a disk or shares cores the rate, which is less steady;
tolerances are guessed from how runs on a shared host differ."""

_COLOURS = ("#c2410c", "#fb923c", "#fed7aa")


def ratios(found: Sequence[Measure]) -> dict[str, dict[str, Any]]:
    """Return the ratios of measurements that are there, each with which way is better and its tolerance.

    Examples
    --------
    >>> def of(name, rate):
    ...     return Measure("log", name, rate, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, "appends", 9)
    >>> ratios([of("group commit on (gathers)", 900.0), of("group commit off", 300.0)])
    {'group commit: on over off': {'value': 3.0, 'better': 'higher', 'tolerance': 0.6}}
    """
    told: dict[str, dict[str, Any]] = {}
    for name, (member, above, below, tolerance) in RATIOS.items():
        first, second = (_first(found, part) for part in (above, below))
        if first is not None and second is not None:
            value = getattr(first, member) / getattr(second, member)
            told[name] = {"value": round(value, 4), "better": "higher", "tolerance": tolerance}
    return told


def _first(found: Sequence[Measure], part: str) -> Measure | None:
    return next((one for one in found if part in one.name), None)


def page(result: Mapping[str, Any]) -> str:
    """Return the report in Markdown."""
    where = result["machine"]
    lines = [
        "# Benchmarks",
        "",
        f"`{result['command']}`, seed {result['seed']}, {where['date']}, {result['seconds']} s. {where['cores']} cores ({where['cpu']}), "
        f"{where['memory_gib']} GiB, Python {where['python']}, load average {where['load_average'][0]} when it began, nice {where['nice']}, "
        f"commit {where['commit']}.",
        "",
        "![Percentiles](bench.png)",
        "",
        "| ratio within this run | value | may become worse by |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {one['value']:.3g} | {one['tolerance']:.0%} |" for name, one in result["ratios"].items()]
    for section in dict.fromkeys(one["section"] for one in result["measures"]):
        lines += ["", f"## {section[0].upper()}{section[1:]}", ""]
        lines += ["| what | a second | mean ms | P50 | P95 | P99 | memory MiB | timed |", "|---|---|---|---|---|---|---|---|"]
        for one in result["measures"]:
            if one["section"] == section:
                numbers = " | ".join(f"{one[key]:,.4g}" for key in ("mean_ms", "p50_ms", "p95_ms", "p99_ms"))
                lines.append(
                    f"| {one['name']} | {one['ops_s']:,.0f} {one['unit']} | {numbers} | {one['memory_mib']:,.0f} | {one['n']:,} |"
                )
    return "\n".join(lines) + "\n"


def picture(found: Sequence[Measure], path: Path) -> None:
    """Draw the percentiles of each measurement on a logarithmic scale, section by section."""
    figure = Figure(figsize=(11, 0.42 * len(found) + 1.5), layout="constrained")
    panel: Any = figure.subplots()
    places = range(len(found), 0, -1)
    for width, colour, key in zip((3, 5, 8), _COLOURS[::-1], ("p99_ms", "p95_ms", "p50_ms"), strict=True):
        panel.scatter(
            [getattr(one, key) for one in found],
            list(places),
            s=width * 9,
            color=colour,
            label=key.removesuffix("_ms").upper(),
            zorder=width,
        )
    for place, one in zip(places, found, strict=True):
        panel.plot([one.p50_ms, one.p99_ms], [place, place], color="0.8", zorder=1)
    panel.set_xscale("log")
    panel.set_yticks(list(places), [f"{one.section}: {one.name}" for one in found], fontsize=7)
    panel.set_xlabel("milliseconds of one call or request")
    panel.grid(axis="x", color="0.9")
    panel.legend()
    figure.savefig(path)
