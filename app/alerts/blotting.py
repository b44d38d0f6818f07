"""Takes what must stay secret out of texts that receivers and libraries write, before these come into errors and logs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

__all__ = ["blotted", "pieces_of"]

_SHORTEST = 4  # characters of what is blotted out; guessed: shorter pieces are words like `to`


def blotted(text: str, secrets: Iterable[str]) -> str:
    """Return a text without any of some secrets.

    Examples
    --------
    >>> blotted("no route to hooks.example with pa ss-word", pieces_of("json://me:pa%20ss-word@hooks.example/T0K3N?to=x"))
    'no route to ... with ...'
    """
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "...")
    return text


def pieces_of(url: str) -> set[str]:
    """Return the parts of an address, as they stand there and decoded, since any of them may be what lets a sender in.

    Examples
    --------
    >>> sorted(pieces_of("slack://T0K%2FN/b"))
    ['T0K%2FN', 'T0K/N', 'b']
    """
    rest = url.partition("://")[2]
    return {piece for part in re.split(r"[/:@?&=#]+", rest) if part for piece in (part, unquote(part))}
