"""Where history lies: a folder, or a URL of an object store with options that let every call end in time.

`app.history.delta` asks for it. An append runs between two ticks, so what delta-rs retries must end long before the next one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["Place", "line_of", "place_of"]

_BOUNDS = {
    "connect_timeout": "3s",
    "timeout": "30s",
    "max_retries": "3",
    "retry_timeout": "10s",
}
"""Guessed, of options that delta-rs names: by itself it retries a call ten times within three minutes, each time after a longer wait
with jitter. Three times within ten seconds get over a lost connection; what lasts longer is tried again by `app.archive`."""

_CONDITIONAL = {"conditional_put": "etag"}
"""A commit is written only where there is none yet (If-None-Match), which is what keeps two writers from taking the same number."""


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Place:
    """Where tables lie.

    Parameters
    ----------
    url : str
        A folder, or a URL without a slash at its end.
    options : mapping of str to str
        Of the object store, secrets among them; not printed.
    folder : Path or None
        The folder, where it is one: what is written there is flushed to disk.
    """

    url: str
    options: Mapping[str, str] | None = field(repr=False)
    folder: Path | None

    def table(self, name: str) -> str:
        """Return where a table lies.

        Examples
        --------
        >>> place_of("s3://bucket/history").table("windows")
        's3://bucket/history/windows'
        """
        return f"{self.url}/{name}"


def place_of(place: str | Path, options: Mapping[str, str] | None = None) -> Place:
    """Return where tables lie, with the options that no call goes without.

    Parameters
    ----------
    place : str or Path
        A folder, or a URL.
    options : mapping of str to str, optional
        Of the object store; they win over the bounds set here.

    Examples
    --------
    >>> place_of("file:///var/history").url
    '/var/history'
    >>> place_of("s3://bucket", {"max_retries": "1"}).options["max_retries"]
    '1'
    """
    text = str(place).rstrip("/")
    if "://" not in text:
        return Place(text, dict(options) if options else None, Path(text))
    if text.startswith("file://"):
        folder = Path(unquote(urlsplit(text).path))
        return Place(str(folder), dict(options) if options else None, folder)
    given = {name.lower(): value for name, value in (options or {}).items()}
    locked = any(name.endswith("s3_locking_provider") for name in given)
    conditional = _CONDITIONAL if text.startswith("s3://") and not locked and "aws_conditional_put" not in given else {}
    return Place(text, _BOUNDS | conditional | given, None)


def line_of(exc: Exception) -> str:
    r"""Return what delta-rs says in one line; it draws its causes as a tree, in colour.

    Examples
    --------
    >>> line_of(OSError("no answer\n  \x1b[31m\u21b3\x1b[0m timed out"))
    'no answer : timed out'
    """
    return " ".join(_COLOUR.sub("", str(exc)).replace("\u21b3", ":").split())
