"""What services showed since trouble began."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from features.causes import rank
from features.shown import remembered
from features.symptom import SIGNALS, Symptom, Symptoms


def shown(service: str, as_of_s: int, *symptoms: Symptom, traces: tuple[int, ...] = ()) -> Symptoms:
    return Symptoms("default", service, as_of_s, symptoms, traces)


def some_ticks() -> st.SearchStrategy[list[list[Symptoms]]]:
    symptom = st.builds(Symptom, st.sampled_from(SIGNALS), st.integers(0, 600), st.floats(0.0, 60.0))
    one = st.tuples(st.sampled_from(("web", "cart", "db")), st.lists(symptom, max_size=4), st.sets(st.integers(0, 99)))
    tick = st.lists(one, max_size=3, unique_by=lambda entry: entry[0])
    made = tick.map(lambda entries: [shown(name, 600, *symptoms, traces=tuple(traces)) for name, symptoms, traces in entries])
    return st.lists(made, max_size=5)


@given(some_ticks(), st.booleans())
def test_a_symptom_only_grows_and_begins_no_later_and_is_not_over_while_it_is_shown(
    ticks: list[list[Symptoms]], lasts: bool
) -> None:
    kept: list[Symptoms] = []
    for now in ticks:
        before, kept = {one.service: one for one in kept}, remembered(kept, now, lasts=lasts)
        assert [one.service for one in kept] == sorted({one.service for one in kept})
        for one in kept:
            known = {(s.signal, s.operation, s.detail): s for s in one.symptoms}
            for symptom in (s for part in now if part.service == one.service for s in part.symptoms):
                mine = known[symptom.signal, symptom.operation, symptom.detail]
                assert mine.strength >= symptom.strength
                assert mine.since_s <= symptom.since_s
                assert not mine.over
            if one.service in before:
                assert set(before[one.service].traces) <= set(one.traces) or len(one.traces) == 64


def test_what_passes_while_others_last_is_over_until_it_is_back() -> None:
    slow, broken = Symptom("latency", 60, 20.0), Symptom("errors", 60, 9.0)
    first = remembered([], [shown("web", 120, slow), shown("cart", 120, broken)])
    later = remembered(first, [shown("cart", 180, replace(broken, strength=8.0))])
    assert [(one.service, one.symptoms[0].over, one.symptoms[0].strength) for one in later] == [
        ("cart", False, 9.0),
        ("web", True, 20.0),
    ]
    assert [cause.service for cause in rank(first, [])] == ["web", "cart"]
    assert [cause.service for cause in rank(later, [])] == ["cart", "web"]
    back = remembered(later, [shown("web", 240, slow), shown("cart", 240, broken)])
    assert back == [replace(one, as_of_s=240) for one in remembered([], first)]


def test_when_nothing_is_left_or_all_is_over_nothing_counts_less() -> None:
    kept = remembered([], [shown("web", 120, Symptom("latency", 60, 20.0))])
    assert remembered(kept, []) == kept
    ended = remembered(kept, [shown("cart", 180, Symptom("errors", 120, 9.0))], lasts=False)
    assert not any(symptom.over for one in ended for symptom in one.symptoms)


def test_the_strongest_symptoms_and_the_smallest_traces_are_kept_and_what_lasts_before_what_is_over() -> None:
    old = [Symptom("logs", 0, 30.0 + n, detail=f"f{n}") for n in range(9)]
    new = Symptom("errors", 60, 8.0)
    kept = remembered([], [shown("web", 60, *old, traces=tuple(range(100)))])
    assert [s.detail for s in kept[0].symptoms] == [f"f{n}" for n in range(8, 0, -1)]
    later = remembered(kept, [shown("web", 120, new, traces=(200,))])
    assert later[0].symptoms[0] == new
    assert (len(later[0].symptoms), later[0].traces) == (8, tuple(range(64)))
