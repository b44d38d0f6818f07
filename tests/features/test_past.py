"""Keys of the past: what a dictionary would say, in a small part of its memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from features.past import Past, PastState, key_of

KEYS = st.integers(0, 5) | st.integers(2**64 - 3, 2**64 - 1)
TICKS = st.integers(-2, 20) | st.integers(2**63 - 2, 2**63 - 1)
SEEN = st.dictionaries(KEYS, st.tuples(TICKS, st.sampled_from(["x", "y", "z"])), max_size=6)


@given(st.lists(st.tuples(SEEN, TICKS), max_size=6))
def test_it_says_what_a_dictionary_says(steps: list[tuple[dict[int, tuple[int, str]], int]]) -> None:
    past, expected = Past[str](1000), dict[int, tuple[int, str]]()
    for seen, since in steps:
        past.add(seen)
        expected |= seen
        past.forget(since)
        expected = {key: known for key, known in expected.items() if known[0] >= since}
        other = Past[str](1000)
        other.restore(*past.snapshot())
        for one in (past, other):
            assert len(one) == len(expected)
            for key in (*range(7), *range(2**64 - 4, 2**64)):
                assert one.find(key) == expected.get(key)


def test_the_oldest_make_room_and_their_values_go_with_them() -> None:
    past = Past[int](32)
    for tick in range(100):
        past.add({key_of(f"{tick}/{n}"): (tick, tick) for n in range(4)})
        assert len(past) <= 32
    assert past.find(key_of("99/3")) == (99, 99)
    assert past.find(key_of("80/0")) is None
    _, values = past.snapshot()
    assert set(values) == {tick for tick in range(100) if past.find(key_of(f"{tick}/0"))}


def test_a_key_takes_20_bytes() -> None:
    past = Past[str](10_000)
    past.add({key_of(str(n)): (n % 7, "x") for n in range(5_000)})
    state, values = past.snapshot()
    assert (len(state.keys) + len(state.ticks) + len(state.places), values) == (20 * 5_000, ["x"])
    empty = Past[str](1)
    empty.restore(PastState(), [])
    assert (len(empty), empty.find(0)) == (0, None)
