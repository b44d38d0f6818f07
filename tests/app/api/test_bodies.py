"""What is posted is checked, and its times are taken to UTC."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.api.bodies import ClassifyIn, FeedbackIn, TrainingIn


def test_times_are_taken_to_utc() -> None:
    body = TrainingIn.model_validate_json('{"since": "2026-03-02T10:00:00+01:00"}')
    assert body.since is not None
    assert body.since.isoformat() == "2026-03-02T09:00:00+00:00"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00"])
def test_time_outside_of_utc_is_refused(time: str) -> None:
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        TrainingIn.model_validate({"since": time})


@pytest.mark.parametrize("time", [1772452800, 0.5, True, "1772452800", " -1.5 ", ".5"])
def test_time_that_is_a_bare_number_is_refused(time: object) -> None:
    with pytest.raises(ValidationError, match="must be written as in RFC 3339"):
        TrainingIn.model_validate({"since": time})


def test_training_over_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="until must be after since"):
        TrainingIn.model_validate({"since": "2026-03-02T10:00:00Z", "until": "2026-03-02T10:00:00Z"})


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["verdict", "prediction_id", "service", "start", "end", "message", "attributes", "severity", "since", "seed"]
)


@given(st.dictionaries(names, json, max_size=5))
def test_any_json_is_taken_or_refused_and_nothing_else(body: dict[str, object]) -> None:
    for kind in (ClassifyIn, FeedbackIn, TrainingIn):
        with suppress(ValidationError):
            taken = kind.model_validate(body)
            assert kind.model_validate_json(taken.model_dump_json()) == taken
