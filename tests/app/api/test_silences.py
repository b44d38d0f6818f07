"""Silences and maintenance windows over REST."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.alert_schemas import SilenceOut
from tests.alert_builders import at
from tests.api_builders import Api

SILENCES = "/api/v1/silences"
PAY = {
    "matchers": [{"label": "service", "pattern": "pay*"}],
    "end": "2026-03-02T13:00:00Z",
    "author": "ann",
    "comment": "deploy",
}


def test_a_silence_begins_now_and_is_listed_while_it_is_in_force_and_after(api: Api) -> None:
    added = api.post(SILENCES, PAY)
    assert added.status_code == 201
    shown = SilenceOut.model_validate_json(added.content)
    assert (shown.start, shown.end, shown.in_force, shown.author) == (at(0), at(3600), True, "ann")
    assert shown.matchers[0].pattern == "pay*"

    def listed(state: str) -> list[str]:
        return [item["id"] for item in api.get(f"{SILENCES}?state={state}").json()["items"]]

    assert (listed("all"), listed("in_force"), listed("over")) == ([shown.id], [shown.id], [])
    api.clock.move(3600)
    assert (listed("all"), listed("in_force"), listed("over")) == ([shown.id], [], [shown.id])


def test_a_silence_can_be_ended_and_stays_to_be_read(api: Api) -> None:
    silence_id = api.post(SILENCES, PAY).json()["id"]
    api.clock.move(60)
    ended = SilenceOut.model_validate_json(api.ask("DELETE", f"{SILENCES}/{silence_id}?who=bob").content)
    assert (ended.ended_at, ended.ended_by, ended.in_force) == (at(60), "bob", False)
    api.clock.move(60)
    assert api.ask("DELETE", f"{SILENCES}/{silence_id}").json()["ended_by"] == "bob"
    assert api.ask("DELETE", f"{SILENCES}/nobody").status_code == 404
    assert [item["id"] for item in api.get(f"{SILENCES}?state=over").json()["items"]] == [silence_id]


def test_a_maintenance_window_comes_again(api: Api) -> None:
    window = PAY | {"start": "2026-03-02T12:00:00Z", "repeats": "day", "zone": "Europe/Berlin"}
    assert api.post(SILENCES, window).json()["repeats"] == "day"
    in_force: list[bool] = []
    for _ in range(3):
        in_force.append(api.get(SILENCES).json()["items"][0]["in_force"])
        api.clock.move(12 * 3600)
    assert in_force == [True, False, True]
    assert api.get(f"{SILENCES}?state=over").json()["items"] == []


@pytest.mark.parametrize(
    ("end", "until", "in_force"),
    [
        ("2026-04-11T12:00:00Z", "2026-03-02T13:00:00Z", True),  # the first time lasts beyond the last beginning
        ("2026-03-04T12:00:00Z", "2026-04-06T12:00:00Z", True),
        ("2026-03-04T12:00:00Z", "2026-03-10T12:00:00Z", False),
    ],
)
def test_a_maintenance_window_is_kept_as_long_as_it_is_in_force(api: Api, end: str, until: str, in_force: bool) -> None:
    window = PAY | {"start": "2026-03-02T12:00:00Z", "end": end, "repeats": "week", "repeats_until": until}
    silence_id = api.post(SILENCES, window).json()["id"]
    api.clock.move(36 * 86_400)
    items = api.get(f"{SILENCES}?state=in_force").json()["items"]
    assert [item["id"] for item in items] == [silence_id] * in_force


def test_a_post_that_is_repeated_makes_one_silence(api: Api) -> None:
    answers = [api.post(SILENCES, PAY, {"Idempotency-Key": "k"}).json()["id"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(api.get(SILENCES).json()["items"]) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"end": "2026-03-02T11:00:00Z"}, "end must be after start"),
        ({"start": "2026-03-02T12:00:00Z", "end": "2028-03-02T12:00:00Z"}, "a year later at most"),
        ({"matchers": []}, "matchers"),
        ({"zone": "Mars/Base"}, "IANA time zone"),
        ({"repeats_until": "2026-04-01T00:00:00Z"}, "repeats_until needs repeats"),
    ],
)
def test_a_silence_that_cannot_be_is_refused_with_the_reason(api: Api, changed: dict[str, Any], message: str) -> None:
    answer = api.post(SILENCES, PAY | changed)
    assert answer.status_code == 422
    assert message in answer.text


@pytest.mark.parametrize("end", ["9999-12-31T00:00:00Z", "2027-06-01T00:00:00Z", "2026-03-02T11:00:00Z"])
def test_a_silence_from_now_on_that_cannot_be_is_refused_and_leaves_nothing_behind(api: Api, end: str) -> None:
    answered = api.post(SILENCES, PAY | {"end": end})
    assert (answered.status_code, "end must be after start" in answered.json()["detail"]) == (422, True)
    assert api.get(SILENCES).json()["items"] == []


def test_a_start_at_the_end_of_time_is_refused(api: Api) -> None:
    assert api.post(SILENCES, PAY | {"start": "9999-12-30T00:00:00Z", "end": "9999-12-31T00:00:00Z"}).status_code == 422
