"""How many spans a sampled span stands for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.sampling import MAX_WEIGHT, weight_of


@pytest.mark.parametrize(
    ("trace_state", "weight"),
    [
        ("ot=th:8", 2.0),
        ("ot=rv:abcdef01234567;th:c", 4.0),
        ("congo=t61rcWkgMzE,\tot=th:8 , rojo=1", 2.0),
        ("ot=th:80000000000000", 2.0),
        ("ot=th:fd70a3d70a3d71", 100.0),
        ("ot=th:0", 1.0),
        ("ot=rv:abcdef01234567", 1.0),
        ("", 1.0),
        ("x=th:8", 1.0),
        ("not=th:8,ot", 1.0),
        ("ot=th:8,ot=th:c", 2.0),
        ("ot=rv:1,ot=th:c", 1.0),
        ("ot=th:8;th:c", 2.0),
        ("ot=x;th:8", 2.0),
    ],
)
def test_the_threshold_of_the_first_ot_member_gives_the_weight(trace_state: str, weight: float) -> None:
    counters: Counter[str] = Counter()
    assert weight_of(trace_state, counters) == weight
    assert not counters


@pytest.mark.parametrize("digits", ["", "8g", "F", " 8", "8 ", "0x8", "+8", "8\n", "800000000000000", "٨"])
def test_a_malformed_threshold_weighs_one_and_is_counted(digits: str) -> None:
    counters: Counter[str] = Counter()
    assert weight_of(f"ot=th:{digits};rv:0", counters) == 1.0
    assert counters == {"weights_invalid": 1}


@pytest.mark.parametrize(("digits", "n_capped"), [("fffff", 0), ("fffff8", 1), ("f" * 14, 1)])
def test_a_weight_beyond_the_largest_is_capped_and_counted(digits: str, n_capped: int) -> None:
    counters: Counter[str] = Counter()
    assert weight_of(f"ot=th:{digits}", counters) == MAX_WEIGHT
    assert counters["weights_capped"] == n_capped


@given(st.integers(0, 2**56 - 1))
def test_a_weight_is_near_the_inverse_of_what_sampling_kept_and_a_multiple_of_its_step(threshold: int) -> None:
    weight = weight_of(f"ot=th:{threshold:014x}", Counter())
    assert 1.0 <= weight <= MAX_WEIGHT
    assert (weight * 1024).is_integer()
    assert weight == pytest.approx(min(2**56 / (2**56 - threshold), MAX_WEIGHT), abs=1 / 1024)


@given(st.text())
def test_any_text_has_a_weight(trace_state: str) -> None:
    assert weight_of(trace_state, Counter()) >= 1.0
    assert weight_of(f"ot={trace_state}", Counter()) >= 1.0
    assert weight_of(f"ot=th:{trace_state}", Counter()) >= 1.0


@given(st.lists(st.integers(0, 2**56 - 1), max_size=50))
def test_sums_of_weights_do_not_depend_on_their_order(thresholds: list[int]) -> None:
    weights = [weight_of(f"ot=th:{threshold:014x}", Counter()) for threshold in thresholds]
    assert sum(weights) == sum(reversed(weights)) == sum(sorted(weights))
