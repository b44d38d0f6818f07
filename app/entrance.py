"""What stands before everything on the port of REST, put together from the settings: the gate, and logins where there are pages.

`app.main` puts what answers there behind it.
"""

from __future__ import annotations

from importlib import import_module

from starlette.types import ASGIApp

from app.clock import utc_now
from app.edge.gate import Gate, GatePlan
from app.edge.login import Login, Provider
from app.edge.sessions import Sessions
from app.openness import is_loopback
from app.parts import Parts
from app.settings import Settings
from features.errors import InvalidSetting

__all__ = ["guarded", "provider_of"]

_DAY_S = 86_400
_MAX_BODY_BYTES = 2**24  # of a request that says how large it is; REST bounds what it reads by itself, at less


def guarded(app: ASGIApp, parts: Parts, *, pages: bool) -> ASGIApp:
    """Return an application behind the gate.

    Parameters
    ----------
    app : ASGIApp
        REST, and the pages if there are some.
    parts : Parts
        Of the node.
    pages : bool
        Whether people come, who log in where tokens are demanded.

    Raises
    ------
    InvalidSetting
        When logins by OpenID Connect are set up and what they need is not installed.
    """
    settings, doorkeeper, throttle = parts.settings, parts.doorkeeper, parts.throttle
    security = settings.security
    is_open = not (doorkeeper.demands or security.allow_open or security.tls.certificate)
    is_local = is_open and is_loopback(settings.server.host)
    plan = GatePlan(_MAX_BODY_BYTES, settings.ingest.body_timeout_s, int(security.tls.hsts_days * _DAY_S), is_local)
    if not (pages and doorkeeper.demands):
        return Gate(app, doorkeeper, throttle, plan)
    store = parts.store
    sessions = Sessions(store.documents, store.signing_key, utc_now, security.session_hours, doorkeeper.holder)
    login = Login(doorkeeper, sessions, throttle, provider_of(settings, store.signing_key))
    return Gate(app, doorkeeper, throttle, plan, sessions, login)


def provider_of(settings: Settings, key: bytes) -> Provider | None:
    """Return the provider of OpenID Connect that the settings name, None where they name none.

    Raises
    ------
    InvalidSetting
        When the extra is not installed.
    """
    if not settings.security.oidc.issuer:
        return None
    try:
        module = import_module("app.edge.oidc")
    except ImportError as exc:
        raise InvalidSetting(f"setting security.oidc.issuer: {exc}; install the extra, pip install 'foreshock[oidc]'") from exc
    return module.Oidc(settings.security.oidc, key)
