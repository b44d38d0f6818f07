"""Logins by OpenID Connect: the authorisation code flow with PKCE, state and nonce, and what the provider's words let people do.

`app.main` imports it only where `security.oidc` names a provider, since it stands on the extra `oidc`; `app.edge.login` calls it.
"""

from __future__ import annotations

import logging
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus
from secrets import token_urlsafe
from typing import Any

import httpx
import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from app.auth.principal import Principal, Scope
from app.auth.refusals import NotAllowed, NotAuthenticated
from app.edge.login import CALLBACK, FLOW_S
from app.edge.signed import Seal
from app.edge_settings import OidcSettings
from features.errors import ForeshockError

__all__ = ["Oidc", "ProviderAway", "granted"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 10.0
_MAX_BYTES = 2**20  # guessed: a discovery document is 5 KB, keys 2 KB each
_KEPT_S = 3600.0  # guessed: providers announce new keys days ahead
_AGAIN_S = 60.0  # an unknown key is looked for at most so often, whoever shows one
_LEEWAY_S = 60  # between two clocks; guessed
_MAX_NAME_CHARS = 120

# With a public key alone: with a symmetric one, or none, anybody who knows the client could sign.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class ProviderAway(ForeshockError):
    """The provider does not answer, or not as OpenID Connect says."""

    retryable = True


@dataclass(frozen=True, slots=True)
class _Flow:
    """A login that has begun: what must come back, and where the browser wants to go."""

    state: str
    nonce: str
    verifier: str
    path: str
    until_s: float


@dataclass(frozen=True, slots=True)
class _Known:
    """The provider as it describes itself."""

    document: Mapping[str, Any]
    keys: KeySet
    at_s: float


class Oidc:
    """A provider of OpenID Connect.

    Parameters
    ----------
    settings : OidcSettings
        With an issuer.
    key : bytes
        The node's secret, that what a browser keeps meanwhile is signed with.
    now : callable
        The wall clock, unix seconds, which tokens are checked by.

    References
    ----------
    Sakimura et al. (2014). OpenID Connect Core 1.0, 3.1; RFC 6749; RFC 7636 (PKCE); RFC 9207 (issuer in the answer);
    RFC 9700 (what to keep in mind).
    """

    def __init__(self, settings: OidcSettings, key: bytes, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._issuer = settings.issuer
        self._callback = f"{settings.url.rstrip('/')}{CALLBACK}"
        self._seal = Seal(key, "login")
        self._now = now
        self._known: _Known | None = None

    async def begin(self, next_path: str) -> tuple[str, str]:
        """Return the URL to send a browser to, and what it has to bring back in a cookie.

        Parameters
        ----------
        next_path : str
            Where it wants to go afterwards.

        Raises
        ------
        ProviderAway
            When the provider does not answer.
        """
        known = await self._described(_KEPT_S)
        flow = _Flow(token_urlsafe(24), token_urlsafe(24), token_urlsafe(48), next_path, self._now() + FLOW_S)
        url = prepare_grant_uri(
            _text(known.document, "authorization_endpoint"),
            self._settings.client_id,
            "code",
            redirect_uri=self._callback,
            scope=" ".join(self._settings.request_scopes),
            state=flow.state,
            nonce=flow.nonce,
            code_challenge=create_s256_code_challenge(flow.verifier),
            code_challenge_method="S256",
        )
        return str(url), self._seal.signed(urlsafe_b64encode(msgspec.json.encode(flow)).rstrip(b"=").decode())

    async def end(self, query: Mapping[str, str], kept: str) -> tuple[Principal, str]:
        """Return who came back from the provider, and where they want to go.

        Parameters
        ----------
        query : mapping
            Of the URL that the provider sent the browser to.
        kept : str
            The cookie of `begin`.

        Raises
        ------
        NotAuthenticated
            When this is not the answer to what was asked, or the provider's token does not hold.
        NotAllowed
            When the provider refused, or no grant fits the person.
        ProviderAway
            When the provider does not answer.
        """
        flow = self._flow(kept)
        if flow is None or not compare_digest(query.get("state", "").encode(), flow.state.encode()):
            raise NotAuthenticated(
                "this login was not begun in this browser, or has taken longer than ten minutes; begin again"
            )
        if query.get("iss", self._issuer) != self._issuer:
            raise NotAuthenticated("another provider has answered than was asked; begin again")
        if "error" in query:
            raise NotAllowed(f"the provider refused: {query['error'][:100]}")
        known = await self._described(_KEPT_S)
        answered = await self._exchange(known, query.get("code", ""), flow.verifier)
        claims = await self._checked(known, str(answered.get("id_token", "")), flow.nonce)
        if _dug(claims, self._settings.claim) is None and "userinfo_endpoint" in known.document:
            claims = {**await self._told(known, str(answered.get("access_token", "")), claims["sub"]), **claims}
        return granted(self._settings, claims), flow.path

    def _flow(self, kept: str) -> _Flow | None:
        opened = self._seal.opened(kept)
        if opened is None:
            return None
        flow = msgspec.json.decode(urlsafe_b64decode(opened + "=" * (-len(opened) % 4)), type=_Flow)
        return flow if self._now() < flow.until_s else None

    async def _described(self, kept_s: float) -> _Known:
        """Return the provider's document and keys, asked for at most so often."""
        if self._known is not None and self._now() - self._known.at_s < kept_s:
            return self._known
        async with _client() as client:
            document = await _json(client, "GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if document.get("issuer") != self._issuer:
                said = str(document.get("issuer"))[:200]
                raise ProviderAway(
                    f"setting security.oidc.issuer is {self._issuer}, but the provider there says that it is {said}"
                )
            keys = await _json(client, "GET", _text(document, "jwks_uri"))
        try:
            self._known = _Known(document, KeySet.import_key_set(keys), self._now())  # pyright: ignore[reportArgumentType]
        except (JoseError, ValueError, KeyError) as exc:
            raise ProviderAway(f"the keys of the provider {self._issuer} cannot be read: {exc}") from exc
        return self._known

    async def _exchange(self, known: _Known, code: str, verifier: str) -> dict[str, Any]:
        """Return the tokens that a code stands for."""
        settings, secret = self._settings, self._settings.client_secret.get_secret_value()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._callback, "code_verifier": verifier}
        takes = known.document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        by_basic = bool(secret) and "client_secret_basic" in takes
        auth = httpx.BasicAuth(settings.client_id, secret) if by_basic else None
        if not by_basic:
            form |= {"client_id": settings.client_id} | ({"client_secret": secret} if secret else {})
        async with _client() as client:
            return await _json(client, "POST", _text(known.document, "token_endpoint"), data=form, auth=auth)

    async def _checked(self, known: _Known, id_token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of a token that the provider signed for this service, just now and for this login."""
        offered = known.document.get("id_token_signing_alg_values_supported", ["RS256"])
        algorithms = [one for one in _ALGORITHMS if one in offered]
        try:
            found = self._decoded(known.keys, id_token, algorithms)
            if found is None:  # the provider may have a new key
                known = await self._described(_AGAIN_S)
                found = self._decoded(known.keys, id_token, algorithms)
            if found is None:
                raise NotAuthenticated("the provider's token is signed with a key that it does not show; begin again")
            rules = jwt.JWTClaimsRegistry(
                now=lambda: int(self._now()),
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": self._issuer},
                aud={"essential": True, "value": self._settings.client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            rules.validate(found)
        except (JoseError, ValueError, TypeError) as exc:
            raise NotAuthenticated(f"the provider's token does not hold: {exc}") from exc
        if found.get("azp", self._settings.client_id) != self._settings.client_id:
            raise NotAuthenticated("the provider's token was made for another service")
        return found

    def _decoded(self, keys: KeySet, token: str, algorithms: list[str]) -> dict[str, Any] | None:
        """Return the claims of a token with a good signature; None where its key is not among these."""
        try:
            return dict(jwt.decode(token, keys, algorithms=algorithms).claims)
        except InvalidKeyIdError:
            return None

    async def _told(self, known: _Known, access_token: str, sub: str) -> dict[str, Any]:
        """Return what the provider says of a person beside the token."""
        async with _client() as client:
            bearer = {"authorization": f"Bearer {access_token}"}
            told = await _json(client, "GET", _text(known.document, "userinfo_endpoint"), headers=bearer)
        if told.get("sub") != sub:
            raise NotAuthenticated("the provider told of another person than logged in; begin again")
        return told


def granted(settings: OidcSettings, claims: Mapping[str, Any]) -> Principal:
    """Return what a person may do, by what the provider says of them.

    Parameters
    ----------
    settings : OidcSettings
        With grants.
    claims : mapping
        Of a token that was checked.

    Raises
    ------
    NotAllowed
        When no grant fits.

    Examples
    --------
    >>> settings = OidcSettings(grants={"ops": {"scopes": ["read", "train"], "tenants": ["shop"]}})
    >>> anna = granted(settings, {"sub": "1", "email": "anna@example.com", "groups": ["ops", "other"]})
    >>> anna.name, sorted(anna.scopes), sorted(anna.tenants)
    ('oidc:anna@example.com', [<Scope.READ: 'read'>, <Scope.TRAIN: 'train'>], ['shop'])
    """
    if claims.get("email_verified", True) in (False, "false"):  # anybody may have typed it in
        claims = {name: value for name, value in claims.items() if name != "email"}
    said = _dug(claims, settings.claim)
    values = (
        {said} if isinstance(said, str) else {one for one in said if isinstance(one, str)} if isinstance(said, list) else set()
    )
    fitting = [grant for value, grant in settings.grants.items() if value == "*" or value in values]
    name = str(claims.get(settings.name_claim) or claims.get("sub"))[:_MAX_NAME_CHARS]
    name = "".join(c if c.isprintable() else "?" for c in name)  # no line of its own in a log
    if not fitting:
        raise NotAllowed(f"{name} may do nothing here: no grant of security.oidc.grants fits the claim {settings.claim}")
    scopes = frozenset(Scope(scope) for grant in fitting for scope in grant.scopes)
    # So that nobody can call themselves as a token is called.
    return Principal(f"oidc:{name}", scopes, frozenset(tenant for grant in fitting for tenant in grant.tenants))


def _dug(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, or by the names that lead to it with dots in between."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _text(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str):
        raise ProviderAway(f"the provider's description has no {name}")
    return found


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False)


async def _json(client: httpx.AsyncClient, method: str, url: str, **how: Any) -> dict[str, Any]:
    """Return an object that the provider answers with, of a bounded length."""
    how = {name: value for name, value in how.items() if value is not None}
    try:
        async with client.stream(method, url, **how) as answer:
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > _MAX_BYTES:
                    raise ProviderAway(f"the provider's answer at {url} must be <= {_MAX_BYTES} bytes, got more")
    except httpx.HTTPError as exc:
        raise ProviderAway(f"the provider does not answer at {url}: {exc or type(exc).__name__}") from exc
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError as exc:
        raise ProviderAway(f"the provider answered {answer.status_code} at {url}, and no JSON: {exc}") from exc
    if answer.status_code != HTTPStatus.OK or not isinstance(found, dict):
        why = found.get("error", "") if isinstance(found, dict) else ""
        raise NotAuthenticated(f"the provider answered {answer.status_code} {str(why)[:100]}; begin again")
    return found
