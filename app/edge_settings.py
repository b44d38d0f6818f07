"""Settings of the edge: TLS, how often one may ask, and which proxies are believed.

`app.security_settings` holds them in the group `security`, `app.edge` reads them.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["LimitSettings", "TlsSettings"]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class TlsSettings(_Group):
    """TLS 1.2 and 1.3 on all three listeners, as soon as there is a certificate. docs/tls.md shows how."""

    certificate: Path | None = None
    """PEM file of the certificate, and behind it those of the authorities in between. None by default: listeners speak without TLS, which is meant for loopback or a proxy in front. The file is looked at every five seconds; a new one serves new connections without a restart, and one that cannot be used is left out, logged and counted."""
    key: Path | None = None
    """PEM file of the certificate's private key, without a password."""
    client_ca: Path | None = None
    """PEM file of authorities: who connects must show a certificate that one of them signed, on every listener, a browser and a scraper of /metrics too. None asks for none."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key must be given together")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("client_ca needs certificate and key")
        return self


class LimitSettings(_Group):
    """How often one token or address may ask, on all listeners; past it requests are answered 429 with Retry-After."""

    token_requests_per_s: float = Field(default=0.0, ge=0.0, le=1e6)
    """Requests a second of one token, of which ten seconds' worth may come at once. 0, the default, sets none: what may be under way (`ingest.max_calls`, `ingest.max_in_flight_bytes`) protects the node already, and how much a team sends is known to nobody but you. Small values refuse a Collector that catches up, large ones let one token use the whole node."""
    token_bytes_per_s: float = Field(default=0.0, ge=0.0, le=1e12)
    """Bytes of OTLP a second of one token, as received, of which ten seconds' worth may come at once; what a body is too large is waited for afterwards. 0 sets none."""
    address_requests_per_s: float = Field(default=0.0, ge=0.0, le=1e6)
    """Requests a second of one address (of IPv6 a /64), whatever its tokens, of which ten seconds' worth may come at once. 0 sets none: behind a proxy or a gateway many senders have one address."""
    address_bytes_per_s: float = Field(default=0.0, ge=0.0, le=1e12)
    """Bytes of OTLP a second of one address, as `token_bytes_per_s`."""
    failed_logins_per_minute: float = Field(default=10.0, ge=0.1, le=6000.0)
    """Wrong tokens a minute from one address, over REST, OTLP and the login page together, as many at once; then it is answered 429, right or wrong, until some seconds have passed. Ten let a person mistype; a token has far more possibilities than anybody tries at any rate, so this keeps logs and processors quiet."""
    max_addresses: int = Field(default=65_536, ge=16, le=10_000_000)
    """Addresses, and tokens, that are remembered, about 300 bytes each; of more the one that was quiet for longest is forgotten, and begins anew. Small values let one who has many addresses drive others' out."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies in front, such as `10.0.0.5` or `10.0.0.0/24`. Of a request that comes from one of them the address is the last in `X-Forwarded-For` that is none of them. None by default: anybody can write that header."""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)
        return networks
