import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.causes import order, rank
from features.symptom import SIGNALS, Edge, Symptom, Symptoms

NAMES = ("web", "cart", "payment", "bank")


def shown(service: str, *symptoms: Symptom, traces: tuple[int, ...] = ()) -> Symptoms:
    return Symptoms("default", service, 600, symptoms, traces)


def some_symptoms() -> st.SearchStrategy[list[Symptoms]]:
    symptom = st.builds(
        Symptom,
        st.sampled_from(SIGNALS),
        st.integers(0, 600),
        st.floats(0.0, 1e6),
        st.floats(0.0, 1e6),
        st.floats(0.0, 1e6),
    )
    one = st.tuples(st.sampled_from(NAMES), st.lists(symptom, min_size=1, max_size=3), st.sets(st.integers(0, 5)))
    found = st.lists(one, max_size=4, unique_by=lambda entry: entry[0])
    return found.map(lambda entries: [shown(name, *symptoms, traces=tuple(traces)) for name, symptoms, traces in entries])


def some_edges() -> st.SearchStrategy[list[Edge]]:
    names = st.sampled_from(NAMES)
    return st.lists(st.builds(Edge, st.just("default"), names, names, st.floats(0.01, 1e6)), max_size=8)


@given(some_symptoms(), some_edges())
def test_scores_are_shares_of_all_candidates(symptoms: list[Symptoms], edges: list[Edge]) -> None:
    causes = rank(symptoms, edges)
    assert {cause.service for cause in causes} == {one.service for one in symptoms}
    assert all(0.0 <= cause.score <= 1.0 for cause in causes)
    assert not any(cause.score for cause in causes) or sum(cause.score for cause in causes) == pytest.approx(1.0)


@given(some_symptoms(), some_edges())
def test_every_service_with_symptoms_is_in_the_order_once_and_none_before_its_time(
    symptoms: list[Symptoms], edges: list[Edge]
) -> None:
    since = {one.service: min(symptom.since_s for symptom in one.symptoms) for one in symptoms}
    ordered = order(symptoms, edges)
    assert sorted(ordered) == sorted(since)
    assert [since[name] for name in ordered] == sorted(since.values())


def test_a_callee_that_is_slow_explains_its_slow_callers() -> None:
    slow = Symptom("latency", 540, 12.0, value=2.0, expected=0.1)
    edges = [Edge("default", "web", "cart", 50.0), Edge("default", "cart", "payment", 50.0)]
    causes = rank([shown(name, slow) for name in ("web", "cart", "payment")], edges)
    assert [cause.service for cause in causes] == ["payment", "cart", "web"]
    assert "2000 ms" in causes[0].reasons[0].text or "2000 ms" in causes[0].reasons[1].text


def test_calls_that_fail_to_come_are_the_callers_fault() -> None:
    silent = Symptom("traffic", 540, 12.0, value=0.0, expected=80.0)
    broken = Symptom("errors", 540, 12.0, value=30.0, expected=0.0)
    causes = rank([shown("cart", broken), shown("payment", silent)], [Edge("default", "cart", "payment", 50.0)])
    assert causes[0].service == "cart"


def test_only_what_the_affected_services_depend_on_is_a_candidate() -> None:
    broken = Symptom("errors", 540, 12.0, value=30.0)
    symptoms = [shown(name, broken) for name in NAMES]
    causes = rank(symptoms, [Edge("default", "cart", "payment", 50.0)], affected=["cart"])
    assert [cause.service for cause in causes] == ["payment", "cart"]


def test_a_circle_of_calls_has_an_order_all_the_same() -> None:
    broken = Symptom("errors", 540, 12.0)
    edges = [Edge("default", "web", "cart", 1.0), Edge("default", "cart", "web", 1.0)]
    assert order([shown("web", broken), shown("cart", broken)], edges) == ["cart", "web"]
