"""What happens to a command on SIGTERM and SIGINT.

`app.cli` and `app.commands` put it around what runs until somebody ends it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["on_stop"]


@contextmanager
def on_stop(end: Callable[[], None]) -> Generator[None]:
    """Call a function on each SIGTERM and SIGINT, and give the signals back to who had them before."""

    def told(_signal: int, _frame: object) -> None:
        end()

    before = {name: signal.signal(name, told) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
