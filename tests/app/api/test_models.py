"""Model versions over REST, as the registry's manifest has them."""

from __future__ import annotations

import json
from datetime import timedelta

from app.api.schemas import Items, ModelOut
from models.prediction import HORIZONS
from models.version import ModelRecord, ModelVersion
from tests.api_builders import NOON, Api

MODELS = "/api/v1/models"


def put_version(api: Api, version_id: str, age_h: int, *, score: float = 0.25) -> None:
    made = NOON - timedelta(hours=age_h)
    record = ModelRecord(1, "a" * 64, made, made, "b" * 64, 0, dict.fromkeys(HORIZONS, "ensemble"), made, {"60min.ap": score})
    version = ModelVersion(version_id, "c" * 64, record, "candidate", "1.8", "0.26", "2.3")
    api.documents.put("models", f"default/version/{version_id}", version.to_json())


def test_versions_come_newest_first_with_what_they_are_now(api: Api) -> None:
    for version_id, age_h in (("v1", 3), ("v2", 2), ("v3", 1)):
        put_version(api, version_id, age_h)
    api.documents.put("models", "default/serving", json.dumps({"history": ["v1", "v2"]}).encode())
    page = Items[ModelOut].model_validate_json(api.get(MODELS).content)
    assert [(item.id, item.alias) for item in page.items] == [("v3", "candidate"), ("v2", "champion"), ("v1", "retired")]
    assert page.items[0].scores == {"60min.ap": 0.25}
    assert page.items[0].serves == {"5min": "ensemble", "15min": "ensemble", "60min": "ensemble"}


def test_before_any_promotion_versions_keep_their_own_alias(api: Api) -> None:
    put_version(api, "v1", 1)
    assert api.get(MODELS).json()["items"][0]["alias"] == "candidate"


def test_score_that_could_not_be_computed_is_null(api: Api) -> None:
    put_version(api, "v1", 1, score=float("nan"))
    assert api.get(MODELS).json()["items"][0]["scores"] == {"60min.ap": None}


def test_versions_are_paged(api: Api) -> None:
    for number in range(3):
        put_version(api, f"v{number}", number)
    first = api.get(f"{MODELS}?limit=2").json()
    second = api.get(f"{MODELS}?limit=2&cursor={first['next']}").json()
    assert [item["id"] for item in first["items"] + second["items"]] == ["v0", "v1", "v2"]
