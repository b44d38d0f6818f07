"""The context holds libraries to one thread and gives them back."""

from __future__ import annotations

from threadpoolctl import threadpool_info

from models.threads import one_thread


def test_libraries_take_one_thread_inside_and_what_they_had_outside() -> None:
    before = [pool["num_threads"] for pool in threadpool_info()]
    with one_thread():
        assert {pool["num_threads"] for pool in threadpool_info()} <= {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == before
