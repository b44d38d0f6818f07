"""The columns of a feature matrix and the hash that ties a model to them."""

from __future__ import annotations

import pytest

from features.errors import InvalidValue
from features.schema import Feature, FeatureSchema

COLUMNS = (Feature("errors_log_5", "errors"), Feature("p95_shift", "latency", "s"), Feature("errors_log_15", "errors"))


def test_columns_are_found_by_name_and_by_group() -> None:
    schema = FeatureSchema(1, COLUMNS)
    assert schema.names == ("errors_log_5", "p95_shift", "errors_log_15")
    assert schema.index("p95_shift") == 1
    assert schema.groups == ("errors", "latency")
    assert schema.columns("errors") == (0, 2)
    assert schema.columns("absent") == ()


def test_name_that_the_schema_lacks_is_refused_with_its_version() -> None:
    with pytest.raises(InvalidValue, match="'gone' is not in schema version 3"):
        FeatureSchema(3, COLUMNS).index("gone")


def test_name_that_appears_twice_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"must be unique, got \['p95_shift', 'p95_shift'\]"):
        FeatureSchema(1, (*COLUMNS, Feature("p95_shift", "errors")))


@pytest.mark.parametrize(
    "other",
    [
        FeatureSchema(2, COLUMNS),
        FeatureSchema(1, COLUMNS[::-1]),
        FeatureSchema(1, COLUMNS[:2]),
        FeatureSchema(1, (*COLUMNS[:2], Feature("errors_log_15", "warnings"))),
    ],
    ids=["version", "order", "fewer", "group"],
)
def test_hash_changes_with_whatever_a_model_depends_on(other: FeatureSchema) -> None:
    assert FeatureSchema(1, COLUMNS).sha256 == FeatureSchema(1, tuple(COLUMNS)).sha256
    assert other.sha256 != FeatureSchema(1, COLUMNS).sha256
