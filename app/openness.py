"""Whether a node may listen where its settings say: not beyond its own machine without tokens or at least TLS, unless told to.

`app.main` asks before anything listens.
"""

from __future__ import annotations

from ipaddress import ip_address

from app.settings import Settings
from features.errors import InvalidSetting

__all__ = ["is_loopback", "refuse_open"]


def is_loopback(host: str) -> bool:
    """Say whether only programs of the same machine reach an address.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "localhost")]
    [True, True, True, True, True]
    >>> [is_loopback(host) for host in ("0.0.0.0", "::", "", "192.0.2.1", "my-host", "localhost.example.com")]
    [False, False, False, False, False, False]
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower() == "localhost"  # what other names stand for is told by nobody but DNS
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def refuse_open(settings: Settings) -> None:
    """Stop the start of a node that others reach while it asks nobody who they are.

    Raises
    ------
    InvalidSetting
        When it listens beyond loopback with neither tokens nor TLS, and settings do not say that it shall.
    """
    security, host = settings.security, settings.server.host
    if is_loopback(host) or security.require_tokens or security.tls.certificate is not None or security.allow_open:
        return
    raise InvalidSetting(
        f"setting server.host: {host} is reached from other machines, and whoever reaches it could read and change everything:"
        " set security.require_tokens (see docs/tokens.md) or a certificate (security.tls), or security.allow_open = true where"
        " something in front of the node says who may come in"
    )
