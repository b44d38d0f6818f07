"""Who is at the other end: the address of a connection, or of the client that a trusted proxy names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Addresses"]

_V6_HOME_BITS = 64  # of which one subscriber has all; RFC 6177
_MAX_CHARS = 64  # an IPv6 address with a zone, a port and brackets
_KEPT = 4096


class Addresses:
    """Finds the address that limits count by.

    Parameters
    ----------
    trusted : sequence of str
        Addresses and networks of proxies whose ``X-Forwarded-For`` is believed; of nobody else's anything is.

    Raises
    ------
    ValueError
        If one of them is no network.

    Examples
    --------
    >>> behind = Addresses(["10.0.0.0/8"])
    >>> behind.of("10.0.0.2", ["203.0.113.9, 198.51.100.7, 10.1.1.1"]), behind.of("203.0.113.9", ["198.51.100.7"])
    ('198.51.100.7', '203.0.113.9')
    >>> Addresses([]).of("2001:db8:1:2:3::4")
    '2001:db8:1:2::/64'
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = tuple(ip_network(each) for each in trusted)
        self._is_trusted = lru_cache(_KEPT)(self._look_up)

    def of(self, peer: str, forwarded: Iterable[str] = ()) -> str:
        """Return the address of a client.

        Parameters
        ----------
        peer : str
            Of the connection.
        forwarded : iterable of str
            Values of ``X-Forwarded-For``, in their order.

        Returns
        -------
        str
            An address of IPv4, or the /64 of one of IPv6; of a proxy's request that of the last hop which is not trusted, or
            of the peer where it names none that could be one.
        """
        return _counted(self.whole(peer, forwarded))

    def whole(self, peer: str, forwarded: Iterable[str] = ()) -> str:
        """Return the same of IPv6 in whole, for people to read.

        Examples
        --------
        >>> Addresses(["10.0.0.1"]).whole("10.0.0.1", ["2001:db8:1:2:3::4"])
        '2001:db8:1:2:3::4'
        """
        if not self._trusted or not self._is_trusted(peer):
            return peer
        hops = [hop.strip() for value in forwarded for hop in value.split(",")]
        for hop in reversed(hops):
            found = _parsed(hop)
            if found is None:  # what stands before it was written by nobody who is trusted
                break
            if not self._is_trusted(str(found)):
                return str(found)
        return peer

    def trusts(self, peer: str) -> bool:
        """Say whether a connection comes from a trusted proxy."""
        return bool(self._trusted) and self._is_trusted(peer)

    def _look_up(self, text: str) -> bool:
        found = _parsed(text)
        return found is not None and any(_holds(network, found) for network in self._trusted)


def _holds(network: IPv4Network | IPv6Network, address: IPv4Address | IPv6Address) -> bool:
    return network.version == address.version and address in network


@lru_cache(_KEPT)
def _counted(text: str) -> str:
    found = _parsed(text)
    if found is None:
        return text[:_MAX_CHARS]
    if isinstance(found, IPv6Address):
        return str(ip_network((int(found) >> _V6_HOME_BITS << _V6_HOME_BITS, _V6_HOME_BITS)))
    return str(found)


@lru_cache(_KEPT)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, with or without brackets and port; None for anything else."""
    if len(text) > _MAX_CHARS:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
