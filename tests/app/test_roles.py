"""What a node may be told to do."""

from __future__ import annotations

import itertools

import pytest

from app.roles import ROLES, Roles
from app.settings import load_settings
from features.errors import InvalidSetting


@pytest.mark.parametrize("chosen", [c for n in (1, 2, 3) for c in itertools.combinations(ROLES, n)])
def test_any_combination_is_read_in_any_order_and_said_again(chosen: tuple[str, ...]) -> None:
    roles = Roles.of(" , ".join(reversed(chosen)))
    assert str(roles) == ",".join(chosen)
    assert {role for role in ROLES if getattr(roles, role)} == set(chosen)
    assert roles.all == (len(chosen) == len(ROLES))
    assert load_settings(None, nats_url="nats://n1", roles=",".join(chosen)).roles == ",".join(chosen)


@pytest.mark.parametrize("text", ["", "worker,", "Worker", "cook", "worker;api"])
def test_what_is_no_role_is_named(text: str) -> None:
    with pytest.raises(InvalidSetting, match="setting roles: must be one or more of ingest,worker,api, got"):
        load_settings(None, nats_url="nats://n1", roles=text)
