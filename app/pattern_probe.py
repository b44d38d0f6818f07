"""Says how long a regular expression takes on texts that are made to be hard for it; run as a program of its own.

`app.own_patterns` starts it for expressions of the settings and ends it when it takes too long, as one that tries every way of
cutting a text does. It reads JSON from standard input, writes JSON and imports nothing but the standard library.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

__all__ = ["CPU_S", "probes", "slowest_s"]

CPU_S = 2.0
"""Seconds of processor time after which the program ends itself. Guessed: all probes of an ordinary expression take tenths."""

_ALPHABET = "aA0 _-./:=@\"'\n\u00e9\x00"
_MOST = 6
"""Words of the expression, and characters, that probes are made of."""


def probes(pattern: str, chars: int) -> Iterator[str]:
    r"""Yield texts that an expression may choke on: what it names, then one thing over and over, then what it does not expect.

    Parameters
    ----------
    pattern : str
        The expression.
    chars : int
        Length of each text.

    Examples
    --------
    >>> next(probes("(a+)+$", 8))
    'aaaaaaa\x01'
    """
    words = list(dict.fromkeys(re.findall(r"(?<!\\)[^\\()\[\]{}?*+|^$.]{2,}", pattern)))[:_MOST]
    own = [c for c in dict.fromkeys(pattern) if c not in "\\()[]{}?*+|^$"][:_MOST]
    for unit in dict.fromkeys([*own, *_ALPHABET, *words, *(a + b for a, b in pairwise(own))]):
        for before in ("", *words):
            body = before + unit * (chars // len(unit) + 1)
            yield body[: chars - 1] + "\x01"


def slowest_s(pattern: str, chars: int) -> float:
    """Return the seconds of processor time that the hardest probe took.

    Examples
    --------
    >>> slowest_s("cust-[0-9]{6}", 256) < 1.0
    True
    """
    compiled, worst = re.compile(pattern), 0.0
    for length in (min(chars, 24), chars):  # what takes for ever on the long ones is seen on the short ones first
        for text in probes(pattern, length):
            begun = time.thread_time()
            for _ in compiled.finditer(text):
                pass
            worst = max(worst, time.thread_time() - begun)
    return worst


if __name__ == "__main__":
    signal.setitimer(signal.ITIMER_PROF, CPU_S)  # its signal ends the process, whatever the expression is at
    asked = json.load(sys.stdin)
    print(json.dumps(slowest_s(asked["pattern"], asked["chars"])))
