"""A record is complete, checked, and survives JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from features.errors import InvalidValue
from models.prediction import HORIZONS
from models.version import ALIASES, ModelRecord, ModelVersion, Step

AT = datetime(2026, 1, 5, tzinfo=UTC)
SERVES = {"5min": "ensemble", "15min": "rate", "60min": "rate"}
RECORD = ModelRecord(1, "a" * 64, AT, AT + timedelta(days=3), "b" * 64, 7, SERVES, AT, {"60min.ap": 0.25})
VERSION = ModelVersion("v", "c" * 64, RECORD, "candidate", "1.8.0", "0.26.1", "2.4.0")


@pytest.mark.parametrize("alias", ALIASES)
def test_json_and_back_is_identity(alias: str) -> None:
    version = VERSION.called(alias)
    assert ModelVersion.from_json(version.to_json()) == version


def test_an_older_record_in_which_one_name_serves_all_horizons_is_read() -> None:
    document = json.loads(VERSION.to_json())
    document["record"]["serves"] = "rate"
    assert ModelVersion.from_json(json.dumps(document).encode()).record.serves == dict.fromkeys(HORIZONS, "rate")


def test_unknown_aliases_bad_hashes_and_naive_times_are_refused() -> None:
    with pytest.raises(InvalidValue, match="alias"):
        VERSION.called("king")
    with pytest.raises(InvalidValue, match="sha256"):
        replace(VERSION, sha256="abc")
    with pytest.raises(InvalidValue, match="data_sha256"):
        replace(RECORD, data_sha256="")
    with pytest.raises(InvalidValue, match="aware"):
        replace(RECORD, created_at=AT.replace(tzinfo=None))
    with pytest.raises(InvalidValue, match="trained_from"):
        replace(RECORD, trained_to=AT - timedelta(days=1))


def test_a_step_says_what_was_done_and_when() -> None:
    assert Step("promoted", "v1", None).who == "unknown"
    with pytest.raises(InvalidValue, match="action must be one of"):
        Step("deleted", "v1", None)
    with pytest.raises(InvalidValue, match="aware"):
        Step("promoted", "v1", None, datetime(2026, 1, 2))
