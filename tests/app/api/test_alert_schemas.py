"""What is posted of silences is checked before anything is made of it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.api.alert_schemas import SilenceIn

ONE = {
    "matchers": [{"label": "service", "pattern": "*"}],
    "start": "2026-03-02T12:00:00Z",
    "end": "2026-03-02T13:00:00Z",
    "author": "ann",
}


def test_times_are_taken_to_utc() -> None:
    silence = SilenceIn.model_validate(ONE | {"end": "2026-03-02T14:30:00+01:00"})
    assert silence.end.isoformat() == "2026-03-02T13:30:00+00:00"


def test_a_time_without_a_zone_and_a_zone_that_is_a_folder_are_refused() -> None:
    for changed in ({"end": "2026-03-02T14:30:00"}, {"zone": "Europe"}, {"zone": "../etc"}):
        with pytest.raises(ValidationError):
            SilenceIn.model_validate(ONE | changed)
