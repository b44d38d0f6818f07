"""Model versions over REST, as the registry's manifest has them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from app.api.model_schemas import ComparisonOut, ModelDetailOut
from app.api.schemas import Items, ModelOut
from models.prediction import HORIZONS
from models.version import ModelRecord, ModelVersion
from tests.api_builders import NOON, Api
from tests.ensembles import add_version

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


def detail(api: Api, method: str, path: str, body: object = None) -> ModelDetailOut:
    response = api.ask(method, f"{MODELS}{path}", json=body)
    assert response.status_code == 200, response.text
    return ModelDetailOut.model_validate_json(response.content)


def test_promotion_and_rollback_are_steps_with_who_when_and_why(api: Api) -> None:
    first, second = (add_version(api.registry(), hour) for hour in (1, 2))
    assert detail(api, "POST", f"/{first}:promote").alias == "champion"
    api.clock.move(60.0)
    promoted = detail(api, "POST", f"/{second}:promote", {"who": "ada", "why": "better on Mondays"})
    assert (promoted.id, promoted.alias) == (second, "champion")
    api.clock.move(60.0)
    back = detail(api, "POST", ":rollback", {"who": "ben", "why": "worse on Tuesdays"})
    assert (back.id, back.alias) == (first, "champion")
    assert [(s.action, s.version, s.before, s.who, s.why) for s in back.history] == [
        ("promoted", first, None, "unknown", ""),
        ("promoted", second, first, "ada", "better on Mondays"),
        ("rolled_back", first, second, "ben", "worse on Tuesdays"),
    ]
    assert [s.at and (s.at - NOON).total_seconds() for s in back.history] == [0.0, 60.0, 120.0]
    assert (detail(api, "GET", f"/{second}").alias, len(detail(api, "GET", f"/{second}").history)) == ("retired", 2)
    listed = api.get(MODELS).json()["items"]
    assert [(item["id"], item["alias"]) for item in listed] == [(second, "retired"), (first, "champion")]
    champion = api.registry().champion()
    assert champion is not None
    assert champion.id == first


def test_promoting_what_serves_changes_nothing(api: Api) -> None:
    version = add_version(api.registry())
    for _ in range(2):
        assert len(detail(api, "POST", f"/{version}:promote").history) == 1


def test_three_rollbacks_reach_the_first_of_four_and_no_further(api: Api) -> None:
    versions = [add_version(api.registry(), hour) for hour in range(4)]
    for version in versions:
        detail(api, "POST", f"/{version}:promote")
    assert [detail(api, "POST", ":rollback").id for _ in range(3)] == versions[2::-1]
    refused = api.post(f"{MODELS}:rollback", {})
    assert (refused.status_code, refused.json()["detail"]) == (422, "no earlier champion to roll back to, history has 1")


def test_the_same_key_rolls_back_once(api: Api) -> None:
    for hour in range(3):
        detail(api, "POST", f"/{add_version(api.registry(), hour)}:promote")
    answers = [api.post(f"{MODELS}:rollback", {}, {"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert len(api.registry().steps()) == 4


def test_version_that_cannot_serve_or_is_not_there_is_not_promoted(api: Api) -> None:
    strange = add_version(api.registry(), schema="d" * 64)
    refused = api.post(f"{MODELS}/{strange}:promote", {})
    assert refused.status_code == 422
    assert "cannot serve" in refused.json()["detail"]
    assert "feature schema" in refused.json()["detail"]
    missing = [
        api.post(f"{MODELS}/nobody:promote", {}),
        api.get(f"{MODELS}/nobody"),
        api.get(f"{MODELS}/{strange}/compare/nobody"),
    ]
    assert [response.status_code for response in missing] == [404, 404, 404]
    assert api.registry().champion() is None
    assert "nobody" in missing[0].json()["detail"]


def test_rollback_to_what_cannot_serve_any_more_is_refused(api: Api) -> None:
    strange, good = add_version(api.registry(), 0, schema="d" * 64), add_version(api.registry(), 1)
    for version in (strange, good):
        api.registry().promote(version)
    assert api.post(f"{MODELS}:rollback", {}).status_code == 422
    champion = api.registry().champion()
    assert champion is not None
    assert champion.id == good


def test_one_tenant_promotes_nothing_of_anothers(api: Api) -> None:
    version = add_version(api.registry("a"))
    assert api.post(f"{MODELS}/{version}:promote", {}, {"X-Scope-OrgID": "b"}).status_code == 404
    assert api.post(f"{MODELS}/{version}:promote", {}, {"X-Scope-OrgID": "a"}).status_code == 200


@pytest.mark.parametrize(("data", "same"), [("b", True), ("e", False)])
def test_two_versions_are_compared_score_by_score(api: Api, data: str, same: bool) -> None:
    one, other = add_version(api.registry(), 1, ap=0.2), add_version(api.registry(), 2, ap=0.5, data=data)
    response = api.get(f"{MODELS}/{one}/compare/{other}")
    told = ComparisonOut.model_validate_json(response.content)
    assert (told.one, told.other, told.same_data, told.same_schema) == (one, other, same, True)
    assert (told.scores["60min.ap"].one, told.scores["60min.ap"].other) == (0.2, 0.5)
    assert told.scores["60min.ap"].difference == pytest.approx(0.3)
    assert ("same held-out time" in told.note) is same


def test_version_that_never_served_has_no_history(api: Api) -> None:
    put_version(api, "v1", 1)
    assert api.get(f"{MODELS}/v1").json()["history"] == []
