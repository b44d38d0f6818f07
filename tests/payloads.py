"""Pickles that show that they were loaded, for tests of what keeps models."""

from __future__ import annotations

import io
from pathlib import Path

import joblib

__all__ = ["Touch", "payload"]


class Touch:
    """A pickle that leaves a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def payload(ran: Path, compress: int = 0) -> bytes:
    """Return such a pickle as joblib writes it, packed as much as that."""
    buffer = io.BytesIO()
    joblib.dump(Touch(ran), buffer, compress=compress)
    return buffer.getvalue()
