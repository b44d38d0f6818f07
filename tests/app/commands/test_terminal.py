"""What commands print, and for whom."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from app.commands.terminal import answer, bar


def test_programs_get_one_object_and_people_a_table_or_lines(capsys: pytest.CaptureFixture[str]) -> None:
    report = {"lines": 3, "at": datetime(2026, 3, 2, tzinfo=UTC)}
    answer(report, as_json=True, table="a table")
    assert json.loads(capsys.readouterr().out) == {"lines": 3, "at": "2026-03-02 00:00:00+00:00"}
    answer(report, as_json=False, table="a table")
    assert capsys.readouterr().out == "a table\n"
    answer(report, as_json=False)
    assert capsys.readouterr().out.splitlines()[0] == "lines: 3"


@pytest.mark.parametrize("quiet", [True, False])
def test_no_bar_is_drawn_where_nobody_looks(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with bar(quiet) as progress:
        progress(0.5, "half")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "half" not in captured.err
