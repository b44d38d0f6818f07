"""Ports for processes that are started here and told where to listen."""

from __future__ import annotations

import random
import socket

from features.errors import PartStopped

__all__ = ["free_ports"]

# Below those that Linux gives to whoever connects (net.ipv4.ip_local_port_range begins at 32768): one of those may be a connection's
# before its process listens.
_PORTS = range(12_000, 32_000)
_TRIES = 1_000


def free_ports(n: int) -> list[int]:
    """Return different ports of loopback that nothing listens on.

    Parameters
    ----------
    n : int
        How many.

    Raises
    ------
    PartStopped
        When too few can be had.

    Examples
    --------
    >>> first, second = free_ports(2)
    >>> first != second
    True
    """
    rng = random.SystemRandom()  # processes that begin with one seed must not choose alike
    held: list[socket.socket] = []
    try:
        for _ in range(_TRIES):
            if len(held) == n:
                break
            try:
                held.append(socket.create_server(("127.0.0.1", rng.choice(_PORTS))))
            except OSError:
                continue  # somebody listens there
        else:
            raise PartStopped(
                f"{n} ports from {_PORTS.start} to {_PORTS.stop - 1} must be free, got {len(held)} in {_TRIES} tries"
            )
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
