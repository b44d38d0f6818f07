"""Like groups of the past, what resolved them and how long they took."""

from __future__ import annotations

from dataclasses import replace

from app.cache.group_records import LikeGroup
from app.past_groups import like_groups, recovery, remedies
from tests.group_builders import a_group, a_verdict, at

PAST = [
    a_group("g-a", -3000, lasts_min=20, incidents=("a",)),
    a_group("g-b", -2000, lasts_min=40, incidents=("b1", "b2")),
    a_group("g-other", -1000, lasts_min=5, causes=["mail"]),
    a_group("g-later", 10, lasts_min=5),
]


def test_like_groups_are_earlier_ones_with_what_people_did_about_them() -> None:
    verdicts = {
        "b1": [a_verdict("b1", "restarted it"), a_verdict("b1", "", name="v2")],
        "b2": [a_verdict("b2", "grew the volume", said_min=60), a_verdict("b2", "no trouble", "false_alarm")],
    }
    found = like_groups(a_group("g-now"), PAST, verdicts)
    assert [(one.id, one.resolved_by) for one in found] == [("g-b", ("grew the volume", "restarted it")), ("g-a", ())]
    assert [(one.text, one.day) for one in remedies(found)] == [
        ("grew the volume", "2026-03-01"),
        ("restarted it", "2026-03-01"),
    ]


def test_the_likest_come_first_and_few() -> None:
    now = replace(a_group("g-now"), fingerprints=("f",))
    past = [replace(one, fingerprints=("f",)) if one.id == "g-a" else one for one in PAST]
    past += [a_group(f"g-{n}", -4000 - n) for n in range(9)]
    found = like_groups(now, past, {})
    assert (found[0].id, len(found)) == ("g-a", 5)
    assert found[0].likeness == 1.0


def test_recovery_is_expected_by_those_that_lasted_longer() -> None:
    past = [LikeGroup(str(n), at(-1000), at(-1000 + n), 1.0) for n in (10, 30, 50)] + [LikeGroup("open", at(-900), None, 1.0)]
    assert recovery(at(0), at(5), past) == (at(30), 3)
    assert recovery(at(0), at(10), past) == (at(40), 2)
    assert recovery(at(0), at(60), past) == (None, 0)
