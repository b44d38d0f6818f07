"""Span ends, against a plain walk."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.ingest.ids import Ids
from app.ingest.rows import SpanRows
from app.ingest.traffic import CALLEE, FAILED

SPAN = st.tuples(st.integers(0, 40), st.integers(0, 3), st.sampled_from([0, CALLEE, FAILED, CALLEE | FAILED]))


@given(
    st.lists(st.tuples(st.sampled_from(["cart", "shop", "cart"]), st.lists(SPAN, max_size=4)), max_size=4), st.integers(1, 5)
)
def test_ends_are_those_of_sampled_and_of_failed_traces(
    scopes: list[tuple[str, list[tuple[int, int, int]]]], sample: int
) -> None:
    rows = SpanRows(Ids(Counter(), from_hex=False))
    for service, spans in scopes:
        for trace, span, flags in spans:
            rows.places.append(flags)
            rows.traces.append(trace.to_bytes(16, "big"))
            rows.meetings.append(span.to_bytes(8, "big"))
        rows.belong(service)
    ends = rows.ends(rows.columns(), sample)
    flat = [(service, *span) for service, spans in scopes for span in spans]
    failed = {trace for _, trace, _, flags in flat if flags & FAILED}
    kept = [found for found in flat if found[1] and found[2] and (found[1] % sample == 0 or found[1] in failed)]
    assert ends.trace.tolist() == [trace for _, trace, _, _ in kept]
    assert ends.span.tolist() == [span for _, _, span, _ in kept]
    assert ends.role.tolist() == [int(flags & CALLEE != 0) for *_, flags in kept]
    assert [ends.services[row] for row in ends.service.tolist()] == [service for service, *_ in kept]
    assert ends.services == tuple(dict.fromkeys(service for service, *_ in kept))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30))
def test_every_row_belongs_to_the_service_that_was_named_next(scopes: list[tuple[str, int]]) -> None:
    rows = SpanRows(Ids(Counter(), from_hex=False))
    for service, n in scopes:
        rows.places.extend([0] * n)
        rows.traces.extend([b"\1" * 16] * n)
        rows.meetings.extend([b"\1" * 8] * n)
        rows.belong(service)
    ends = rows.ends(rows.columns(), 1)
    assert "".join(ends.services[row] for row in ends.service.tolist()) == "".join(service * n for service, n in scopes)


def test_scopes_without_spans_leave_nothing_to_walk() -> None:
    rows = SpanRows(Ids(Counter(), from_hex=False))
    for _ in range(200_000):  # minutes, were every scope to walk those before it
        rows.belong("cart")
    assert len(rows.columns().place) == 0
    assert rows.ends(rows.columns(), 1).services == ()


def test_a_row_without_a_weight_weighs_one() -> None:
    rows = SpanRows(Ids(Counter(), from_hex=False))
    rows.places.extend([0, 0, 0])
    rows.weights[1] = 2.5
    assert rows.columns().weight.tolist() == [1.0, 2.5, 1.0]
