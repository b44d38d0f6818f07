"""Logins by OpenID Connect hold with a provider on a real port, and nothing that is not its answer to the question logs anybody in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey

from app.auth import NotAllowed, NotAuthenticated, Principal, Scope
from app.edge.oidc import Oidc, ProviderAway, granted
from app.edge_settings import OidcSettings
from tests.providers import CLIENT, SECRET, SmallProvider, small_provider

KEY = bytes(range(32))
ANNA = Principal("oidc:anna@example.com", frozenset({Scope.READ, Scope.TRAIN}), frozenset({"shop"}))


@pytest.fixture
def provider() -> Generator[SmallProvider]:
    with small_provider() as found:
        yield found


def settings_of(provider: SmallProvider, **changed: Any) -> OidcSettings:
    grants = {"ops": {"scopes": ["read", "train"], "tenants": ["shop"]}}
    given = {"client_secret": SECRET, "url": "http://node:8318", "grants": grants, **changed}
    return OidcSettings.model_validate({"issuer": provider.url, "client_id": CLIENT, **given})


class Browser:
    """Goes to the provider and brings back what that says."""

    def __init__(self, oidc: Oidc) -> None:
        self.oidc = oidc
        self.url, self.kept = asyncio.run(oidc.begin("/service/cart"))

    def back(self) -> dict[str, str]:
        location = httpx.get(self.url).headers["location"]
        assert location.startswith("http://node:8318/login/oidc/callback?")
        return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    def end(self, query: dict[str, str], kept: str | None = None) -> tuple[Principal, str]:
        return asyncio.run(self.oidc.end(query, self.kept if kept is None else kept))


@pytest.mark.parametrize("methods", [["client_secret_basic"], ["client_secret_post"]])
def test_who_logs_in_there_is_known_here(provider: SmallProvider, methods: list[str]) -> None:
    provider.document["token_endpoint_auth_methods_supported"] = methods
    browser = Browser(Oidc(settings_of(provider), KEY))
    asked = {name: values[0] for name, values in parse_qs(urlsplit(browser.url).query).items()}
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "openid profile email"
    assert browser.end(browser.back()) == (ANNA, "/service/cart")


def test_every_login_has_a_state_nonce_and_challenge_of_its_own(provider: SmallProvider) -> None:
    oidc = Oidc(settings_of(provider), KEY)
    asked = [parse_qs(urlsplit(Browser(oidc).url).query) for _ in range(2)]
    assert all(asked[0][name] != asked[1][name] for name in ("state", "nonce", "code_challenge"))
    assert provider.asked.count("/.well-known/openid-configuration") == 1


def test_only_the_browser_that_began_it_ends_a_login(provider: SmallProvider) -> None:
    oidc = Oidc(settings_of(provider), KEY)
    own, other = Browser(oidc), Browser(oidc)
    query = own.back()
    for kept in ("", "x", own.kept[:-1] + "x", other.kept, Browser(Oidc(settings_of(provider), bytes(32))).kept):
        with pytest.raises(NotAuthenticated, match="not begun in this browser"):
            own.end(query, kept)
    with pytest.raises(NotAuthenticated, match="not begun in this browser"):
        own.end({**query, "state": "x"})
    with pytest.raises(NotAuthenticated, match="another provider"):
        own.end({**query, "iss": "https://elsewhere.example"})
    assert own.end(query)[0] == ANNA
    with pytest.raises(NotAuthenticated, match="400 invalid_grant"):  # a code is good for once
        own.end(query)


def test_a_login_that_takes_too_long_is_begun_again(provider: SmallProvider) -> None:
    now_s = [time.time()]
    browser = Browser(Oidc(settings_of(provider), KEY, lambda: now_s[0]))
    query = browser.back()
    now_s[0] += 601.0
    with pytest.raises(NotAuthenticated, match="longer than ten minutes"):
        browser.end(query)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"iss": "https://elsewhere.example"}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": []}, "aud"),
        ({"nonce": "another"}, "nonce"),
        ({"exp": 1}, "exp"),
        ({"exp": "never"}, "exp"),
        ({"iat": 4_000_000_000, "exp": 4_000_000_300}, "future"),
        ({"sub": None}, "sub"),
        ({"azp": "another"}, "another service"),
    ],
)
def test_a_token_for_somebody_or_something_else_is_refused(
    provider: SmallProvider, changed: dict[str, Any], words: str
) -> None:
    provider.changed = changed
    browser = Browser(Oidc(settings_of(provider), KEY))
    with pytest.raises(NotAuthenticated, match=words):
        browser.end(browser.back())


def test_a_token_that_the_provider_did_not_sign_is_refused(provider: SmallProvider) -> None:
    stranger = RSAKey.generate_key(2048, {"kid": provider.key.kid or ""})
    oidc = Oidc(settings_of(provider), KEY)
    browser, provider.signs_with = Browser(oidc), stranger
    with pytest.raises(NotAuthenticated, match="does not hold"):
        browser.end(browser.back())
    browser, provider.signs_with = Browser(oidc), RSAKey.generate_key(2048, {"kid": "unknown"})
    with pytest.raises(NotAuthenticated, match="a key that it does not show"):
        browser.end(browser.back())


@pytest.mark.filterwarnings("ignore")
def test_a_token_is_never_checked_by_what_everybody_knows(provider: SmallProvider) -> None:
    oidc = Oidc(settings_of(provider), KEY)
    provider.algorithm = "HS256"
    provider.signs_with = OctKey.import_key("of 32 bytes, which many can know", {"kid": provider.key.kid or ""})
    browser = Browser(oidc)
    with pytest.raises(NotAuthenticated):
        browser.end(browser.back())


def test_a_new_key_of_the_provider_is_found(provider: SmallProvider) -> None:
    now_s = [time.time()]
    oidc = Oidc(settings_of(provider), KEY, lambda: now_s[0])
    first = Browser(oidc)
    assert first.end(first.back())[0] == ANNA
    provider.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"})
    provider.key.ensure_kid()
    soon = Browser(oidc)
    with pytest.raises(NotAuthenticated, match="does not show"):  # keys are not asked for again at once
        soon.end(soon.back())
    now_s[0] += 61.0
    later = Browser(oidc)
    assert later.end(later.back())[0] == ANNA


def test_what_the_token_leaves_out_is_asked_for(provider: SmallProvider) -> None:
    provider.claims, provider.told = {"sub": "1", "email": "anna@example.com"}, {"groups": ["ops"]}
    browser = Browser(Oidc(settings_of(provider), KEY))
    assert browser.end(browser.back())[0] == ANNA
    provider.told = {"groups": ["ops"], "sub": "2"}
    browser = Browser(Oidc(settings_of(provider), KEY))
    with pytest.raises(NotAuthenticated, match="another person"):
        browser.end(browser.back())


def test_a_person_without_a_grant_and_one_whom_the_provider_refuses_may_nothing(provider: SmallProvider) -> None:
    provider.claims["groups"] = ["others"]
    browser = Browser(Oidc(settings_of(provider), KEY))
    with pytest.raises(NotAllowed, match=r"anna@example\.com may do nothing here"):
        browser.end(browser.back())
    provider.refuses = "access_denied"
    browser = Browser(Oidc(settings_of(provider), KEY))
    with pytest.raises(NotAllowed, match="the provider refused: access_denied"):
        browser.end(browser.back())


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"issuer": "https://elsewhere.example"}, "says that it is https://elsewhere"),
        ({"jwks_uri": None}, "no jwks_uri"),
        ({"padding": "x" * 2**20}, "must be <= 1048576 bytes"),
    ],
)
def test_a_provider_that_is_not_what_the_settings_say_is_not_asked(
    provider: SmallProvider, document: dict[str, Any], words: str
) -> None:
    provider.document = document
    with pytest.raises(ProviderAway, match=words):
        asyncio.run(Oidc(settings_of(provider), KEY).begin("/"))


def test_a_provider_that_is_away_is_named() -> None:
    gone = OidcSettings(issuer="http://127.0.0.1:9", client_id=CLIENT, url="http://node:8318")
    with pytest.raises(ProviderAway, match=r"does not answer at http://127\.0\.0\.1:9/"):
        asyncio.run(Oidc(gone, KEY).begin("/"))


@pytest.mark.parametrize(
    ("claims", "scopes", "tenants"),
    [
        ({"groups": "ops"}, {"read"}, {"shop"}),
        ({"groups": ["ops", "all"]}, {"read", "admin"}, {"shop", "*"}),
        ({"groups": ["ops", 1, None]}, {"read"}, {"shop"}),
    ],
)
def test_grants_add_up(claims: dict[str, Any], scopes: set[str], tenants: set[str]) -> None:
    grants = {"ops": {"scopes": ["read"], "tenants": ["shop"]}, "all": {"scopes": ["admin"], "tenants": ["*"]}}
    found = granted(OidcSettings.model_validate({"grants": grants}), {"sub": "1", **claims})
    assert (found.name, found.scopes, found.tenants) == ("oidc:1", scopes, tenants)


@pytest.mark.parametrize("verified", [False, "false"])
def test_a_mail_address_that_the_provider_did_not_verify_is_nobodys(verified: object) -> None:
    boss = "boss@example.com"
    given = {"claim": "email", "grants": {boss: {"scopes": ["admin"], "tenants": ["*"]}}}
    says = {"sub": "1", "email": boss}
    assert granted(OidcSettings.model_validate(given), {**says, "email_verified": True}).name == f"oidc:{boss}"
    assert granted(OidcSettings.model_validate(given), says).scopes == {Scope.ADMIN}  # of which it says nothing
    with pytest.raises(NotAllowed):
        granted(OidcSettings.model_validate(given), {**says, "email_verified": verified})
    everybody = OidcSettings.model_validate({"grants": {"*": {"scopes": ["read"], "tenants": ["*"]}}})
    assert granted(everybody, {**says, "email_verified": verified}).name == "oidc:1"
    assert granted(everybody, {"sub": "1\nERROR root: made up"}).name == "oidc:1?ERROR root: made up"


def test_a_claim_may_lie_within_another_and_a_star_is_everybody() -> None:
    given = {"claim": "realm_access.roles", "grants": {"ops": {"scopes": ["read"], "tenants": ["shop"]}}}
    assert granted(OidcSettings.model_validate(given), {"sub": "1", "realm_access": {"roles": ["ops"]}}).tenants == {"shop"}
    for claims in ({}, {"realm_access": "ops"}, {"realm_access": {"roles": {"ops": 1}}}, {"realm_access.roles": 7}):
        with pytest.raises(NotAllowed):
            granted(OidcSettings.model_validate(given), {"sub": "1", **claims})
    everybody = OidcSettings.model_validate({"grants": {"*": {"scopes": ["read"], "tenants": ["*"]}}})
    assert granted(everybody, {"sub": "1"}).scopes == {Scope.READ}
