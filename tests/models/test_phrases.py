"""Words say the values that the columns hold."""

from __future__ import annotations

import numpy as np
import pytest

from models.phrases import PHRASES, listing


def test_counts_kept_as_logarithms_are_said_as_counts() -> None:
    text = PHRASES["errors"]({"errors_log_5": np.log1p(1), "errors_log_60": np.log1p(12), "failed_share_15": 0.125})
    assert text == "1 error in 5 min and 12 errors in 60 min, 12.5% of requests failed in 15 min"


def changed(minutes: float, started_5: float = 0.0, started_60: float = 0.0) -> str:
    return PHRASES["change"]({"since_change_log": np.log1p(minutes), "started_5": started_5, "started_60": started_60})


def test_times_are_said_in_the_unit_that_fits() -> None:
    assert [changed(7), changed(90)] == ["version changed 7 min ago", "version changed 1.5 h ago"]


def test_a_change_is_a_version_or_instances_or_none() -> None:
    assert changed(12, 1, 3) == "version changed 12 min ago; 3 instances started within 60 min, 1 within 5 min"
    assert changed(1440, 0, 1) == "1 instance started within 60 min"
    assert changed(1440) == "no new version in a day and no new instance in 60 min"


def test_usual_errors_are_called_usual() -> None:
    assert "as usual" in PHRASES["surprise"]({"error_surprise_5": 0.2, "error_surprise_15": 0.1})
    assert "once in 1,000 times" in PHRASES["surprise"]({"error_surprise_5": 3.0, "error_surprise_15": 0.1})
    assert "less than once in 1,000,000 times" in PHRASES["surprise"]({"error_surprise_5": 3.0, "error_surprise_15": 9.0})


def test_what_moves_most_is_said_first() -> None:
    row = {"warnings_log_15": np.log1p(30), "warnings_change": np.log(3), "handled_log_15": 0.0, "handled_change": 0.0}
    assert PHRASES["warnings"](row) == "warnings rising: 30 warnings in 15 min, 3 times before"
    row |= {"handled_log_15": np.log1p(8), "handled_change": np.log(4)}
    assert PHRASES["warnings"](row).startswith("handled exceptions rising: 8 handled exceptions, 4 times before; 30 warnings")
    slower = PHRASES["latency"]({"p95_log_5": np.log(0.9), "p95_shift_5": np.log(2.25)})
    assert slower == "slower than before: 95 % of requests within 900 ms, 2.2 times before"


def test_traffic_is_said_a_minute_and_silence_with_its_length() -> None:
    row = {"traffic_log_5": np.log1p(12.4), "traffic_against_usual": np.log(0.5), "silent_log": 0.0}
    assert PHRASES["volume"](row) == "12.4 requests a minute, 0.5 times the usual for this hour"
    assert PHRASES["volume"](row | {"traffic_log_5": 0.0, "silent_log": np.log1p(8)}) == "no requests for 8 min"


def test_the_worst_of_the_neighbours_is_named() -> None:
    quiet: dict[str, float] = dict.fromkeys(
        (
            "callee_error_surprise",
            "callee_latency_shift",
            "callee_warnings",
            "callee_level_distance",
            "caller_error_surprise",
            "callees_in_incident",
        ),
        0.0,
    )
    say = PHRASES["neighbours"]
    assert say(quiet) == "callees and callers are as usual"
    assert (
        say(quiet | {"callee_error_surprise": 2.0, "callee_warnings": 1.0})
        == "callees fail more than usual, by chance once in 100 times"
    )
    assert (
        say(quiet | {"callee_latency_shift": np.log(3.0), "callee_error_surprise": 2.0})
        == "callees slower than before, 3 times"
    )
    assert say(quiet | {"callees_in_incident": 1.0, "caller_error_surprise": 0.5}) == "1 called service is in an incident"


def test_levels_are_unusual_or_rise_or_neither() -> None:
    say = PHRASES["levels"]
    assert say({"level_distance": 1.0, "levels_rising": 0.0}) == "resource levels are as usual"
    assert say({"level_distance": 4.2, "levels_rising": 2.0}) == (
        "a resource level is 4.2 standard deviations from its usual; 2 resource levels rise without a pause"
    )


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
