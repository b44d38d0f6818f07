"""Stopwatches and scales for `benchmarks.scale`: CPU time by part of the line, and bytes by part of its state."""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Stopwatch", "bytes_of", "resident_bytes"]


class Stopwatch:
    """CPU seconds of this process by part; what a part spends in another one counts for the other one alone."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._stack: list[str] = []
        self._since = 0.0

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Let a function of an object or module be timed from now on."""
        setattr(owner, name, self.timed(getattr(owner, name), part))

    def timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        """Return a function whose time is a part's."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            self._turn()
            self._stack.append(part)
            try:
                return function(*args, **kwargs)
            finally:
                self._turn()
                self._stack.pop()

        return timed

    def take(self) -> dict[str, float]:
        """Return the seconds since the last call."""
        taken = dict(self.seconds)
        self.seconds.clear()
        return taken

    def _turn(self) -> None:
        now = time.process_time()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now


def bytes_of(parts: Iterable[tuple[str, object]]) -> dict[str, int]:
    """Return the bytes of objects with everything that they hold; what several hold counts for the first.

    Arrays count what they allocate, views the array that they look at.
    """
    seen: dict[int, object] = {}  # what was seen stays alive, or another object may come to have its id
    return {name: _walk(held, seen) for name, held in parts}


def _walk(held: object, seen: dict[int, object]) -> int:
    total, waiting = 0, [held]
    while waiting:
        one: Any = waiting.pop()
        if id(one) in seen or isinstance(one, type) or callable(one):
            continue
        seen[id(one)] = one
        if isinstance(one, np.ndarray):
            waiting += [] if one.base is None else [one.base]
            total += sys.getsizeof(one)
        else:
            total += sys.getsizeof(one, 0)
            waiting += _held(one)
    return total


def _held(one: Any) -> Iterable[object]:
    if isinstance(one, str | bytes | int | float | None):
        return ()
    if isinstance(one, dict):
        return [*one.keys(), *one.values()]
    if isinstance(one, list | tuple | set | frozenset) or type(one).__name__ == "deque":
        return one
    if hasattr(one, "nbytes") and type(one).__module__.startswith("pyarrow"):
        return ()
    found = [getattr(one, "__dict__", {})]
    return found + ([getattr(one, field.name) for field in fields(one)] if is_dataclass(one) else [])


def resident_bytes() -> int:
    """Return the memory that the process has in use."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
