"""Compare two results of `benchmarks.bench` by ratios within each run, and fail on what became worse beyond its tolerance.

    python -m benchmarks.compare OLD NEW [--tolerance 0.25]

Absolute times of two runs say more about the machine and who else uses it than about the code. A ratio of two things that were measured
minutes apart in one run (cached reads over built ones, the scanner in C over the reader in Python) stays about the same on another
machine. A ratio may be worse by its own tolerance, which stands with it, or by a quarter. One that the new result lacks is a failure; one that the
old lacks is told.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Change", "changes", "main", "table"]

TOLERANCE = 0.25
"""Share by which a ratio may become worse. Guessed from runs beside others on a shared host."""


@dataclass(frozen=True, slots=True)
class Change:
    """One ratio in both results.

    Parameters
    ----------
    name : str
        Of the ratio.
    old, new : float or None
        None where a result lacks it.
    worse : float
        Share by which it is worse than before, 0 where it is not.
    tolerance : float
        Share by which it may be.
    """

    name: str
    old: float | None
    new: float | None
    worse: float
    tolerance: float

    @property
    def failed(self) -> bool:
        """Whether it is a regression."""
        return self.new is None or self.worse > self.tolerance


def changes(old: Mapping[str, Any], new: Mapping[str, Any], tolerance: float = TOLERANCE) -> list[Change]:
    """Compare the ratios of two results.

    Parameters
    ----------
    old, new : mapping
        As `benchmarks.bench` writes them: ``ratios`` by name, each with ``value``, ``better`` (``higher`` or ``lower``) and maybe a
        ``tolerance`` of its own.
    tolerance : float
        Of ratios without one.

    Returns
    -------
    list of Change
        By name.

    Raises
    ------
    ValueError
        When a ratio is no positive number, or which way is better is not said or not the same in both.

    Examples
    --------
    >>> old = {"ratios": {"cache": {"value": 10.0, "better": "higher"}}}
    >>> new = {"ratios": {"cache": {"value": 6.0, "better": "higher"}}}
    >>> [(one.name, round(one.worse, 2), one.failed) for one in changes(old, new)]
    [('cache', 0.4, True)]
    """
    found: list[Change] = []
    before, after = old["ratios"], new["ratios"]
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        known = now or was
        allowed = float(known.get("tolerance", tolerance))
        if was is None or now is None:
            found.append(Change(name, was and _value(name, was), now and _value(name, now), 0.0, allowed))
            continue
        if was["better"] != now["better"] or now["better"] not in {"higher", "lower"}:
            raise ValueError(
                f"{name}: better must be higher or lower and the same in both, got {was['better']!r} and {now['better']!r}"
            )
        first, second = _value(name, was), _value(name, now)
        share = second / first if now["better"] == "higher" else first / second
        found.append(Change(name, first, second, max(0.0, 1.0 - share), allowed))
    return found


def _value(name: str, ratio: Mapping[str, Any]) -> float:
    value = float(ratio["value"])
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{name} must be a positive number, got {value:g}")
    return value


def table(found: list[Change]) -> str:
    """Return a line for each ratio."""
    lines = [f"{'ratio':<56} {'old':>9} {'new':>9} {'worse by':>9} {'may be':>7}"]
    for one in found:
        old, new = ("-" if value is None else f"{value:.3g}" for value in (one.old, one.new))
        lines.append(
            f"{one.name:<56} {old:>9} {new:>9} {one.worse:>9.0%} {one.tolerance:>7.0%}{'  REGRESSION' if one.failed else ''}"
        )
    return "\n".join(lines)


def main() -> int:
    """Compare two files; the exit status is 1 when something became worse."""
    parser = argparse.ArgumentParser(description="Compare two results of benchmarks by ratios within each run.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    given = parser.parse_args()
    old, new = (json.loads(path.read_text()) for path in (given.old, given.new))
    found = changes(old, new, given.tolerance)
    print(table(found))
    return int(any(one.failed for one in found))


if __name__ == "__main__":
    sys.exit(main())
