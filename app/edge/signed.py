"""Small values that a browser keeps and nobody may change: signed with a key that the node's own is the source of.

`app.edge.sessions` signs the names of sessions, `app.edge.oidc` what a login must bring back.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hmac import compare_digest, digest

__all__ = ["Seal"]

_SIGNATURE_CHARS = 43  # 32 bytes in base64url


class Seal:
    """Signs for one purpose.

    Parameters
    ----------
    key : bytes
        The node's secret; every node of a cluster has the same one.
    purpose : str
        What is signed for one is nothing for another.

    Examples
    --------
    >>> seal = Seal(bytes(32), "session")
    >>> seal.opened(seal.signed("abc"))
    'abc'
    >>> seal.opened("abc." + "A" * 43) is Seal(bytes(32), "login").opened(seal.signed("abc")) is None
    True

    References
    ----------
    Krawczyk, Bellare and Canetti (1997). HMAC: keyed-hashing for message authentication. RFC 2104.
    """

    def __init__(self, key: bytes, purpose: str) -> None:
        self._key = digest(key, b"foreshock " + purpose.encode(), "sha256")

    def signed(self, value: str) -> str:
        """Return a value with its signature behind a dot."""
        return f"{value}.{self._signature(value)}"

    def opened(self, text: str) -> str | None:
        """Return the value of what was signed here, None of anything else."""
        value, dot, signature = text.rpartition(".")
        if not dot or len(signature) != _SIGNATURE_CHARS:
            return None
        own = self._signature(value)
        return value if compare_digest(own.encode(), signature.encode("utf-8", "surrogatepass")) else None

    def _signature(self, value: str) -> str:
        found = digest(self._key, value.encode("utf-8", "surrogatepass"), "sha256")
        return urlsafe_b64encode(found).rstrip(b"=").decode()
