"""The doorkeeper takes a token that is valid now, and says for which tenant."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.auth import ANYONE, OPEN, Doorkeeper, NotAllowed, NotAuthenticated, Principal, Scope, Tokens, Wanted
from app.auth.doorkeeper import require, require_tenant, sender_of, tenant_for
from app.auth.token import token_id
from app.auth.tokens import BUCKET
from app.store.contract import Documents
from tests.api_builders import NOON, Clock

BOTH = Principal("both", frozenset({Scope.READ}), frozenset({"shop", "bank"}))


@pytest.fixture
def tokens(documents: Documents, clock: Clock) -> Tokens:
    return Tokens(documents, clock)


@pytest.fixture
def door(documents: Documents, clock: Clock) -> Doorkeeper:
    return Doorkeeper(documents.watch(BUCKET), clock)


def test_where_none_is_demanded_whatever_is_shown_is_anyone() -> None:
    assert OPEN.principal(None) is ANYONE
    assert OPEN.principal("Bearer nonsense") is ANYONE
    assert not OPEN.demands


def test_a_token_counts_from_the_moment_it_is_made_until_it_is_revoked(door: Doorkeeper, tokens: Tokens) -> None:
    made = tokens.add(Wanted("grafana", [Scope.READ], ["shop"]), ANYONE)
    for _ in range(2):
        assert door.principal(f"Bearer {made.text}") == Principal("grafana", frozenset({Scope.READ}), frozenset({"shop"}))
    tokens.revoke("grafana", ANYONE)
    with pytest.raises(NotAuthenticated):
        door.principal(f"Bearer {made.text}")


def test_a_token_ends_by_the_clock(door: Doorkeeper, tokens: Tokens, clock: Clock) -> None:
    made = tokens.add(Wanted("short", [Scope.READ], ["shop"], NOON + timedelta(seconds=5)), ANYONE)
    assert door.principal(f"Bearer {made.text}").name == "short"
    clock.move(5)
    with pytest.raises(NotAuthenticated):
        door.principal(f"Bearer {made.text}")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer fsk_", "Basic Zm9v", "Bearer fsk_0123456789ab_x"])
def test_nothing_that_shows_no_valid_token_tells_why(door: Doorkeeper, header: str | None) -> None:
    with pytest.raises(NotAuthenticated) as raised:
        door.principal(header)
    assert "must be shown" in str(raised.value) if not header else "not valid" in str(raised.value)


def test_what_is_no_token_in_the_bucket_opens_nothing(door: Doorkeeper, documents: Documents, tokens: Tokens) -> None:
    made = tokens.add(Wanted("later", [Scope.READ], ["shop"]), ANYONE)
    documents.put(BUCKET, token_id("later"), b'{"of": "a newer release"}')
    with pytest.raises(NotAuthenticated):
        door.principal(f"Bearer {made.text}")


def test_a_sender_needs_the_scope_to_send(door: Doorkeeper, tokens: Tokens) -> None:
    made = tokens.add(Wanted("reader", [Scope.READ], ["*"]), ANYONE)
    with pytest.raises(NotAllowed, match=r"'ingest' is needed.*'reader' has read"):
        sender_of(door, f"Bearer {made.text}")
    require(ANYONE, Scope.INGEST)


def test_one_tenant_is_meant_and_of_several_the_default_one_where_it_is_among_them() -> None:
    assert tenant_for(BOTH, "", "bank") == "bank"
    assert tenant_for(BOTH, "shop", "bank") == "shop"
    with pytest.raises(NotAllowed, match="which is meant where X-Scope-OrgID is missing"):
        tenant_for(BOTH, "", "default")
    for other in ("mine", "*", "SHOP", "shop/", "..", "x" * 1000):
        with pytest.raises(NotAllowed):
            tenant_for(BOTH, other, "shop")
        with pytest.raises(NotAllowed):
            require_tenant(BOTH, other)
