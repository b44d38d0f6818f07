"""Charts are images with a sentence, in the page's colours, the same every time, and survive what a short history gives."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from training.charts import budget_chart, group_chart, lead_chart, reliability_chart, sparkline, weight_chart
from training.detail import Bin, Budget, Fold, Told

NAN = float("nan")
BINS = (Bin(0.0, 0.0, 0.0, 0.01, 900), Bin(0.02, 0.03, 0.01, 0.05, 90), Bin(0.4, 0.5, 0.3, 0.7, 10))
BUDGETS = (Budget(0.0, 1.0, 0.0, NAN), Budget(1.9, 0.3, 0.6, 0.7), Budget(7.5, 0.1, 0.9, 0.2))
FOLDS = (
    Fold(0, 100, 10, 5, {"trees": 0.7, "linear": 0.3}, {"errors": 0.02, "calendar": -0.001}, 0.9, ()),
    Fold(100, 200, 10, 7, {"trees": 1.0, "linear": 0.0}, {}, NAN, ()),
)
TOLD = Told("a", 1000.0, 1200.0, 0.3, ((3600.0, 0.0), (1200.0, 0.4), (60.0, 0.9)))

DRAWINGS: dict[str, Callable[[], str]] = {
    "reliability": lambda: reliability_chart("60min", BINS),
    "budgets": lambda: budget_chart(BUDGETS, 2.0),
    "leads": lambda: lead_chart((60.0, 1200.0, 3300.0)),
    "groups": lambda: group_chart(FOLDS),
    "weights": lambda: weight_chart(FOLDS),
    "sparkline": lambda: sparkline(TOLD, longest_s=3600.0, lowest=1e-3),
}


@pytest.fixture(params=DRAWINGS)
def drawing(request: pytest.FixtureRequest) -> str:
    return DRAWINGS[request.param]()


def test_a_chart_is_an_image_with_a_sentence(drawing: str) -> None:
    root = ElementTree.fromstring(drawing)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert root.findtext("title") == root.get("aria-label")
    assert root.get("viewBox")
    assert root.get("width") is None, "the page says how wide it is"


def test_a_chart_wears_the_page_s_colours_and_fetches_nothing(drawing: str) -> None:
    assert re.findall(r"#[0-9a-f]{6}\b", drawing) == []
    assert "http" not in drawing
    assert "<style" not in drawing


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_numbers_give_the_same_bytes(name: str) -> None:
    assert DRAWINGS[name]() == DRAWINGS[name]()


def test_no_two_charts_of_a_page_share_a_name() -> None:
    drawings = [draw() for draw in DRAWINGS.values()] + [reliability_chart("5min", BINS)]
    names = [name for text in drawings for name in re.findall(r' id="([^"]*)"', text)]
    assert names
    assert len(names) == len(set(names))


def test_every_reference_within_a_chart_leads_somewhere(drawing: str) -> None:
    wanted = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', drawing))
    assert wanted <= set(re.findall(r' id="([^"]*)"', drawing))


def test_the_sentences_hold_the_numbers() -> None:
    plain = {name: draw().replace("\N{NO-BREAK SPACE}", " ") for name, draw in DRAWINGS.items()}
    assert "in the riskiest of 3 groups 40 % was stated and 50 % observed" in plain["reliability"]
    assert "at 7.5 a day 90 % of incidents are announced and 20 % of alerts are right" in plain["budgets"]
    assert "3 announced incidents, the median is 20 min" in plain["leads"]
    assert "errors 0.02, calendar -0.001" in plain["groups"]
    assert "fold 2 trees 1.00, linear 0.00" in plain["weights"]
    assert "60 min before 0 %, 20 min before 40 %, 60 s before 90 %" in plain["sparkline"]


def test_names_are_text_and_dollars_are_no_formula() -> None:
    fold = Fold(0, 100, 10, 5, {"<b>$x$": 1.0}, {"<script>$y$": 0.1}, 0.9, ())
    for text in (group_chart([fold]), weight_chart([fold])):
        assert "<script" not in text
        assert "<b>" not in text
    assert "&lt;script&gt;$y$</text>" in group_chart([fold])


@pytest.mark.parametrize("leads", [(0.0,), (30.0,), (3600.0,) * 3, (90_000.0, 60.0), (4_000_000.0,)])
def test_any_lead_times_can_be_drawn(leads: tuple[float, ...]) -> None:
    ElementTree.fromstring(lead_chart(leads))


def test_a_history_of_almost_nothing_can_be_drawn() -> None:
    ElementTree.fromstring(reliability_chart("5min", BINS[:1]))
    ElementTree.fromstring(budget_chart(BUDGETS[:1], 0.0))
    ElementTree.fromstring(sparkline(Told("a", 0.0, None, float("nan"), ()), longest_s=1.0, lowest=1.0))


def test_an_alert_is_a_dot_above_the_dashed_line() -> None:
    assert sparkline(TOLD, longest_s=3600.0, lowest=1e-3).count("<circle") == 2
    assert sparkline(replace(TOLD, threshold=0.95), longest_s=3600.0, lowest=1e-3).count("<circle") == 0


def test_matplotlib_is_loaded_for_a_drawing_alone() -> None:
    code = "import sys, training.charts, training.page; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
