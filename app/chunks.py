"""Large values as parts of a bounded size, and back.

`app.lane` keeps what the learners know in the state of a tenant's lowest partition this way: a value is then never larger
than what a log of documents carries in one message, and a checkpoint writes only the parts that changed.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CHUNK_BYTES", "chunks", "joined"]

CHUNK_BYTES = 512 * 1024
"""Bytes of a part. Guessed: below the smallest usual limit of a message, 1 MB."""


def chunks(values: Mapping[str, bytes], prefix: str, n_bytes: int = CHUNK_BYTES) -> dict[str, bytes]:
    """Return values cut into parts, under ``prefix/name/number``.

    Parameters
    ----------
    values : Mapping of str to bytes
        By name.
    prefix : str
        What all keys begin with, without the slash.
    n_bytes : int
        The most bytes of a part.

    Examples
    --------
    >>> chunks({"a": b"12345"}, "x", 3)
    {'x/a/00000': b'123', 'x/a/00001': b'45'}
    """
    return {
        f"{prefix}/{name}/{start // n_bytes:05d}": value[start : start + n_bytes]
        for name, value in values.items()
        for start in range(0, len(value), n_bytes)
    }


def joined(parts: Mapping[str, bytes], prefix: str) -> dict[str, bytes]:
    """Return the values that `chunks` cut; keys of another prefix are left out.

    Examples
    --------
    >>> joined({"x/a/00001": b"45", "x/a/00000": b"123", "y": b""}, "x")
    {'a': b'12345'}
    """
    found: dict[str, list[bytes]] = {}
    for key in sorted(key for key in parts if key.startswith(f"{prefix}/")):
        found.setdefault(key.removeprefix(f"{prefix}/").rpartition("/")[0], []).append(parts[key])
    return {name: b"".join(pieces) for name, pieces in found.items()}
