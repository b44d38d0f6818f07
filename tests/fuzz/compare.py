"""What differs between two readings of one body, and the limits under which bodies are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import cast

import numpy as np

from app.ingest.census import TooManyRecords
from app.ingest.limits import Limits
from app.ingest.otlp import Decode
from app.ingest.signals import Signal
from features.batch import Batch
from features.errors import MalformedBody

__all__ = ["LIMITS", "REFUSED", "Outcome", "difference", "outcome", "shrink"]

LIMITS: dict[str, Limits] = {
    "usual": Limits(),
    "tight": Limits(
        max_errors_per_request=2, max_attribute_chars=5, max_attributes=2, span_end_sample=3, tick_s=7, max_name_chars=4,
        max_operations=2, max_rows=3,
    ),
    "none": Limits(max_errors_per_request=0, max_attribute_chars=1, max_attributes=0, span_end_sample=1, max_name_chars=1),
    "few": Limits(max_records=3, max_attribute_chars=40, max_attribute_depth=2),
}  # fmt: skip
"""Bounds as users have them, and bounds that bite at once."""

Outcome = Batch | str
"""A Batch, or how reading the body ended: ``refused``, or an exception that no reader may raise."""

REFUSED = "refused"


def outcome(decode: Decode, body: bytes, signal: str, limits: Limits) -> Outcome:
    """Return what a reader makes of a protobuf body."""
    try:
        return decode(body, cast("Signal", signal), "protobuf", limits=limits)
    except (MalformedBody, TooManyRecords):
        return REFUSED
    except Exception as exc:
        return f"raised {type(exc).__name__}: {exc}"


def difference(one: Outcome, other: Outcome) -> str:
    """Return where two outcomes differ, or nothing.

    Parameters
    ----------
    one, other : Batch or str
        Of the same body: of the C scanner, and of the Python reader.

    Returns
    -------
    str
        The first field that differs with both values; empty when they are the same to the last bit.
    """
    for found in (one, other):
        if isinstance(found, str) and found != REFUSED:
            return f"outcome: {one if isinstance(one, str) else 'accepted'} / {other if isinstance(other, str) else 'accepted'}"
    if isinstance(one, str) or isinstance(other, str):
        same = isinstance(one, str) and isinstance(other, str)
        return "" if same else f"outcome: {'refused / accepted' if isinstance(one, str) else 'accepted / refused'}"
    for field in fields(Batch):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        if not _same(ours, theirs):
            return f"{field.name}: {_shown(ours, theirs)}"
    return ""


def _same(ours: object, theirs: object) -> bool:
    if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray):
        return ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return sorted(ours.items()) == sorted(theirs.items())
    # The text tells 1 from 1.0 and from True, and holds NaN equal to itself.
    return type(ours) is type(theirs) and repr(ours) == repr(theirs)


def _shown(ours: object, theirs: object) -> str:
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        if len(ours) != len(theirs):
            return f"{len(ours)} / {len(theirs)} entries"
        place = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if repr(a) != repr(b))
        return f"[{place}] {ours[place]!r:.600} / {theirs[place]!r:.600}"
    return f"{ours!r:.600} / {theirs!r:.600}"


def shrink(body: bytes, still: Callable[[bytes], bool], most: int = 2000) -> bytes:
    """Return a smaller body for which something still holds.

    Parameters
    ----------
    body : bytes
        For which it holds.
    still : callable
        Whether it holds for another body.
    most : int
        How often to ask.

    Examples
    --------
    >>> shrink(b"some long body with an x in it", lambda body: b"x" in body)
    b'x'
    """
    size = max(len(body) // 2, 1)
    while most > 0:
        at = 0
        before = len(body)
        while at < len(body) and most > 0:
            most -= 1
            smaller = body[:at] + body[at + size :]
            if still(smaller):
                body = smaller
            else:
                at += size
        if size == 1 and len(body) == before:
            break
        size = max(size // 2, 1)
    return body
