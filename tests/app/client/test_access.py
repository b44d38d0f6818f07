"""Calls about tokens and the audit log, asked of a node that demands tokens."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.auth import ANYONE, Scope, Tokens, Wanted
from app.client import Foreshock, NotAllowed
from tests.nodes import run_node


@pytest.fixture
def admin(tmp_path: Path) -> Generator[Foreshock]:
    """Who may do everything at a node that demands tokens."""
    with run_node(tmp_path, security__require_tokens=True) as node:
        tokens = Tokens(node.node.store.documents, lambda: datetime.now(UTC))
        made = tokens.add(Wanted("admin", list(Scope), ["*"]), ANYONE)
        with Foreshock(node.served.api, made.text) as client:
            yield client


def status_of(client: Foreshock) -> int:
    """Return the status with which a client is turned away from reading, 200 where it is not."""
    try:
        client.services()
    except NotAllowed as refused:
        return refused.status
    return 200


def test_a_token_is_made_used_rotated_and_revoked(admin: Foreshock) -> None:
    made = admin.make_token("grafana", scopes=["read"], tenants=["default"])
    with Foreshock(admin.url, made.token) as reader:
        assert status_of(reader) == 200
        with pytest.raises(NotAllowed, match="feedback") as refused:
            reader.feedback("confirmed", incident_id="i0")
        assert refused.value.status == 403
        with pytest.raises(NotAllowed):
            reader.tokens()
        rotated = admin.rotate_token("grafana", overlap_s=0.0)
        assert status_of(reader) == 401
    with Foreshock(admin.url, rotated.token) as reader:
        assert status_of(reader) == 200
        assert not admin.revoke_token("grafana").valid
        assert status_of(reader) == 401
    with Foreshock(admin.url, tenant="default") as nobody:
        assert status_of(nobody) == 401
    tokens = admin.tokens()
    assert dict(zip(tokens["name"], tokens["valid"], strict=True)) == {"admin": True, "grafana": False}
    assert str(tokens["created_at"].dtype) == "datetime64[us, UTC]"


def test_who_changed_what_is_listed(admin: Foreshock) -> None:
    admin.make_token("audited", scopes=[Scope.READ], tenants=["*"])
    admin.revoke_token("audited")
    deeds = admin.deeds(principal="admin")
    assert len(deeds) >= 2
    assert set(deeds["object"].head(2)) == {"/api/v1/tokens/audited"}
    assert str(deeds["at"].dtype) == "datetime64[us, UTC]"
    assert admin.deeds(principal="nobody").empty
