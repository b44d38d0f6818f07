"""What errors are made of."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import shares as shares_module
from features.shares import LENGTH, Shares
from tests.telemetry import T0, a_record

errors = st.lists(
    st.tuples(st.integers(0, 2), st.integers(T0, T0 + 200), st.sampled_from("abc"), st.sampled_from(("", "t1", "t2")))
)


@given(errors)
def test_every_error_counts_once_in_each_dimension(told: list[tuple[int, int, str, str]]) -> None:
    shares = Shares()
    for row, window, fingerprint, trace in told:
        shares.add(row, window, a_record(window=window, trace_id=trace), fingerprint)
    for row in range(3):
        found = list(shares.of(row, T0 + 201))
        recent = sum(owner == row and window > T0 + 200 - LENGTH for owner, window, _, _ in told)
        for dimension in ("operation", "fingerprint"):
            assert sum(share.counts.sum() for share in found if share.dimension == dimension) == recent
        assert all(share.before >= 0.0 for share in found)


@given(errors)
def test_snapshot_and_back_is_the_same(told: list[tuple[int, int, str, str]]) -> None:
    shares, again = Shares(), Shares()
    for row, window, fingerprint, trace in told:
        shares.add(row, window, a_record(window=window, trace_id=trace), fingerprint)
    again.restore([5, 6, 7], json.loads(json.dumps(shares.snapshot([0, 1, 2]))))
    assert json.dumps(again.snapshot([5, 6, 7])) == json.dumps(shares.snapshot([0, 1, 2]))
    assert again.traces(6, T0 + 150) == shares.traces(1, T0 + 150)


@given(errors, st.integers(T0 + 100, T0 + 400))
def test_who_reads_leaves_no_trace_in_the_state(told: list[tuple[int, int, str, str]], tick: int) -> None:
    shares = Shares()
    for row, window, fingerprint, trace in told:
        shares.add(row, window, a_record(window=window, trace_id=trace), fingerprint)
    before = json.dumps(shares.snapshot([0, 1, 2]))
    for row in range(3):
        list(shares.of(row, tick))
        shares.traces(row, tick)
    assert json.dumps(shares.snapshot([0, 1, 2])) == before


def test_what_is_older_than_an_hour_fades() -> None:
    shares = Shares()
    shares.add(0, T0, a_record(), "f")
    assert next(s for s in shares.of(0, T0 + 61) if s.name == "f").before == pytest.approx(1.0, rel=0.01)
    later = next(s for s in shares.of(0, T0 + 24 * 60) if s.name == "f")
    assert later.before == pytest.approx(np.exp(-1.0), rel=0.05)
    assert later.first == T0


def test_versions_and_instances_come_from_the_resource() -> None:
    shares = Shares()
    shares.add(0, T0, replace(a_record(), attributes={"service.version": "7", "k8s.pod.name": "cart-1"}), "f")
    names = {share.dimension: share.name for share in shares.of(0, T0 + 1)}
    assert names == {"operation": "GET /", "version": "7", "instance": "cart-1", "fingerprint": "f"}


def test_the_least_recent_part_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares_module, "_MOST_PARTS", 3)
    shares = Shares()
    for fingerprint in ("a", "b", "a", "c"):
        shares.add(0, T0, a_record(), fingerprint)
    assert {share.name for share in shares.of(0, T0 + 1)} == {"GET /", "a", "c"}


def test_services_keep_the_same_traces_of_those_they_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares_module, "_MOST_TRACES", 4)
    shares = Shares()
    for number in range(50):
        shares.add(0, T0, a_record(trace_id=f"{number:032x}"), "f")
        shares.add(1, T0, a_record(trace_id=f"{49 - number:032x}"), "f")
    assert len(shares.traces(0, T0 + 1)) == 4
    assert shares.traces(0, T0 + 1) == shares.traces(1, T0 + 1)
    assert shares.traces(0, T0 + 10) == {}


def test_what_comes_in_the_open_window_is_not_seen_yet() -> None:
    shares = Shares()
    shares.add(0, T0, a_record(), "f")
    assert not any(share.counts.any() for share in shares.of(0, T0))
    assert all(share.counts[-1] == 1.0 for share in shares.of(0, T0 + 1))
