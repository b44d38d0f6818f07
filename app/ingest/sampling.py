"""How many spans a sampled span stands for, from the W3C tracestate that consistent probability sampling writes.

The reader of spans multiplies what it counts by it. The scanner in C follows the same steps in the same
order, in doubles, so that both count the same to the last bit.
"""

from __future__ import annotations

import math
import re
from collections import Counter

__all__ = ["MAX_WEIGHT", "weight_of"]

MAX_WEIGHT = 2.0**20
"""The most spans that one span may stand for: a guess, beyond it the sample says next to nothing."""

_ALL = 2**56
_HEX_DIGITS = 14
_THRESHOLD = re.compile(r"[0-9a-f]{1,14}", re.ASCII)
# Sums of multiples of this are exact below 2**43, so no order of adding changes them.
_STEPS = 1024.0
_BLANK = " \t"


def weight_of(trace_state: str, counters: Counter[str]) -> float:
    """Return the adjusted count of a span.

    The rejection threshold ``th`` of the list member ``ot`` is the share of 2**56 that sampling dropped.

    Parameters
    ----------
    trace_state : str
        A W3C tracestate.
    counters : Counter of str
        Takes ``weights_invalid`` (counted as 1) and ``weights_capped`` (counted as `MAX_WEIGHT`).

    Returns
    -------
    float
        1 to `MAX_WEIGHT`, a multiple of 1/1024; 1 without a threshold.

    References
    ----------
    OpenTelemetry specification, "TraceState: Probability Sampling", 2025.

    Examples
    --------
    >>> counters: Counter[str] = Counter()
    >>> [weight_of(text, counters) for text in ("", "a=1,ot=rv:0;th:8", "ot=th:c", "ot=th:0", "ot=th:F")]
    [1.0, 2.0, 4.0, 1.0, 1.0]
    >>> counters
    Counter({'weights_invalid': 1})
    """
    digits = _threshold(trace_state)
    if digits is None:
        return 1.0
    if not _THRESHOLD.fullmatch(digits):
        counters["weights_invalid"] += 1
        return 1.0
    weight = float(_ALL) / float(_ALL - int(digits.ljust(_HEX_DIGITS, "0"), 16))
    if weight > MAX_WEIGHT:
        counters["weights_capped"] += 1
        return MAX_WEIGHT
    return math.floor(weight * _STEPS + 0.5) / _STEPS


def _threshold(trace_state: str) -> str | None:
    for member in trace_state.split(","):
        key, _, value = member.strip(_BLANK).partition("=")
        if key == "ot":
            for item in value.split(";"):
                name, _, digits = item.partition(":")
                if name == "th":
                    return digits
            return None
    return None
