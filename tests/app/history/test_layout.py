"""The version that a table of history says of itself."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from app.history import layout
from app.history.delta import DeltaHistory
from features.errors import NewerVersion
from tests.history_rows import facts, once, places, predictions, span


def said(folder: Path, version: str) -> None:
    """Let a table say a version, as a release that wrote it would have."""
    DeltaTable(folder / "facts").alter.set_table_properties({layout.PROPERTY: version}, raise_if_not_exists=False)


def unmarked(folder: Path) -> DeltaTable:
    schema = pa.schema([("day", pa.string())])
    return DeltaTable.create(folder, schema, partition_by=["day"])


def test_a_new_table_says_the_present_version(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path)
    assert history.versions() == {}
    history.append({"facts": facts(span(0, 1, 2))}, {0: 2})
    assert history.versions() == {"facts": layout.VERSION}


def test_a_table_that_says_none_is_marked_once(tmp_path: Path) -> None:
    delta = unmarked(tmp_path)
    assert layout.version_of(delta) == 0
    assert [layout.mark(delta), layout.mark(DeltaTable(tmp_path))] == [True, False]
    assert layout.version_of(DeltaTable(tmp_path)) == layout.VERSION


def test_a_table_of_a_newer_release_is_refused_by_name_and_left_as_it_is(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path)
    history.append({"facts": facts(span(0, 1, 2))}, {0: 2})
    said(tmp_path, str(layout.VERSION + 1))
    told = (
        rf"history's table facts has version {layout.VERSION + 1}, this release reads 0 to {layout.VERSION}: upgrade this node"
    )
    for each in (history, DeltaHistory(tmp_path)):
        with pytest.raises(NewerVersion, match=told):
            each.append({"facts": facts(span(0, 1, 3))}, {0: 3})
        with pytest.raises(NewerVersion, match=told):
            each.read("facts")
        with pytest.raises(NewerVersion, match=told):
            each.optimise()
    assert history.versions() == {"facts": layout.VERSION + 1}
    said(tmp_path, str(layout.VERSION))
    history.append({"facts": facts(span(0, 1, 3))}, {0: 3})
    assert places(history.read("facts")) == once(span(0, 1, 3))


def test_a_mark_beside_the_append_of_another_node_costs_no_row(tmp_path: Path) -> None:
    history, other = DeltaHistory(tmp_path), DeltaHistory(tmp_path)
    for partition, each in enumerate((history, other)):
        each.append({"facts": facts(span(partition, 1, 1))}, {partition: 1})
    said(tmp_path, "0")
    for last in (2, 3):
        for partition, each in enumerate((history, other)):
            each.append({"facts": facts(span(partition, 1, last))}, {partition: last})
    assert places(history.read("facts")) == once([*span(0, 1, 3), *span(1, 1, 3)])
    assert history.versions() == {"facts": layout.VERSION}


def test_upkeep_of_the_others_does_not_wait_for_a_table_that_cannot_be_tended(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path, keep_days={"predictions": 1})
    history.append({"facts": facts(span(0, 1, 2)), "predictions": predictions(0, 1)}, {0: 2})
    said(tmp_path, str(layout.VERSION + 1))
    with pytest.raises(NewerVersion, match="table facts"):
        history.optimise(10 * 86_400)
    assert len(history.read("predictions")) == 0, "its day was dropped"
