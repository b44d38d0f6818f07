"""Where a request comes from: a page of this node, a page of somebody else, or no browser at all.

A browser sends its cookies, a password of Basic, and what no login guards, with requests that other pages make it send. Whatever changes
something must therefore prove that no such page asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

__all__ = ["came_secure", "is_forged", "is_nobodys_name", "own_host"]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""


def own_host(headers: Mapping[bytes, bytes], *, behind_proxy: bool) -> str:
    """Return the host and port under which a browser asked.

    Parameters
    ----------
    headers : mapping
        Of the request.
    behind_proxy : bool
        Whether the connection comes from a trusted proxy, which says what it was asked for.

    Examples
    --------
    >>> said = {b"host": b"node:8318", b"x-forwarded-host": b"foreshock.example.com"}
    >>> own_host(said, behind_proxy=True), own_host(said, behind_proxy=False)
    ('foreshock.example.com', 'node:8318')
    """
    host = headers.get(b"host", b"")
    if behind_proxy:
        host = headers.get(b"x-forwarded-host", host).partition(b",")[0].strip()
    return host.decode("latin-1").lower()


def came_secure(scheme: str, headers: Mapping[bytes, bytes], *, behind_proxy: bool) -> bool:
    """Say whether a browser asked over TLS, here or at a trusted proxy in front.

    Examples
    --------
    >>> said = {b"x-forwarded-proto": b"https"}
    >>> came_secure("http", said, behind_proxy=True), came_secure("http", said, behind_proxy=False)
    (True, False)
    """
    if behind_proxy:
        forwarded = headers.get(b"x-forwarded-proto", scheme.encode())
        return forwarded.partition(b",")[0].strip().lower() in {b"https", b"wss"}
    return scheme in {"https", "wss"}


def is_nobodys_name(own: str) -> bool:
    """Say whether a host is an address or `localhost`, and so no name that somebody may let stand for this machine.

    A page of a name whose owner turns it to 127.0.0.1 once the page is there (DNS rebinding) is of one origin with a node on loopback.

    Parameters
    ----------
    own : str
        From `own_host`.

    Examples
    --------
    >>> [is_nobodys_name(own) for own in ("127.0.0.1:8318", "[::1]:8318", "localhost:8318", "localhost", "192.0.2.1")]
    [True, True, True, True, True]
    >>> [is_nobodys_name(own) for own in ("elsewhere.example:8318", "localhost.example", "127.0.0.1.example")]
    [False, False, False]
    """
    host = own[1:].partition("]")[0] if own.startswith("[") else own.partition(":")[0]
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_forged(method: str, headers: Mapping[bytes, bytes], own: str, *, has_cookie: bool) -> bool:
    """Say whether a request may have been made by a page of another origin and changes something.

    Parameters
    ----------
    method : str
        Of the request.
    headers : mapping
        Of the request.
    own : str
        From `own_host`. Schemes are not compared: a proxy may end TLS, and a page without TLS is another site to browsers.
    has_cookie : bool
        Whether a session answers for it; then it must prove where it comes from, else only what says that it comes from
        elsewhere is refused: programs that are no browsers say nothing.

    Examples
    --------
    >>> is_forged("POST", {b"origin": b"https://elsewhere.example"}, "node", has_cookie=False)
    True
    >>> is_forged("POST", {}, "node", has_cookie=False), is_forged("POST", {}, "node", has_cookie=True)
    (False, True)
    >>> is_forged("GET", {b"sec-fetch-site": b"cross-site"}, "node", has_cookie=True)
    False
    >>> is_forged("POST", {b"authorization": b"Bearer fsk_1"}, "node", has_cookie=False)
    False

    References
    ----------
    West, M. (2021). Fetch Metadata Request Headers. W3C Working Draft; RFC 6454, 7.3: the Origin header. Go's
    net/http.CrossOriginProtection decides alike.
    """
    if method in _SAFE or headers.get(b"authorization", b"")[:7].lower() == b"bearer ":
        return False  # no browser adds a Bearer by itself, and no other page can without being allowed to
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in {b"same-origin", b"none"}
    origin = headers.get(b"origin")
    if origin is not None:
        return origin.decode("latin-1").lower().partition("://")[2] != own
    return has_cookie
