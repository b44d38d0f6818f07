"""Tokens are made once, changed without a gap and ended at once, by those who may."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.auth import ANYONE, Doorkeeper, NoSuchToken, NotAllowed, NotAuthenticated, Principal, Scope, Tokens, Wanted
from app.auth.tokens import BUCKET, KEPT_S, MOST_SECRETS
from app.store.contract import Documents
from features.errors import Conflict, InvalidValue
from tests.api_builders import NOON, Clock

SHOP = Principal("shop-admin", frozenset({Scope.ADMIN}), frozenset({"shop", "shop-test"}))


@pytest.fixture
def tokens(documents: Documents, clock: Clock) -> Tokens:
    return Tokens(documents, clock)


def wanted(name: str = "collector", *tenants: str, **more: object) -> Wanted:
    return Wanted(name, [Scope.INGEST], tenants or ("shop",), **more)  # pyright: ignore[reportArgumentType]


def opens(documents: Documents, clock: Clock, text: str) -> bool:
    watch = documents.watch(BUCKET)
    try:
        return Doorkeeper(watch, clock).principal(f"Bearer {text}").name != ""
    except NotAuthenticated:
        return False
    finally:
        watch.close()


def test_the_store_never_has_what_shows_a_token(tokens: Tokens, documents: Documents, clock: Clock) -> None:
    made = tokens.add(wanted(), ANYONE)
    assert opens(documents, clock, made.text)
    kept = b"".join(document.value for document in documents.items(BUCKET))
    assert made.text.split("_", 2)[2].encode() not in kept
    assert [token.name for token in tokens.all(ANYONE)] == ["collector"]


def test_a_name_stands_for_one_valid_token(tokens: Tokens, documents: Documents, clock: Clock) -> None:
    first = tokens.add(wanted(), ANYONE)
    with pytest.raises(Conflict, match="collector"):
        tokens.add(wanted(), ANYONE)
    tokens.revoke("collector", ANYONE)
    second = tokens.add(wanted(), ANYONE)
    assert not opens(documents, clock, first.text)
    assert opens(documents, clock, second.text)


@pytest.mark.parametrize("name", ["anyone", "oidc:boss@example.com", "OIDC:boss", "command line, root", "foreshock"])
def test_no_token_is_called_as_who_has_none_is_in_the_audit_log(tokens: Tokens, name: str) -> None:
    with pytest.raises(InvalidValue, match="no token may be named"):
        tokens.add(wanted(name), SHOP)
    assert tokens.add(wanted(f"of {name}"), SHOP).token.name == f"of {name}"


def test_after_a_rotation_the_secret_before_is_taken_until_the_overlap_ends(
    tokens: Tokens, documents: Documents, clock: Clock
) -> None:
    first = tokens.add(wanted(), ANYONE)
    second = tokens.rotate("collector", 60.0, ANYONE)
    assert opens(documents, clock, first.text)
    assert opens(documents, clock, second.text)
    clock.move(30)
    third = tokens.rotate("collector", 3600.0, ANYONE)
    clock.move(30)  # a later rotation makes the overlap of an earlier one no longer
    assert [opens(documents, clock, made.text) for made in (first, second, third)] == [False, True, True]
    tokens.rotate("collector", 0.0, ANYONE)
    assert [opens(documents, clock, made.text) for made in (second, third)] == [False, False]


def test_an_overlap_and_the_number_of_secrets_have_bounds(tokens: Tokens) -> None:
    tokens.add(wanted(), ANYONE)
    with pytest.raises(InvalidValue, match="overlap_s"):
        tokens.rotate("collector", 31 * 86_400.0, ANYONE)
    for _ in range(MOST_SECRETS - 1):
        tokens.rotate("collector", 60.0, ANYONE)
    with pytest.raises(InvalidValue, match="at most 8"):
        tokens.rotate("collector", 60.0, ANYONE)


def test_what_has_ended_can_neither_be_rotated_nor_revoked(tokens: Tokens, clock: Clock) -> None:
    tokens.add(wanted(expires_at=NOON + timedelta(minutes=1)), ANYONE)
    clock.move(60)
    for change in (lambda: tokens.rotate("collector", 0.0, ANYONE), lambda: tokens.revoke("collector", ANYONE)):
        with pytest.raises(NoSuchToken, match="collector"):
            change()
    with pytest.raises(NoSuchToken):
        tokens.revoke("never", ANYONE)


def test_who_is_bound_to_tenants_neither_sees_nor_makes_nor_changes_tokens_of_others(tokens: Tokens) -> None:
    tokens.add(wanted("of-bank", "bank"), ANYONE)
    tokens.add(wanted("of-all", "*"), ANYONE)
    tokens.add(wanted("of-both", "shop", "bank"), ANYONE)
    tokens.add(wanted("of-shop", "shop"), SHOP)
    assert [token.name for token in tokens.all(SHOP)] == ["of-shop"]
    for tenants in (("*",), ("bank",), ("shop", "bank")):
        with pytest.raises(NotAllowed):
            tokens.add(wanted("more", *tenants), SHOP)
    for name in ("of-bank", "of-all", "of-both"):
        with pytest.raises(NoSuchToken):
            tokens.revoke(name, SHOP)
        with pytest.raises(NoSuchToken):
            tokens.rotate(name, 0.0, SHOP)
    assert tokens.revoke("of-shop", SHOP).revoked_at == NOON


def test_a_revoked_name_of_another_tenant_can_be_taken(tokens: Tokens) -> None:
    tokens.add(wanted("name", "bank"), ANYONE)
    tokens.revoke("name", ANYONE)
    assert tokens.add(wanted("name", "shop"), SHOP).token.tenants == ("shop",)


def test_what_has_ended_stays_in_the_list_for_a_month(tokens: Tokens, documents: Documents, clock: Clock) -> None:
    tokens.add(wanted("ends", expires_at=NOON + timedelta(days=1)), ANYONE)
    tokens.add(wanted("stays"), ANYONE)
    clock.move(86_400.0 + KEPT_S - 1)
    assert [token.name for token in tokens.all(ANYONE)] == ["ends", "stays"]
    clock.move(1)
    documents.purge()
    assert [token.name for token in tokens.all(ANYONE)] == ["stays"]
