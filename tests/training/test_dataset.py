"""Rows of history with what came after them: labels of the rule, censoring, feedback, and no look ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.evidence import SOURCES
from features.extract import SCHEMA
from features.facts import CATEGORIES
from features.incident import Incident
from features.memory import Memory, MemoryPlan
from features.series import WHOLE, SeriesKey
from models.feedback import Feedback, Stretch
from tests.telemetry import T0, Minute, a_record, play, play_minute, recorded, traffic
from training.dataset import RECOVERY_TICKS, WARM_TICKS, Dataset, Gathering, build, count_incidents
from training.labels import Said
from training.replay import Recording, walk

PLAN = MemoryPlan()
WEB = SeriesKey("a", "web", "*")
BROKEN = range(60, 65)
"""Windows, counted from T0, in which the service fails; the rule sees it once two of them are closed."""


def web(i: int, tenant: str = "a", broken: range = BROKEN) -> Minute:
    bad = i in broken
    errors = ((a_record("web", T0 + i), "network", None),) * 3 if bad else ()
    return Minute(tenant, (traffic(T0 + i, 100.0, 40.0 if bad else 0.0, operation="*"),), errors)


@cache
def history(length: int = 90, broken: range = BROKEN) -> Recording:
    memory = Memory()
    return recorded(memory, play(memory, [[web(i, broken=broken)] for i in range(length)]))


def history_with_a_gap(last: int, first: int, length: int) -> Recording:
    """Make a Recording in which nothing ran between two ticks, counted from T0."""
    memory = Memory()
    ran = [*range(last), *range(first, first + length)]
    return recorded(memory, [play_minute(memory, T0 + i, [web(i, broken=range(0))]) for i in ran])


def at(minute: float) -> datetime:
    return datetime.fromtimestamp((T0 + minute) * 60, UTC)


def said(verdict: str, start: float = 0, end: float = 0, incident: str | None = None) -> Feedback:
    stretch = None if incident else Stretch(WEB, at(start), at(end))
    return Feedback("f", verdict, "ann", at(200), incident=incident, stretch=stretch)


def minutes_of(dataset: Dataset, chosen: np.ndarray) -> list[int]:
    return [int(s) // 60 - T0 for s in dataset.rows.as_of_s[chosen]]


def next_start(dataset: Dataset) -> dict[int, float]:
    """Return minutes from T0 to the next start by minutes from T0 to the row."""
    rows = dataset.rows
    return {int(a) // 60 - T0: s / 60 - T0 for a, s in zip(rows.as_of_s, rows.next_start_s, strict=True)}


def test_rule_dates_the_start_to_the_end_of_the_first_broken_window() -> None:
    dataset = build(history(), PLAN)
    (incident,) = dataset.incidents
    assert (incident.series, incident.start, incident.detected_at) == (WEB, at(60), at(62))
    assert incident.end == at(65)
    starts = next_start(dataset)
    assert starts[59] == starts[60] == starts[1] == 61.0
    assert starts[61] == starts[90] == np.inf


def test_rows_between_start_and_detection_are_undetected_and_rows_within_are_not_learned_from() -> None:
    dataset = build(history(), PLAN)
    rows = dataset.rows
    assert minutes_of(dataset, rows.undetected) == [61]
    eligible = minutes_of(dataset, rows.eligible)
    young = WARM_TICKS  # what a window taught is known one tick after it
    assert eligible[0] == young
    closing = 68  # three whole windows after the last broken one
    assert eligible == [*range(young, 62), *range(closing + RECOVERY_TICKS + 1, 91)]


def test_targets_say_in_which_horizon_the_incident_began() -> None:
    rows = build(history(), PLAN).rows
    y, at_risk = rows.targets()
    by_minute = {int(a) // 60 - T0: (y[i].tolist(), at_risk[i].tolist()) for i, a in enumerate(rows.as_of_s)}
    assert by_minute[60][0] == by_minute[56][0] == [1.0, 0.0, 0.0]
    assert by_minute[55][0] == [0.0, 1.0, 0.0]
    assert by_minute[40][0] == [0.0, 0.0, 1.0]
    assert by_minute[61] == ([0.0, 0.0, 0.0], [False, False, False])
    assert by_minute[85] == ([0.0, 0.0, 0.0], [True, False, False])  # only five minutes were seen after it
    assert by_minute[86][1] == [False, False, False]


def test_category_is_that_of_most_of_the_errors_that_the_rule_saw() -> None:
    dataset = build(history(), PLAN)
    assert dataset.incidents[0].category == "network"
    code = {minute: int(c) for minute, c in zip(next_start(dataset), dataset.rows.category, strict=True)}
    assert CATEGORIES[code[60]] == "network"
    assert code[61] == -1


def test_what_spoke_for_a_category_is_what_was_known_at_the_row() -> None:
    broken = {60: "network", 100: "data"}

    def minute(i: int) -> Minute:
        category = next((name for begin, name in broken.items() if begin <= i < begin + 5), None)
        errors = ((a_record("web", T0 + i), category, None),) * 3 if category else ()
        return Minute("a", (traffic(T0 + i, 100.0, 40.0 if category else 0.0, operation="*"),), errors)

    memory = Memory()
    rows = build(recorded(memory, play(memory, [[minute(i)] for i in range(130)])), PLAN).rows
    assert rows.evidence is not None
    place = {int(s) // 60 - T0: p for s, p in zip(rows.as_of_s, rows.evidence.place.tolist(), strict=True)}
    known = {at: rows.evidence.counts[p] for at, p in place.items() if p >= 0}
    assert set(known) == {*range(1, 61), *range(61, 101)}  # an hour before 61, and what follows until 101
    network, data = CATEGORIES.index("network"), CATEGORIES.index("data")
    own, last, now = (SOURCES.index(name) for name in ("own", "last", "now"))
    assert {at for at in known if known[at][own].sum()} == set(range(62, 101))  # from the rule's verdict on
    assert all(known[at][[own, last], network].tolist() == [1.0, 1.0] for at in range(62, 101))
    assert known[66][now, network] == 15.0
    assert known[100][now].sum() == 0.0
    assert not any(counts[:, data].any() for counts in known.values())


def test_what_a_person_reported_has_no_category() -> None:
    rows = build(history(), PLAN, said=Said((said("missed", 30, 35),))).rows
    assert rows.evidence is not None
    reported = rows.next_start_s == (T0 + 30) * 60
    assert reported.any()
    assert set(rows.category[reported].tolist()) == set(rows.evidence.place[reported].tolist()) == {-1}


def test_incident_without_errors_of_a_category_is_unknown_and_one_that_lasts_has_no_end() -> None:
    memory = Memory()
    story = [[Minute("a", (traffic(T0 + i, 100.0, 40.0 if i >= 60 else 0.0, operation="*"),))] for i in range(70)]
    (incident,) = build(recorded(memory, play(memory, story)), PLAN).incidents
    assert (incident.category, incident.end) == ("unknown", None)


def test_what_a_gap_hides_is_censored_and_not_negative() -> None:
    rows = build(history_with_a_gap(80, 110, 20), PLAN).rows
    assert rows.observed_until_s is not None
    as_of, until = rows.as_of_s // 60 - T0, rows.observed_until_s / 60 - T0
    assert set(until[as_of <= 80].tolist()) == {80.0}
    assert set(until[as_of > 80].tolist()) == {130.0}
    _, at_risk = rows.targets()
    assert at_risk[as_of == 75].tolist() == [[True, False, False]]
    assert at_risk[as_of == 65].tolist() == [[True, True, False]]
    assert not at_risk[(as_of > 75) & (as_of <= 80)].any()
    assert at_risk[as_of == 120].tolist() == [[True, False, False]]


def test_windows_in_which_a_tenant_was_not_heard_censor_that_tenant_alone() -> None:
    memory = Memory()
    story = [[web(i, "a"), *([web(i, "b", range(0))] if i < 50 or i >= 58 else [])] for i in range(80)]
    rows = build(recorded(memory, play(memory, story)), PLAN).rows
    assert rows.observed_until_s is not None
    tenant = np.array([key.tenant for key in rows.keys])[rows.series]
    as_of, until = rows.as_of_s // 60 - T0, rows.observed_until_s / 60 - T0
    assert set(until[tenant == "a"].tolist()) == {80.0}
    assert set(until[(tenant == "b") & (as_of <= 50)].tolist()) == {50.0}
    assert until[(tenant == "b") & (as_of > 50) & (as_of < 58)].tolist() == list(range(51, 58))
    assert set(until[(tenant == "b") & (as_of >= 58)].tolist()) == {80.0}


def test_incident_that_people_missed_is_a_start_and_its_time_is_not_learned_from() -> None:
    dataset = build(history(), PLAN, said=Said((said("missed", 30, 35),)))
    starts, eligible = next_start(dataset), set(minutes_of(dataset, dataset.rows.eligible))
    assert starts[29] == 30.0  # as people said it, to the second
    assert starts[30] == 61.0
    assert {29, 30, 35} <= eligible
    assert not eligible & set(range(31, 35))
    assert minutes_of(dataset, dataset.rows.undetected) == [61]
    assert len(dataset.incidents) == 1  # what the rule found stays as it is


def test_incident_that_was_reported_from_outside_is_a_start_and_its_time_is_not_learned_from() -> None:
    reported = Incident("alert-1", WEB, at(30), at(31), at(35), "webhook")
    dataset = build(history(), PLAN, said=Said(reported=(reported,)))
    starts, eligible = next_start(dataset), set(minutes_of(dataset, dataset.rows.eligible))
    assert (starts[29], starts[30]) == (30.0, 61.0)
    assert not eligible & set(range(31, 35))
    assert [incident.source for incident in dataset.incidents] == ["rule", "webhook"]
    assert (dataset.plain, dataset.changes) == (None, None)  # nobody gave feedback


def test_feedback_leaves_the_plain_rows_as_they_were_and_says_what_it_changed() -> None:
    dataset = build(history(), PLAN, said=Said((said("missed", 30, 35),)))
    alone = build(history(), PLAN).rows
    assert dataset.plain is not None
    assert dataset.changes is not None
    assert np.array_equal(dataset.plain.next_start_s, alone.next_start_s)
    assert np.array_equal(dataset.plain.eligible, alone.eligible)
    assert dataset.plain.x is dataset.rows.x
    assert (dataset.changes.verdicts, dataset.changes.incidents_added) == ({"missed": 1}, 1)
    assert dataset.changes.rows_left_out == 4
    assert dataset.changes.rows_relabelled > 0


def test_time_of_what_was_prevented_is_never_a_negative() -> None:
    without, prevented = (
        build(history(140, range(0)), PLAN),
        build(history(140, range(0)), PLAN, said=Said((said("prevented", 120, 130),))),
    )
    lost = set(minutes_of(without, without.rows.eligible)) - set(minutes_of(prevented, prevented.rows.eligible))
    assert lost == set(range(60, 130))


def test_false_alarm_takes_the_incident_out_of_the_labels() -> None:
    name = build(history(), PLAN).incidents[0].id
    dataset = build(history(), PLAN, said=Said((said("false_alarm", incident=name),)))
    assert set(next_start(dataset).values()) == {np.inf}
    assert not dataset.rows.undetected.any()
    assert [incident.id for incident in dataset.incidents] == [name]


def test_stride_takes_every_so_many_ticks_and_leaves_the_incidents_as_they_are() -> None:
    every, some = build(history(), PLAN), build(history(), PLAN, stride=5)
    chosen = np.flatnonzero(every.rows.as_of_s // 60 % 5 == 0)
    assert len(some.rows) == 18
    assert np.array_equal(some.rows.x, every.rows.x[chosen])
    assert np.array_equal(some.rows.next_start_s, every.rows.next_start_s[chosen])
    assert some.incidents == every.incidents


def test_progress_is_told_as_a_share() -> None:
    told: list[float] = []
    build(history(201, range(0)), PLAN, stride=50, progress=told.append)
    assert told == [0.0, pytest.approx(100 / 201), pytest.approx(200 / 201)]


def test_incidents_are_counted_as_rows_are_made_of_them_and_no_further_than_is_asked() -> None:
    recording, told = history(301, range(0)), list[float]()
    assert count_incidents(recording, PLAN, 9, progress=told.append) == 0
    assert told == [0.0, pytest.approx(100 / 301), pytest.approx(200 / 301), pytest.approx(300 / 301)]
    memory = Memory()
    often = recorded(memory, play(memory, [[web(i, broken=range(i // 60 * 60, i // 60 * 60 + 5))] for i in range(300)]))
    n_found = len(build(often, PLAN, stride=50).incidents)
    assert n_found > 2
    told.clear()
    assert [count_incidents(often, PLAN, enough, progress=told.append) for enough in (0, 2, n_found + 1)] == [0, 2, n_found]
    assert count_incidents(replace(often, ticks=often.ticks[:30]), PLAN, 1) == 1, "what lies behind is not needed"


def test_history_of_nothing_gives_no_row() -> None:
    dataset = build(recorded(Memory(), []), PLAN)
    assert dataset.rows.x.shape == (0, len(SCHEMA.features))
    assert dataset.incidents == ()


@settings(max_examples=6)
@given(cut=st.integers(20, 69), factor=st.integers(0, 9), seed=st.integers(0, 99))
def test_what_history_holds_of_the_future_changes_no_earlier_row(cut: int, factor: int, seed: int) -> None:
    recording = history(70)
    later = np.flatnonzero(recording.received > T0 + cut)
    values, shuffled = recording.values.copy(), np.random.default_rng(seed).permutation(later)
    values[later] = recording.values[shuffled] * factor
    one = build(recording, PLAN, stride=10).rows
    other = build(replace(recording, values=values), PLAN, stride=10).rows
    past = one.as_of_s <= (T0 + cut) * 60
    assert np.array_equal(one.x[past], other.x[past])
    assert np.array_equal(one.eligible[past], other.eligible[past])
    assert one.evidence is not None
    assert other.evidence is not None
    both = past & (one.evidence.place >= 0) & (other.evidence.place >= 0)
    mine, others = (e.counts[e.place[both]] for e in (one.evidence, other.evidence))
    assert np.array_equal(mine, others)


def test_rows_of_services_alone_are_those_of_all_series_without_operations() -> None:
    memory = Memory()
    minutes = [
        [Minute("a", (traffic(T0 + i, 100.0, 40.0 if i in BROKEN else 0.0, operation="*"), traffic(T0 + i, 60.0, 0.0)))]
        for i in range(90)
    ]
    recording = recorded(memory, play(memory, minutes))
    every = build(recording, PLAN)
    memory = Memory(PLAN)
    gathering = Gathering(memory, services=True)
    for _, standing in walk(recording, memory):
        gathering.add(standing)
    some = gathering.dataset()
    whole = np.flatnonzero([every.rows.keys[i].operation == WHOLE for i in every.rows.series.tolist()])
    assert 0 < len(whole) < len(every.rows)
    assert some.incidents == every.incidents
    for name in ("x", "series", "as_of_s", "next_start_s", "eligible", "undetected", "category"):
        assert np.array_equal(getattr(some.rows, name), getattr(every.rows.take(whole), name))
