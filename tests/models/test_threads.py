"""The context holds libraries to one thread and gives them back."""

from __future__ import annotations

import os

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from threadpoolctl import threadpool_info

from models.threads import by_itself, one_thread


def test_libraries_take_one_thread_inside_and_what_they_had_outside() -> None:
    before = [pool["num_threads"] for pool in threadpool_info()]
    with one_thread():
        assert {pool["num_threads"] for pool in threadpool_info()} <= {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_nothing_is_spread_inside_whatever_backend_is_chosen_around_it() -> None:
    with parallel_config(backend="loky", n_jobs=2):
        assert effective_n_jobs() == 2
        with by_itself():
            assert effective_n_jobs() == 1
            assert set(Parallel()(delayed(os.getpid)() for _ in range(4))) == {os.getpid()}
