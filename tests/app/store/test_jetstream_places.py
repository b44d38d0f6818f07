"""Where partitions lie, and what is known of entries and bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.store.jetstream_places import PLACES, Counts, Fill, Layout


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.data())
def test_entries_above_an_offset_are_counted_exactly_while_they_are_known(sizes: list[int], data: st.DataObject) -> None:
    counts, offsets = Counts(), list[int]()
    for sequence, size in enumerate(sizes, 1):
        offsets += [(sequence << PLACES) + place for place in range(size)]
        counts.add(offsets[-1])
    at = data.draw(st.integers(0, len(offsets) - 1))
    assert counts.above(0) == len(offsets)
    assert counts.above(offsets[at]) == len(offsets) - at - 1


def test_every_partition_lies_in_one_stream_whose_subjects_it_shares() -> None:
    layout = Layout(64, 8)
    for partition in range(64):
        number = layout.stream(partition).removeprefix("FS_LOG_")
        assert layout.subject(partition) == f"fs.log.{number}.{partition}"
    assert len({layout.subject(p) for p in range(64)}) == 64


def test_a_fill_without_a_bound_is_never_full() -> None:
    fill = Fill(0)
    fill.add(10**12)
    assert (fill.share, fill.n_bytes > 10**12) == (0.0, True)


def test_a_fill_is_full_before_servers_refuse() -> None:
    fill = Fill(1000)
    fill.add(900)
    assert 1.0 <= fill.share < Fill.hard_bytes(1000) / 1000


@given(st.integers(0, 40), st.data())
def test_a_fill_misses_exactly_what_nobody_told_of(newest: int, data: st.DataObject) -> None:
    heard = data.draw(st.sets(st.integers(1, 50)))
    fill = Fill(0)
    for sequence in heard:
        fill.hear(sequence)
    assert not fill.missed(newest), "the word may be on its way"
    assert fill.missed(newest) == (not set(range(1, newest + 1)) <= heard)
    fill.complete(newest)
    assert not fill.missed(newest)
