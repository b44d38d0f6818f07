"""A principal may do what its scopes name, with the data of its tenants, and nothing else."""

from __future__ import annotations

import pytest

from app.auth import ANYONE, EVERY_TENANT, Principal, Scope
from features.errors import InvalidValue


def principal(*tenants: str, scopes: frozenset[Scope] = frozenset({Scope.READ})) -> Principal:
    return Principal("someone", scopes, frozenset(tenants))


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_holds_no_other(scope: Scope) -> None:
    one = principal("shop", scopes=frozenset({scope}))
    assert [other for other in Scope if one.may(other)] == [scope]


def test_one_of_two_tenants_means_neither_by_itself() -> None:
    both = principal("shop", "bank")
    assert both.reaches("shop")
    assert both.reaches("bank")
    assert not both.reaches("mine")
    assert both.only_tenant is None
    assert not both.reaches_all


def test_one_of_every_tenant_reaches_those_that_come_later() -> None:
    everyone = principal(EVERY_TENANT)
    assert everyone.reaches("a-tenant-of-tomorrow")
    assert everyone.reaches_all
    assert everyone.only_tenant is None


def test_whoever_needs_no_token_may_do_everything() -> None:
    assert all(ANYONE.may(scope) for scope in Scope)
    assert ANYONE.reaches_all


@pytest.mark.parametrize("tenant", ["", "a b", "a/b", "ä", "x" * 129, "**"])
def test_what_no_tenant_can_be_called_is_refused_by_name(tenant: str) -> None:
    with pytest.raises(InvalidValue, match="1 to 128"):
        principal(tenant)


def test_no_name_and_no_tenant_are_refused() -> None:
    with pytest.raises(InvalidValue, match="name"):
        Principal("", frozenset(), frozenset({"shop"}))
    with pytest.raises(InvalidValue, match="at least 1 tenant"):
        principal()
