"""The join of span ends: which service called which."""

from __future__ import annotations

import json
from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import join as join_module
from features.batch import Batch
from features.join import EdgeJoin

End = tuple[str, int, str, int]
"""Tenant, key, service, role: 0 for a caller."""

Found = dict[tuple[str, str, str], float]

ENDS = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 4), st.sampled_from(["web", "cart", "mail"]), st.integers(0, 1))


def add(join: EdgeJoin, *ends: End) -> None:
    """Add ends as Batches of one tenant each, with their services in a table."""
    for tenant in dict.fromkeys(tenant for tenant, *_ in ends):
        own = [end for end in ends if end[0] == tenant]
        services = tuple(dict.fromkeys(service for _, _, service, _ in own))
        keys = np.array([key for _, key, _, _ in own], np.uint64)
        places = np.array([services.index(service) for _, _, service, _ in own], np.int64)
        roles = np.array([role for *_, role in own], np.int64)
        batch = Batch("traces", end_trace=keys, end_span=keys, end_service=places, end_role=roles, services=services)
        join.add(tenant, batch)


def closed(join: EdgeJoin, *ends: End, tick: int = 0) -> Found:
    add(join, *ends)
    return join.close(tick)


def expected(ends: list[End]) -> Found:
    """Find the calls of one tick by looking at every pair."""
    found: Counter[tuple[str, str, str]] = Counter()
    for tenant, key in product("ab", range(5)):
        callers = sorted(s for t, k, s, role in ends if (t, k, role) == (tenant, key, 0))
        callees = [s for t, k, s, role in ends if (t, k, role) == (tenant, key, 1)]
        found.update((tenant, callers[0], callee) for callee in callees if callers and callers[0] != callee)
    return {edge: float(count) for edge, count in found.items()}


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("cuts", [(0, 0), (1, 2), (0, 2), (3, 3)])
def test_ends_meet_in_any_order_in_one_tick_or_in_several(order: tuple[int, int, int], cuts: tuple[int, int]) -> None:
    ends = [("a", 2**63 + 7, "web", 0), ("a", 2**63 + 7, "cart", 1), ("a", 2**63 + 7, "mail", 1)]
    join, came = EdgeJoin(), [ends[i] for i in order]
    found = Counter[tuple[str, str, str]]()
    for tick, (begin, end) in enumerate(((0, cuts[0]), (cuts[0], cuts[1]), (cuts[1], 3))):
        found.update(closed(join, *came[begin:end], tick=tick))  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert found == {("a", "web", "cart"): 1.0, ("a", "web", "mail"): 1.0}
    assert join.close(9) == {}, "nothing is found twice"


@given(ends=st.lists(ENDS, max_size=16), order=st.randoms(use_true_random=False), cut=st.integers(0, 16), raw=st.integers(0, 4))
def test_a_tick_depends_neither_on_order_nor_on_how_requests_are_cut(
    ends: list[End], order: st.DataObject, cut: int, raw: int
) -> None:
    shuffled = list(ends)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = EdgeJoin(), EdgeJoin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join_module, "_MAX_RAW", raw)
        add(other, *shuffled[:cut])
        found = closed(other, *shuffled[cut:])
    assert closed(one, *ends) == found == expected(ends)
    assert one.snapshot() == other.snapshot()


@given(before=st.lists(ENDS, max_size=12), after=st.lists(ENDS, max_size=12))
def test_a_restored_join_goes_on_as_the_other(before: list[End], after: list[End]) -> None:
    one, other = EdgeJoin(), EdgeJoin()
    closed(one, *before)
    other.restore(json.loads(json.dumps(one.snapshot())))
    assert other.snapshot() == one.snapshot()
    assert closed(one, *after, tick=1) == closed(other, *after, tick=1)
    assert other.snapshot() == one.snapshot()


def test_a_tenant_that_is_left_out_is_as_if_it_had_never_been() -> None:
    own, others = [("b", 3, "pay", 1), ("b", 4, "web", 0)], [("a", 7, "web", 0), ("a", 8, "cart", 1)]
    both, alone = EdgeJoin(), EdgeJoin()
    closed(both, *own, *others)
    closed(alone, *others)
    left = both.snapshot("b")
    assert left == alone.snapshot("b") == alone.snapshot()
    assert both.snapshot("nobody") == both.snapshot()
    again = EdgeJoin()
    again.restore(left)
    assert closed(again, ("a", 7, "cart", 1), ("b", 4, "pay", 1), tick=1) == {("a", "web", "cart"): 1.0}


def test_tenants_with_the_same_ids_do_not_meet() -> None:
    assert closed(EdgeJoin(), ("a", 7, "web", 0), ("b", 7, "cart", 1)) == {}


def test_a_service_that_calls_itself_is_no_edge() -> None:
    assert closed(EdgeJoin(), ("a", 7, "web", 0), ("a", 7, "web", 1)) == {}


def test_what_waits_since_the_oldest_tick_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_module, "_MAX_ENDS", 3)
    join = EdgeJoin()
    for tick in range(3):
        closed(join, *(("a", 10 * tick + n, "web", 0) for n in range(2)), tick=tick)
    assert sorted(join.snapshot()["tick"]) == [1, 2, 2]
    assert closed(join, ("a", 0, "mail", 1), ("a", 20, "mail", 1), tick=3) == {("a", "web", "mail"): 1.0}


@pytest.mark.parametrize(("later", "found"), [(10, {("a", "web", "cart"): 1.0}), (11, {})])
def test_an_end_waits_for_ten_ticks_and_no_longer(later: int, found: dict[tuple[str, str, str], float]) -> None:
    join = EdgeJoin()
    seen = {
        tick: closed(join, ("a", 100 + tick, "shop", 1), *([("a", 7, "cart", 1)] if tick == 5 else []), tick=tick)
        for tick in range(5 + later)
    }
    assert not any(seen.values())
    assert len(join.snapshot()["trace"]) <= 11
    assert closed(join, ("a", 7, "web", 0), tick=5 + later) == found


@given(seed=st.integers(0, 99), cut=st.integers(0, 2000))
def test_past_the_bound_a_share_of_calls_stands_for_all_whatever_the_order(seed: int, cut: int) -> None:
    keys = np.random.default_rng(seed).integers(0, 2**63, 1000).tolist()
    ends: list[End] = [end for key in keys for end in (("a", key, "web", 0), ("a", key, "cart", 1))]
    shuffled = [ends[place] for place in np.random.default_rng(seed + 1).permutation(len(ends)).tolist()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join_module, "_MAX_ENDS", 500)
        one, other = EdgeJoin(), EdgeJoin()
        found = closed(one, *ends)
        patch.setattr(join_module, "_MAX_RAW", 90)
        add(other, *shuffled[:cut])
        assert closed(other, *shuffled[cut:]) == found
    assert one.snapshot() == other.snapshot()
    assert 700 < found["a", "web", "cart"] < 1300
    assert len(one.snapshot()["trace"]) <= 500


def test_callees_of_one_caller_beyond_the_bound_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_module, "_MAX_ENDS", 3)
    join = EdgeJoin()
    assert closed(join, *(("a", 0, f"s{number}", 1) for number in range(100))) == {}
    assert len(join.snapshot()["trace"]) == 3
