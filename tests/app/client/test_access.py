"""Tokens and the audit log, asked of a node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.client import Foreshock
from app.client.failures import Problem


def test_a_token_is_made_listed_rotated_and_revoked_and_the_log_says_so(foreshock: Foreshock) -> None:
    ends = datetime.now(UTC) + timedelta(days=1)
    made = foreshock.create_token("notebook/1", ["read", "feedback"], ["default"], expires_at=ends)
    assert made.token.startswith(f"fsk_{made.id}_")
    assert (made.expires_at, made.valid) == (ends, True)
    with pytest.raises(Problem, match="has the name 'notebook/1'"):
        foreshock.create_token("notebook/1", ["read"], ["*"])
    rotated = foreshock.rotate_token("notebook/1", overlap_s=0.0)
    assert rotated.token != made.token
    assert not foreshock.revoke_token("notebook/1").valid
    table = foreshock.tokens().set_index("name")
    assert "token" not in table
    assert not table.loc["notebook/1", "valid"]
    deeds = foreshock.audit(principal="anyone", limit=4)
    assert list(deeds["action"]) == ["token.revoke", "token.rotate", "token.create", "token.create"]
    assert list(deeds["outcome"]) == ["200", "200", "409", "201"]
