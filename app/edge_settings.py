"""Settings of the edge: TLS, how often one may ask, which proxies are believed, and logins by OpenID Connect.

`app.security_settings` holds them in the group `security`, `app.edge` reads them.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

__all__ = ["GrantSettings", "LimitSettings", "OidcSettings", "TlsSettings"]


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

    hsts_days: float = Field(default=30.0, ge=0.0, le=3650.0)
    """Days for which a browser that was here over TLS asks this host over TLS alone (RFC 6797). It holds for the whole host name, whatever the port: where something without TLS has the same name, such as `http://host:3000`, set 0, which takes it back. Longer is safer against who sits in between, and lasts longer after TLS was turned off."""

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
    """Wrong tokens a minute from one address, over REST, OTLP and the login page together, as many at once; a further one is answered 429 instead of 401. A right one is always taken, since 256 random bits are guessed at no rate and others may share the address. Ten let a person mistype; small values hide from a team that its token has ended, large ones let a broken sender fill the counters."""
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


class GrantSettings(_Group):
    """What people may do of whom the provider says something."""

    scopes: tuple[Literal["ingest", "read", "feedback", "train", "admin"], ...] = Field(min_length=1)
    """Scopes, of `ingest`, `read`, `feedback`, `train` and `admin`. Pages need `read`."""
    tenants: tuple[str, ...] = Field(min_length=1)
    """Tenants whose data they may do that with; `*` stands for all."""


class OidcSettings(_Group):
    """Logins to the dashboard by OpenID Connect, beside those by token. It needs the extra `oidc`; docs/tls.md has examples."""

    issuer: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """URL of the provider, under which it has `/.well-known/openid-configuration`. Empty by default: people log in by token. Without TLS (`http://`) only for a provider on the same machine: who sits in between can be anybody."""
    client_id: str = ""
    """What the provider calls this service."""
    client_secret: SecretStr = SecretStr("")
    """What this service shows the provider. Never printed. Empty for a public client, which PKCE protects alone."""
    url: str = Field(default="", pattern=r"^(https?://[^/\s]+)?$")
    """Address under which browsers reach the dashboard, such as `https://foreshock.example.com:8318`; the provider must know it with `/login/oidc/callback` behind as a redirect URI."""
    request_scopes: tuple[str, ...] = ("openid", "profile", "email")
    """Scopes to ask of the provider, `openid` among them. Some say groups only when asked for `groups`."""
    name_claim: str = Field(default="email", min_length=1)
    """Claim that names a person in the audit log; `sub` where it is missing."""
    claim: str = Field(default="groups", min_length=1)
    """Claim whose values choose among `grants`: a text or a list of texts; a dot reaches into an object, as in `realm_access.roles`."""
    grants: dict[str, GrantSettings] = {}
    """What people get by a value of the claim; `*` is what everybody gets whom the provider lets in. With several the scopes and tenants add up. None by default: nobody may do anything."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.issuer and not (self.client_id and self.url):
            raise ValueError("issuer needs client_id and url")
        if self.issuer and "openid" not in self.request_scopes:
            raise ValueError(f"request_scopes must hold 'openid', got {list(self.request_scopes)}")
        return self
