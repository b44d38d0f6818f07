"""How often one token or address may ask: the limits of the settings as buckets, and what is refused beyond.

`app.auth` asks for every request as soon as it knows who asks, `app.ingest` also charges what a body weighs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from app.edge.addresses import Addresses
from app.edge.buckets import Buckets
from app.edge_settings import LimitSettings
from app.telemetry import Telemetry
from features.errors import Overloaded

__all__ = ["Throttle", "TooOften"]

_BURST_S = 10.0
"""Seconds' worth that may come at once. Guessed: exporters send every 5 to 10 s, and a page asks for twenty files."""

_MINUTE_S = 60.0


class TooOften(Overloaded):
    """One token or address asks more often, or sends more, than the limits allow.

    Parameters
    ----------
    message : str
        What there was too much of, and the bound.
    wait_s : float
        After which the same may be asked again.
    """

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = max(1, math.ceil(wait_s))
        """Whole seconds, at least one, as ``Retry-After`` has them."""


class Throttle:
    """The limits of one node. Every node of a cluster counts for itself.

    Parameters
    ----------
    settings : LimitSettings
        A rate of 0 sets no limit.
    telemetry : Telemetry
        Counts what is refused.
    now : callable
        A monotonic clock, seconds.
    """

    def __init__(self, settings: LimitSettings, telemetry: Telemetry, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._max_keys = settings.max_addresses
        self._throttled = telemetry.throttled
        self._requests = self._named("token_requests", settings.token_requests_per_s)
        self._requests += self._named("address_requests", settings.address_requests_per_s)
        self._bytes = self._named("token_bytes", settings.token_bytes_per_s)
        self._bytes += self._named("address_bytes", settings.address_bytes_per_s)
        failed = settings.failed_logins_per_minute
        self._failed = Buckets(failed / _MINUTE_S, max(failed, 1.0), now, self._max_keys)
        self._failed_per_minute = failed
        self.addresses = Addresses(settings.trusted_proxies)
        """Says by which address a request counts."""
        self.is_on = bool(self._requests or self._bytes)
        """Whether there is any limit beside that of failed logins."""

    def admit(self, token: str, address: str) -> None:
        """Let a request in, or raise; it counts for its token and its address.

        Parameters
        ----------
        token : str
            The name of who asks; empty where nobody need say who.
        address : str
            From `addresses`.

        Raises
        ------
        TooOften
            When one of the two has asked too often, or owes for what it sent.
        """
        keys = {"token": token, "address": address}
        for name, rate, buckets in (*self._requests, *self._bytes):
            key = keys[name.partition("_")[0]]
            if key and (wait_s := buckets.wait_s(key)) > 0.0:
                raise self._refused(name, f"{rate:g} a second", wait_s)
        for name, _, buckets in self._requests:
            if key := keys[name.partition("_")[0]]:
                buckets.charge(key, 1.0)

    def charge(self, token: str, address: str, n_bytes: int) -> None:
        """Count the bytes of a body that was let in; who sent more than it may waits before the next."""
        for name, _, buckets in self._bytes:
            if key := token if name == "token_bytes" else address:
                buckets.charge(key, float(n_bytes))

    def failed_login(self, address: str) -> None:
        """Count a wrong token, or raise TooOften when an address has shown too many of them.

        A right one is always taken: 256 random bits are guessed at no rate, and who shares an address with a sender that
        shows an old token must not be locked out by it.
        """
        if (wait_s := self._failed.take(address)) > 0.0:
            raise self._refused("failed_logins", f"{self._failed_per_minute:g} a minute", wait_s)

    def address_of(self, scope: Any) -> str:
        """Return by which address a request of ASGI counts."""
        client = scope.get("client")
        return self.of_connection(client[0] if client else "", scope["headers"])

    def client_of(self, scope: Any) -> str:
        """Return the whole address of who asks, also behind a trusted proxy."""
        client = scope.get("client")
        return self.addresses.whole(client[0] if client else "", _forwarded(scope["headers"]))

    def of_connection(self, peer: str, headers: Any) -> str:
        """Return by which address a request counts, of its connection's and its headers as pairs of bytes."""
        if not self.addresses.trusts(peer):
            return self.addresses.of(peer)
        return self.addresses.of(peer, _forwarded(headers))

    def _named(self, name: str, rate: float) -> tuple[tuple[str, float, Buckets], ...]:
        if rate <= 0.0:
            return ()
        return ((name, rate, Buckets(rate, max(1.0, rate * _BURST_S), self._now, self._max_keys)),)

    def _refused(self, name: str, bound: str, wait_s: float) -> TooOften:
        self._throttled.labels(reason=name).inc()
        who, what = ("address", "wrong tokens") if name == "failed_logins" else name.split("_")
        return TooOften(f"{what} of one {who} must be <= {bound}, got more; ask again in {max(1, math.ceil(wait_s))} s", wait_s)


def _forwarded(headers: Any) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
