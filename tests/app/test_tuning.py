"""The collector is settled while a node serves, and as before after it."""

from __future__ import annotations

import gc
import resource
import weakref

import pytest

from app.tuning import COLLECTOR, let_open, settled_collector


class Knot:
    """An object in a cycle with itself."""

    def __init__(self) -> None:
        self.me = self


def test_what_exists_is_left_out_of_collections_until_the_block_ends() -> None:
    before = gc.get_threshold()
    with settled_collector():
        assert gc.get_threshold() == COLLECTOR
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_cycles_made_while_serving_are_still_collected() -> None:
    with settled_collector():
        gone = weakref.ref(Knot())
        made: list[list[int]] = [[] for _ in range(COLLECTOR[0] + 1)]  # so many allocations make the collector look
    assert gone() is None
    assert len(made) == COLLECTOR[0] + 1


def test_an_error_leaves_the_collector_as_it_was() -> None:
    before = gc.get_threshold()
    with pytest.raises(RuntimeError, match="down"), settled_collector():
        raise RuntimeError("down")
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_as_many_files_may_be_open_as_the_system_allows_and_never_fewer() -> None:
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))
        assert let_open(90) == 100
        assert let_open(120) == 120 == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if most != resource.RLIM_INFINITY:
            assert let_open(most + 1) == most
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))
