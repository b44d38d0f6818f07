"""A store of every family for tests of whole nodes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.families import FAMILIES


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return settings of an empty store, for `run_node` and `settings_in`."""
    return request.param()
