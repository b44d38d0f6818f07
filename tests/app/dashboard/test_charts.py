"""Chart options hold what they were given, and nothing where nothing was."""

from __future__ import annotations

from math import nan

from app.dashboard.charts import area, band, bars, broken, line, mark_areas, mark_lines, time_chart


def test_legends_name_what_is_seen_and_show_how_it_looks() -> None:
    drawn = [line("a", [(0.0, 1.0)], "--a"), bars("c", [(0.0, 1.0)], "--b"), *band("b", [(0.0, 1.0)], [(0.0, 2.0)], "s")]
    chart = time_chart(drawn, most=1.0)
    names = [one["name"] for one in chart["legend"]["data"]]
    assert names == ["a", "c", "b"]
    assert ["icon" in one for one in chart["legend"]["data"]] == [False, True, True], "a line is shown with its stroke"
    assert chart["yAxis"]["max"] == 1.0
    assert chart["useUTC"], "as all other times of the page"
    assert all("quiet" not in series for series in chart["series"])


def test_charts_between_the_same_times_have_the_same_axis() -> None:
    axes = [time_chart([bars("a", [(at, 1.0)], "--a")], between=(0.0, 3600.0))["xAxis"] for at in (60.0, 600.0)]
    assert axes[0] == axes[1]
    assert (axes[0]["min"], axes[0]["max"]) == (0.0, 3_600_000.0)
    assert "min" not in time_chart([])["xAxis"]


def test_gaps_stay_gaps() -> None:
    assert band("b", [(0.0, None)], [(0.0, 2.0)], "s")[1]["data"] == [[0.0, None, None, 2.0]]
    assert bars("b", [(1.0, nan)], "--a")["data"] == [[1000.0, None]]
    assert area("a", [], "--a")["data"] == []
    assert broken([], 60.0) == []
    assert broken([(0.0, 1.0), (90.0, 2.0)], 60.0) == [(0.0, 1.0), (90.0, 2.0)], "one that came late is no gap"
    assert broken([(0.0, 1.0), (120.0, 2.0)], 60.0) == [(0.0, 1.0), (60.0, None), (120.0, 2.0)], "one that is missing is"


def test_a_point_between_two_gaps_is_a_dot_and_others_are_none() -> None:
    data = line("a", [(0.0, 1.0), (1.0, 1.0), (2.0, None), (3.0, 5.0), (4.0, nan)], "--a")
    assert [isinstance(point, dict) for point in data["data"]] == [False, False, False, True, False]
    assert data["data"][3]["value"] == [3000.0, 5.0]
    assert (data["symbol"], data.get("showSymbol", True)) == ("none", True)


def test_bands_differ_by_more_than_their_colour_and_have_edges_that_a_flat_one_shows() -> None:
    hatched, plain = (band("b", [(0.0, 0.0)], [(0.0, 0.0)], "s", look) for look in ("hatched", "plain"))
    assert ["decal" in series["itemStyle"] for series in (*hatched, *plain)] == [True, True, False, False]
    for lower, upper in (hatched, plain):
        assert lower["lineStyle"] == upper["lineStyle"]
        assert lower["lineStyle"]["width"] > 1
    assert hatched[0]["lineStyle"]["color"] != plain[0]["lineStyle"]["color"]


def test_marks_stand_at_their_times() -> None:
    marked = mark_lines(mark_areas(line("a", [], "--a"), [(1.0, 2.0, "incident")]), [(3.0, "2.4.1")])
    assert marked["markArea"]["data"] == [[{"xAxis": 1000.0, "name": "incident"}, {"xAxis": 2000.0}]]
    assert [one["xAxis"] for one in marked["markLine"]["data"]] == [3000.0]
    present = mark_lines(line("a", [], "--a"), [(3.0, "2.4.1")], now=4.0)["markLine"]["data"]
    assert [(one["xAxis"], one["name"]) for one in present] == [(3000.0, "2.4.1"), (4000.0, "now")]
    assert line("a", [], "--a", stroke="dashed")["lineStyle"]["type"] == "dashed"
