"""Whom an error says that it could not reach, by its attributes and its message.

`app.correlation` asks it of the errors of incidents; `features.groups` puts incidents together that name the same peer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from features.mask import MAX_CHARS

__all__ = ["CATEGORIES", "peers_of"]

CATEGORIES = frozenset({"network", "dependency"})
"""Of errors that are about a peer: others may name one that works."""

_ATTRIBUTES = ("server.address", "net.peer.name", "peer.service", "messaging.destination.name")
_HOST = r"[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*|\d{1,3}(?:\.\d{1,3}){3}"
_NAMED = re.compile(
    rf"""
    (?<![\w./-])(?:[a-z][a-z0-9+.-]*://(?:[^\s/@]*@)?)(?P<url>{_HOST})                # the host of a URL
  | (?<![\w.@/:-])(?P<host>{_HOST}):(?:80|443|[1-9]\d{{3,4}})(?![\w:.]\d|\w)             # an address with a port that peers listen at
  | (?<![\w.:-])(?P<ip>\d{{1,3}}(?:\.\d{{1,3}}){{3}})(?![\w.]|:53\b)                       # but for a name server's
  | \b(?:to|with|from|host|server|upstream)\s+["'`]?(?P<word>[a-z][a-z0-9-]+\d[a-z0-9-]*)(?![\w.:-])
    """,
    re.VERBOSE,
)
_OWN = re.compile(r"localhost(?:\..*)?|127(?:\.\d+){3}|0\.0\.0\.0")
"""What means another machine on each."""


def peers_of(message: str, attributes: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the peers that an error names, in lower case and without ports.

    Parameters
    ----------
    message : str
        As reported; its first 2000 characters count. A name counts in a URL, with a port, as an IP address, or with a
        digit behind a word such as "to".
    attributes : mapping of str to str, optional
        Of the error, by the names of OpenTelemetry's semantic conventions.

    Examples
    --------
    >>> sorted(peers_of("connection refused to db-1")), sorted(peers_of("dial tcp orders:5432: connect: connection refused"))
    (['db-1'], ['orders'])
    >>> peers_of("connection refused"), peers_of("connect to localhost:5432 failed after 1500 ms")
    (frozenset(), frozenset())
    """
    told = {attributes[name].lower() for name in _ATTRIBUTES if name in attributes} if attributes else set[str]()
    return frozenset(name for name in told | _named(message[:MAX_CHARS]) if name and not _OWN.fullmatch(name))


@lru_cache(maxsize=4096)
def _named(message: str) -> frozenset[str]:
    return frozenset(name for found in _NAMED.finditer(message.lower()) for name in found.groups() if name)
