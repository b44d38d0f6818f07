"""Words say the values that the columns hold."""

from __future__ import annotations

import numpy as np
import pytest

from models.phrases import PHRASES, listing


def test_counts_kept_as_logarithms_are_said_as_counts() -> None:
    text = PHRASES["errors"]({"errors_log_5": np.log1p(1), "errors_log_60": np.log1p(12), "failed_share_15": 0.125})
    assert text == "1 error in 5 min and 12 errors in 60 min, 12.5% of requests failed in 15 min"


def test_times_are_said_in_the_unit_that_fits() -> None:
    told = [PHRASES["change"]({"since_change_log": np.log1p(minutes)}) for minutes in (7, 90, 1440)]
    assert told == ["new version 7 min ago", "new version 1.5 h ago", "no new version in the last day"]


def test_usual_errors_are_called_usual() -> None:
    assert "as usual" in PHRASES["surprise"]({"error_surprise_5": 0.2, "error_surprise_15": 0.1})
    assert "once in 1,000 " in PHRASES["surprise"]({"error_surprise_5": 3.0, "error_surprise_15": 0.1})


def sparse(ago_min: list[float], a_day: float) -> str:
    values = {f"since_event_log_{k}": np.log1p(ago) for k, ago in zip((1, 2, 3, 5), ago_min, strict=True)}
    return PHRASES["intensity"]({**values, "event_rate_log": np.log(a_day / 24.0)})


def test_of_the_last_errors_those_are_told_that_are_farthest_from_the_usual() -> None:
    assert sparse([30.0, 60.0, 119.0, 40_320.0], 1.0) == "errors in 3 windows within 2.0 h, usually in 1 a day"
    assert sparse([0.0, 5000.0, 9000.0, 40_320.0], 0.2) == "errors in 1 window within 1 min, usually in 0.2 a day"
    assert sparse([40_320.0] * 4, 0.1) == "no window with errors known of the last 28 days; 0.1 a day expected"


def test_a_row_without_the_columns_is_the_callers_to_list() -> None:
    with pytest.raises(KeyError):
        PHRASES["trend"]({})
    assert listing("trend", {"a": 1.0}, ("a",)) == "trend: a=1"
