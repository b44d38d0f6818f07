"""What one request says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.batch import BUCKETS, CHANNELS, N_BUCKETS, N_CHANNELS, bucket_of, channel


@given(duration_ns=st.integers(-(10**6), 2**64))
def test_bucket_holds_the_duration(duration_ns: int) -> None:
    bucket = bucket_of(duration_ns)
    micros = duration_ns // 1000
    assert 0 <= bucket < N_BUCKETS
    assert bucket == 0 or micros >= 2 ** (bucket + 8)
    assert bucket == N_BUCKETS - 1 or micros < round(BUCKETS[bucket] * 1e6)


def test_channels_are_numbered_in_order_and_unknown_ones_refused() -> None:
    assert [channel(name) for name in CHANNELS] == list(range(N_CHANNELS))
    with pytest.raises(ValueError, match="not in tuple"):
        channel("nothing")
