"""How alike two groups of incidents are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.likeness import Traits, likeness

names = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3)
traits = st.builds(Traits, st.dictionaries(st.sampled_from(["web", "cart", "db"]), st.floats(0.01, 1.0)), names, names)


@given(traits, traits)
def test_it_is_the_same_both_ways_and_a_share(one: Traits, other: Traits) -> None:
    assert likeness(one, other) == pytest.approx(likeness(other, one))
    assert 0.0 <= likeness(one, other) <= 1.0 + 1e-9


@given(traits)
def test_a_group_is_like_itself_if_anything_is_known_of_it(one: Traits) -> None:
    known = bool(one.causes or one.fingerprints or one.categories)
    assert likeness(one, one) == pytest.approx(1.0 if known else 0.0)


def test_another_cause_with_the_same_category_is_hardly_alike() -> None:
    one, other = (
        Traits({"db": 1.0}, frozenset("f"), frozenset(["network"])),
        Traits({"web": 1.0}, frozenset("g"), frozenset(["network"])),
    )
    assert likeness(one, other) == pytest.approx(0.2)
