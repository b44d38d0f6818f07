"""Chart options hold what they were given, and nothing where nothing was."""

from __future__ import annotations

from math import nan

from app.dashboard.charts import area, band, bars, line, mark_areas, mark_lines, time_chart


def test_legends_name_what_is_seen() -> None:
    chart = time_chart([line("a", [(0.0, 1.0)], "--a"), *band("b", [(0.0, 1.0)], [(0.0, 2.0)], "s")], most=1.0)
    assert chart["legend"]["data"] == ["a", "b"]
    assert chart["yAxis"]["max"] == 1.0
    assert chart["useUTC"], "as all other times of the page"
    assert all("quiet" not in series for series in chart["series"])


def test_gaps_stay_gaps() -> None:
    assert band("b", [(0.0, None)], [(0.0, 2.0)], "s")[1]["data"] == [[0.0, None]]
    assert bars("b", [(1.0, nan)], "--a")["data"] == [[1000.0, None]]
    assert area("a", [], "--a")["data"] == []


def test_marks_stand_at_their_times() -> None:
    marked = mark_lines(mark_areas(line("a", [], "--a"), [(1.0, 2.0, "incident")]), [(3.0, "2.4.1")])
    assert marked["markArea"]["data"] == [[{"xAxis": 1000.0, "name": "incident"}, {"xAxis": 2000.0}]]
    assert [one["xAxis"] for one in marked["markLine"]["data"]] == [3000.0]
    assert line("a", [], "--a", stroke="dashed")["lineStyle"]["type"] == "dashed"
