"""Round trip of log messages."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.codec import VERSION, BatchMessage, TickMessage, pack, unpack
from features.batch import N_BUCKETS, N_CHANNELS, Batch, Call, DurationPoint, Level, Presence
from features.errors import InvalidValue, NewerVersion
from features.event import ErrorRecord
from tests.builders import same_batch

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
# A log message carries only strings that UTF-8 can, which `decode` sees to.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    groups = draw(st.integers(0, 4))
    ends = draw(st.integers(0, 4))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32)))
    record = st.builds(
        ErrorRecord, st.sampled_from(["span", "log"]), TEXT, TEXT, INT64, st.integers(0, 24), TEXT, TEXT, TEXT, TEXT, TEXT,
        st.dictionaries(TEXT, TEXT, max_size=3),
    )  # fmt: skip
    point = st.builds(
        DurationPoint, TEXT, TEXT, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), INT64, INT64, st.booleans(), st.booleans(), st.booleans(),
        st.floats(0, 1e9), st.floats(0, 1e9), st.lists(st.floats(0, 1e9), max_size=2).map(tuple),
    )  # fmt: skip
    return Batch(
        signal=draw(st.sampled_from(["traces", "logs", "metrics"])),
        n_records=draw(st.integers(0, 2**40)),
        series=tuple(draw(st.lists(st.tuples(TEXT, TEXT), max_size=4))),
        group_series=numbers.integers(0, 100, groups),
        group_time_s=numbers.integers(-1, 2**40, groups),
        counts=numbers.random((groups, N_CHANNELS)),
        histogram=numbers.random((groups, N_BUCKETS)),
        errors=tuple(draw(st.lists(record, max_size=3))),
        levels=tuple(draw(st.lists(st.builds(Level, TEXT, TEXT, INT64, FLOATS), max_size=3))),
        calls=tuple(draw(st.lists(st.builds(Call, TEXT, TEXT, st.integers(0, 9), st.integers(0, 9)), max_size=3))),
        end_trace=numbers.integers(0, 2**64 - 1, ends, dtype=np.uint64),
        end_span=numbers.integers(0, 2**64 - 1, ends, dtype=np.uint64),
        end_service=numbers.integers(0, 3, ends),
        end_role=numbers.integers(0, 2, ends),
        services=tuple(draw(st.lists(TEXT, max_size=3))),
        presences=tuple(draw(st.lists(st.builds(Presence, TEXT, TEXT, TEXT), max_size=3))),
        durations=tuple(draw(st.lists(point, max_size=2))),
        counters=draw(st.dictionaries(TEXT, st.integers(0, 2**40), max_size=3)),
        rejected=draw(st.integers(0, 9)),
        reason=draw(TEXT),
    )


@given(batches(), TEXT, TEXT, INT64)
def test_what_was_packed_is_unpacked(batch: Batch, tenant: str, batch_id: str, received_at_ns: int) -> None:
    message = unpack(pack(BatchMessage(tenant, batch_id, received_at_ns, batch)))
    assert isinstance(message, BatchMessage)
    assert (message.tenant, message.batch_id, message.received_at_ns) == (tenant, batch_id, received_at_ns)
    assert same_batch(message.batch, batch)


@given(INT64)
def test_a_tick_survives(tick_s: int) -> None:
    assert unpack(pack(TickMessage(tick_s))) == TickMessage(tick_s)


def test_the_same_message_gives_the_same_bytes() -> None:
    message = BatchMessage("default", "id", 1, Batch("logs", 1, levels=(Level("a", "b", 1, 2.0),)))
    assert pack(message) == pack(message)


def test_errors_that_share_a_stack_carry_it_once() -> None:
    errors = tuple(ErrorRecord("span", "cart", "GET /", n, stack="at line 1\n" * 500) for n in range(50))
    data = pack(BatchMessage("default", "id", 1, Batch("traces", errors=errors)))
    assert len(data) < 10_000
    message = unpack(data)
    assert isinstance(message, BatchMessage)
    assert message.batch.errors == errors
    assert len({id(error.stack) for error in message.batch.errors}) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x90",
        b"\x02",
        b"\x02\x90",
        b"\x02\xc1",
        b"\x03\xc1",
        b"\x03\x90",
        b"text",
        b"\xff",
        pack(TickMessage(60)) + b"x",
    ],
)
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidValue, match="log message"):
        unpack(data)


def test_message_of_a_newer_release_is_told_apart_from_what_is_none() -> None:
    with pytest.raises(NewerVersion, match=rf"has version {VERSION + 1}, this release reads \(2, 3\): a newer one wrote it"):
        unpack(bytes([VERSION + 1]) + b"x")


@given(st.binary(max_size=200))
def test_unpack_raises_nothing_but_its_own_error(data: bytes) -> None:
    with contextlib.suppress(InvalidValue):
        unpack(bytes([VERSION]) + data)
    with contextlib.suppress(InvalidValue):
        unpack(bytes([VERSION - 1]) + data)
