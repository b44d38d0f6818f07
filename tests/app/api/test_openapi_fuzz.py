"""Whatever is asked of a running node, right or wrong, the answer is one that the OpenAPI document names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.nodes import run_node
from tests.openapi_fuzz import fill, fuzz

pytestmark = pytest.mark.slow

NODES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "open": ({}, {}),
}
"""Settings of a node, and the headers that it wants of who asks."""


@pytest.mark.parametrize(("overrides", "headers"), NODES.values(), ids=NODES.keys())
def test_every_answer_is_one_that_the_document_names(
    tmp_path: Path, overrides: dict[str, Any], headers: dict[str, str]
) -> None:
    with run_node(tmp_path / "node", **overrides) as running:
        fill(running, headers)
        found = fuzz(running.served.api, tmp_path, ["--max-examples", "10", "--seed", "1"], headers)
    assert found.ok, found.report
    assert found.n_operations >= 48
    assert found.n_requests > 40 * found.n_operations
