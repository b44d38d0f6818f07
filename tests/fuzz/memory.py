"""The scanner's memory under test: what the heap holds, where a body ends, and what happens when there is no more.

The worker asks; AddressSanitizer, the build (`failing.h`) and CPython's own test module answer.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import _testcapi  # pyright: ignore[reportMissingImports]
except ImportError:  # a distribution may leave it out; then only the scanner's own allocations fail
    _testcapi: Any = None

__all__ = ["Sanitizer", "Starving", "leaks"]

_SHARED_BELOW = 2
_ROUNDS = (16, 16, 500, 500)
_SMALLEST_BLOCK = 16


class Sanitizer:
    """AddressSanitizer's allocator, asked for what is allocated and told what else is out of bounds."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)  # by index: a class would mangle attributes with two leading underscores
        self._allocated = library["__sanitizer_get_current_allocated_bytes"]
        self._allocated.restype = ctypes.c_size_t
        self._poison = library["__asan_poison_memory_region"]
        self._unpoison = library["__asan_unpoison_memory_region"]
        self._poison.argtypes = self._unpoison.argtypes = (ctypes.c_void_p, ctypes.c_size_t)

    def allocated(self) -> int:
        """Return the bytes of the whole heap; Python's objects are in it."""
        return int(self._allocated())

    @contextmanager
    def guarded(self, body: bytes) -> Generator[bytes]:
        """Give a copy of a body behind which nothing may be read, not even the zero with which Python ends it."""
        exact = bytes(memoryview(body))
        if len(exact) < _SHARED_BELOW:
            yield exact
            return
        end = id(exact) + bytes.__basicsize__ - 1 + len(exact)
        self._poison(end, 1)
        try:
            yield exact
        finally:
            self._unpoison(end, 1)


def leaks(call: Callable[[], object], heap: Callable[[], int]) -> bool:
    """Return whether the heap grows by every call: first by few, to be quick, and where it does by many, to be sure."""
    call()
    for calls in _ROUNDS:
        gc.collect()
        before = heap()
        for _ in range(calls):
            call()
        gc.collect()
        if heap() - before < calls * _SMALLEST_BLOCK:
            return False
    return True


class Starving:
    """Makes one allocation of the scanner fail, or one of the interpreter's under it.

    Parameters
    ----------
    library : Path
        The build that is loaded.
    """

    def __init__(self, library: Path) -> None:
        self._left = ctypes.c_long.in_dll(ctypes.CDLL(str(library)), "fuzz_allocations_left")

    def call(self, call: Callable[[], object], *, own: int = -1, python: int = -1) -> object:
        """Call with an allocation failing; return what the call returned, or None for MemoryError.

        Parameters
        ----------
        call : callable
            Reads a body.
        own, python : int
            Which allocation fails, counted from 0, of the scanner and of the interpreter; negative for none.
        """
        self._left.value = own
        if python >= 0 and _testcapi is not None:
            _testcapi.set_nomemory(python, python + 1)
        try:
            return call()
        except MemoryError:
            return None
        finally:
            if _testcapi is not None:
                _testcapi.remove_mem_hooks()
            self._left.value = -1
