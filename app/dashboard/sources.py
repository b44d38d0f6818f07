"""What the dashboard is made of, handed in by `app.main`, and what a page was asked for: the state that its URL holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urlencode

from fastapi import FastAPI

from app.api.parts import ApiParts, names_tenant
from app.cache.cache import Cache
from app.cache.documents import tenant_key
from app.history.contract import History

__all__ = ["DEFAULT_RANGE", "RANGES", "Sources", "View", "tenants"]

RANGES = {"1h": 3600.0, "6h": 21_600.0, "24h": 86_400.0, "7d": 604_800.0}
"""What a page looks back over, by its name in the URL, in seconds."""

DEFAULT_RANGE = "6h"
"""What a page looks back over where its address does not say it."""

_MOST_TENANTS = 500  # guessed: who has more of them knows their names, and writes them into the address


@dataclass(frozen=True, slots=True)
class Sources:
    """What the pages read and ask.

    Parameters
    ----------
    rest : FastAPI
        The REST API; what people do on a page goes through it, within the process.
    parts : ApiParts
        Of the API.
    cache : Cache
        Of the API.
    history : History
        What charts go back to.
    tick_s : int
        Seconds of a window.
    otlp_http, otlp_grpc : str
        Where this node takes telemetry in: a URL and an address; empty without the role ``ingest``.
    """

    rest: FastAPI
    parts: ApiParts
    cache: Cache
    history: History
    tick_s: int
    otlp_http: str
    otlp_grpc: str


@dataclass(frozen=True, slots=True)
class View:
    """What a URL asks for beside its path.

    Parameters
    ----------
    tenant, default : str
        Whose page, and whose without a word.
    range : str
        One of `RANGES`.
    search : str
        Words that rows must hold.
    """

    tenant: str
    default: str = "default"
    range: str = DEFAULT_RANGE
    search: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str], default: str) -> View:
        """Read a URL's query; what it says wrong counts as not said.

        Examples
        --------
        >>> View.of({"range": "7d", "q": "cart", "tenant": "../x"}, "default")
        View(tenant='default', default='default', range='7d', search='cart')
        """
        tenant = query.get("tenant", default)
        chosen = query.get("range", DEFAULT_RANGE)
        return cls(
            tenant if names_tenant(tenant) else default,
            default,
            chosen if chosen in RANGES else DEFAULT_RANGE,
            query.get("q", "")[:200],
        )

    @property
    def range_s(self) -> float:
        """Seconds that the page looks back over."""
        return RANGES[self.range]

    def link(self, *path: str, search: str = "") -> str:
        """Return the address of a page with the same tenant and range.

        Examples
        --------
        >>> View("team-a", range="24h").link("service", "shop/cart")
        '/service/shop%2Fcart?tenant=team-a&range=24h'
        >>> View("default").link()
        '/'
        """
        said = {"tenant": self.tenant, "range": self.range, "q": search}
        usual = {"tenant": self.default, "range": DEFAULT_RANGE, "q": ""}
        query = urlencode({name: value for name, value in said.items() if value != usual[name]})
        return "/" + "/".join(quote(part, safe="") for part in path) + (f"?{query}" if query else "")

    def searching(self, search: str) -> View:
        """Return the view with other words to search for."""
        return replace(self, search=search[:200])

    def key(self, *parts: str) -> str:
        """Return the key of one of the tenant's documents."""
        return tenant_key(self.tenant, *parts)

    @property
    def prefix(self) -> str:
        """What all keys of the tenant start with."""
        return tenant_key(self.tenant, "")


def tenants(cache: Cache, default: str) -> list[str]:
    """Return the names of the tenants that have services, the default one among them; the first ones where there are many."""
    found = {default}
    for bucket in ("services", "incidents"):
        found |= {document.key.partition("/")[0] for document in cache.documents(bucket, "")}
    return sorted(map(unquote, found))[:_MOST_TENANTS]
