"""Whatever is asked of a running node, right or wrong, the answer is one that the OpenAPI document names."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.auth.principal import ANYONE, EVERY_TENANT, Scope
from app.auth.tokens import Tokens, Wanted
from tests.nodes import run_node
from tests.openapi_fuzz import fill, fuzz

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("demanded", [False, True], ids=["open", "with tokens"])
def test_every_answer_is_one_that_the_document_names(tmp_path: Path, demanded: bool) -> None:
    often: dict[str, Any] = {
        "security.limits": {"failed_logins_per_minute": 6000.0}
    }  # wrong tokens are tried too, and all from one address
    with run_node(tmp_path / "node", security__require_tokens=demanded, **often) as running:
        headers: dict[str, str] = {}
        if demanded:
            tokens = Tokens(running.node.store.documents, lambda: datetime.now(UTC))
            made = tokens.add(Wanted("fuzz", list(Scope), [EVERY_TENANT]), ANYONE)
            headers["Authorization"] = f"Bearer {made.text}"
        fill(running, headers)
        found = fuzz(running.served.api, tmp_path, ["--max-examples", "10", "--seed", "1"], headers)
    assert found.ok, found.report
    assert found.n_operations >= 48
    assert found.n_requests > 40 * found.n_operations


def test_a_run_that_never_began_shows_why(tmp_path: Path) -> None:
    with run_node(tmp_path / "node") as running:
        found = fuzz(running.served.api, tmp_path, ["--no-such-option"])
    assert (found.ok, found.n_requests, found.n_operations) == (False, 0, 0)
    assert "--no-such-option" in found.report
