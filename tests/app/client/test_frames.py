"""Frames have the columns and types of the wire models, with rows or without."""

from __future__ import annotations

from typing import Any

import msgspec
import pandas as pd
import pytest
from pydantic import BaseModel

from app.api.alert_schemas import AlertOut, AlertRouteOut, SilenceOut
from app.api.backtest_schemas import BacktestOut
from app.api.group_schemas import GroupedIncidentOut, GroupOut, HotspotOut
from app.api.schemas import (
    AnomalyOut,
    ErrorEventOut,
    ErrorGroupOut,
    FeedbackOut,
    ModelOut,
    PredictionOut,
    ServiceOut,
    TrainingRunOut,
)
from app.client.failures import UnknownAnswer
from app.client.frames import columns_of, frame

TIME = "datetime64[us, UTC]"
LISTED = (
    AlertOut,
    AlertRouteOut,
    AnomalyOut,
    BacktestOut,
    ErrorEventOut,
    ErrorGroupOut,
    FeedbackOut,
    GroupOut,
    GroupedIncidentOut,
    HotspotOut,
    ModelOut,
    PredictionOut,
    ServiceOut,
    SilenceOut,
    TrainingRunOut,
)


class Optional(BaseModel):
    n: int | None
    flag: bool | None
    name: str | None


def an_incident(**changed: Any) -> dict[str, Any]:
    return {
        "id": "i1",
        "tenant": "default",
        "service": "cart",
        "operation": "*",
        "start": "2026-11-24T00:15:00Z",
        "detected_at": "2026-11-24T00:18:00.5Z",
        "end": None,
        "source": "rule",
        "category": "network",
        "predicted": {"5min": 0.009, "15min": 0.016, "60min": 0.079},
        "earlier": [],
        "group_id": None,
        **changed,
    }


def dtypes(model: type[BaseModel]) -> dict[str, str]:
    return {column.name: column.dtype for column in columns_of(model)}


def test_horizons_and_flat_members_are_columns_of_their_own() -> None:
    found = dtypes(PredictionOut)
    assert [name for name in found if name.endswith("_60min")] == ["probability_60min", "lower_60min", "upper_60min"]
    assert (found["anomaly_score"], found["anomaly_since"], found["as_of"]) == ("float64", TIME, TIME)
    assert found["reasons"] == "object"
    assert list(found)[:4] == ["id", "tenant", "service", "operation"]
    assert dtypes(ServiceOut)["error_trend_per_minute_slope"] == "float64"
    assert dtypes(GroupOut)["blast_radius_services"] == "int64"
    assert dtypes(ErrorGroupOut)["advice"] == "object"
    assert dtypes(AlertOut)["horizon"] == "str"


@pytest.mark.parametrize("model", LISTED)
def test_an_empty_list_has_the_same_columns_and_types(model: type[BaseModel]) -> None:
    empty = frame(model, [])
    assert {name: str(dtype) for name, dtype in empty.dtypes.items()} == dtypes(model)
    assert len(set(empty.columns)) == len(empty.columns)
    assert empty.shape[0] == 0


def test_values_are_where_their_columns_are() -> None:
    items = [an_incident(), an_incident(id="i2", end="2026-11-24T00:20:00Z", predicted=None, new_member=1)]
    found = frame(GroupedIncidentOut, msgspec.json.decode(msgspec.json.encode(items)))
    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == dtypes(GroupedIncidentOut)
    first, second = found.to_dict("records")
    assert first["start"] == pd.Timestamp("2026-11-24T00:15:00Z")
    assert first["detected_at"] == pd.Timestamp("2026-11-24T00:18:00.500Z")
    assert second["end"] == pd.Timestamp("2026-11-24T00:20:00Z")
    assert (first["predicted_60min"], first["earlier"]) == (0.079, [])
    assert list(found[["end", "predicted_5min", "group_id"]].isna().to_numpy().tolist()) == [
        [True, False, True],
        [False, True, True],
    ]


def test_what_may_be_null_keeps_its_type() -> None:
    found = frame(Optional, [{"n": 2**60 + 1, "flag": True, "name": "a"}, {"n": None, "flag": None, "name": None}])
    assert [str(dtype) for dtype in found.dtypes] == ["Int64", "boolean", "str"]
    assert found["n"].to_list()[0] == 2**60 + 1


@pytest.mark.parametrize("changed", [{"start": "yesterday"}, {"predicted": {"5min": "much"}}])
def test_values_of_another_type_are_named_with_their_list(changed: dict[str, Any]) -> None:
    with pytest.raises(UnknownAnswer, match="a list of GroupedIncidentOut has values of another type"):
        frame(GroupedIncidentOut, [an_incident(**changed)])
