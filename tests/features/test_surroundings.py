"""The features of a service and its neighbours, checked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from features import surroundings
from features.arrays import FloatArray
from features.batch import Call, Presence
from features.extract import SCHEMA
from features.memory import Memory
from features.view import View
from tests.telemetry import T0, Minute, a_batch, a_record, features_of, play, traffic

GROUPS: dict[str, Callable[[View], list[FloatArray]]] = {
    "novelty": surroundings.novelty,
    "mix": surroundings.mix,
    "levels": surroundings.levels,
    "neighbours": surroundings.neighbours,
    "change": surroundings.change,
    "incident_history": surroundings.history,
    "intensity": surroundings.intensity,
    "time": surroundings.time,
    "data_age": surroundings.data_age,
}


def a_service(*minutes: Minute, name: str = "a/web/*") -> dict[str, float]:
    """Return the features of a series after these minutes."""
    memory = Memory()
    play(memory, [[minute] for minute in minutes])
    return features_of(memory, name)


def leveled(**series: Sequence[float]) -> dict[str, float]:
    """Return the features of a service whose levels had these values, window by window."""
    length = max(len(values) for values in series.values())
    return a_service(
        *(
            Minute("a", (a_batch(levels=[("web", name, T0 + i, v[i]) for name, v in series.items() if i < len(v)]),))
            for i in range(length)
        )
    )


@pytest.mark.parametrize("group", GROUPS)
def test_group_returns_exactly_the_columns_that_are_named_for_it(group: str) -> None:
    memory = Memory()
    play(memory, [[Minute("a", (traffic(T0, 5.0), a_batch(levels=[("web", "heap", T0, 1.0)])))]])
    columns = GROUPS[group](View.of(memory))
    assert [column.shape for column in columns] == [(2,)] * sum(feature.group == group for feature in SCHEMA.features)


def test_new_fingerprints_count_for_the_service_and_its_operations() -> None:
    def minute(i: int) -> Minute:
        errors = tuple((a_record(window=T0 + i), "data", f"f{i}{n}") for n in range(3)) if i in {0, 5} else ()
        return Minute("a", (traffic(T0 + i, 1.0),), (*errors, (a_record(window=T0 + i), "data", None)))

    for name in ("a/web/*", "a/web/GET /"):
        seen = a_service(*(minute(i) for i in range(7)), name=name)
        assert seen["novel_log_5"] == pytest.approx(math.log1p(3))
        assert seen["novel_log_60"] == pytest.approx(math.log1p(6))


def test_mix_tells_categories_apart() -> None:
    errors = tuple((a_record(), category, None) for category in ("data", "data", "data", "network"))
    seen = a_service(Minute("a", (), errors))
    assert seen["mix_entropy_15"] == pytest.approx(-(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)))
    assert seen["mix_top_share_15"] == 0.75
    assert seen["data_log_60"] == pytest.approx(math.log1p(3))
    assert seen["network_log_60"] == pytest.approx(math.log1p(1))


def test_level_distance_is_in_deviations_of_the_levels_own_past() -> None:
    seen = leveled(heap=[9.0, 11.0] * 20 + [20.0] * 5)
    mean, square = (40 * 10.0 + 5 * 20.0) / 45, (40 * 101.0 + 5 * 400.0) / 45
    spread = math.sqrt(square - mean**2) + 1e-3 * mean
    assert seen["level_distance"] == pytest.approx((20.0 - mean) / spread, rel=1e-3)
    assert seen["level_distance_second"] == 0.0


def test_second_level_is_told_apart_and_needs_enough_values() -> None:
    seen = leveled(heap=[9.0, 11.0] * 20 + [20.0] * 5, pool=[1.0, 3.0] * 20 + [4.0] * 5, young=[1.0] * 25 + [9.0])
    assert seen["level_distance"] > seen["level_distance_second"] > 0


def test_level_that_climbs_without_a_pause_is_near_one_and_one_that_falls_is_no_climb() -> None:
    up, down = leveled(heap=[100.0 + i for i in range(40)]), leveled(heap=[100.0 - i for i in range(40)])
    assert up["level_climb"] == pytest.approx(1.0, abs=1e-6)
    assert up["level_growth_30"] == pytest.approx(30.0 / 119.5)
    assert up["levels_rising"] == 1.0
    assert down["level_climb"] == 0.0
    assert down["level_growth_30"] == down["levels_rising"] == down["level_distance"] == 0.0


def test_level_seen_fewer_than_twenty_times_says_nothing_of_its_course() -> None:
    seen = leveled(heap=[float(i) for i in range(19)])
    assert [seen[name] for name in ("level_growth_30", "level_climb", "levels_rising")] == [0.0, 0.0, 0.0]


def test_callers_feel_their_callees_and_callees_their_callers() -> None:
    def minute(i: int) -> Minute:
        web = replace(traffic(T0 + i, 50.0, operation="*"), calls=(Call("web", "cart", 5, 0),))
        cart = traffic(T0 + i, 50.0, 30.0 if i >= 62 else 0.0, service="cart", operation="*")
        return Minute("a", (web, cart, traffic(T0 + i, 50.0, service="alone", operation="*")))

    memory = Memory()
    play(memory, [[minute(i)] for i in range(65)])
    web, cart, alone = (features_of(memory, f"a/{name}/*") for name in ("web", "cart", "alone"))
    assert web["callee_error_surprise"] == pytest.approx(cart["error_surprise_5"])
    assert web["callee_error_surprise"] > 10.0
    assert web["callees_in_incident"] == 1.0
    assert [one["callee_error_surprise"] for one in (cart, alone)] == [0.0, 0.0]
    assert cart["caller_error_surprise"] == web["error_surprise_5"] == 0.0


def test_errors_of_a_caller_are_told_to_its_callee() -> None:
    memory = Memory()
    web = replace(traffic(T0, 50.0, 20.0, operation="*"), calls=(Call("web", "cart", 5, 0),))
    play(memory, [[Minute("a", (web, traffic(T0, 50.0, service="cart", operation="*")))]])
    web_seen, cart_seen = features_of(memory, "a/web/*"), features_of(memory, "a/cart/*")
    assert cart_seen["caller_error_surprise"] == pytest.approx(web_seen["error_surprise_5"])
    assert cart_seen["caller_error_surprise"] > 1.0


def test_change_of_version_is_dated_and_instances_are_counted() -> None:
    def minute(i: int, version: str, instance: str) -> Minute:
        return Minute("a", (replace(traffic(T0 + i, 1.0), presences=(Presence("web", instance, version),)),))

    same = [minute(i, "v1", "i1") for i in range(10)]
    changed = [minute(i, "v2", f"i{i // 3}") for i in range(10, 15)]
    before, after = a_service(*same), a_service(*same, *changed)
    assert before["since_change_log"] == pytest.approx(math.log1p(1440))  # the first version is no change
    assert [before[name] for name in ("changed_60", "started_5", "started_60")] == [0.0, 0.0, 0.0]
    assert after["since_change_log"] == pytest.approx(math.log1p(5))
    assert [after[name] for name in ("changed_60", "started_5", "started_60")] == [1.0, 2.0, 2.0]


def test_past_incidents_fade() -> None:
    seen = a_service(*(Minute("a", (traffic(T0 + i, 100.0, 40.0 if 60 <= i < 63 else 0.0),)) for i in range(70)))
    windows = 69 - 61  # detected with the second broken window
    assert seen["incident_decay_60"] == pytest.approx(math.exp(-windows / 60.0))
    assert seen["incident_decay_5"] == pytest.approx(math.exp(-windows / 5.0))
    assert seen["since_incident_log"] == pytest.approx(math.log1p(windows))
    assert seen["share_broken"] == 0.0
    # One incident of its own in 70 minutes, with a day borrowed at one incident a week.
    assert seen["incident_rate"] == pytest.approx((1 + 24 / 168) / (70 / 60 + 24), rel=1e-5)


def test_series_without_an_incident_counts_a_week_since_the_last() -> None:
    assert a_service(Minute("a", (traffic(T0, 1.0),)))["since_incident_log"] == pytest.approx(math.log1p(7 * 1440))


def test_hour_of_the_day_is_a_point_on_a_circle() -> None:
    seen = a_service(Minute("a", (traffic(T0, 1.0),)))
    angle = 2 * math.pi * ((T0 + 1) * 60 % 86_400) / 86_400
    assert (seen["hour_sin"], seen["hour_cos"]) == (pytest.approx(math.sin(angle)), pytest.approx(math.cos(angle)))


def test_age_of_the_data_counts_windows_without_any() -> None:
    empty = [Minute("a")] * 7
    assert a_service(Minute("a", (traffic(T0, 1.0),)), *empty)["data_age_log"] == pytest.approx(math.log1p(7))
    assert a_service(Minute("a", (traffic(T0, 1.0),)))["data_age_log"] == 0.0
    assert a_service(Minute("a", (traffic(T0, 1.0),)), name="a/web/GET /")["whole_service"] == 0.0
