"""Limits are where the rule begins to break."""

from __future__ import annotations

import numpy as np
import pytest

from features.batch import channel
from features.gathering import WIDTH
from features.incident import IncidentRule, broken
from features.limits import lasting_limit


@pytest.mark.parametrize("total", [0.0, 2.0, 60.0, 5000.0])
@pytest.mark.parametrize("share", [0.0, 0.004, 0.2])
def test_windows_break_above_the_limit_and_not_below(total: float, share: float) -> None:
    rule = IncidentRule()
    expected = np.array([[total, share * total, share * total, 0.0]])
    limit = float(lasting_limit(expected, rule)[0])

    def breaks(errors: float) -> bool:
        windows = np.zeros((1, 10, WIDTH))
        windows[:, :, channel("total")], windows[:, :, channel("errors")] = total, errors
        return bool(broken(windows, expected, np.ones((1, 10), np.bool_), rule)[0])

    assert breaks(np.ceil(limit * 3 + 1.0) / 3 + 0.5)
    assert not breaks(np.floor(limit * 2.97 - 1.0) / 3 - 0.5)
