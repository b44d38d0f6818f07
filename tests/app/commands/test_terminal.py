"""What commands print, and for whom."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from app.commands.terminal import answer, bar


def test_programs_get_one_object_and_people_a_table_or_lines(capsys: pytest.CaptureFixture[str]) -> None:
    report = {"lines": 3, "at": datetime(2026, 3, 2, tzinfo=UTC)}
    answer(report, as_json=True, table="a table")
    assert json.loads(capsys.readouterr().out) == {"lines": 3, "at": "2026-03-02 00:00:00+00:00"}
    answer(report, as_json=False, table="a table")
    assert capsys.readouterr().out == "a table\n"
    answer(report, as_json=False)
    assert capsys.readouterr().out.splitlines()[0] == "lines: 3"


def told(quiet: bool, *, is_terminal: bool) -> str:
    kept = io.StringIO()
    with bar(quiet, Console(file=kept, force_terminal=is_terminal, width=80)) as progress:
        for share in (0.0, 0.01, 0.02, 0.35, 0.39, 1.0):
            progress(share, "reading")
        progress(0.5, "training")
    return kept.getvalue()


def test_a_log_gets_a_line_for_each_tenth_and_a_terminal_a_bar() -> None:
    assert told(False, is_terminal=False).split("\n") == [
        "reading: 0 %",
        "reading: 30 %",
        "reading: 100 %",
        "training: 50 %",
        "",
    ]
    drawn = told(False, is_terminal=True)
    assert "training" in drawn
    assert "training: 50 %" not in drawn


@pytest.mark.parametrize("is_terminal", [True, False])
def test_nothing_is_told_where_a_program_reads(is_terminal: bool) -> None:
    assert "reading" not in told(True, is_terminal=is_terminal)


def test_standard_output_is_left_to_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with bar(False) as progress:
        progress(0.5, "half")
    assert capsys.readouterr().out == ""
