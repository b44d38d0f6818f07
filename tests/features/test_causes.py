import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.causes import continued, order, rank
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


def test_what_is_a_services_own_does_not_go_to_its_callee() -> None:
    full = Symptom("saturation", 540, 30.0, value=0.97, expected=0.2, detail="cpu")
    slow = Symptom("latency", 540, 9.0, value=2.0, expected=0.1)
    causes = rank([shown("cart", full, slow), shown("payment", slow)], [Edge("default", "cart", "payment", 50.0)])
    assert causes[0].service == "cart"
    assert causes[0].reasons[0].text == "cpu at 0.97, 0.2 expected"


def test_a_cause_is_found_behind_a_service_that_shows_nothing() -> None:
    broken = Symptom("errors", 540, 12.0, value=30.0)
    edges = [Edge("default", "web", "cart", 50.0), Edge("default", "cart", "payment", 50.0)]
    causes = rank([shown("web", broken), shown("payment", broken)], edges)
    assert [cause.service for cause in causes] == ["payment", "web"]
    assert "1 service that depends on it" in " ".join(reason.text for reason in causes[0].reasons)


def test_traces_that_failed_at_both_ends_point_at_the_deepest() -> None:
    broken = Symptom("errors", 540, 12.0, value=30.0)
    symptoms = [shown("cart", broken, traces=(1, 2, 3, 4)), shown("bank", broken, traces=(3, 4, 5)), shown("web", broken)]
    edges = [Edge("default", "cart", "bank", 50.0)]
    cause = rank(symptoms, edges)[0]
    assert cause.service == "bank"
    assert "the deepest service that failed in 2 traces in which others failed too" in [reason.text for reason in cause.reasons]


def test_of_two_callees_the_one_that_moves_first_is_likelier_unless_traces_say_more() -> None:
    slow = Symptom("latency", 540, 12.0, value=2.0, expected=0.1)
    symptoms = [shown(name, slow) for name in ("web", "cart", "payment")]

    def first(cart: float, payment: float, errors: float = 0.0) -> str:
        edges = [
            Edge("default", "web", "cart", 9.0, errors, 60.0, cart),
            Edge("default", "web", "payment", 9.0, errors, 0.0, payment),
        ]
        return rank(symptoms, edges)[0].service

    assert first(0.0, 0.0) == "cart", "as good as payment, and first by name"
    assert (first(20.0, 0.0), first(0.0, 20.0), first(-20.0, 0.0)) == ("cart", "payment", "payment")
    assert first(0.0, 20.0, errors=3.0) == "cart", "a trace that failed at both ends says it better"
    texts = [reason.text for reason in rank(symptoms, [Edge("default", "web", "cart", 9.0, 0.0, 120.0, 20.0)])[0].reasons]
    assert "1 service that depends on it shows symptoms too: web; web follows it by 2 min" in texts


def test_a_caller_that_moves_after_its_callee_is_less_likely_why_calls_are_missing() -> None:
    silent = Symptom("traffic", 540, 12.0, value=0.0, expected=80.0)
    broken = Symptom("errors", 540, 12.0, value=30.0, expected=0.0)

    def share(lead_bits: float) -> float:
        edges = [Edge("default", "cart", "payment", 50.0, 0.0, 0.0, lead_bits)]
        return {one.service: one.score for one in rank([shown("cart", broken), shown("payment", silent)], edges)}["cart"]

    assert share(-20.0) > share(0.0) > share(20.0)


def test_what_is_over_while_the_trouble_lasts_counts_a_quarter_and_says_so() -> None:
    broken = Symptom("errors", 540, 12.0, value=30.0, expected=0.0)
    over = Symptom("errors", 540, 20.0, value=30.0, expected=0.0, over=True)
    causes = rank([shown("cart", broken), shown("web", over)], [])
    assert [cause.service for cause in causes] == ["cart", "web"]
    assert causes[0].score / causes[1].score == pytest.approx(12.0 / 5.0)
    assert causes[1].reasons[0].text.endswith("over by now")


@pytest.mark.parametrize(
    ("symptom", "text"),
    [
        (Symptom("failed", 0, 9.0, 0.25, 0.01, "POST /pay"), "25 % of requests of POST /pay failed, 1 % expected"),
        (Symptom("latency", 0, 9.0, 0.3, 0.0125), "requests took 300 ms, 12.5 ms expected"),
        (Symptom("traffic", 0, 9.0, 0.0, 40.0), "requests: 0 a window, 40 expected"),
        (Symptom("traffic", 0, 9.0, 20.0, 40.0, detail="inner"), "spans within its requests: 20 a window, 40 expected"),
        (Symptom("logs", 0, 9.0, 20.0, 40.0), "log records: 20 a window, 40 expected"),
        (Symptom("logs", 0, 9.0, 20.0, 0.5, detail="WARN"), "warnings: 20 a window, 0.5 expected"),
        (Symptom("logs", 0, 9.0, 20.0, 0.5, detail="f7"), "errors of group f7: 20 a window, 0.5 expected"),
        (Symptom("version", 0, 9.0, detail="7"), "new version 7"),
    ],
)
def test_reasons_are_plain_words_with_numbers_and_units(symptom: Symptom, text: str) -> None:
    reason = rank([shown("cart", symptom)], [])[0].reasons[0]
    assert reason.text == text
    assert (reason.fingerprint, reason.version) == ("f7" * (symptom.detail == "f7"), "7" * (symptom.detail == "7"))


def test_a_symptom_that_goes_on_keeps_its_beginning_and_one_that_ended_is_gone() -> None:
    before = [shown("cart", Symptom("errors", 60, 9.0), Symptom("latency", 60, 9.0)), shown("web", Symptom("errors", 60, 9.0))]
    now = continued(before, [shown("cart", Symptom("errors", 300, 12.0))])
    assert [(one.service, [(s.signal, s.since_s, s.strength) for s in one.symptoms]) for one in now] == [
        ("cart", [("errors", 60, 12.0)])
    ]
