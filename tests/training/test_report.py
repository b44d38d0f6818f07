"""The report as JSON and as a table."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from models.prediction import HORIZONS
from training.alerting import EventScores
from training.categories import CategoryScores
from training.choice import Choice
from training.report import Report, Scores, Served

GOOD = Scores(1000, 20, 0.02, 0.4, 0.9, 0.2, 0.001, 0.08, 1.1, (0.3, 0.5), (0.1, 0.3), 0.0, (0.0, 0.0))
EVENTS = EventScores(0.3, 10, 6, 8, 6, 1200.0, 600.0, 1.0)
NONE = EventScores(0.3, 0, 0, 0, 0, float("nan"), float("nan"), 1.0)
CHOICES = {
    "5min": Choice("rate", -0.02, (-0.03, -0.01)),
    "15min": Choice("rate", -0.02, (-0.03, 0.01)),
    "60min": Choice("recency", math.nan, None),
}


def a_report() -> Report:
    by_name = {"ensemble": GOOD, "rate": Scores.empty()}
    tables = dict.fromkeys(HORIZONS, by_name)
    return Report(
        tables,
        tables,
        {"ensemble": EVENTS, "rate": NONE},
        Served(CHOICES, dict.fromkeys(HORIZONS, GOOD), EVENTS),
        {"trees": 0.7},
        {"test": 10},
        {"test": 1000},
        0,
        86_400,
        2.0,
        ("short",),
    )


def test_the_dictionary_is_json_and_undefined_scores_are_null() -> None:
    told = json.loads(json.dumps(a_report().to_dict(), allow_nan=False))
    hour = told["horizons"]["60min"]
    assert hour["ap"] == 0.4
    assert hour["ap_interval"] == [0.3, 0.5]
    assert hour["quiet"]["ap"] == 0.4
    assert hour["baselines"]["rate"]["ap"] is None
    assert told["events"]["ensemble"]["recall"] == 0.6
    assert told["events"]["ensemble"]["false_alarms_a_day"] == 2.0
    assert told["events"]["rate"]["recall"] is None
    assert hour["served"]["ap"] == 0.4
    assert hour["choice"] == {"serves": "recency", "kind": "unknown", "best": "recency", "difference": None, "interval": None}
    assert told["serves"] == {"5min": "ensemble", "15min": "rate", "60min": "recency"}
    assert told["served_events"]["recall"] == 0.6


def test_the_table_fits_a_terminal_and_shows_what_is_undefined() -> None:
    lines = a_report().table().splitlines()
    assert max(len(line) for line in lines) <= 110
    assert sum("ensemble" in line and "0.400" in line for line in lines) == 6
    assert any("0.60 (6/10)" in line and "20 min" in line for line in lines)
    assert any(line.startswith("rate") and " - " in line for line in lines)
    assert "at 5min: ensemble serves, better than rate: log loss difference -0.02000 [-0.03000, -0.01000]" in lines
    assert "at 15min: rate serves, the ensemble is even: log loss difference -0.02000 [-0.03000, 0.01000]" in lines
    assert "at 60min: recency serves, too little data to compare the ensemble with it" in lines
    assert lines[-1] == "note: short"


def test_categories_are_a_table_of_their_own_and_absent_where_there_are_none() -> None:
    mixture = CategoryScores(12, 1.5, 0.7, 0.5, 0.8, (1.2, 1.8), None, (0.4, 0.6), (0.7, 0.9), 0.0, (0.0, 0.0))
    alone = CategoryScores(12, 2.1, 0.8, 0.3, 0.5, None, None, None, None, -0.6, None)
    report = replace(a_report(), categories={"mixture": mixture, "now": alone})
    lines = report.table().splitlines()
    assert max(len(line) for line in lines) <= 110
    assert "categories of 12 incidents, given that they begin" in lines
    assert any(line.startswith("mixture") and "1.500  [1.200, 1.800]" in line and "0.50" in line for line in lines)
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))["categories"]
    assert (told["now"]["mixture_minus_this"], told["now"]["log_loss_interval"]) == (-0.6, None)
    assert a_report().to_dict()["categories"] is None
    assert "categories" not in a_report().table()


def test_the_record_holds_defined_scores_alone() -> None:
    flat = a_report().flat()
    assert flat["60min.ap"] == 0.4
    assert all(math.isfinite(value) for value in flat.values())
