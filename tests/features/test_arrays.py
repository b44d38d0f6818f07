"""Array types are those that the arrays of the line have."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from features import arrays
from features.batch import Batch


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("FloatArray", np.float64),
        ("Float32Array", np.float32),
        ("IntArray", np.int64),
        ("UInt64Array", np.uint64),
        ("BoolArray", np.bool_),
    ],
)
def test_name_says_which_numbers_an_array_holds(name: str, dtype: type) -> None:
    assert get_args(get_args(getattr(arrays, name))[1]) == (dtype,)


def test_batch_holds_what_its_types_say() -> None:
    batch = Batch("logs")
    assert (batch.counts.dtype, batch.group_series.dtype, batch.end_trace.dtype) == (np.float64, np.int64, np.uint64)
