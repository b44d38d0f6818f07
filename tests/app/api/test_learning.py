"""What is shown of learning over REST."""

from __future__ import annotations

from app.api.learning_schemas import LearningOut
from app.cache.documents import encode_document
from app.cache.learning_records import LearningRecord, MemberRecord, RivalRecord
from models.progressive import Validation
from tests.api_builders import NOON, Api

LEARNING = "/api/v1/learning"


def test_it_is_answered_with_its_age(api: Api) -> None:
    found = Validation(120.0, 0.05, 0.06, 0.19, 0.2, 0.04)
    record = LearningRecord(
        tenant="default",
        as_of=NOON,
        model_version="v1",
        half_life_s=86_400.0,
        members=(MemberRecord("batch", {"5min": 0.8}, {"5min": found}), MemberRecord("served", {}, {"5min": found})),
        incidents_began=6.0,
        incidents_forecast=7.2,
        rows_waiting=40,
        online_rows=120,
        drifts=("its loss has risen",),
        rival=RivalRecord("v2", 5, -0.01, None, None, "open"),
    )
    api.documents.put("learning", "default/%2A", encode_document(record))
    api.clock.move(30)
    answer = LearningOut.model_validate_json(api.get(LEARNING).content)
    assert answer.age_s == 30.0
    assert answer.members[0].horizons["5min"].log_loss == 0.19
    assert answer.rival is not None
    assert answer.rival.lower is None


def test_before_any_outcome_it_is_not_there(api: Api) -> None:
    response = api.get(LEARNING)
    assert response.status_code == 404
    assert "no forecast yet whose outcome is known" in response.json()["detail"]
